"""A progress bar with rate and time left; plain lines every few seconds where nobody watches a terminal."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from unbraid.errors import raise_swallowed

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts towards `total`; `advance` is cheap enough for every step of a loop."""

    def __init__(self, description: str, total: int, unit: str, initial: int, interactive: bool) -> None:
        self.description, self.total, self.unit = description, total, unit
        self.done, self.initial = initial, initial
        self.status = ""
        self.started = time.monotonic()
        self._next_report = self.started + (0.1 if interactive else _SECONDS_BETWEEN_LINES)
        self._interactive = interactive
        self._bar: Any = None  # rich's bar and the task in it, where a terminal shows them
        self._task: Any = None

    def rate(self) -> float:
        """Units per second since the start of this process's part."""
        return (self.done - self.initial) / max(time.monotonic() - self.started, 1e-9)

    def line(self) -> str:
        rate = self.rate()
        left = (self.total - self.done) / rate if rate > 0 else float("inf")
        share = 100 * self.done / max(self.total, 1)
        text = (
            f"{self.description}: {self.done:,}/{self.total:,} {self.unit} ({share:.0f} %), {rate:,.1f} {self.unit}/s"
        )
        if self.done < self.total and left != float("inf"):
            text += f", {duration(left)} left"
        return text + (f", {self.status}" if self.status else "")

    def advance(self, amount: int = 1, status: str | None = None) -> None:
        self.done += amount
        if status is not None:
            self.status = status
        now = time.monotonic()
        if now >= self._next_report:
            self.report()
            self._next_report = now + (0.1 if self._interactive else _SECONDS_BETWEEN_LINES)

    def report(self) -> None:
        if self._bar is None:
            print(self.line(), file=sys.stderr, flush=True)  # noqa: T201
        else:
            self._bar.update(
                self._task, completed=self.done, rate=f"{self.rate():,.0f} {self.unit}/s", status=self.status
            )


def duration(seconds: float) -> str:
    """12 s, 3 min 20 s, 2 h 05 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def on_terminal() -> bool:
    """Whether somebody watches; there is no standard error at all where a program was started with it closed."""
    return sys.stderr is not None and sys.stderr.isatty()


@contextmanager
def progress(
    description: str, total: int, unit: str = "steps", *, initial: int = 0, show: bool = True
) -> Iterator[Progress]:
    """`with progress("train", 5000) as bar: ... bar.advance()`; `show=False` counts in silence."""
    raise_swallowed()
    show = show and sys.stderr is not None
    interactive = show and on_terminal()
    counter = Progress(description, total, unit, initial, interactive)
    if not show:
        counter._next_report = float("inf")
        yield counter
        return
    if not interactive:
        yield counter
        counter.report()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[status]}"),
    )
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=8) as bar:
        counter._bar = bar
        counter._task = bar.add_task(description, total=total, completed=initial, rate="", status="")
        yield counter
        counter.report()
