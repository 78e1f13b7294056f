"""A user's own arrays of images, at hand or in a file, with or without the factors that made them."""

import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.data import array_files, cache
from unbraid.data.array_files import Array
from unbraid.data.labels import Listed
from unbraid.data.pixels import Pixels
from unbraid.data.stored import Stored
from unbraid.errors import UnbraidError, printable
from unbraid.progress import progress

_CHANNELS = (1, 3)  # grey and RGB
_LARGEST_SIDE = 4096
_MOST_FACTORS, _MOST_VALUES = 256, 2**24
_LARGEST_INDEX = 2**16
_WIDEST, _WIDEST_NAME = 8, 4 * 200  # bytes of a number, and of a factor's name
_AT_ONCE = 2**24  # bytes read from a file
_OURS = ("factors", "factor_names")
_HINT = ' (factors are read from an array [N, F] called "factors", their names from "factor_names")'


def from_arrays(images: Any, factors: Any = None, factor_names: Sequence[str] | None = None) -> Stored:
    """A data set of images [N, H, W], [N, C, H, W] or [N, H, W, C], and the factors [N, F] behind them if known.

    Images are bytes from 0 to 255, floats from 0 to 1 (kept as bytes, so rounded to 1/255) or truth values; bytes that
    are all 0 or 1 mean black and white. The second axis is C where it is 1 (grey) or 3 (RGB) long, else the last
    axis where that is; three axes of which the last is so long may be one picture, and are refused. A factor is
    discrete, with values 0, 1, ..., max, where all its values are whole numbers below 65,536, and continuous otherwise;
    its name is factor_1, factor_2, ... unless given. `indices` finds an image where its factors occur once. Raises
    UnbraidError where an array is none of this.
    """
    images = np.asarray(images)
    _check_images(images.shape, images.dtype)
    pixels = np.ascontiguousarray(channels_first(_as_bytes(images)))
    if images.dtype.kind != "f" and pixels.max() <= 1:
        pixels = pixels * np.uint8(255)
    labels = _labels(factors, factor_names, len(pixels))
    shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
    grey = np.any((pixels > 0) & (pixels < 255))
    return Stored(Pixels(pixels.reshape(len(pixels), -1), shape), labels, binary=not grey)


def arrays(*, path: str = "") -> Stored:
    """The arrays in an .npy, .npz or HDF5 file (.h5, .hdf5): "images", and "factors" [N, F] where they are known.

    Layouts, kinds of numbers and factors as `from_arrays` takes them; where no array is called "images", the only one
    with three or four axes. The names of the factors may stand beside them as "factor_names" in an .npz file. Images
    are read once, whatever their number, and kept as bytes in the cache folder. Raises UnbraidError where the file is
    missing, broken or none of this; pickled members are left alone.
    """
    source = Path(os.path.expanduser(path))  # noqa: PTH111
    if not path or not source.is_file() or source.suffix.lower() not in array_files.SUFFIXES:
        what = f'"{path}" is none' if not path or source.exists() else f'there is nothing at "{path}"'
        raise UnbraidError(f"path must be a file of arrays ({', '.join(array_files.SUFFIXES)}), and {what}")
    with array_files.opened(source) as found:
        name = _images_among(found, source)
        truth_or_bytes = found[name].dtype.kind != "f"
        labels = _labels_among(found, found[name].shape[0])
        others = [printable(other) for other in found if other not in (name, *_OURS)]

    def tell(beside: Path) -> dict[str, Any]:
        """Once, when the images are first read."""
        if others:
            print(f"{source}: {name} is read, and {', '.join(others)[:200]} left alone{_HINT}", file=sys.stderr)  # noqa: T201
        return {}

    def blocks() -> Iterator[np.ndarray]:
        with array_files.opened(source) as found:
            yield from blocks_of(found[name])

    identity = [str(source.resolve()), *cache.stamp(source), name]
    kept = cache.kept("arrays", identity, blocks, stretch=truth_or_bytes, notes=tell)
    return Stored(kept.pixels, labels, kept.binary)


