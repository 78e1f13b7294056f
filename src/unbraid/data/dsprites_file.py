"""The published dSprites file, npz or HDF5: its plain arrays only, never the pickled metadata beside them."""

import hashlib
import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from unbraid.data.dsprites_drawing import SIDE
from unbraid.data.pixels import Pixels
from unbraid.errors import UnbraidError

PUBLISHED_MD5 = {".npz": "7da33b31b13a06f4b04a70402ce90c2e", ".hdf5": "b331c4447a651c44bf5e8ae09022e230"}
PUBLISHED_LIT_PIXELS = 128_328_862
_IMAGES_AT_ONCE = 23_040  # the chunks of the published HDF5 are as long: shorter reads would inflate them repeatedly


class _Array(Protocol):
    """What can be read from the front to the end, some rows at a time."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, rows: int) -> np.ndarray: ...


class _NpyMember:
    """An array in an npz archive, inflated as it is read."""

    def __init__(self, stream: Any) -> None:
        headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        self.shape, fortran_order, self.dtype = headers[np.lib.format.read_magic(stream)](stream)
        if fortran_order or self.dtype.hasobject:
            raise ValueError("an array is not stored as plain rows")
        self._stream = stream

    def read(self, rows: int) -> np.ndarray:
        size = rows * math.prod(self.shape[1:]) * self.dtype.itemsize
        return np.frombuffer(self._stream.read(size), self.dtype).reshape(rows, *self.shape[1:])


class _Hdf5Dataset:
    def __init__(self, dataset: Any) -> None:
        self.shape, self.dtype = dataset.shape, dataset.dtype
        self._dataset, self._done = dataset, 0

    def read(self, rows: int) -> np.ndarray:
        self._done += rows
        return self._dataset[self._done - rows : self._done]


@contextmanager
def _arrays(path: Path) -> Iterator[tuple[_Array, _Array]]:
    """(images, classes)"""
    if path.suffix == ".npz":
        with (
            zipfile.ZipFile(path) as archive,
            archive.open("imgs.npy") as images,
            archive.open("latents_classes.npy") as classes,
        ):
            yield _NpyMember(images), _NpyMember(classes)
        return
    try:
        import h5py
    except ImportError:
        raise UnbraidError('reading HDF5 needs h5py: pip install "unbraid[hdf5]", or give the .npz file') from None
    with h5py.File(path, "r") as file:
        yield _Hdf5Dataset(file["imgs"]), _Hdf5Dataset(file["latents/classes"])


def read(path: Path, sizes: tuple[int, ...]) -> Pixels:
    """The images of the file, in memory (377 MB) and shared by all who ask for the same file until another is read.

    Raises UnbraidError where the file's arrays are not the pictures of a grid of these sizes, in order; warns where
    they are, but the file is not the published one.
    """
    if path.suffix not in PUBLISHED_MD5:
        raise UnbraidError(
            f'source must be "drawn" or the path of the published file, which ends in {" or ".join(PUBLISHED_MD5)}, '
            f'not "{path}"'
        )
    try:
        return _read(path, sizes, path.stat().st_mtime_ns)
    except UnbraidError:
        raise
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UnbraidError(f"{path} cannot be read as the published dSprites file: {error}") from error


@lru_cache(maxsize=1)
def _read(path: Path, sizes: tuple[int, ...], modified: int) -> Pixels:
    n = math.prod(sizes)
    packed = np.empty((n, SIDE * SIDE // 8), np.uint8)
    lit = 0
    with _arrays(path) as (images, classes):
        if images.shape != (n, SIDE, SIDE) or images.dtype != np.uint8 or classes.shape != (n, 1 + len(sizes)):
            raise ValueError(
                f"it holds images {images.dtype} {list(images.shape)} and classes {list(classes.shape)}, "
                f"not uint8 {[n, SIDE, SIDE]} and {[n, 1 + len(sizes)]}"
            )
        for start in range(0, n, _IMAGES_AT_ONCE):
            indices = np.arange(start, min(start + _IMAGES_AT_ONCE, n))
            expected = np.stack(np.unravel_index(indices, (1, *sizes)), axis=1)  # colour has one value
            if not np.array_equal(classes.read(len(indices)), expected):
                raise ValueError("its images are not in the published order of shape, scale, orientation, x and y")
            block = images.read(len(indices))
            if block.max() > 1:
                raise ValueError(f"its pixels must be 0 or 1, not {block.max()}")
            packed[indices] = np.packbits(block.reshape(len(indices), -1), axis=1)
            lit += int(block.sum())
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    if md5 != PUBLISHED_MD5[path.suffix]:
        warnings.warn(
            f"{path} is not the published dSprites file: md5 {md5}, published {PUBLISHED_MD5[path.suffix]}; {lit:,} "
            f"lit pixels, published {PUBLISHED_LIT_PIXELS:,}; scores on it may not compare with others'",
            stacklevel=5,
        )
    return Pixels(packed, (1, SIDE, SIDE), packed=True)
