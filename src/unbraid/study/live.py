"""A running study on the terminal: the runs at work, the rate, the time left, the best so far.

Where nobody watches a terminal these are plain lines every few seconds, as of any other progress.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unbraid import runs
from unbraid.metrics import direction
from unbraid.progress import duration, on_terminal, progress
from unbraid.study.file import Study
from unbraid.study.grid import Cell

View = Callable[[Sequence[int]], None]  # takes the numbers of the runs at work

_BETWEEN = 0.5  # seconds between two looks at the run folders
_MOST_SHOWN = 12  # runs at work


class Watch:
    """What is known of a study on its way. Only runs at work are looked at, so a look costs the same in any study."""

    def __init__(
        self, cells: Sequence[Cell], folders: Sequence[Path], errors: Mapping[int, str | None], study: Study
    ) -> None:
        self.cells, self.folders, self.errors, self.study = cells, folders, errors, study
        self.total = sum(cell.config.steps for cell in cells)
        self.steps = {n: runs.steps_done(folders[n]) for n in range(len(cells))}
        self.done = self.initial = sum(self.steps.values())
        self.began = time.monotonic()
        self.running: list[int] = []
        self.best: tuple[float, int] | None = None
        self._ended: set[int] = set()
        self._next = 0.0

    def look(self, running: Sequence[int]) -> bool:
        """Looks at the runs at work and those that have ended; False where it has only just done so."""
        self.running = list(running)
        ended = [n for n in self.errors if n not in self._ended] if len(self.errors) > len(self._ended) else []
        if not ended and time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _BETWEEN
        for n in {*running, *ended}:
            now = runs.steps_done(self.folders[n])
            self.done += now - self.steps[n]
            self.steps[n] = now
        for n in ended:
            self._ended.add(n)
            self._compare(n)
        return True

    @property
    def criterion(self) -> str:
        return next((name for name in self.study.scores if direction(name)), "loss")

    def _compare(self, n: int) -> None:
        """Keeps the run with the best first score of the study file that can be better, or the lowest final loss."""
        if self.errors[n] is not None:
            return
        name = self.criterion
        if name in self.study.scores:
            value = runs.read_scores(self.folders[n]).get("metrics", {}).get(name, {}).get("score", math.nan)
        else:
            value = runs.last_row(self.folders[n]).get("loss", math.nan)
        sign = direction(name)
        if not math.isnan(value) and (self.best is None or sign * value > sign * self.best[0]):
            self.best = (value, n)

    def left(self) -> str:
        rate = (self.done - self.initial) / max(time.monotonic() - self.began, 1e-9)
        return duration((self.total - self.done) / rate) if rate > 0 else "?"

    def status(self) -> str:
        failed = sum(error is not None for error in self.errors.values())
        said = f"{len(self.errors)}/{len(self.cells)} runs" + (f", {failed} failed" if failed else "")
        if self.best is not None:
            value, n = self.best
            said += f", best {self.criterion} {value:.3g} ({self.cells[n].name})"
        return said


@contextmanager
def watched(
    cells: Sequence[Cell], folders: Sequence[Path], errors: Mapping[int, str | None], study: Study, *, show: bool
) -> Iterator[View]:
    """A function to call now and then with the runs at work; `errors` fills as runs end."""
    watch = Watch(cells, folders, errors, study)
    watch.look([])
    if show and on_terminal():
        yield from _live(watch)
        return
    with progress("study", watch.total, show=show, initial=watch.done) as bar:

        def view(running: Sequence[int]) -> None:
            if watch.look(running):
                bar.advance(watch.done - bar.done, watch.status())

        yield view


def _live(watch: Watch) -> Iterator[View]:
    from rich.console import Console
    from rich.live import Live

    with Live(panel(watch), console=Console(stderr=True), refresh_per_second=4) as live:

        def view(running: Sequence[int]) -> None:
            if watch.look(running):
                live.update(panel(watch))

        yield view
        watch.running = []
        live.update(panel(watch))


def panel(watch: Watch) -> Any:
    """A bar of the whole study, one of each run at work, and the best so far."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    rate = (watch.done - watch.initial) / max(time.monotonic() - watch.began, 1e-9)
    table = Table.grid(padding=(0, 1))
    whole = f"{watch.done:,}/{watch.total:,} steps, {rate:,.0f} a second, {watch.left()} left"
    table.add_row(Text("study", style="bold"), ProgressBar(watch.total, watch.done, width=30), Text(whole))
    for n in watch.running[:_MOST_SHOWN]:
        steps, of = watch.steps[n], watch.cells[n].config.steps
        table.add_row(Text(watch.cells[n].name), ProgressBar(of, steps, width=30), Text(f"{steps:,}/{of:,}"))
    more = len(watch.running) - _MOST_SHOWN
    lines = [Text(f"and {more} more at work")] if more > 0 else []
    return Group(table, *lines, Text(watch.status()))