def blocks_of(images: Array) -> Iterator[np.ndarray]:
    """uint8 [n, C, H, W], some images at a time, with a progress bar."""
    n = images.shape[0]
    rows = max(1, _AT_ONCE // (math.prod(images.shape[1:]) * images.dtype.itemsize))
    with progress("reading images", n, "images") as bar:
        for first in range(0, n, rows):
            yield channels_first(_as_bytes(images.read(min(rows, n - first))))
            bar.advance(min(rows, n - first))


def _images_among(found: Mapping[str, Array], source: Path) -> str:
    likely = [name for name, array in found.items() if len(array.shape) in (3, 4)]
    if "images" not in found and len(likely) != 1:
        raise UnbraidError(
            f'{source} must hold one array called "images" (it holds: {", ".join(found)[:200] or "no plain array"})'
        )
    name = "images" if "images" in found else likely[0]
    _check_images(found[name].shape, found[name].dtype)
    return name


def _labels_among(found: Mapping[str, Array], n: int) -> Listed:
    factors = found.get("factors")
    if factors is None:
        return _labels(None, None, n)
    _check_factors(factors.shape, factors.dtype, n)
    if not 0 < factors.shape[1] <= _MOST_FACTORS or math.prod(factors.shape) > _MOST_VALUES:
        raise UnbraidError(
            f"factors {list(factors.shape)} are too many: at most {_MOST_FACTORS} for an image and "
            f"{_MOST_VALUES:,} in all are read"
        )
    names, shape = found.get("factor_names"), (factors.shape[1],)
    if names is None or names.dtype.kind != "U" or names.dtype.itemsize > _WIDEST_NAME or names.shape != shape:
        return _labels(factors.read(n), None, n)
    return _labels(factors.read(n), names.read(factors.shape[1]).tolist(), n)


def _check_factors(shape: tuple[int, ...], dtype: np.dtype, n: int) -> None:
    if len(shape) != 2 or shape[0] != n or dtype.kind not in "fiub" or dtype.itemsize > _WIDEST:
        raise UnbraidError(
            f"factors must be an array of numbers [{n}, F], one row for each image, not {dtype} {list(shape)}"
        )


def _check_images(shape: tuple[int, ...], dtype: np.dtype) -> None:
    if len(shape) not in (3, 4) or not math.prod(shape):
        raise UnbraidError(
            f"images must be an array [N, H, W], [N, C, H, W] or [N, H, W, C] with something in it, not {list(shape)}"
        )
    if (dtype.kind != "f" or dtype.itemsize > _WIDEST) and dtype not in (np.uint8, np.bool_):
        raise UnbraidError(f"images must be uint8 (0 to 255), float (0 to 1) or bool, not {dtype}: convert them")
    if len(shape) == 3 and shape[2] in _CHANNELS:
        n, height, width = shape
        raise UnbraidError(
            f"images {list(shape)} look like one picture, its channels last: that is [1, {n}, {height}, {width}], "
            f"and grey images {width} wide are [{n}, 1, {height}, {width}]"
        )
    if len(shape) == 4 and shape[1] not in _CHANNELS and shape[3] not in _CHANNELS:
        raise UnbraidError(
            f"images {list(shape)} have no axis for channels: the second or the last must be 1 (grey) or 3 (RGB) long"
        )
    if max(shape[1:]) > _LARGEST_SIDE:
        raise UnbraidError(f"images {list(shape)} are too large: their sides must be at most {_LARGEST_SIDE} pixels")


def _as_bytes(images: np.ndarray) -> np.ndarray:
    """uint8 in the same layout; floats from 0 to 1 become 0 to 255."""
    if images.dtype.kind != "f":
        return images.astype(np.uint8, copy=False)
    low, high = images.min(), images.max()
    if not 0 <= low <= high <= 1:
        raise UnbraidError(
            f"images in floats must lie between 0 and 1, and these run from {low:g} to {high:g}: rescale them, "
            "and leave out images with NaN"
        )
    return np.rint(images * 255).astype(np.uint8)


def channels_first(images: np.ndarray) -> np.ndarray:
    """[N, H, W] or [N, H, W, C] as [N, C, H, W]; [N, C, H, W] as it is."""
    if images.ndim == 3:
        return images[:, None]
    return images if images.shape[1] in _CHANNELS else np.moveaxis(images, 3, 1)


def _labels(factors: Any, names: Sequence[str] | None, n: int) -> Listed:
    values = np.empty((n, 0), np.int64) if factors is None else np.asarray(factors)
    _check_factors(values.shape, values.dtype, n)
    names = tuple(names or (f"factor_{column}" for column in range(1, values.shape[1] + 1)))
    if len(names) != values.shape[1] or len(set(names)) != len(names):
        raise UnbraidError(f"factor_names must be {values.shape[1]} different names, not {', '.join(names)}")
    if not np.isfinite(values).all():
        raise UnbraidError("factors hold NaN or infinity: leave those images out")
    sizes: list[int | None] = []
    for name, place in zip(names, range(values.shape[1]), strict=True):
        column = np.ascontiguousarray(values[:, place])
        discrete = (column == np.rint(column)).all() and float(column.max()) < _LARGEST_INDEX
        if discrete and column.min() < 0:
            raise UnbraidError(
                f"{name} holds the whole number {column.min():g}, and value indices start at 0: "
                "np.unique(values, return_inverse=True)[1] makes such indices"
            )
        sizes.append(int(column.max()) + 1 if discrete else None)
    return Listed(names, tuple(sizes), values.astype(np.float64 if None in sizes else np.int64))
