"""What a machine can do to a study besides killing it: a full disk, a clock that jumps."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from study_cases import PATIENCE, certain, places, same_bits, started, states, study, wait_for_new_checkpoint

from unbraid import runs

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs the signals and mounts of POSIX")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    assert [outcome.error for outcome in study(out)] == [None] * 3
    return out


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB, of which no byte can be had beyond."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this system lets us mount no small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, left: int) -> Path:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(max(shutil.disk_usage(disk).free - left, 0)))
    return ballast


@pytest.mark.parametrize(
    "left", [pytest.param(0, marks=pytest.mark.slow), 60_000, pytest.param(250_000, marks=pytest.mark.slow)]
)
def test_a_full_disk(tmp_path: Path, small_disk: Path, undisturbed: Path, left: int) -> None:
    """Full from the start, in the first run, in a later one: it is said, and with room again the study goes on."""
    ballast = fill(small_disk, left)
    out = small_disk / "study"
    with started(out, yaml=tmp_path / "small.yaml") as process:
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    errors = [row["error"] for row in certain(out) if row["error"]] if any(p.exists() for p in places(out)) else []
    assert "No space left" in said or any("No space left" in error for error in errors)
    ballast.unlink()
    assert [outcome.error for outcome in study(out)] == [None] * 3
    assert same_bits(out, undisturbed)


JUMPING = """\
import itertools, time
_real, _jumps = time.time, itertools.cycle([0, 86_400, -86_400, 1e9, -1e9])
time.time = lambda: _real() + next(_jumps)
time.time_ns = lambda: int(1e9 * time.time())
"""


@pytest.mark.slow
def test_a_clock_that_jumps(tmp_path: Path, undisturbed: Path) -> None:
    """By a day or thirty years either way, at every look; and a kill on the way."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(JUMPING)
    path = os.pathsep.join([str(tmp_path / "clock"), *filter(None, [os.environ.get("PYTHONPATH")])])
    looks = [sys.executable, "-c", "import time; print(abs(time.time() - time.time()) > 80_000)"]
    assert subprocess.check_output(looks, env={**os.environ, "PYTHONPATH": path}, text=True) == "True\n"
    out = tmp_path / "study"
    with started(out, PYTHONPATH=path) as process:
        wait_for_new_checkpoint(out)
        process.send_signal(signal.SIGKILL)
    for place in places(out):
        place.mkdir(exist_ok=True)
        with FileLock(place / runs.LOCK, timeout=PATIENCE):
            pass
    assert states(out) != ["finished"] * 3, "the kill came too late to show anything"
    with started(out, PYTHONPATH=path) as process:
        assert process.wait(timeout=PATIENCE) == 0
    assert same_bits(out, undisturbed)
