"""Which pictures: those below a folder, or those that a table names beside their factors."""

import csv
import hashlib
import os
import re
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from unbraid import parquet
from unbraid.data.image_files import SUFFIXES
from unbraid.data.labels import Listed
from unbraid.errors import UnbraidError, printable

TABLES = (".csv", ".parquet")
PATH_COLUMNS = ("path", "file", "filename", "image")
_LARGEST_TABLE, _MOST_MEMORY = 2**28, 2**29  # bytes: in the file, and of the cells once they are read
_MOST_OF_NAMES = 3 * 2**26
_POINTER, _NUMBER = 8, 32  # bytes that Python takes for one
_MOST_ROWS, _MOST_COLUMNS, _MOST_CELLS = 2_000_000, 256, 12_000_000
_LONGEST_NAME = 4096  # characters; no path is longer
_MOST_LEVELS = 256  # values of a factor whose words are kept
_DIGITS = 19  # of a whole number of 64 bits
_LIKE_A_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)
_CELL = 40  # characters of a cell that is quoted


@dataclass(frozen=True)
class Pictures:
    """Names relative to the root, with size and time of change (-1 where there is no such file), and factors."""

    root: Path
    names: list[str]
    columns: dict[str, np.ndarray] = field(default_factory=dict)  # of factors: numbers, a word as its place in order
    words: dict[str, list[str]] = field(default_factory=dict)  # of columns that are their places; [] where too many
    column: str = ""  # of a table, that of the names

    def digest(self) -> str:
        """Of names, sizes and times of change: what the decoded pictures depend on."""
        digest, root = hashlib.sha256(), f"{self.root}{os.sep}"
        for name in self.names:
            digest.update("{}\0{} {}\n".format(name, *_stamp(root + name)).encode(errors="surrogatepass"))
        return digest.hexdigest()

    def labels(self, rows: np.ndarray) -> Listed:
        """Of the pictures in these rows: columns of whole numbers and of words become value indices in sorted order."""
        indexed = {name: _indexed(column[rows]) for name, column in self.columns.items()}
        sizes = tuple(None if distinct is None else len(distinct) for _, distinct in indexed.values())
        kind = np.float64 if None in sizes else np.int64
        values = np.array([values for values, _ in indexed.values()], kind).reshape(len(indexed), len(rows)).T
        levels = {
            name: self._words(name, distinct)
            for name, (_, distinct) in indexed.items()
            if distinct is not None and len(distinct) <= _MOST_LEVELS and self.words.get(name) != []
        }
        return Listed(tuple(indexed), sizes, np.ascontiguousarray(values), levels)

    def _words(self, name: str, values: np.ndarray) -> list[str]:
        numbers = list(map(int, values.tolist()))  # Python's, of any size
        return [self.words[name][number] for number in numbers] if name in self.words else list(map(str, numbers))


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116  a Path for each of millions takes longer than the look
    except (OSError, ValueError):
        return -1, -1
    return found.st_size, found.st_mtime_ns


