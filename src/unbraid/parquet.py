"""Parquet files of strangers: opened only where no page unfolds to more than a table of ours can need.

Arrow takes for each page the memory that the page's own header asks for, up to 2 GiB, whatever the footer says; a page
of zeros that large is a file of some kilobytes. So the headers are read first.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_LARGEST_PAGES = 2**28  # bytes that one page of each column may unfold to, all columns together
_LONGEST_WORD = 2**14  # bytes
_LONGEST_HEADER = 2**18  # of a page, with the least and the largest value in it
_BEYOND = 100  # bytes that Arrow reads past the end of a column where a file calls itself the work of an old writer
_LONGEST_FOOTER = 2**22
_DEPTH = 16  # of structures in one another
_ROW_GROUPS, _COLUMNS, _METADATA = 4, 1, 3  # fields of the footer, a row group and a column
_PLAIN = {1: 0, 2: 0, 3: 1, 7: 8}  # bytes of Thrift's kinds of a fixed length: true, false, byte, double
_VARYING, _BYTES, _LISTS, _MAP, _STRUCT = (4, 5, 6), 8, (9, 10), 11, 12


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile` whose columns of words keep each word once; raises ValueError or an error of
    Arrow's where its pages are too large, or no pages."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        _refuse_large_pages(path)
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


def _refuse_large_pages(path: Path) -> None:
    with path.open("rb") as stream:
        try:
            groups = [
                [column[_METADATA] for column in row_group[_COLUMNS]] for row_group in _footer(stream)[_ROW_GROUPS]
            ]
        except (LookupError, TypeError):
            raise ValueError("its footer is damaged") from None
        for chunks in groups:
            size = sum(max(_page_sizes(stream, chunk), default=0) for chunk in chunks)
            if size > _LARGEST_PAGES:
                raise ValueError(f"its pages unfold to {size:,} bytes at once: write it with smaller ones")


def _footer(stream: IO[bytes]) -> dict[int, Any]:
    """The file's own structure, read here because Arrow ends the whole process over some that are spoiled."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(end - 8, 0))
    length = int.from_bytes(stream.read(8)[:4], "little")
    if not 0 < length <= min(end - 8, _LONGEST_FOOTER):
        raise ValueError(f"its footer is said to have {length:,} bytes, and {_LONGEST_FOOTER:,} are the most")
    stream.seek(end - 8 - length)
    return _Thrift(stream.read(length)).structure()


def _page_sizes(stream: IO[bytes], chunk: dict[int, Any]) -> Iterator[int]:
    """Bytes that each page of a column in a row group unfolds to, as its header says."""
    at, end = _place(chunk)
    while at < end + _BEYOND:
        stream.seek(at)
        header = _Thrift(stream.read(_LONGEST_HEADER))
        try:
            found = header.structure()
            unfolded, folded = found[2], found[3]
            if min(unfolded, folded) < 0:
                raise ValueError
        except (LookupError, TypeError, ValueError):
            if at >= end:
                return
            raise ValueError("a page has no header") from None
        yield unfolded
        at += header.at + folded


def _place(chunk: dict[int, Any]) -> tuple[int, int]:
    """Where the pages of a column in a row group begin and end; where one of dictionary comes first, it is said."""
    try:
        data, dictionary, size = chunk[9], chunk.get(11, 0), chunk[7]
        begin = dictionary if 0 < dictionary < data else data
        if begin < 0 or size < 0:
            raise ValueError
    except (LookupError, TypeError, AttributeError, ValueError):
        raise ValueError("a column has no place") from None
    return begin, begin + size


class _Thrift:
    """Reads structures in Thrift's compact protocol."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def structure(self, depth: int = _DEPTH) -> dict[int, Any]:
        """The fields by their number: whole numbers, structures, lists of them, and None for all else.

        Raises IndexError where the content ends within, ValueError where it is none.
        """
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number()
            found[field] = self._value(head & 15, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if not depth:
            raise ValueError("too deep")
        if kind in _VARYING:
            return self._number()
        if kind == _STRUCT:
            return self.structure(depth - 1)
        if kind in _LISTS:
            head = self._byte()
            count = self._varint() if head >> 4 == 15 else head >> 4
            return [self._item(head & 15, depth - 1) for _ in range(count)]
        if kind == _MAP:
            count = self._varint()
            kinds = self._byte() if count else 0
            for _ in range(count):
                self._item(kinds >> 4, depth - 1)
                self._item(kinds & 15, depth - 1)
        elif kind == _BYTES or kind in _PLAIN:
            self._pass(self._varint() if kind == _BYTES else _PLAIN[kind])
        else:
            raise ValueError("no such kind")
        return None

    def _item(self, kind: int, depth: int) -> Any:
        """Of a list or a map, where truth values take a byte."""
        return self._value(3 if kind in (1, 2) else kind, depth)

    def _byte(self) -> int:
        self.at += 1
        return self._content[self.at - 1]

    def _pass(self, count: int) -> None:
        self.at += count
        if self.at > len(self._content):
            raise IndexError("cut short")

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
