"""Progress: plain lines where no terminal listens, nothing where nobody asked."""

import io
import os
import sys

import pytest

from unbraid import progress as module
from unbraid.progress import duration, progress


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (12.4, "12 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_plain_lines_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 4000) as bar:
        for _ in range(40):
            clock.now += 1
            bar.advance(100, "recon 12.3")
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert printed.out == ""
    assert lines[0] == "train: 1,000/4,000 steps (25 %), 100.0 steps/s, 30 s left, recon 12.3"
    assert lines[-1] == "train: 4,000/4,000 steps (100 %), 100.0 steps/s, recon 12.3"
    assert len(lines) == 5, "one line every ten seconds, and one at the end"
    assert "\x1b" not in printed.err and "\r" not in printed.err


def test_without_standard_error_nothing_is_said(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after `2>&-`; print would write to standard output then."""
    monkeypatch.setattr(sys, "stderr", None)
    with progress("train", 10) as bar:
        clock.now += 100
        bar.advance(10)
    assert bar.done == 10 and capsys.readouterr().out == ""


def test_the_rate_is_of_this_process_alone(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A resumed run did not do its first half in no time."""
    with progress("train", 2000, initial=1000) as bar:
        clock.now += 20
        bar.advance(200)
    assert capsys.readouterr().err.splitlines()[0] == ("train: 1,200/2,000 steps (60 %), 10.0 steps/s, 1 min 20 s left")


def test_nothing_to_do(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 0):
        pass
    assert capsys.readouterr().err == "train: 0/0 steps (0 %), 0.0 steps/s\n"


def test_silence(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("train", 10, show=False) as bar:
        clock.now += 100
        bar.advance(5)
        bar.advance(5)
    assert bar.done == 10
    assert capsys.readouterr() == ("", "")


def test_an_exception_goes_through(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), progress("train", 10) as bar:
        bar.advance()
        _ = 1 / 0


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TERM", "xterm")
    monkeypatch.setitem(os.environ, "COLUMNS", "100")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("train", 3000) as bar:
        bar.advance(3000, "recon 12.3")
    shown = terminal.getvalue()
    assert "train" in shown and "100%" in shown and "recon 12.3" in shown and "steps/s" in shown
