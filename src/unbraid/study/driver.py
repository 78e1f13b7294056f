"""Drives a study: what is finished is left alone, the rest goes to an engine in groups, and nothing is lost."""

import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unbraid import files, logs, runs, tables
from unbraid.errors import UnbraidError
from unbraid.registry import lookup
from unbraid.study import table
from unbraid.study.drawings import OF_A_STUDY
from unbraid.study.engines import ENGINES
from unbraid.study.file import Study
from unbraid.study.folders import STUDY, SUMMARY, claimed, prepared
from unbraid.study.grid import Cell
from unbraid.study.live import watched
from unbraid.study.results import Result, Results
from unbraid.study.work import Finish, Group, Options
from unbraid.training import groups

_STACK = 32  # runs that train at once on an accelerator: more gain little, and take its memory


@dataclass(frozen=True)
class Outcome:
    """How one run ended: `error` is None for a finished one."""

    folder: Path
    error: str | None


def run_study(
    study: Study,
    cells: Sequence[Cell],
    out: Path,
    *,
    engine: str = "local",
    options: Options | None = None,
    theme: str = "light",
    show: bool = True,
) -> list[Outcome]:
    """Trains, scores and draws every run of a study in `out`, writes their table, and draws the figures of the whole.

    What is finished is not done again and what was begun goes on, so a killed study is simply started again, also from
    another place or by another engine. A run that fails is reported and stops no other. Raises UnbraidError where
    another process runs a study in `out`.
    """
    options = options or Options()
    check(cells, engine, options)
    score_data = {name: setting.value for name, setting in study.score_data.items()}
    finish = Finish(study.scores, study.points, score_data, study.run_figures, theme)
    with claimed(out):
        folders = prepared(cells, out)
        files.write_text(out / STUDY, study.text)
        errors: dict[int, str | None] = {n: None for n, folder in enumerate(folders) if finish.is_done(folder)}
        _write_summary(out, folders, errors)
        numbers = grouped(cells, [n for n in range(len(cells)) if n not in errors], options, engine)
        tasks = [
            Group(tuple(folders[n] for n in group), tuple(cells[n].config.flat() for n in group), finish)
            for group in numbers
        ]
        with _stoppable(), _summed_up(out, folders, errors), watched(cells, folders, errors, study, show=show) as view:
            if tasks:
                with closing(ENGINES[engine].work(tasks, options)) as reports:
                    for report in reports:
                        for group, found in report.done.items():
                            errors |= dict(zip(numbers[group], found, strict=True))
                        if report.done:
                            with suppress(OSError):  # such as a full disk, of which the end will tell
                                _write_summary(out, folders, errors)
                        view([n for group in report.running for n in numbers[group]])
        for n, folder in enumerate(folders):
            if errors[n] is not None and folder.is_dir():  # a process that was killed could not write it
                with suppress(OSError):
                    runs.write_error(folder, errors[n])
        table.write(out)
        finished = [Result(folders[n], cell.config) for n, cell in enumerate(cells) if errors[n] is None]
        if finished:
            _draw(study, Results(out, study.name, finished), theme)
    return [Outcome(folder, errors[n]) for n, folder in enumerate(folders)]


def check(cells: Sequence[Cell], engine: str, options: Options) -> None:
    """Raises UnbraidError for what would fail in every run, before anything is written."""
    if options.jobs < 0:
        raise UnbraidError(f"jobs must be at least 1, not {options.jobs}")
    lookup(ENGINES, engine, "engine").check(options)
    for name in {cell.config.logger for cell in cells}:
        logs.check_installed(name)


@contextmanager
def _summed_up(out: Path, folders: Sequence[Path], errors: Mapping[int, str | None]) -> Iterator[None]:
    """However the block ends, study.json then says how far the study came."""
    try:
        yield
    finally:
        _write_summary(out, folders, errors)


def _write_summary(out: Path, folders: Sequence[Path], errors: Mapping[int, str | None]) -> None:
    states = {folder.name: errors[n] or "finished" if n in errors else "unfinished" for n, folder in enumerate(folders)}
    files.write_json(out / SUMMARY, states)


def grouped(cells: Sequence[Cell], numbers: Sequence[int], options: Options, engine: str = "local") -> list[list[int]]:
    """The runs called `numbers` in the groups that train at once, of `options.stack` at most."""
    chosen = [cells[n].config for n in numbers]
    stacked = options.stack > 1 if options.stack else None
    together = groups(chosen, stacked=stacked, elsewhere=ENGINES[engine].elsewhere)
    most = options.stack or _STACK
    return [
        [numbers[index] for index in group[start : start + most]]
        for group in together
        for start in range(0, len(group), most)
    ]


def _draw(study: Study, results: Results, theme: str) -> None:
    for name in study.figures:
        try:
            OF_A_STUDY[name].function(results, theme)
        except UnbraidError as error:
            tables.say(f"figure {name}: {error}")
        except Exception as error:  # every run is finished, and what they came to follows
            tables.say(f"figure {name}: {type(error).__name__}: {' '.join(str(error).split())}")


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends a study as Ctrl-C does: the engine lets each run write its checkpoint first."""
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    if in_main:
        signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped, everything is kept: the same command goes on") from None
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _raise_interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
