"""The program `unbraid`, or `python -m unbraid`: an interrupt is one line from its first import to its last."""

import os
import sys
from types import FrameType


def main() -> int:
    """Calls the command line; once its work is done, a late Ctrl-C has nothing left to end."""
    _notice_interrupts()
    _rest_early()
    try:
        from unbraid.cli import main

        code = main()
        _ignore_interrupts()
        return code
    except KeyboardInterrupt:
        _ignore_interrupts()
        print("\nunbraid: interrupted", file=sys.stderr)  # noqa: T201
        return 130


def _rest_early() -> None:
    """Threads of torch that wait for each other stay awake only briefly, unless the environment says otherwise.

    By default GNU's OpenMP keeps them awake for so long that beside another busy program, which the system gives their
    core in turn, a step of training takes many times what it should (docs/speed.md). It reads this as torch is loaded.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")


def _notice_interrupts() -> None:
    """Ctrl-C is a KeyboardInterrupt as ever, but not in the middle of an import: there it waits until that is done.

    While PyTorch is loaded an exception ends the process with an abort, NumPy makes an ImportError of it, and a library
    that takes any failure of an import for its absence goes on as if nothing had been. So that an import which hangs
    can be ended all the same, Ctrl-C waits ten seconds at most.
    """
    import signal
    from _thread import interrupt_main, start_new_thread
    from threading import main_thread
    from time import monotonic, sleep

    noticed: list[float] = []  # when
    waits = False
    pause, longest = 0.02, 10.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal waits
        noticed.append(monotonic())
        if not _importing(frame) or noticed[-1] - noticed[0] > longest:
            waits = False
            raise KeyboardInterrupt
        if not waits:  # else it is under way
            waits = True
            start_new_thread(send_again, ())

    def send_again() -> None:
        nonlocal waits
        sleep(pause)
        if not waits:  # it was raised meanwhile
            return
        waits = False
        if hasattr(signal, "pthread_kill"):  # wakes the main thread from a sleep too
            signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
        else:
            interrupt_main()

    handle.noticed = noticed  # type: ignore[attr-defined]  # where errors.raise_swallowed looks
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, handle)


def _importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code is not main.__code__:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _ignore_interrupts() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
