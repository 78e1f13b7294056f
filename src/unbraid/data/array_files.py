"""Arrays in .npy, .npz and HDF5 files, read from front to end: no pickle, no links, no more than the file holds.

A file of a few bytes can claim terabytes. So what an array claims is held against what the file stores before anything
is read, and rows are read some at a time.
"""

import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from unbraid import files
from unbraid.errors import UnbraidError

SUFFIXES = (".npy", ".npz", ".h5", ".hdf5")
_MOST_MEMBERS, _DEEPEST = 1_000, 4  # of groups within groups
_MOST_TIMES = 400  # larger than it is stored, the most that images compress to; 3dshapes 23, dSprites 115
_SMALL = 2**26  # bytes that any file may unfold to
_LARGEST_CHUNK = 2**27  # bytes; HDF5 unfolds a chunk at once
_LARGEST_BAND = 2**29  # bytes of HDF5 that are unfolded for one row
_AT_ONCE, _MOST_AT_ONCE = 2**24, 2**28  # bytes read together: where chunks are small, and so that each is unfolded once
_MOST_CHUNKS, _LEAST_OF_CHUNK = 2**18, 8  # beyond so many, each must store so many bytes; looking for one takes 2 us
_CHUNKS_AT_ONCE = 2**14  # HDF5 takes 3 kB for each chunk that it reads together with others
_GZIP, _LZF = 1, 32000
_COMPRESSING, _KNOWN_FILTERS = {_GZIP, _LZF}, {_GZIP, _LZF, 2, 3}  # and shuffle, checksum; others would load a plug-in
_CHECKSUM = 4  # bytes
_HARMLESS = 2**18  # stored bytes, of which gzip can make 268 million and no more
_BROKEN = (
    OSError,
    LookupError,
    ValueError,
    TypeError,
    EOFError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
)


