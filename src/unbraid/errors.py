"""The one exception for what a user can mend."""

import signal
import threading
import unicodedata

_STEERING = ("Cc", "Cs", "Zl", "Zp")  # kinds of characters: controls, halves of others, ends of lines and paragraphs
_TURNING = (
    "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # what stands behind them, right to left
)


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


def is_plain(text: str) -> bool:
    """Whether nothing in the text steers a terminal or hides what it says: spaces of any kind are plain."""
    return not any(unicodedata.category(each) in _STEERING or each in _TURNING for each in text)


def raise_swallowed() -> None:
    """Ctrl-C once more, where a library took the first for a failure of its own and went on; see `unbraid.__main__`."""
    if getattr(signal.getsignal(signal.SIGINT), "noticed", None):
        raise KeyboardInterrupt


def of_a_thread(failed: threading.ExceptHookArgs) -> None:
    """What the system refuses to a writer in the background is said once, by whoever waits for it."""
    if not issubclass(failed.exc_type, OSError):
        threading.__excepthook__(failed)
