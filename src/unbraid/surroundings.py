"""What a training run happens in: a folder of its own, a CPU that drops denormals, signals that wait for a step."""

import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from unbraid import files, runs
from unbraid.errors import UnbraidError, raise_swallowed


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process a run folder."""
    from filelock import FileLock, Timeout

    files.refuse_bytes(folder)
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
        files.sweep(folder)
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
def tensor_cores(device: torch.device) -> Iterator[None]:
    """On CUDA dense layers multiply in TF32, as convolutions do by default: three decimal digits, sums in float32."""
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def memory_kept() -> None:
    """Memory that is freed stays with this process, from now on: training asks for the same sizes again in each step.

    The GNU C library by default gives large blocks back to the system and gets them again page by page, zeroed, which
    takes a sixth of a step of the convolutional nets (docs/speed.md). Other C libraries are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    import ctypes

    mallopt = ctypes.CDLL(None).mallopt
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # the names of malloc.h
    mallopt(mmap_threshold, 32 << 20)  # the most that it allows
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second Ctrl-C interrupts at once. Only the main thread may ask."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    raise_swallowed()
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