class Array(Protocol):
    """What can be read from the front to the end, some rows at a time."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def read(self, rows: int) -> np.ndarray: ...


@contextmanager
def opened(path: Path) -> Iterator[Mapping[str, Array]]:
    """The arrays of numbers in a file by name; the one of an .npy file is called "images".

    Raises UnbraidError, also for what turns out within the block, where the file is broken, claims more than it can
    hold, or refers to other files.
    """
    opener = {".npy": _npy, ".npz": _npz, ".h5": _hdf5, ".hdf5": _hdf5}[path.suffix.lower()]
    try:
        with opener(path) as arrays:
            yield arrays
    except UnbraidError:
        raise
    except _BROKEN as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnbraidError(f"{path} cannot be read as {path.suffix.lower()}: {why}") from None


class _Npy:
    """An array in the format of .npy, read from a stream that holds `stored` bytes or unfolds to them."""

    def __init__(self, stream: Any, size: int) -> None:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):  # others are for headers of gigabytes, which no plain array has
            raise ValueError(f"version {version[0]}.{version[1]} of the format is not supported")
        try:
            self.shape, fortran_order, self.dtype = np.lib.format.read_array_header_1_0(stream)
        except Exception as error:  # Python's own reader of literals raises anything at all on broken text
            raise ValueError(f"its header cannot be read: {error or type(error).__name__}") from None
        if self.dtype.hasobject:
            raise ValueError("an array holds Python objects, which could run code: save it as numbers")
        if fortran_order and len(self.shape) > 1:
            raise ValueError("an array is stored by columns: save np.ascontiguousarray(array)")
        claimed = math.prod(self.shape) * self.dtype.itemsize
        if claimed != size - stream.tell() or min(self.shape, default=0) < 0:
            raise ValueError(f"its header speaks of {claimed:,} bytes, and {size - stream.tell():,} follow")
        self._stream = stream

    def read(self, rows: int) -> np.ndarray:
        size = rows * math.prod(self.shape[1:]) * self.dtype.itemsize
        return np.frombuffer(self._stream.read(size), self.dtype).reshape(rows, *self.shape[1:])


@contextmanager
def _npy(path: Path) -> Iterator[dict[str, Array]]:
    with path.open("rb") as file:
        yield {"images": _Npy(file, path.stat().st_size)}


@contextmanager
def _npz(path: Path) -> Iterator[dict[str, Array]]:
    """Members of objects are left out: they are pickled."""
    with zipfile.ZipFile(path) as archive, ExitStack() as streams:
        files.refuse_unbounded(archive)
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if len(members) > _MOST_MEMBERS:
            raise ValueError(f"it holds {len(members):,} arrays, more than {_MOST_MEMBERS:,}")
        arrays: dict[str, Array] = {}
        for info in members:
            _refuse_bomb(info.filename, info.file_size, info.compress_size)
            stream = streams.enter_context(archive.open(info))
            try:
                arrays[info.filename.removesuffix(".npy")] = _Npy(stream, info.file_size)
            except ValueError as error:
                if "Python objects" not in str(error):
                    raise
        yield arrays


class _Hdf5:
    """What lies beside the arrays that are read may be stored in any way: they alone are looked at, when they are."""

    def __init__(self, name: str, dataset: Any) -> None:
        self.shape, self.dtype = dataset.shape, dataset.dtype
        self._name, self._dataset, self._done, self._step = name, dataset, 0, 0
        self._kept = np.empty((0, *self.shape[1:]), self.dtype)

    def read(self, rows: int) -> np.ndarray:
        """Whole chunks are read and what is left over is kept: HDF5 would unfold a chunk anew for each part of it."""
        self._step = self._step or self._rows_together()
        parts, self._kept = [self._kept[:rows]], self._kept[rows:]
        missing = rows - len(parts[0])
        while missing > 0:
            more = self._dataset[self._done : self._done + self._step]
            if not len(more):
                raise EOFError(f"it has no more than {self._done:,} rows")
            self._done += len(more)
            parts.append(more[:missing])
            missing, self._kept = missing - len(parts[-1]), more[missing:]
        return np.concatenate(parts)

    def _rows_together(self) -> int:
        """How many rows are best read at once; raises ValueError where they lie elsewhere, or take too much to read."""
        name, dataset, creation = self._name, self._dataset, self._dataset.id.get_create_plist()
        filters = [creation.get_filter(number)[0] for number in range(creation.get_nfilters())]
        if dataset.is_virtual or dataset.external:
            raise ValueError(f"{name} lies in other files: give a file that holds its own images")
        if not {*filters} <= _KNOWN_FILTERS or sum(each in _COMPRESSING for each in filters) > 1:
            raise ValueError(f"{name} is compressed in an unusual way: use gzip or none")
        chunks = dataset.chunks or (1, *self.shape[1:])
        if math.prod(chunks) * self.dtype.itemsize > _LARGEST_CHUNK:
            raise ValueError(f"the chunks of {name} are larger than {_LARGEST_CHUNK:,} bytes")
        band = chunks[0] * math.prod(self.shape[1:]) * self.dtype.itemsize  # bytes of all chunks that hold one row
        if band > _LARGEST_BAND:
            raise ValueError(f"each chunk of {name} holds parts of {chunks[0]:,} rows: save it with chunks of fewer")
        stored = dataset.id.get_storage_size()
        _refuse_bomb(name, dataset.nbytes, stored)
        bands, *across = (-(-length // chunk) for length, chunk in zip(self.shape, chunks, strict=True))
        if dataset.chunks and bands * math.prod(across) > _MOST_CHUNKS + stored // _LEAST_OF_CHUNK:
            raise ValueError(f"{name} lies in {bands * math.prod(across):,} chunks: save it in fewer")
        if _GZIP in filters:
            _refuse_long_chunks(dataset, filters.index(_GZIP))
        whole = min(_AT_ONCE // (band or 1), _CHUNKS_AT_ONCE // (math.prod(across) or 1))
        return chunks[0] * whole if whole else max(1, min(chunks[0], _MOST_AT_ONCE * chunks[0] // (band or 1)))


def _refuse_long_chunks(dataset: Any, place: int) -> None:
    """Where a chunk unfolds to more than a chunk: HDF5 unfolds all there is. `place` is gzip's among the filters."""
    large: list[tuple[int, ...]] = []

    def look(info: Any) -> None:
        if info.size > _HARMLESS and not info.filter_mask >> place & 1:
            large.append(info.chunk_offset)

    dataset.id.chunk_iter(look)
    for offset in large:
        left = math.prod(dataset.chunks) * dataset.dtype.itemsize + _CHECKSUM
        unfolding, (_, content) = zlib.decompressobj(), dataset.id.read_direct_chunk(offset)
        while content and left >= 0:
            left -= len(unfolding.decompress(content, _AT_ONCE))
            content = unfolding.unconsumed_tail
        if left < 0:
            raise ValueError("a chunk unfolds to more than it should hold")


@contextmanager
def _hdf5(path: Path) -> Iterator[dict[str, Array]]:
    try:
        import h5py
    except ImportError:
        raise UnbraidError('reading HDF5 needs h5py: pip install "unbraid[hdf5]", or give an .npz file') from None
    with h5py.File(path, "r") as file:
        yield {name: _Hdf5(name, dataset) for name, dataset in _datasets(file, h5py)}


def _datasets(file: Any, h5py: Any) -> Iterator[tuple[str, Any]]:
    """Arrays of numbers along hard links alone; many of those may lead to one group, which is met again each time."""
    waiting, members = [("", file, 0)], 0
    while waiting:
        prefix, group, depth = waiting.pop()
        members += len(group)
        if members > _MOST_MEMBERS or depth > _DEEPEST:
            raise ValueError("it holds too many groups or arrays")
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            kind = group.get(name, getclass=True)
            if kind is h5py.Group:
                waiting.append((f"{prefix}{name}/", group[name], depth + 1))
            elif kind is h5py.Dataset and group[name].dtype.kind in "biuf" and group[name].shape:
                yield f"{prefix}{name}", group[name]


def _refuse_bomb(name: str, claimed: int, stored: int) -> None:
    if claimed > _SMALL and claimed > _MOST_TIMES * stored:
        raise ValueError(f"{name} claims to unfold {stored:,} bytes into {claimed:,}, which no images do")