def _indexed(column: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """(indices, what they stand for), or (the numbers themselves, None) where some have fractions."""
    if column.dtype.kind == "f" and (column != np.rint(column)).any():
        return column, None
    distinct, indices = np.unique(column, return_inverse=True)
    return indices, distinct


def refusal(root: Path, name: str) -> str:
    """Why the file is not to be opened, "" where it may be: it must be a plain file that lies below `root`."""
    path = root / name
    try:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or path.parent != root:
            if not path.resolve().is_relative_to(root.resolve()):
                return "it leads out of the folder"
            found = path.stat()
    except RuntimeError:  # Python's word for links in a circle
        return "it is a link that leads back to itself"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or "no file can have such a name"
    return "" if stat.S_ISREG(found.st_mode) else "it is not a plain file"


def below(folder: Path) -> Pictures:
    """Every picture below the folder by its suffix, sorted by name; hidden ones and linked folders are left out."""
    names: list[str] = []
    for where, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        inner = Path(where).relative_to(folder)
        names += [
            (inner / name).as_posix() for name in files if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    if not names:
        raise UnbraidError(f"{folder} holds no pictures, neither directly nor in folders below: {', '.join(SUFFIXES)}")
    return Pictures(folder, sorted(names))


def named_by(table: Path, factors: str) -> Pictures:
    """The pictures of a table: a column of paths relative to its folder, and columns of factors.

    The paths stand in the column called path, file, filename or image, else in the first. `factors` is "all" (every
    other column), "none" or names with commas between. Raises UnbraidError where a path leads out of the folder.
    """
    if table.stat().st_size > _LARGEST_TABLE:
        raise UnbraidError(f"{table} is larger than a table can be ({_LARGEST_TABLE:,} bytes)")
    header, columns = (_parquet if table.suffix.lower() == ".parquet" else _csv)(table)
    if not columns or not columns[0]:
        raise UnbraidError(f"{table} names no pictures: it needs a line of column names and a line for each picture")
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise UnbraidError(f'{table} must have commas between its cells, and its first line is "{header[0][:100]}"')
    if len(set(header)) != len(header) or "" in header:
        raise UnbraidError(f"the columns of {table} need different names, not {_some(header)}")
    where = next((header.index(name) for name in PATH_COLUMNS if name in header), 0)
    others = [name for name in header if name != header[where]]
    chosen = {"all": others, "none": []}.get(factors, [name.strip() for name in factors.split(",")])
    for name in chosen:
        if name not in others:
            raise UnbraidError(f'{table} has no column of factors "{name}" (there are: {_some(others) or "none"})')
    root = table.parent
    if sum(map(sys.getsizeof, columns[where])) > _MOST_OF_NAMES:
        raise UnbraidError(
            f"the names of the pictures in {table} are too long to keep ({_MOST_OF_NAMES:,} bytes at most)"
        )
    names = [_inside(root, str(name), table, row) for row, name in enumerate(columns[where], 2)]
    columns[where].clear()  # so that nothing is in memory twice
    found: dict[str, np.ndarray] = {}
    words: dict[str, list[str]] = {}
    for name in dict.fromkeys(chosen):
        cells = columns[header.index(name)]
        row = next((row for row, cell in enumerate(cells, 2) if cell is None or cell == ""), None)
        if row is not None:
            rest = ",".join(other for other in dict.fromkeys(chosen) if other != name) or "none"
            raise UnbraidError(
                f"row {row} of {table} has no value of {name}: fill it in, or leave the column out, by factors={rest}"
            )
        found[name], known = _factor(cells, name, table)
        if known is not None:
            words[name] = known if len(known) <= _MOST_LEVELS else []
        cells.clear()
    return Pictures(root, names, found, words, header[where])


def _some(names: Sequence[str]) -> str:
    text = ", ".join(names[:20])
    return text[:200] + (" ..." if len(names) > 20 or len(text) > 200 else "")


def _inside(root: Path, name: str, table: Path, row: int) -> str:
    """The path as a name relative to the root."""
    if len(name) > _LONGEST_NAME:
        raise UnbraidError(f"row {row} of {table} names a picture in {len(name):,} letters: no path has so many")
    if os.name == "posix" and os.path.normpath(name) == name and not name.startswith(("/", ".")) and "\0" not in name:
        return name  # as most are; a Path takes long for millions
    path = Path(os.path.normpath(root / name))
    if "\0" in name or not path.is_relative_to(Path(os.path.normpath(root))):
        raise UnbraidError(
            f"row {row} of {table} names {name[:100]!r}, which is outside of the table's folder: "
            "put the table into a folder that holds all pictures"
        )
    return Path(os.path.relpath(path, root)).as_posix()


def _factor(cells: list[Any], name: str, table: Path) -> tuple[np.ndarray, list[str] | None]:
    """(numbers, None) where every cell is one, else (places, words): of the words in their order."""
    try:
        numbers = np.array([_number(cell) for cell in cells])
        if numbers.dtype.kind not in "iuf":
            numbers = numbers.astype(float)
    except (ValueError, TypeError, OverflowError):
        words = [str(cell) for cell in cells]
        known = sorted({*words})
        places = {word: place for place, word in enumerate(known)}
        found = np.fromiter(map(places.__getitem__, words), np.int64, len(words))
        alike = np.array([len(word) <= _CELL and _LIKE_A_NUMBER.fullmatch(word) is not None for word in known])
        count = int(alike[found].sum())
        if 2 * count > len(words):
            row, cell = next((row, cell) for row, cell in enumerate(words, 2) if not _is_number(cell))
            _tell(table, name, row, cell, f"{count:,} of its {len(words):,}")
        return found, known
    if not np.isfinite(numbers).all():
        raise UnbraidError(f"{name} in {table} holds NaN or infinity: leave those rows out")
    return numbers, None


@cache  # once: a command may read a table more than one time
def _tell(table: Path, name: str, row: int, cell: str, share: str) -> None:
    quoted = printable(cell)[:_CELL]
    hint = " (decimals take a point)" if "," in cell else ""
    print(  # noqa: T201
        f'{printable(str(table))}: {printable(name)} is taken as words, as row {row} has "{quoted}"{hint}, '
        f"though {share} cells look like numbers",
        file=sys.stderr,
    )


def _is_number(cell: str) -> bool:
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def _number(cell: Any) -> float:
    """Whole numbers stay so: floats would take neighbours above 2**53 for one."""
    if not isinstance(cell, str):
        return cell if isinstance(cell, int) else float(cell)
    if "_" in cell:
        raise ValueError("1_000 is a number to Python alone")
    return int(cell) if len(cell) <= _DIGITS and cell.lstrip("+-").isdecimal() else float(cell)


def _csv(path: Path) -> tuple[list[str], list[list[Any]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = (row for row in csv.reader(stream, strict=True) if row)
            header = [name.strip() for name in next(rows, [])]
            _refuse_more(path, 0, len(header))
            columns: list[list[Any]] = [[] for _ in header]
            memory = 0
            for number, row in enumerate(rows, 2):
                if len(row) != len(header):
                    raise UnbraidError(
                        f"row {number} of {path} has {len(row):,} cells, and there are {len(header)} columns"
                    )
                memory += sum(map(sys.getsizeof, row)) + _POINTER * len(row)
                _refuse_more(path, number - 1, len(header), memory)
                for column, cell in zip(columns, row, strict=True):
                    column.append(cell)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UnbraidError(f"{path} cannot be read as CSV in UTF-8: {' '.join(str(error).split())[:200]}") from None
    return header, columns


def _refuse_more(path: Path, rows: int, columns: int, memory: int = 0) -> None:
    if memory > _MOST_MEMORY:
        raise UnbraidError(f"{path} takes more memory than a table of pictures can ({_MOST_MEMORY:,} bytes)")
    if columns > _MOST_COLUMNS or rows > _MOST_ROWS or rows * columns > _MOST_CELLS:
        raise UnbraidError(
            f"{path} has {rows:,} rows of {columns:,} columns or more: a table of pictures has at most {_MOST_ROWS:,} "
            f"rows, {_MOST_COLUMNS} columns and {_MOST_CELLS:,} cells"
        )


def _parquet(path: Path) -> tuple[list[str], list[list[Any]]]:
    import pyarrow

    try:
        with parquet.opened(path) as file:
            names = list(file.schema_arrow.names)
            rows = file.metadata.num_rows
            _refuse_more(path, rows, len(names))
            for kind in file.schema_arrow.types:
                plain = pyarrow.types.is_integer, pyarrow.types.is_floating, pyarrow.types.is_boolean
                if not (parquet.is_words(kind) or any(test(kind) for test in plain)):
                    raise UnbraidError(f"{path} holds a column of {kind}: a table of pictures has words and numbers")
            columns: list[list[Any]] = [[] for _ in names]
            memory = parquet.MEMORY
            for batch in parquet.batches(file):
                for column, more in zip(columns, batch.columns, strict=True):
                    cells = parquet.cells(more)
                    words = {cell for cell in cells if isinstance(cell, str)}  # each is in memory once
                    memory += sum(map(sys.getsizeof, words)) + (_POINTER + _NUMBER) * len(cells)
                    _refuse_more(path, rows, len(names), memory)
                    column += cells
    except UnbraidError:
        raise
    except (OSError, ValueError, TypeError, LookupError, RuntimeError, MemoryError, pyarrow.ArrowException) as error:
        raise UnbraidError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from None
    return names, columns
