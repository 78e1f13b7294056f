"""Tables of codes as files, written and read in parts.

A row for each image: `image` (its name, or its index), `z0`, `z1`, ... (posterior means) and, where there are any,
`z0_variance`, `z1_variance`, ... NPZ has arrays instead: `image` [N], `codes` [N, L] and `variances` [N, L].
"""

import csv
import itertools
import math
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from unbraid import files, parquet
from unbraid.errors import UnbraidError
from unbraid.registry import lookup

INDEX = "image"
_GROUP = 50_000  # rows of a row group in Parquet
_ROWS = 1_000  # read together
_LARGEST_ITEM = 2**16  # bytes of one name
LONGEST_NAME, _LONGEST_ROW = 4096, 2**20  # characters; no path is longer


@dataclass(frozen=True)
class Part:
    """Some rows, in turn."""

    index: Sequence[str | int]  # [n]; an array would give every name the room of the longest
    codes: np.ndarray  # float32 [n, L]
    variances: np.ndarray | None = None  # float32 [n, L]

    def values(self) -> np.ndarray:
        """[n, L], or [n, 2 L] with variances."""
        return self.codes if self.variances is None else np.concatenate([self.codes, self.variances], axis=1)

    def names(self) -> list[str]:
        """Of the columns of `values`."""
        means = [f"z{latent}" for latent in range(self.codes.shape[1])]
        return means if self.variances is None else [*means, *(f"{name}_variance" for name in means)]


@dataclass(frozen=True)
class Table:
    """Codes to be read: how many, and an iterator over them in parts."""

    n: int
    parts: Iterator[Part]


# ---- writing ----


def _write_csv(path: Path, names: list[str], parts: Iterable[Part]) -> None:
    rows = ([name, *values] for part in parts for name, values in zip(part.index, part.values(), strict=True))
    files.write_table(path, [INDEX, *names], rows)


def _write_parquet(path: Path, names: list[str], parts: Iterable[Part]) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    with files.replacing(path) as temporary, ExitStack() as opened:
        file = None
        for rows in _gathered(parts):
            index = pa.array([name for part in rows for name in part.index])
            values = np.concatenate([part.values() for part in rows]).T
            table = pa.table([index, *map(pa.array, values)], names=[INDEX, *names])
            file = file or opened.enter_context(ParquetWriter(temporary, table.schema))
            file.write_table(table)


