"""A running study on the terminal: the runs that are at work, the rate, the time left, the best so far."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from unbraid import runs
from unbraid.progress import progress
from unbraid.study.file import Study
from unbraid.study.grid import Cell

View = Callable[[Sequence[int]], None]  # the numbers of the runs that are at work


@contextmanager
def watched(
    cells: Sequence[Cell], folders: Sequence[Path], errors: Mapping[int, str | None], study: Study, *, show: bool
) -> Iterator[View]:
    """A function to call now and then with the runs at work; `errors` fills as runs end. Only they are looked at."""
    steps = [runs.steps_done(folder) for folder in folders]
    total = sum(cell.config.steps for cell in cells)
    with progress("study", total, show=show, initial=sum(steps)) as bar:

        def view(running: Sequence[int]) -> None:
            for n in running:
                steps[n] = runs.steps_done(folders[n])
            for n in errors.keys() - ended:
                ended.add(n)
                steps[n] = runs.steps_done(folders[n])
            bar.advance(sum(steps) - bar.done, f"{len(errors)}/{len(cells)} runs")

        ended = set(errors)
        yield view
