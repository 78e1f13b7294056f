"""Parquet files of strangers: opened only where what they unfold to is no more than a table of ours can need.

Arrow takes for each page the memory that the page's own header asks for, up to 2 GiB, whatever the footer says; a page
of zeros that large is a file of some kilobytes. So the footer and the headers of all pages are read first, as strictly
as can be: what Arrow might understand in another way than we do is refused.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

MEMORY = 2**27  # bytes that Arrow may take beside what has been read
_LARGEST_GROUP, _LARGEST_WORDS = 2**28, 2**26  # bytes that the pages of a row group unfold to, and of words in it
_LARGEST_DICTIONARY, _MOST_IN_DICTIONARY = 2**24, 2**20  # bytes, of which Arrow takes four times as many; and words
_LONGEST_WORD = 2**12  # bytes; no path is longer
_MOST_PAGES = 2**17  # in a file, so that their headers are read in a second or two
_USUAL_HEADER, _LONGEST_HEADER = 2**9, 2**18  # of a page, with the least and the largest value in it
_BEYOND = 100  # bytes that Arrow reads past the end of a column where a file calls itself the work of an old writer
_LONGEST_FOOTER, _MOST_ITEMS = 2**22, 2**17
_ROWS = 4000  # read together
_ROWS_A_BYTE, _FEW_ROWS = 8, 2**16  # in a file; names that differ, or codes, take more than a bit each
_DEPTH = 16  # of structures in one another

_PLAIN = {1: 0, 2: 0, 3: 1, 7: 8}  # bytes of Thrift's kinds of a fixed length: true, false, byte, double
_BITS = {4: 16, 5: 32, 6: 64}  # of its kinds of whole numbers
_BYTES, _LISTS, _MAP, _STRUCT = 8, (9, 10), 11, 12
# fields, with their kinds: of the footer, an element of the schema, a row group, a column in one, what is said of it,
# and a page's header
_SCHEMA, _ROW_GROUPS = (2, 9), (4, 9)
_TYPE, _CHILDREN = (1, 5), (5, 5)
_COLUMNS, _METADATA = (1, 9), (3, 12)
_FOLDED_CHUNK, _DATA_AT, _DICTIONARY_AT = (7, 6), (9, 6), (11, 6)
_UNFOLDED, _FOLDED, _VALUES = (2, 5), (3, 5), (1, 5)
_DICTIONARY, _KINDS_OF_PAGES = (7, 12), ((5, 12), (7, 12), (8, 12))
_WORDS = 6  # the type of columns whose values have any length

Fields = dict[tuple[int, int], Any]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A `pyarrow.parquet.ParquetFile` whose columns of words keep each word once; raises ValueError or an error of
    Arrow's where it unfolds too far, or is none."""
    from pyarrow.parquet import ParquetFile

    _refuse_bombs(path)
    with ParquetFile(path) as file:
        schema = file.schema_arrow
        _refuse_rows(path, file.metadata.num_rows)
    if len(set(schema.names)) < len(schema.names):  # Arrow would keep each word once in the last of them alone
        raise ValueError("two of its columns have the same name")
    with ParquetFile(path, read_dictionary=[field.name for field in schema if is_words(field.type)]) as file:
        yield file


def batches(file: Any, columns: list[str] | None = None) -> Iterator[Any]:
    """Record batches of at most `_ROWS` rows, none across two row groups: it is each of those that is bounded."""
    left = file.metadata.num_rows  # which was looked at
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(_ROWS, row_groups=[group], columns=columns, use_threads=False):
            left -= batch.num_rows
            if left < 0:
                raise ValueError("it has more rows than its footer says")
            yield batch


def _refuse_rows(path: Path, rows: int) -> None:
    """Each row of ours costs a picture, and a row that says what others say costs a file nothing."""
    if rows > max(_FEW_ROWS, _ROWS_A_BYTE * path.stat().st_size):
        raise ValueError(f"it has {rows:,} rows in {path.stat().st_size:,} bytes, which no names and no codes have")


