"""The published dSprites file, npz or HDF5: its plain arrays only, never the pickled metadata beside them."""

import hashlib
import math
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from unbraid.data import array_files
from unbraid.data.array_files import Array
from unbraid.data.dsprites_drawing import SIDE
from unbraid.data.pixels import Pixels
from unbraid.errors import UnbraidError
from unbraid.files import refuse_device

PUBLISHED_MD5 = {".npz": "7da33b31b13a06f4b04a70402ce90c2e", ".hdf5": "b331c4447a651c44bf5e8ae09022e230"}
PUBLISHED_LIT_PIXELS = 128_328_862
_IMAGES_AT_ONCE = 23_040  # as many as a chunk of the published HDF5


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
    refuse_device(path)
    try:
        return _read(path, sizes, path.stat().st_mtime_ns)
    except OSError as error:
        raise UnbraidError(f"{path} cannot be read as the published dSprites file: {error.strerror}") from None


def _among(arrays: Mapping[str, Array], names: Sequence[str], path: Path) -> Array:
    for name in names:
        if name in arrays:
            return arrays[name]
    raise UnbraidError(f"{path} is not the published dSprites file: it holds no array of numbers {' or '.join(names)}")


@lru_cache(maxsize=1)
def _read(path: Path, sizes: tuple[int, ...], modified: int) -> Pixels:
    n = math.prod(sizes)
    packed = np.empty((n, SIDE * SIDE // 8), np.uint8)
    lit = 0
    with array_files.opened(path) as arrays:
        images, classes = (_among(arrays, names, path) for names in (("imgs",), ("latents_classes", "latents/classes")))
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
