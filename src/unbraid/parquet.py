"""Parquet files of strangers: opened only where no page unfolds to more than a table of ours can need.

Arrow takes for each page the memory that the page's own header asks for, up to 2 GiB, whatever the footer says; a page
of zeros that large is a file of some kilobytes. So the headers are read first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_LARGEST_PAGES = 2**28  # bytes that one page of each column may unfold to, all columns together
_LONGEST_WORD = 2**14  # bytes
_LONGEST_HEADER = 2**18  # of a page, with the least and the largest value in it
_BEYOND = 100  # bytes that Arrow reads past the end of a column where a file calls itself the work of an old writer
_DEPTH = 8  # of structures in a header
_PLAIN = {1: 0, 2: 0, 3: 1, 7: 8}  # bytes of Thrift's kinds of a fixed length: true, false, byte, double
_VARYING, _BYTES, _LISTS, _MAP, _STRUCT = (4, 5, 6), 8, (9, 10), 11, 12


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile` whose columns of words keep each word once; raises ValueError or an error of
    Arrow's where its pages are too large, or no pages."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        _refuse_large_pages(path, file.metadata)
        words = [field.name for field in file.schema_arrow if is_words(field.type)]
    with ParquetFile(path, read_dictionary=words) as file:
        yield file


def is_words(kind: Any) -> bool:
    """Whether a column of this type holds words, each cell its own or each word once."""
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def cells(column: Any) -> list[Any]:
    """Of a column, as Python's values; raises ValueError where a word is too long: a small file may repeat it often."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_dictionary(column.type) and is_words(column.type):
        longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
        if longest > _LONGEST_WORD:
            raise ValueError(f"it holds a word of {longest:,} bytes")
    return list(column.to_pylist())


def _refuse_large_pages(path: Path, metadata: Any) -> None:
    with path.open("rb") as stream:
        for row_group in map(metadata.row_group, range(metadata.num_row_groups)):
            columns = map(row_group.column, range(row_group.num_columns))
            size = sum(max(_page_sizes(stream, column), default=0) for column in columns)
            if size > _LARGEST_PAGES:
                raise ValueError(f"its pages unfold to {size:,} bytes at once: write it with smaller ones")


def _page_sizes(stream: IO[bytes], column: Any) -> Iterator[int]:
    """Bytes that each page of a column in a row group unfolds to, as its header says."""
    starts = column.dictionary_page_offset, column.data_page_offset
    at = min(start for start in starts if start is not None and (start or start == starts[1]))
    end = at + column.total_compressed_size
    while at < end + _BEYOND:
        stream.seek(at)
        header = _Header(stream.read(_LONGEST_HEADER))
        try:
            numbers = header.numbers()
        except (IndexError, ValueError):
            if at >= end:
                return
            raise ValueError("a page has no header") from None
        unfolded, folded = numbers.get(2, -1), numbers.get(3, -1)
        if unfolded < 0 or folded < 0:
            if at >= end:
                return
            raise ValueError("a page has no size")
        yield unfolded
        at += header.at + folded


class _Header:
    """A structure in Thrift's compact protocol."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def numbers(self) -> dict[int, int]:
        """The whole numbers among its fields, by their number."""
        found: dict[int, int] = {}
        field = 0
        while head := self._byte():
            kind = head & 15
            field = field + (head >> 4) if head >> 4 else self._number()
            if kind in _VARYING:
                found[field] = self._number()
            else:
                self._skip(kind, _DEPTH)
        return found

    def _skip(self, kind: int, depth: int) -> None:
        if not depth:
            raise ValueError("too deep")
        if kind in _PLAIN:
            self._pass(_PLAIN[kind])
        elif kind in _VARYING:
            self._number()
        elif kind == _BYTES:
            self._pass(self._varint())
        elif kind in _LISTS:
            head = self._byte()
            for _ in range(self._varint() if head >> 4 == 15 else head >> 4):
                self._skip_item(head & 15, depth - 1)
        elif kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            for _ in range(count):
                self._skip_item(kinds >> 4, depth - 1)
                self._skip_item(kinds & 15, depth - 1)
        elif kind == _STRUCT:
            while head := self._byte():
                if not head >> 4:
                    self._number()
                self._skip(head & 15, depth - 1)
        else:
            raise ValueError("no such kind")

    def _skip_item(self, kind: int, depth: int) -> None:
        """Of a list or a map, where truth values take a byte."""
        self._skip(3 if kind in (1, 2) else kind, depth)

    def _byte(self) -> int:
        self.at += 1
        return self._content[self.at - 1]

    def _pass(self, count: int) -> None:
        self.at += count
        if self.at > len(self._content):
            raise IndexError

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("too long a number")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
