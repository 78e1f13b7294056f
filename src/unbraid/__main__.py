"""The program `unbraid`, or `python -m unbraid`: an interrupt is one line from its first import to its last."""

import sys


def main() -> int:
    """Calls the command line; once its work is done, a late Ctrl-C has nothing left to end."""
    try:
        from unbraid.cli import main

        code = main()
        _ignore_interrupts()
        return code
    except KeyboardInterrupt:
        _ignore_interrupts()
        print("\nunbraid: interrupted", file=sys.stderr)  # noqa: T201
        return 130


def _ignore_interrupts() -> None:
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
