"""What an engine is given to do: a group of runs, trained at once where that is quicker, scored and drawn.

It knows nothing of processes, machines or other groups: the same call in a worker of this machine, in a task of Ray or
in a test.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from unbraid import config as configs
from unbraid import runs
from unbraid.config import Config
from unbraid.errors import UnbraidError
from unbraid.study.folders import run_lock


@dataclass(frozen=True)
class Finish:
    """What is made of each trained run: plain values, so that it travels."""

    scores: tuple[str, ...] = ()
    points: int = 0
    score_data: Mapping[str, Any] = field(default_factory=dict)
    run_figures: str = ""
    theme: str = "light"

    def missing_scores(self, folder: Path) -> list[str]:
        """The scores that the run does not have yet, by this seed, these points and this data."""
        if not self.scores:
            return []
        known = runs.scores_by(folder, 0, self.points, self.score_data)
        return [name for name in self.scores if name not in known]

    def is_done(self, folder: Path) -> bool:
        """Whether the run is trained, and all that is made of it is there."""
        drawn = not self.run_figures or runs.drawn(folder, self._mark)
        return runs.state(folder) == "finished" and drawn and not self.missing_scores(folder)

    @property
    def _mark(self) -> str:
        return f"{self.run_figures} {self.theme}"

    def make(self, folder: Path) -> None:
        """Scores and figures of the finished run in `folder`, those that are missing."""
        from unbraid import evaluate
        from unbraid.study.drawings import OF_A_RUN

        if missing := self.missing_scores(folder):
            run = runs.load(folder)
            other = configs.resolve({**run.config.flat(), **self.score_data})
            dataset = runs.load_data(other) if self.score_data else None
            evaluate.score_run(run, missing, points=self.points, dataset=dataset, data=self.score_data)
        if self.run_figures and not runs.drawn(folder, self._mark):
            OF_A_RUN[self.run_figures].function(folder, self.theme)
            runs.mark_drawn(folder, self._mark)


@dataclass(frozen=True)
class Group:
    """Runs that are trained together, each in a folder of its own; plain values, so that it travels."""

    folders: tuple[Path, ...]
    settings: tuple[Mapping[str, Any], ...]
    finish: Finish


@dataclass(frozen=True)
class Options:
    """What an engine can be told; 0 and "" leave it the choice."""

    jobs: int = 0  # groups side by side
    address: str = ""  # of a Ray cluster
    gpus: float = 1.0  # share of an accelerator that a group takes
    stack: int = 0  # most runs that train at once


@dataclass(frozen=True)
class Report:
    """What an engine says now and then: the groups that it is at, and the errors of those that have just ended."""

    running: list[int]
    done: dict[int, list[str | None]]


def work(group: Group) -> list[str | None]:
    """Every run of the group from wherever it stands to its end; for each its error, None where all went well.

    An error is written into the folder of its run too, and stops no other run.
    """
    chosen = [configs.resolve(settings) for settings in group.settings]
    errors = _trained(group.folders, chosen)
    for n, folder in enumerate(group.folders):
        if errors[n] is None:
            errors[n] = _sentence(partial(group.finish.make, folder))
        with suppress(OSError):  # such as a full disk, of which the error tells already
            runs.write_error(folder, errors[n])
    return errors


def _trained(folders: Sequence[Path], chosen: Sequence[Config]) -> list[str | None]:
    from unbraid.training import train_many

    results: list[runs.Run | UnbraidError] = []

    def train() -> None:
        for folder in folders:
            if folder.is_dir():
                with run_lock(folder):
                    runs.write_error(folder, None)  # a new run wants an empty folder
        results.extend(train_many(chosen, folders, stacked=len(folders) > 1, show_progress=False))

    if error := _sentence(train):
        return [error] * len(folders)
    return [str(result) if isinstance(result, UnbraidError) else None for result in results]


def _sentence(act: Callable[[], None]) -> str | None:
    """Why `act` failed; None where it did not."""
    try:
        act()
    except UnbraidError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None
