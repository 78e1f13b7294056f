"""Parquet's pages: their sizes as their headers have them, and what is refused before Arrow takes memory for it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from unbraid import parquet
from unbraid.data import load
from unbraid.errors import UnbraidError

WORDS = [f"some/name-{n % 50}.png" for n in range(5000)]
TABLE = {
    "image": WORDS,
    "z0": np.arange(5000) / 7,
    "kind": pa.array([None if n % 3 else n for n in range(5000)]),
    "long": ["x" * (n % 400) for n in range(5000)],
}


@pytest.mark.parametrize("compression", ["none", "zstd", "snappy", "gzip", "brotli"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"data_page_version": "2.0"},
        {"version": "1.0", "write_statistics": False},
        {"use_dictionary": False, "data_page_size": 500, "write_page_index": True},
        {"row_group_size": 700, "write_page_checksum": True},
    ],
)
def test_headers_account_for_every_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str, options: dict[str, Any]
) -> None:
    """What pages unfold to, and their headers, are together what the footer says of each column."""
    monkeypatch.setattr(parquet, "_BEYOND", 0)
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(TABLE), path, compression=compression, **options)
    metadata = pq.ParquetFile(path).metadata
    with path.open("rb") as stream:
        groups = parquet._footer(stream)[4]
        assert len(groups) == metadata.num_row_groups
        for group, theirs in zip(groups, map(metadata.row_group, range(len(groups))), strict=True):
            assert len(group[1]) == theirs.num_columns
            for column, known in zip(group[1], map(theirs.column, range(theirs.num_columns)), strict=True):
                sizes = list(parquet._page_sizes(stream, column[3]))
                headers = known.total_uncompressed_size - sum(sizes)
                assert 8 * len(sizes) < headers < 900 * len(sizes)  # the longest with two words of 399 letters
    with parquet.opened(path) as file:
        assert parquet.cells(next(file.iter_batches(5000)).column("image"))[:50] == WORDS[:50]


LOAD = """
import pathlib, re, sys
from unbraid.data import load
from unbraid.errors import UnbraidError
try:
    load(sys.argv[1])
except UnbraidError as error:
    print(error)
print(re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text()).group(1))
"""


def write_large_page(path: Path, size: int) -> None:
    table = pa.table({"path": ["x" * size], "other": [1]})
    pq.write_table(table, path, compression="zstd", use_dictionary=False, write_statistics=False)


def write_long_word(path: Path, size: int) -> None:
    """A word that stands once in the file and in each of 4,096 rows."""
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(4096, np.int32)), ["x" * size])
    pq.write_table(pa.table({"path": words}), path, compression="zstd", store_schema=False)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the most memory that was taken")
@pytest.mark.parametrize(
    ("write", "size", "why"),
    [(write_large_page, 2**29, "its pages unfold to 536,870,"), (write_long_word, 2**20, "a word of 1,048,576 bytes")],
)
def test_small_files_that_unfold_far(tmp_path: Path, write: Any, size: int, why: str) -> None:
    path = tmp_path / "t.parquet"
    write(path, size)
    assert path.stat().st_size < 2**17
    ended = subprocess.run([sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=True)
    said, peak = ended.stdout.splitlines()
    assert why in said
    assert int(peak) < 400_000  # kB


def test_a_page_that_asks_for_more_than_the_footer_says(tmp_path: Path) -> None:
    """Arrow believes the page, so the page is what counts."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"path": ["y" * 2000 + "a.png"] * 2**16}), path, compression="zstd", use_dictionary=False)
    content = path.read_bytes()
    size = parquet._Thrift(content[4:9000]).structure()[2]
    assert 2**20 < size < 2**27  # written with as many bytes as a larger number
    lie = varint(2**27 - 1)
    assert len(lie) == len(varint(size))
    path.write_bytes(content.replace(varint(size), lie, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_LARGEST_PAGES", 2**26)
        with pytest.raises(UnbraidError, match="its pages unfold to 134,217,727 bytes"):
            load(str(path))


def varint(value: int) -> bytes:
    """Zigzag, as Thrift writes a whole number."""
    value, out = value << 1, b""
    while value >= 128:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


@pytest.mark.parametrize(
    "content", [b"", b"\x15", b"\x1f\x00", b"\x19\xff\xff\xff\xff\x0f", b"\x1c" * 40, b"\x05" + b"\xff" * 20]
)
def test_headers_that_are_none(content: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        parquet._Thrift(content).structure()
