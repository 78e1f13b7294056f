"""The program `unbraid`, or `python -m unbraid`: an interrupt is one line from its first import to its last."""

import os
import sys


def main() -> int:
    """Calls the command line; once its work is done, a late Ctrl-C has nothing left to end."""
    interrupted = _noticed_interrupts()
    _rest_early()
    try:
        from unbraid.cli import main

        code = main()
        _ignore_interrupts()
        return code
    except (KeyboardInterrupt, ImportError) as error:
        # a library that imports another from C may make an ImportError of it
        if not (isinstance(error, KeyboardInterrupt) or interrupted):
            raise
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


def _noticed_interrupts() -> list[int]:
    """A list that holds something once there was a Ctrl-C, which still is a KeyboardInterrupt."""
    import signal

    noticed: list[int] = []

    def handle(number: int, frame: object) -> None:
        noticed.append(number)
        raise KeyboardInterrupt

    handle.noticed = noticed  # type: ignore[attr-defined]  # where errors.raise_swallowed looks
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, handle)
    return noticed


def _ignore_interrupts() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