def _gathered(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Lists of parts, each of them enough for a row group, but for the last."""
    kept: list[Part] = []
    for part in parts:
        kept.append(part)
        if sum(len(each.index) for each in kept) >= _GROUP:
            yield kept
            kept = []
    if kept:
        yield kept


def _write_npz(path: Path, names: list[str], parts: Iterable[Part]) -> None:
    """An archive takes its members one after the other, so all but the first wait in files of their own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    index: list[str | int] = []
    waiting: dict[str, IO[bytes]] = {}
    like: dict[str, np.ndarray] = {}
    with ExitStack() as opened, files.replacing(path) as temporary:
        for part in parts:
            index += part.index
            for name, array in {"codes": part.codes, "variances": part.variances}.items():
                if array is not None:
                    if name not in waiting:
                        waiting[name] = opened.enter_context(tempfile.TemporaryFile(dir=path.parent))
                    waiting[name].write(array.tobytes())
                    like[name] = array
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            widest = max((len(name) for name in index if isinstance(name, str)), default=0)
            kind = np.dtype((np.str_, max(1, widest)) if index and isinstance(index[0], str) else np.int64)
            with _member(archive, INDEX, kind, (len(index),)) as member:
                for start in range(0, len(index), _ROWS):
                    member.write(np.array(index[start : start + _ROWS], kind).tobytes())
            for name, spool in waiting.items():
                shape = (len(index), *like[name].shape[1:])
                with _member(archive, name, like[name].dtype, shape) as member:
                    spool.seek(0)
                    shutil.copyfileobj(spool, member)


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, kind: np.dtype, shape: tuple[int, ...]) -> Iterator[IO[bytes]]:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        header = {"descr": kind.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        yield member


_WRITERS: dict[str, Callable[[Path, list[str], Iterable[Part]], None]] = {
    ".parquet": _write_parquet,
    ".csv": _write_csv,
    ".npz": _write_npz,
}


def check_name(path: Path) -> None:
    """Raises UnbraidError where the name of a file to be does not end in a format that is written."""
    lookup(_WRITERS, path.suffix.lower(), "kind of file for codes")


def write(path: Path, parts: Iterator[Part]) -> None:
    """All parts (at least one) into the file `path`, whose name says the format; they come as they are needed."""
    check_name(path)
    first = next(parts)
    _WRITERS[path.suffix.lower()](path, first.names(), itertools.chain([first], parts))


# ---- reading ----


def read(path: Path, latents: int) -> Table:
    """The codes [N, latents] in a file that `write` wrote, or in a plain array (.npy).

    Raises UnbraidError where it is anything else: now, or when the part comes that is.
    """
    reader = lookup(_READERS, path.suffix.lower(), "kind of file for codes")
    files.refuse_device(path)
    try:
        table = reader(path, latents)
    except _DAMAGE as error:
        raise _unreadable(path, error) from None
    return Table(table.n, _refusing(path, table))


_DAMAGE = (
    OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, ArithmeticError, MemoryError, SyntaxError,
    csv.Error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def _unreadable(path: Path, error: Exception) -> UnbraidError:
    if isinstance(error, UnbraidError):
        return error
    why = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
    return UnbraidError(f"cannot read codes from {path}: {why}")


def _refusing(path: Path, table: Table) -> Iterator[Part]:
    """The parts of a table, if they are as many rows as it said."""
    done = 0
    try:
        for part in table.parts:
            done += len(part.codes)
            if done > table.n:
                raise ValueError(f"it holds more than the {table.n:,} codes that its header speaks of")
            yield part
        if done < table.n:
            raise ValueError(f"its header speaks of {table.n:,} codes, and it holds {done:,}")
    except _DAMAGE as error:
        raise _unreadable(path, error) from None


def _read_csv(path: Path, latents: int) -> Table:
    n = sum(1 for _ in _csv_rows(path)) - 1

    def parts() -> Iterator[Part]:
        rows = _csv_rows(path)
        header = next(rows, [])
        places = [header.index(name) for name in _columns(path, header, latents)]
        named = header.index(INDEX) if INDEX in header else None

        def wanted() -> Iterator[tuple[str, list[float]]]:
            for number, row in enumerate(rows, 2):
                if len(row) != len(header):
                    raise ValueError(f"row {number:,} has {len(row):,} cells, and there are {len(header):,} columns")
                try:
                    yield "" if named is None else row[named], [float(row[place]) for place in places]
                except ValueError:
                    raise ValueError(
                        f"row {number:,} holds {', '.join(row)[:80]!r}, not a number for each latent"
                    ) from None

        chosen = wanted()
        while chunk := list(itertools.islice(chosen, _ROWS)):
            yield Part(_index([name for name, _ in chunk]), np.array([codes for _, codes in chunk], np.float32))

    return Table(n, parts())


def _csv_rows(path: Path) -> Iterator[list[str]]:
    """The rows with something in them, one in memory at a time; a row may hold several line ends."""
    length = 0  # of the row so far

    def lines(stream: IO[str]) -> Iterator[str]:
        nonlocal length
        while line := stream.readline(_LONGEST_ROW):
            length += len(line)
            if length >= _LONGEST_ROW:
                raise ValueError(f"a row has {_LONGEST_ROW:,} characters or more")
            yield line

    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.reader(lines(stream)):
            length = 0
            if row:
                yield row


def _columns(path: Path, there: Iterable[str], latents: int) -> list[str]:
    wanted = [f"z{latent}" for latent in range(latents)]
    found = [name for name in there if re.fullmatch(r"z\d+", name)]
    if sorted(found) != sorted(wanted):
        raise UnbraidError(
            f"{path} must have the columns {wanted[0]} to {wanted[-1]}, the latents of this run, and its latents are "
            f"{', '.join(found[:20])[:200] or 'none'}"
        )
    return wanted


def _index(names: list[Any]) -> list[str]:
    index = [str(name) for name in names]
    if max(map(len, index), default=0) > LONGEST_NAME:
        raise ValueError(f"the name of an image has more than {LONGEST_NAME:,} characters")
    return index


def _read_parquet(path: Path, latents: int) -> Table:
    import pyarrow as pa

    with parquet.opened(path) as file:
        rows = file.metadata.num_rows
        columns = _columns(path, file.schema_arrow.names, latents)
        for kind in (file.schema_arrow.field(name).type for name in columns):
            if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                raise UnbraidError(f"{path} must hold numbers in {columns[0]} to {columns[-1]}, not {kind}")
        index = [INDEX] if INDEX in file.schema_arrow.names else []
        for kind in (file.schema_arrow.field(name).type for name in index):
            if not (parquet.is_words(kind) or pa.types.is_integer(kind)):
                raise UnbraidError(f"{path} must hold names or whole numbers in {INDEX}, not {kind}")

    def parts() -> Iterator[Part]:
        with parquet.opened(path) as file:
            for batch in parquet.batches(file, [*columns, *index]):
                codes = np.stack([batch.column(name).to_numpy(zero_copy_only=False) for name in columns], axis=1)
                names = parquet.cells(batch.column(INDEX)) if index else [""] * len(codes)
                for start in range(0, len(codes), _ROWS):
                    yield Part(_index(names[start : start + _ROWS]), codes[start : start + _ROWS])

    return Table(rows, parts())


def _read_npy(path: Path, latents: int) -> Table:
    codes = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(codes, np.ndarray):
        raise ValueError("it is not an array")
    _check_shape(path, codes.shape, codes.dtype, latents)
    starts = range(0, len(codes), _ROWS)
    return Table(len(codes), (_unnamed(np.array(codes[start : start + _ROWS])) for start in starts))


def _unnamed(codes: np.ndarray) -> Part:
    return Part(_index([""] * len(codes)), codes)


def _check_shape(path: Path, shape: tuple[int, ...], dtype: np.dtype, latents: int) -> None:
    if len(shape) != 2 or shape[1] != latents or dtype.kind not in "fiu":
        raise UnbraidError(f"{path} must hold numbers [N, {latents}], not {dtype} {list(shape)}")


def _read_npz(path: Path, latents: int) -> Table:
    with zipfile.ZipFile(path) as archive:
        files.refuse_unbounded(archive)
        shape, dtype = _header(archive, "codes")
        named = f"{INDEX}.npy" in archive.namelist()
        names_shape = _header(archive, INDEX)[0] if named else shape[:1]
    _check_shape(path, shape, dtype, latents)
    if names_shape != shape[:1]:
        raise UnbraidError(f"{path} must hold the names of {shape[0]:,} images, not {list(names_shape)}")

    def parts() -> Iterator[Part]:
        with zipfile.ZipFile(path) as archive:
            codes = _rows_of(archive, "codes")
            names = _rows_of(archive, INDEX) if named else None
            for rows in codes:
                if names is None:
                    yield _unnamed(rows)
                else:
                    yield Part(_index(next(names, rows[:0]).tolist()), rows)

    return Table(shape[0], parts())


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(f"{name}.npy") as member:
        return _array_header(member)


def _array_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(member)
    if version != (1, 0):  # others are for headers of gigabytes, which no plain array has
        raise ValueError(f"version {version[0]}.{version[1]} of NumPy's format is not supported")
    shape, turned, dtype = np.lib.format.read_array_header_1_0(member)
    if turned and len(shape) > 1:
        raise ValueError("its columns lie one after the other: save it in C order")
    return shape, dtype


def _rows_of(archive: zipfile.ZipFile, name: str) -> Iterator[np.ndarray]:
    with archive.open(f"{name}.npy") as member:
        shape, dtype = _array_header(member)
        if dtype.hasobject or dtype.itemsize > _LARGEST_ITEM:
            raise ValueError(f"{name} holds {dtype}")
        for start in range(0, shape[0], _ROWS):
            rows = (min(_ROWS, shape[0] - start), *shape[1:])
            size = math.prod(rows) * dtype.itemsize
            content = member.read(size)
            if len(content) < size:
                raise EOFError(f"{name} is cut short")
            yield np.frombuffer(content, dtype).reshape(rows)


_READERS: dict[str, Callable[[Path, int], Table]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".npz": _read_npz,
    ".npy": _read_npy,
}
