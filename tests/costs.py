"""What one hostile file may cost: five seconds of the processor and a gibibyte."""

import faulthandler
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SECONDS, MEMORY = 5.0, 2**30
PATIENCE = 120  # seconds on the wall, after which it hangs


@contextmanager
def bounded() -> Iterator[None]:
    """The clock on the wall also counts what other programs take, so it ends the process only where nothing moves."""
    began = time.process_time()
    faulthandler.dump_traceback_later(PATIENCE, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        took = time.process_time() - began
        assert took < SECONDS, f"it took {took:.1f} s"


def most_memory() -> int:
    """Bytes of this program at its largest; Linux's rusage counts those of the process that started it, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])  # type: ignore[index]
    import resource  # POSIX alone has it

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@contextmanager
def room(size: int) -> Iterator[None]:
    """What happens within takes at most so many bytes more of the system, at its largest."""
    with suppress(OSError):  # Linux alone can forget what was largest before
        Path("/proc/self/clear_refs").write_text("5")
    before = most_memory()
    yield
    assert most_memory() - before < size, f"it took {most_memory() - before:,} bytes"
