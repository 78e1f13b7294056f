"""A user's own images, with or without the factors that made them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unbraid.data.labels import Listed
from unbraid.data.pixels import Pixels
from unbraid.data.stored import Stored
from unbraid.errors import UnbraidError

_CHANNELS = (1, 3)  # grey and RGB


def from_arrays(images: Any, factors: Any = None, factor_names: Sequence[str] | None = None) -> Stored:
    """A data set of images [N, H, W], [N, C, H, W] or [N, H, W, C], and the factors [N, F] behind them if known.

    Images are bytes from 0 to 255, floats from 0 to 1 (kept as bytes, so rounded to 1/255) or truth values; bytes that
    are all 0 or 1 mean black and white. The second axis is C where it is 1 (grey) or 3 (RGB) long, else the last
    axis where that is. A factor is discrete, with values 0, 1, ..., max, where all its values are whole numbers, and
    continuous otherwise; its name is factor_1, factor_2, ... unless given. `indices` finds an image where its factors
    occur once. Raises UnbraidError where an array is none of this.
    """
    pixels = _bytes(np.asarray(images))
    labels = _labels(factors, factor_names, len(pixels))
    shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
    grey = np.any((pixels > 0) & (pixels < 255))
    return Stored(Pixels(pixels.reshape(len(pixels), -1), shape), labels, binary=not grey)


def _bytes(images: np.ndarray) -> np.ndarray:
    """uint8 [N, C, H, W], 0 to 255."""
    if images.ndim not in (3, 4) or not images.size:
        raise UnbraidError(
            f"images must be an array [N, H, W], [N, C, H, W] or [N, H, W, C] with something in it, "
            f"not {list(images.shape)}"
        )
    if images.dtype.kind != "f" and images.dtype not in (np.uint8, np.bool_):
        raise UnbraidError(f"images must be uint8 (0 to 255), float (0 to 1) or bool, not {images.dtype}: convert them")
    low, high = images.min(), images.max()
    if images.dtype.kind == "f":
        if not 0 <= low <= high <= 1:
            raise UnbraidError(
                f"images in floats must lie between 0 and 1, and these run from {low:g} to {high:g}: rescale them, "
                "and leave out images with NaN"
            )
        images = np.rint(images * 255).astype(np.uint8)
    elif high <= 1:
        images = images.astype(np.uint8) * np.uint8(255)
    if images.ndim == 3:
        return np.ascontiguousarray(images[:, None])
    if images.shape[1] not in _CHANNELS:
        if images.shape[3] not in _CHANNELS:
            raise UnbraidError(
                f"images {list(images.shape)} have no axis for channels: the second or the last must be 1 (grey) or 3 "
                "(RGB) long"
            )
        images = np.moveaxis(images, 3, 1)
    return np.ascontiguousarray(images)


def _labels(factors: Any, names: Sequence[str] | None, n: int) -> Listed:
    values = np.empty((n, 0), np.int64) if factors is None else np.asarray(factors)
    if values.ndim != 2 or len(values) != n or values.dtype.kind not in "fiub":
        raise UnbraidError(
            f"factors must be an array of numbers [{n}, F], one row for each image, "
            f"not {values.dtype} {list(values.shape)}"
        )
    names = tuple(names or (f"factor_{column}" for column in range(1, values.shape[1] + 1)))
    if len(names) != values.shape[1] or len(set(names)) != len(names):
        raise UnbraidError(f"factor_names must be {values.shape[1]} different names, not {', '.join(names)}")
    if not np.isfinite(values).all():
        raise UnbraidError("factors hold NaN or infinity: leave those images out")
    sizes: list[int | None] = []
    for name, column in zip(names, values.T, strict=True):
        discrete = (column == np.rint(column)).all()
        if discrete and column.min() < 0:
            raise UnbraidError(
                f"{name} holds the whole number {column.min():g}, and value indices start at 0: "
                "np.unique(values, return_inverse=True)[1] makes such indices"
            )
        sizes.append(int(column.max()) + 1 if discrete else None)
    return Listed(names, tuple(sizes), values.astype(np.float64 if None in sizes else np.int64))
