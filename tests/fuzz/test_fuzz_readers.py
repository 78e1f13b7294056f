"""The fuzzing of the readers of data: in short several in a process; in full, in the slow suite, each in its own."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_readers.py")
NAMES = [
    *("png", "jpeg", "tiff", "webp", "gif", "npy", "npz", "hdf5", "csv", "parquet"),
    *("codes_csv", "codes_parquet", "codes_npz", "codes_to_pictures"),
    *("shapes3d", "mpi3d", "dsprites", "dsprites_hdf5", "cars3d", "cars3d_archive"),
    *("smallnorb_dat", "smallnorb_cat", "smallnorb_info", "celeba"),
]


def fuzz(readers: Sequence[str], cases: int) -> None:
    command = [sys.executable, "-W", "error", str(FUZZER), *readers, "--cases", str(cases)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [found["reader"] for found in reports] == [*readers]
    for found in reports:
        assert found["cases"] >= cases and found["refused"] > cases / 20, found


@pytest.mark.parametrize("readers", [NAMES[first : first + 6] for first in range(0, len(NAMES), 6)], ids=",".join)
def test_some_hundred_files_made_to_harm(readers: list[str]) -> None:
    fuzz(readers, 200)


@pytest.mark.slow
@pytest.mark.parametrize("reader", NAMES)
def test_ten_thousand_files_made_to_harm(reader: str) -> None:
    fuzz([reader], 10_000)


@pytest.mark.slow
@pytest.mark.parametrize("reader", NAMES)
def test_atheris_finds_nothing(reader: str) -> None:
    """Files guided by the lines they reach, from good ones on."""
    pytest.importorskip("atheris")
    command = [sys.executable, str(FUZZER), reader, "--atheris", "--seconds", "20"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    assert "Done" in done.stderr, done.stderr[-2_000:]
