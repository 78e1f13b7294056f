"""Parquet's pages: their sizes as their headers have them, and what is refused before Arrow takes memory for it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import costs
import numpy as np
import pyarrow as pa
import pytest
import thrift_files as thrift
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
        groups = parquet._footer(stream)[0][4, 9]
        assert len(groups) == metadata.num_row_groups
        for group, theirs in zip(groups, map(metadata.row_group, range(len(groups))), strict=True):
            assert len(group[1, 9]) == theirs.num_columns
            for column, known in zip(group[1, 9], map(theirs.column, range(theirs.num_columns)), strict=True):
                pages = list(parquet._pages(stream, column[3, 12]))
                sizes = [size for size, _ in pages]
                assert sum(values for _, values in pages) >= known.num_values  # and the words of a dictionary
                headers = known.total_uncompressed_size - sum(sizes)
                assert 8 * len(sizes) < headers < 900 * len(sizes)  # the longest with two words of 399 letters
    with parquet.opened(path) as file:
        columns = zip(*([*map(parquet.cells, batch.columns)] for batch in parquet.batches(file)), strict=True)
        assert [[cell for cells in column for cell in cells] for column in columns] == [
            list(values) if isinstance(values, list | np.ndarray) else values.to_pylist() for values in TABLE.values()
        ]


# ---- small files that unfold far ----


def write(path: Path, table: pa.Table, **options: Any) -> None:
    pq.write_table(table, path, **{"compression": "zstd", "write_statistics": False, "store_schema": False, **options})


def repeated(word: str, rows: int = 4096) -> pa.Array:
    """A word that stands once in the file and in each row."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), [word])


def a_large_page(path: Path) -> None:
    write(path, pa.table({"path": ["x" * 2**29]}), use_dictionary=False)


def many_pages(path: Path) -> None:
    """None of them large, and all in the memory of one batch."""
    words = [f"{n:05}" + "x" * 4000 for n in range(20_000)]
    write(path, pa.table({"path": words}), use_dictionary=False, data_page_size=2**20)


def a_large_dictionary(path: Path) -> None:
    words = [f"{n:05}" + "x" * 4000 for n in range(5_000)]
    write(path, pa.table({"path": words}), dictionary_pagesize_limit=2**30)


def a_long_word(path: Path) -> None:
    write(path, pa.table({"path": repeated("x" * 2**20)}))


def many_columns(path: Path) -> None:
    write(path, pa.table({"path": repeated("a.png"), **{f"c{n}": repeated("x" * 4000) for n in range(250)}}))


def columns_of_one_name(path: Path) -> None:
    write(path, pa.table([repeated("x" * 2**20)] * 2, names=["path", "path"]))


def wide_letters(path: Path) -> None:
    """Python takes four bytes for every letter of a word where one of them needs so many."""
    words = ["\U0001f600" + f"{n:05}" + "x" * 3900 for n in range(45_000)]
    write(path, pa.table({"path": words}), use_dictionary=False, row_group_size=15_000)


def long_names(path: Path) -> None:
    write(path, pa.table({"path": repeated("x" * 4096, 60_000)}))


def tiny_pages(path: Path) -> None:
    table = pa.table({"path": ["a"] * 140_000})
    write(path, table, use_dictionary=False, data_page_size=1, write_batch_size=1)


def more_rows_than_it_says(path: Path) -> None:
    write(path, pa.table({"path": repeated("abc", 3_000_000)}))
    content = path.read_bytes()
    path.write_bytes(thrift.with_footer(content, {**thrift.footer(content), 3: (thrift.I64, 10)}))


def many_rows(path: Path) -> None:
    """Each of them would be a picture to look for."""
    write(path, pa.table({"path": repeated("abc.png", 1_000_000)}))


def columns_over_one_another(path: Path) -> None:
    write(path, pa.table({"path": ["a"] * 2000}), use_dictionary=False, data_page_size=1, write_batch_size=1)
    content = path.read_bytes()
    fields = thrift.footer(content)
    kind, groups = fields[4][1]
    path.write_bytes(thrift.with_footer(content, {**fields, 4: (thrift.LIST, (kind, groups * 5000))}))


