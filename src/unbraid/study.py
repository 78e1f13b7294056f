"""A grid of runs in one folder: side by side on the cores, skipped where finished, resumed where killed."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from unbraid import config as configs
from unbraid import files, runs
from unbraid.config import Config
from unbraid.errors import UnbraidError
from unbraid.processors import cores
from unbraid.progress import progress

Finish = Callable[[Path, str], None]

SUMMARY = "study.json"


@dataclass(frozen=True)
class Cell:
    """One run of a study: its folder's name and its settings."""

    name: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How one cell ended: `error` is None for a finished run."""

    name: str
    error: str | None


def run_study(
    cells: list[Cell],
    out: Path,
    finish: Finish,
    *,
    jobs: int | None = None,
    theme: str = "light",
    show_progress: bool = True,
) -> list[Outcome]:
    """Trains every cell into `out`/<name> and calls `finish(run folder, theme)` for each, in `jobs` processes.

    What is finished is not done again and what was begun goes on, so a killed study is simply started again. A cell
    that fails is reported and stops no other. Raises UnbraidError where `out` holds runs of other settings.
    """
    if jobs is not None and jobs < 1:
        raise UnbraidError(f"jobs must be at least 1, not {jobs}")
    plans = [(cell, configs.resolve(cell.settings)) for cell in cells]
    for cell, config in plans:
        refuse_other_settings(out / cell.name, config)
    on_accelerator = runs.choose_device(plans[0][1].device).type != "cpu"
    jobs = min(jobs or (1 if on_accelerator else cores()), len(plans))
    threads = max(1, cores() // jobs)
    total = sum(config.steps for _, config in plans)
    waiting, workers, errors = [cell for cell, _ in plans], list[_Worker](), dict[str, str | None]()
    with _ended(workers), progress("study", total, show=show_progress, initial=_steps_done(plans, out)) as bar:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(_Worker(finish, threads))
                workers[-1].begin(waiting.pop(0), out, theme)
            ready = wait([worker.connection for worker in workers], timeout=0.5)
            for worker in [worker for worker in workers if worker.connection in ready]:
                errors[worker.cell.name] = worker.error()
                if waiting and worker.process.is_alive():
                    worker.begin(waiting.pop(0), out, theme)
                else:
                    worker.connection.close()
                    workers.remove(worker)
            bar.advance(_steps_done(plans, out) - bar.done, f"{len(errors)}/{len(plans)} runs")
    outcomes = [Outcome(cell.name, errors[cell.name]) for cell in cells]
    files.write_json(out / SUMMARY, {outcome.name: outcome.error or "finished" for outcome in outcomes})
    return outcomes


def refuse_other_settings(folder: Path, config: Config) -> None:
    """Raises UnbraidError where `folder` holds a run of another config; where and how it is computed may differ."""
    if not runs.is_run(folder):
        return
    begun = runs.read_config(folder)
    if config.likelihood == configs.FITTED_LIKELIHOOD:
        config = configs.resolve({**config.flat(), "likelihood": begun.likelihood})
    there, here = begun.flat(), config.flat()
    for name in here.keys() | there.keys():
        if name not in runs.FREE_SETTINGS and here.get(name) != there.get(name):
            raise UnbraidError(
                f"{folder} was run with {name}={there.get(name)}, and this asks for {name}={here.get(name)}: "
                "choose another --out, or the settings it was begun with"
            )


def _steps_done(plans: list[tuple[Cell, Config]], out: Path) -> int:
    return sum(runs.steps_done(out / cell.name) for cell, _ in plans)


class _Worker:
    """A process that trains one cell after another, and the one that it is at.

    No pool of the standard library, where one worker that is killed takes the others with it.
    """

    cell: Cell

    def __init__(self, finish: Finish, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a forked torch may hang on the locks of its parent's threads
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, finish, threads))
        with _ctrl_c_held_back():
            self.process.start()
        theirs.close()

    def begin(self, cell: Cell, out: Path, theme: str) -> None:
        self.cell = cell
        with suppress(BrokenPipeError):  # if it is dead, `error` will say so
            self.connection.send((out / cell.name, dict(cell.settings), theme))

    def error(self) -> str | None:
        """Why the cell failed, None where all went well; waits for the answer."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            return (
                f"its process was ended from outside (exit code {self.process.exitcode}), perhaps for want of memory: "
                "the same command goes on, and fewer jobs need less"
            )


def _serve(connection: Connection, finish: Finish, threads: int) -> None:
    """The life of a worker: cells come, errors go, until the connection is closed or it is told to stop."""
    import torch

    torch.set_num_threads(threads)
    # a terminal sends Ctrl-C to every process; the workers wait for the word of their parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            folder, settings, theme = connection.recv()
            connection.send(_work(folder, settings, finish, theme))


def _work(folder: Path, settings: dict[str, Any], finish: Finish, theme: str) -> str | None:
    """One cell from wherever it stands to its end; the error as a sentence, None where all went well."""
    from unbraid.training import resume, train

    try:
        if runs.is_run(folder):
            resume(folder, device=settings.get("device"), show_progress=False)
        else:
            train(configs.resolve(settings), out=folder, show_progress=False)
        if not runs.drawn(folder, theme):
            finish(folder, theme)
            runs.mark_drawn(folder, theme)
    except UnbraidError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def _end_with_parent() -> None:
    """A killed parent can tell nobody: without this its workers would train on, and hold the locks of their runs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """A process started in here sees no Ctrl-C, not even while it is importing; this one sees it on the way out."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _ended(workers: list[_Worker]) -> Iterator[None]:
    """However the block ends, its workers end too; Ctrl-C or SIGTERM lets each write its checkpoint first."""
    before = signal.getsignal(signal.SIGTERM)
    in_main = threading.current_thread() is threading.main_thread()
    if in_main:
        signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped, everything is kept: the same command goes on") from None
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _raise_interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt
