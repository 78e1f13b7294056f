"""What a training run happens in: a folder of its own, a CPU that drops denormals, signals that wait for a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from unbraid import runs
from unbraid.errors import UnbraidError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process a run folder."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / runs.LOCK)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise UnbraidError(f"another process is training in {folder}: wait for it, or choose another folder") from None
    except (OSError, NotImplementedError) as error:  # the latter from a file system without locks
        why = getattr(error, "strerror", None) or error
        raise UnbraidError(f"cannot write the run folder {folder}: {why}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def denormals_flushed() -> Iterator[None]:
    """Numbers below 1e-38 count as 0: they carry nothing here, and a CPU works on them many times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second Ctrl-C interrupts at once. Only the main thread may ask."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signals = [number for number, handler in before.items() if handler is not signal.SIG_IGN]

    def handle(number: int, frame: Any) -> None:
        if event.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        event.set()

    for number in signals:
        signal.signal(number, handle)
    try:
        yield event
    finally:
        for number in signals:
            signal.signal(number, before[number])