BOMBS = {
    a_large_page: "it holds words of 536,870,",
    many_pages: "a row group unfolds to 80,",
    a_large_dictionary: "a dictionary has 5,000 words and unfolds to 20,045,000 bytes",
    a_long_word: "it holds words of 1,048,580 bytes",
    many_columns: "none of the 4,096 pictures can be read",
    columns_of_one_name: "it holds words of 1,048,580 bytes",
    wide_letters: "takes more memory than a table of pictures can",
    long_names: "the names of the pictures in",
    tiny_pages: "it has more than 131,072 pages",
    more_rows_than_it_says: "it has more rows than its footer says",
    many_rows: "it has 1,000,000 rows in ",
    columns_over_one_another: "its columns take more room than it has",
}
LOAD = """
import json, pathlib, re, sys, time
from unbraid.data import load
from unbraid.errors import UnbraidError
for path in sys.argv[1:]:
    began = time.process_time()
    try:
        load(path)
    except UnbraidError as error:
        most = re.search(r"VmHWM:\\s*(\\d+)", pathlib.Path("/proc/self/status").read_text()).group(1)
        print(json.dumps([str(error), int(most), time.process_time() - began]))
"""


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[Any, tuple[str, int, float]]:
    """What is said of each of BOMBS, the kibibytes that were taken at most so far, and its seconds of the processor.

    By one program for all of them, so that its memory is theirs; in the order of BOMBS.
    """
    folder = tmp_path_factory.mktemp("bombs")
    paths = []
    for bomb in BOMBS:
        paths.append(folder / f"{bomb.__name__}.parquet")
        bomb(paths[-1])
        assert paths[-1].stat().st_size < 6_000_000
    command = [sys.executable, "-c", LOAD, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=costs.PATIENCE * len(BOMBS))
    return dict(zip(BOMBS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the most memory that was taken")
@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_small_files_that_unfold_far(endings: dict[Any, tuple[str, int, float]], bomb: Any) -> None:
    said, kibibytes, seconds = endings[bomb]
    assert BOMBS[bomb] in said and len(said) < 600
    assert 1024 * kibibytes < costs.MEMORY and seconds < costs.SECONDS


def test_columns_of_one_name(tmp_path: Path) -> None:
    """Arrow keeps each word once in the last of them alone."""
    write(tmp_path / "t.parquet", pa.table([repeated("a.png")] * 2, names=["path", "path"]))
    with pytest.raises(UnbraidError, match="two of its columns have the same name"):
        load(str(tmp_path / "t.parquet"))


def test_a_page_that_asks_for_more_than_the_footer_says(tmp_path: Path) -> None:
    """Arrow believes the page, so the page is what counts."""
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"path": ["y" * 2000 + "a.png"] * 2**12}), path, compression="zstd", use_dictionary=False)
    content = path.read_bytes()
    size = parquet._Thrift(content[4:9000]).structure()[2, 5]
    assert 2**20 < size < 2**27  # written with as many bytes as a larger number
    lie = thrift.varint(2**27 - 1)
    assert len(lie) == len(thrift.varint(size))
    path.write_bytes(content.replace(thrift.varint(size), lie, 1))
    with pytest.raises(UnbraidError, match=r"it holds words of \d+,\d+ bytes"):
        load(str(path))


# ---- what Arrow might understand in another way ----


def test_a_number_whose_upper_bits_arrow_drops(tmp_path: Path) -> None:
    """Of 32 bits, it says, and it has more: whoever believes them looks for the next page where there is none."""
    path = tmp_path / "t.parquet"
    write(path, pa.table({"path": ["a.png"] * 9}), use_dictionary=False, compression="none")
    content = path.read_bytes()
    fields = thrift.footer(content)
    header = thrift.Reader(content[4:])
    page = header.structure()
    longer = thrift.written(thrift.STRUCT, {**page, 3: (thrift.I32, page[3][1] + 2**31)})  # zigzag doubles it
    chunk = fields[4][1][1][0][1][1][1][0][3][1]
    chunk[7] = thrift.I64, chunk[7][1] + len(longer) - (len(content) - 4 - len(header.left))
    path.write_bytes(thrift.with_footer(b"PAR1" + longer + header.left, fields))
    assert pq.read_table(path).num_rows == 9
    with pytest.raises(UnbraidError, match="a page has no header"):
        load(str(path))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"\x15\x02\x05\x02\x02\x00", "a field occurs twice"),  # 1 as 32 bits, and again
        (b"\x15\x02\x06\x02\x02\x00", "a field occurs twice"),  # as 64 bits
        (b"\x15\xff\xff\xff\xff\x1f\x00", "too large a number"),
        (b"\x16" + b"\xff" * 9 + b"\x02\x00", "too large a number"),
        (b"\x19\xfc\x81\x80\x08" + bytes(2**17), "too long a list"),
    ],
)
def test_what_is_not_plain(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parquet._Thrift(content).structure()


def test_kinds_count(tmp_path: Path) -> None:
    """Arrow passes over a number of another kind."""
    fields = {2: (thrift.I64, 7), 3: (thrift.I32, 5), 4: (thrift.LIST, (thrift.I32, [1]))}
    assert parquet._Thrift(thrift.written(thrift.STRUCT, fields)).structure() == {(2, 6): 7, (3, 5): 5, (4, 9): [1]}


@pytest.mark.parametrize(
    "content", [b"", b"\x15", b"\x1f\x00", b"\x19\xff\xff\xff\xff\x0f", b"\x1c" * 40, b"\x05" + b"\xff" * 20]
)
def test_headers_that_are_none(content: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        parquet._Thrift(content).structure()
