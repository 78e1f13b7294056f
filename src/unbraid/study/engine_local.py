"""The engine of one machine: worker processes, each of which does one group after another."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait

from unbraid import runs
from unbraid.errors import UnbraidError, of_a_thread
from unbraid.processors import cores
from unbraid.study.work import Group, Options, Report, work


def check(options: Options) -> None:
    """Raises UnbraidError for what only a cluster can be told."""
    if options.address:
        raise UnbraidError(f"the engine local works on this machine: for {options.address} add --engine ray")


def local(groups: Sequence[Group], options: Options) -> Generator[Report, None, None]:
    """Does the groups in `options.jobs` processes, by default one a core, or one where there is an accelerator."""
    on_accelerator = runs.choose_device(str(groups[0].settings[0]["device"])).type != "cpu"
    jobs = min(options.jobs or (1 if on_accelerator else cores()), len(groups))
    threads = max(1, cores() // jobs)
    waiting, workers = list(range(len(groups))), list[_Worker]()
    with _ended(workers):
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(_Worker(threads))
                workers[-1].begin(waiting.pop(0), groups)
            ready = wait([worker.connection for worker in workers], timeout=0.5)
            done = {}
            for worker in [worker for worker in workers if worker.connection in ready]:
                done[worker.at] = worker.errors(groups)
                if waiting and worker.process.is_alive():
                    worker.begin(waiting.pop(0), groups)
                else:
                    worker.connection.close()
                    worker.process.join()
                    workers.remove(worker)
            yield Report([worker.at for worker in workers], done)


class _Worker:
    """A process that does one group after another, and the number of the one that it is at.

    No pool of the standard library, where one worker that is killed takes the others with it.
    """

    at: int

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a forked torch may hang on the locks of its parent's threads
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, threads))
        with _ctrl_c_held_back():
            self.process.start()
        theirs.close()

    def begin(self, number: int, groups: Sequence[Group]) -> None:
        self.at = number
        with suppress(BrokenPipeError):  # if it is dead, `errors` will say so
            self.connection.send(groups[number])

    def errors(self, groups: Sequence[Group]) -> list[str | None]:
        """Why each run failed, None where all went well; waits for the answer."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            return [
                f"its process was ended from outside (exit code {self.process.exitcode}), perhaps for want of memory: "
                "the same command goes on, and fewer jobs need less"
            ] * len(groups[self.at].folders)


def _serve(connection: Connection, threads: int) -> None:
    """The life of a worker: groups come, errors go, until the connection is closed or it is told to stop."""
    import torch

    torch.set_num_threads(threads)
    threading.excepthook = of_a_thread
    # a terminal sends Ctrl-C to every process; the workers wait for the word of their parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            connection.send(work(connection.recv()))


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
    """However the block ends, its workers end too, each after it has written its checkpoint."""
    try:
        yield
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
