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
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from unbraid import files
from unbraid.errors import UnbraidError
from unbraid.registry import lookup

INDEX = "image"
_GROUP = 50_000  # rows of a row group in Parquet
_LARGEST_GROUP = 2**28  # bytes that a row group of somebody else's file may unpack to
_ROWS = 1_000  # read together
_LARGEST_ITEM = 2**16  # bytes of one name


@dataclass(frozen=True)
class Part:
    """Some rows, in turn."""

    index: np.ndarray  # [n] text, or int64
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
    rows = ([name, *values] for part in parts for name, values in zip(part.index.tolist(), part.values(), strict=True))
    files.write_table(path, [INDEX, *names], rows)


def _write_parquet(path: Path, names: list[str], parts: Iterable[Part]) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    with files.replacing(path) as temporary, ExitStack() as opened:
        file = None
        for rows in _gathered(parts):
            index = pa.array(np.concatenate([part.index for part in rows]))
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
    """An archive takes its members one after the other, so each waits in a file of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting: dict[str, IO[bytes]] = {}
    like: dict[str, np.ndarray] = {}
    n = 0
    with ExitStack() as opened, files.replacing(path) as temporary:
        for part in parts:
            arrays = {INDEX: part.index, "codes": part.codes, "variances": part.variances}
            for name, array in arrays.items():
                if array is not None:
                    if name not in waiting:
                        waiting[name] = opened.enter_context(tempfile.TemporaryFile(dir=path.parent))
                    waiting[name].write(array.tobytes())
                    like[name] = array
            n += len(part.index)
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, spool in waiting.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    header = {
                        "descr": like[name].dtype.str,
                        "fortran_order": False,
                        "shape": (n, *like[name].shape[1:]),
                    }
                    np.lib.format.write_array_header_1_0(member, header)
                    spool.seek(0)
                    shutil.copyfileobj(spool, member)


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
    try:
        table = reader(path, latents)
    except _DAMAGE as error:
        raise _unreadable(path, error) from None
    return Table(table.n, _refusing(path, table.parts))


_DAMAGE = (
    OSError, ValueError, TypeError, LookupError, EOFError, NotImplementedError, ArithmeticError, MemoryError,
    RecursionError, SyntaxError, csv.Error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def _unreadable(path: Path, error: Exception) -> UnbraidError:
    if isinstance(error, UnbraidError):
        return error
    why = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
    return UnbraidError(f"cannot read codes from {path}: {why}")


def _refusing(path: Path, parts: Iterator[Part]) -> Iterator[Part]:
    try:
        yield from parts
    except _DAMAGE as error:
        raise _unreadable(path, error) from None


def _read_csv(path: Path, latents: int) -> Table:
    with path.open(newline="", encoding="utf-8") as stream:
        n = sum(1 for _ in csv.reader(stream)) - 1  # a line may hold several line ends, so the reader must count

    def parts() -> Iterator[Part]:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            columns = _columns(path, rows.fieldnames or [], latents)
            while chunk := list(itertools.islice(rows, _ROWS)):
                codes = np.array([[float(row[name]) for name in columns] for row in chunk], np.float32)
                yield Part(_index([row.get(INDEX, "") for row in chunk]), codes)

    return Table(n, parts())


def _columns(path: Path, there: Iterable[str], latents: int) -> list[str]:
    wanted = [f"z{latent}" for latent in range(latents)]
    found = [name for name in there if re.fullmatch(r"z\d+", name)]
    if sorted(found) != sorted(wanted):
        raise UnbraidError(
            f"{path} must have the columns {wanted[0]} to {wanted[-1]}, the latents of this run, and its latents are "
            f"{', '.join(found[:20]) or 'none'}"
        )
    return wanted


def _index(names: list[Any]) -> np.ndarray:
    return np.array([str(name) for name in names], np.str_)


def _read_parquet(path: Path, latents: int) -> Table:
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        metadata = file.metadata
        columns = _columns(path, file.schema_arrow.names, latents)
        largest = max((metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups)), default=0)
        if largest > _LARGEST_GROUP:
            raise UnbraidError(f"{path} has a row group of {largest:,} bytes: write it with smaller ones")
        index = [INDEX] if INDEX in file.schema_arrow.names else []

    def parts() -> Iterator[Part]:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS, columns=[*columns, *index]):
                codes = np.stack([batch.column(name).to_numpy(zero_copy_only=False) for name in columns], axis=1)
                names = batch.column(INDEX).to_pylist() if index else [""] * len(codes)
                yield Part(_index(names), codes)

    return Table(metadata.num_rows, parts())


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
        shape, dtype = _header(archive, "codes")
        named = f"{INDEX}.npy" in archive.namelist()
    _check_shape(path, shape, dtype, latents)

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
    major, _ = np.lib.format.read_magic(member)
    reads = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    if major not in reads:
        raise ValueError(f"version {major} of NumPy's format is not known")
    shape, turned, dtype = reads[major](member)
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
