"""A grid of runs in one folder: side by side on the cores, skipped where finished, resumed where killed."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unbraid import config as configs
from unbraid import files, runs
from unbraid.config import Config
from unbraid.errors import UnbraidError
from unbraid.processors import cores
from unbraid.progress import progress

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
    finish: Callable[[Path], None],
    *,
    jobs: int | None = None,
    show_progress: bool = True,
) -> list[Outcome]:
    """Trains every cell into `out`/<name> and calls `finish(run folder)` for each, in `jobs` processes.

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
    with (
        _workers(jobs, threads) as pool,
        progress("study", total, show=show_progress, initial=_steps_done(plans, out)) as bar,
    ):
        futures = {pool.submit(_work, out / cell.name, dict(cell.settings), finish): cell for cell, _ in plans}
        pending: set[Future[str | None]] = set(futures)
        while pending:
            _, pending = wait(pending, timeout=0.5)
            done = len(futures) - len(pending)
            bar.advance(_steps_done(plans, out) - bar.done, f"{done}/{len(plans)} runs")
    outcomes = [Outcome(cell.name, _error(future)) for future, cell in futures.items()]
    files.write_json(out / SUMMARY, {outcome.name: outcome.error or "finished" for outcome in outcomes})
    return outcomes


def _error(future: "Future[str | None]") -> str | None:
    try:
        return future.result()
    except BrokenProcessPool:
        return "a worker was killed, perhaps for want of memory: the same command goes on, and fewer jobs need less"


def refuse_other_settings(folder: Path, config: Config) -> None:
    """Raises UnbraidError where `folder` holds a run of another config; where and how it is computed may differ."""
    if not runs.is_run(folder):
        return
    there, here = runs.read_config(folder).flat(), config.flat()
    for name in here.keys() | there.keys():
        if name not in runs.FREE_SETTINGS and here.get(name) != there.get(name):
            raise UnbraidError(
                f"{folder} was run with {name}={there.get(name)}, and this asks for {name}={here.get(name)}: "
                "choose another --out, or the settings it was begun with"
            )


def _steps_done(plans: list[tuple[Cell, Config]], out: Path) -> int:
    return sum(runs.steps_done(out / cell.name) for cell, _ in plans)


def _work(folder: Path, settings: dict[str, Any], finish: Callable[[Path], None]) -> str | None:
    """One cell from wherever it stands to its end; the error as a sentence, None where all went well."""
    from unbraid.training import resume, train

    try:
        if runs.is_run(folder):
            resume(folder, show_progress=False)
        else:
            train(configs.resolve(settings), out=folder, show_progress=False)
        finish(folder)
    except UnbraidError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    except KeyboardInterrupt:
        os._exit(1)  # the checkpoint is written, and a worker that lived on would begin the next cell
    return None


@contextmanager
def _workers(jobs: int, threads: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, however it ends; Ctrl-C or SIGTERM lets each write its checkpoint first."""
    context = multiprocessing.get_context("spawn")  # a forked torch may hang on the locks of its parent's threads
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_prepare_worker, initargs=(threads,))
    before, others = signal.getsignal(signal.SIGTERM), set(multiprocessing.active_children())
    in_main = threading.current_thread() is threading.main_thread()
    if in_main:
        signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        with pool:
            try:
                yield pool
            except BaseException:
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt("stopped, everything is kept: the same command goes on") from None
    finally:
        if in_main:
            signal.signal(signal.SIGTERM, before)


def _raise_interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _prepare_worker(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    # a terminal sends Ctrl-C to every process; the workers wait for the word of their parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent can tell nobody: without this its workers would train on, and hold the locks of their runs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
