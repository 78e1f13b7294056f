"""More images than should lie in memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "data_speed.py"


def peak(images: int) -> float:
    """MiB of resident memory for a folder of so many pictures: to decode it, to draw batches, to go through it."""
    command = [sys.executable, str(BENCHMARK), "--part", "a large folder", "--images", str(images)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["images"] == images
    return float(found["peak_mib"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_two_hundred_thousand_images_stay_below_2_gib() -> None:
    """2.3 GiB of pixels, decoded."""
    assert peak(200_000) < 2048
