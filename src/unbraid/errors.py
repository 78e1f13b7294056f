"""The one exception for what a user can mend."""

import threading


class UnbraidError(ValueError):
    """A user's mistake in one sentence: what came, what was allowed, what to do.

    The command line prints it without a traceback and exits with code 2. What cannot be printed, such as a line break
    in the name of a file, is written out, so that it stays one line and no file can move a terminal's cursor.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))


def printable(text: str) -> str:
    """One line: line breaks, control characters and broken Unicode as their escapes."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def of_a_thread(failed: threading.ExceptHookArgs) -> None:
    """What the system refuses to a writer in the background is said once, by whoever waits for it."""
    if not issubclass(failed.exc_type, OSError):
        threading.__excepthook__(failed)