def is_words(kind: Any) -> bool:
    """Whether a column of this type holds words, each cell its own or each word once."""
    import pyarrow as pa

    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def cells(column: Any) -> list[Any]:
    """Of a column, as Python's values, each word once; raises ValueError where a word is too long."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_dictionary(column.type):
        if is_words(column.type):
            raise ValueError("its words cannot be read one by one")
        return list(column.to_pylist())
    # of the words, those that these rows use: a small file may hold many, or repeat a long one often
    places = column.indices.dictionary_encode()
    used = column.dictionary.take(places.dictionary)
    longest = compute.max(compute.binary_length(used)).as_py() or 0
    if longest > _LONGEST_WORD:
        raise ValueError(f"it holds a word of {longest:,} bytes")
    words = [*used.to_pylist(), None]
    return [words[place] for place in places.indices.fill_null(len(used)).to_pylist()]


def _refuse_bombs(path: Path) -> None:
    pages = 0
    with path.open("rb") as stream:
        footer, room = _footer(stream)
        try:
            types = [each.get(_TYPE) for each in footer[_SCHEMA] if not each.get(_CHILDREN)]
            groups = [[column[_METADATA] for column in group[_COLUMNS]] for group in footer[_ROW_GROUPS]]
            room -= sum(chunk[_FOLDED_CHUNK] for group in groups for chunk in group)
        except (LookupError, TypeError, AttributeError):
            raise ValueError("its footer is damaged") from None
        if room < 0:
            raise ValueError("its columns take more room than it has")
        for group in groups:
            size = words = 0
            for kind, chunk in zip(types, group, strict=True):
                for unfolded, values in _pages(stream, chunk):
                    pages += 1
                    size += unfolded
                    if kind == _WORDS:
                        words += unfolded
                        if unfolded > (values + 1) * (_LONGEST_WORD + 4):  # and the length of each
                            raise ValueError(f"it holds words of {unfolded // max(values, 1):,} bytes")
                    if pages > _MOST_PAGES:
                        raise ValueError(f"it has more than {_MOST_PAGES:,} pages: write it with larger ones")
            if size > _LARGEST_GROUP or words > _LARGEST_WORDS:
                raise ValueError(
                    f"a row group unfolds to {size:,} bytes, {words:,} of them words, and {_LARGEST_GROUP:,} and "
                    f"{_LARGEST_WORDS:,} are the most: write it with smaller row groups"
                )


def _footer(stream: IO[bytes]) -> tuple[Fields, int]:
    """The file's own structure and where it begins, read here because Arrow ends the whole process over some that are
    spoiled."""
    end = stream.seek(0, os.SEEK_END) - 8
    stream.seek(max(end, 0))
    tail = stream.read(8)
    if end < 0 or tail[4:] != b"PAR1":
        raise ValueError("it does not end as Parquet does")
    length = int.from_bytes(tail[:4], "little")
    if not 0 < length <= min(end, _LONGEST_FOOTER):
        raise ValueError(f"its footer is said to have {length:,} bytes, and {_LONGEST_FOOTER:,} are the most")
    stream.seek(end - length)
    return _Thrift(stream.read(length)).structure(), end - length


def _pages(stream: IO[bytes], chunk: Fields) -> Iterator[tuple[int, int]]:
    """(bytes that it unfolds to, values in it) of each page of a column in a row group, as its header says."""
    at, end = _place(chunk)
    while at < end + _BEYOND:
        try:
            found, length = _header(stream, at)
            unfolded, folded = found[_UNFOLDED], found[_FOLDED]
            values = max(found[kind][_VALUES] for kind in _KINDS_OF_PAGES if kind in found)
            if min(unfolded, folded) < 0:
                raise ValueError
        except (LookupError, ValueError):
            if at >= end:
                return
            raise ValueError("a page has no header") from None
        if _DICTIONARY in found and (unfolded > _LARGEST_DICTIONARY or values > _MOST_IN_DICTIONARY):
            raise ValueError(
                f"a dictionary has {values:,} words and unfolds to {unfolded:,} bytes, and {_MOST_IN_DICTIONARY:,} and "
                f"{_LARGEST_DICTIONARY:,} are the most"
            )
        yield unfolded, values
        at += length + folded


def _header(stream: IO[bytes], at: int) -> tuple[Fields, int]:
    """Of the page there, with its length."""
    stream.seek(at)
    content = stream.read(_USUAL_HEADER)
    header = _Thrift(content)
    try:
        return header.structure(), header.at
    except IndexError:
        header = _Thrift(content + stream.read(_LONGEST_HEADER))
        return header.structure(), header.at


def _place(chunk: Fields) -> tuple[int, int]:
    """Where the pages of a column in a row group begin and end; where one of dictionary comes first, it is said."""
    try:
        data, dictionary, size = chunk[_DATA_AT], chunk.get(_DICTIONARY_AT, 0), chunk[_FOLDED_CHUNK]
    except LookupError:
        raise ValueError("a column has no place") from None
    begin = dictionary if 0 < dictionary < data else data
    if begin < 0 or size < 0:
        raise ValueError("a column has no place")
    return begin, begin + size


class _Thrift:
    """Reads structures in Thrift's compact protocol."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def structure(self, depth: int = _DEPTH) -> Fields:
        """The fields by their number and kind: whole numbers, structures, lists of them, and None for all else.

        Raises IndexError where the content ends within, ValueError where it is none.
        """
        found: Fields = {}
        numbers = set()
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._number(16)
            if field in numbers:  # Arrow keeps parts of the first, or the one whose kind is right
                raise ValueError("a field occurs twice")
            numbers.add(field)
            found[field, head & 15] = self._value(head & 15, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if not depth:
            raise ValueError("too deep")
        if kind in _BITS:
            return self._number(_BITS[kind])
        if kind == _STRUCT:
            return self.structure(depth - 1)
        if kind in _LISTS:
            head = self._byte()
            count = self._varint(32) if head >> 4 == 15 else head >> 4
            if count > _MOST_ITEMS:
                raise ValueError("too long a list")
            return [self._item(head & 15, depth - 1) for _ in range(count)]
        if kind == _MAP:
            count = self._varint(32)
            kinds = self._byte() if count else 0
            for _ in range(count):
                self._item(kinds >> 4, depth - 1)
                self._item(kinds & 15, depth - 1)
        elif kind == _BYTES or kind in _PLAIN:
            self._pass(self._varint(32) if kind == _BYTES else _PLAIN[kind])
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

    def _varint(self, bits: int) -> int:
        """Arrow drops the bits of a number that its kind does not have, and so would read another one."""
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if value >> bits:
                raise ValueError("too large a number")
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("too long a number")

    def _number(self, bits: int) -> int:
        value = self._varint(bits)
        return (value >> 1) ^ -(value & 1)
