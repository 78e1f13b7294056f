"""Small NORB: toys of five kinds, photographed from many sides in six lights."""

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.data import cache, image_files, published
from unbraid.data.labels import Grid
from unbraid.data.stored import Stored
from unbraid.errors import UnbraidError
from unbraid.progress import progress

FACTOR_NAMES = ("category", "instance", "elevation", "azimuth", "lighting")
FACTOR_SIZES = (5, 10, 9, 18, 6)
_URL = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
_PARTS = ("smallnorb-5x46789x9x18x6x2x96x96-training", "smallnorb-5x01235x9x18x6x2x96x96-testing")
_MD5 = {
    (0, "dat"): "66054832f9accfe74a0f4c36a75bc0a2",
    (0, "cat"): "23c8b86101fbf0904a000b43d3ed2fd9",
    (0, "info"): "51dee1210a742582ff607dfd94e332e3",
    (1, "dat"): "e4ad715691ed5a3a5f138751a4ceb071",
    (1, "cat"): "5aa791cd7e6016cf957ce9bdb93b8603",
    (1, "info"): "a9454f3864d7fd4bb3ea7fc3eb84924e",
}
_FILES = [
    published.Published(f"{_PARTS[part]}-{kind}.mat.gz", (f"{_URL}{_PARTS[part]}-{kind}.mat.gz",), md5)
    for (part, kind), md5 in _MD5.items()
]
_BYTES, _NUMBERS = np.dtype("u1"), np.dtype("<i4")
_KINDS: dict[int, np.dtype] = {0x1E3D4C55: _BYTES, 0x1E3D4C54: _NUMBERS}  # of the binary matrices
_AT_ONCE = 500  # pairs of pictures


def smallnorb(*, source: str = "", size: int = 64) -> Stored:
    """Small NORB (LeCun 2004), the left picture of each pair, every combination of five factors once: 48,600 images.

    uint8 [1, size, size], made smaller (Lanczos) from 96 x 96 pixels; training and testing set together. Factors in
    storage order, the last fastest: category (animal, human, plane, truck, car), instance (10), elevation (9, from 30
    degrees), azimuth (18, by 20 degrees), lighting (6). Locatello (2019) leaves instance out of the factors. `source`
    is the folder with the six published files -dat, -cat and -info, as .mat.gz or unpacked as .mat; "" downloads them
    into the cache folder. Raises UnbraidError where files are missing or others.
    """
    if not 1 <= size <= 96:
        raise UnbraidError(f"size must be from 1 to 96 pixels, not {size}")
    folder = published.found("smallnorb", source, _FILES)
    paths = [[_path(folder, f"{part}-{kind}.mat") for kind in ("dat", "cat", "info")] for part in _PARTS]

    def blocks() -> Iterator[np.ndarray]:
        n = math.prod(FACTOR_SIZES)
        half = n // len(_PARTS)
        images, seen = np.empty((n, size, size), np.uint8), np.zeros(n, bool)
        with progress("reading images", n, "images") as bar:
            for dat, cat, info in paths:
                places = _places(_whole(cat, half), _whole(info, half, 4))
                for start, pairs in _rows(dat, _BYTES, half, 2, 96, 96):
                    here = places[start : start + len(pairs)]
                    images[here], seen[here] = image_files.resized(pairs[:, 0], size), True
                    bar.advance(len(pairs))
        if not seen.all():
            raise UnbraidError(f"{folder} holds {seen.sum():,} of the {n:,} combinations of factors of Small NORB")
        yield images[:, None]

    stamps = [cache.stamp(path) for part in paths for path in part]
    kept = cache.kept("smallnorb", [os.fspath(folder.resolve()), stamps, size], blocks, stretch=False)
    return Stored(kept.pixels, Grid(FACTOR_NAMES, FACTOR_SIZES), kept.binary)


def _path(folder: Path, name: str) -> Path:
    for path in (folder / f"{name}.gz", folder / name):
        if path.is_file():
            return path
    raise UnbraidError(f"{folder} lacks {name}.gz of Small NORB: fetch it from {_URL}")


def _places(category: np.ndarray, info: np.ndarray) -> np.ndarray:
    """[N]: where in the grid each pair belongs."""
    factors = np.column_stack([category, info])
    factors[:, 3] //= 2  # the azimuth counts by two
    return Grid(FACTOR_NAMES, FACTOR_SIZES).indices(factors)


def _check_header(path: Path, stream: Any, kind: np.dtype, shape: tuple[int, ...]) -> None:
    """Kind of number and shape, from the magic number, the number of axes, and at least three lengths."""
    head = np.frombuffer(stream.read(8), "<i4")
    if len(head) != 2 or int(head[0]) not in _KINDS or not 1 <= head[1] <= 4:
        raise UnbraidError(f"{path} is no binary matrix of Small NORB")
    found = np.frombuffer(stream.read(4 * max(3, int(head[1]))), "<i4")[: int(head[1])].tolist()
    if _KINDS[int(head[0])] != kind or found != list(shape):
        held = f"{found} of {_KINDS[int(head[0])]}"
        raise UnbraidError(f"{path} must hold {list(shape)} of {kind}, and its header says {held}")
    if path.suffix != ".gz" and path.stat().st_size < math.prod(shape) * kind.itemsize:
        raise EOFError("it is cut short")


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _rows(path: Path, kind: np.dtype, *shape: int) -> Iterator[tuple[int, np.ndarray]]:
    """(index of the first, rows) of a matrix of this kind and shape, some at a time and never more than it has."""
    try:
        with _opened(path) as stream:
            _check_header(path, stream, kind, shape)
            for start in range(0, shape[0], _AT_ONCE):
                rows = min(_AT_ONCE, shape[0] - start)
                content = stream.read(rows * math.prod(shape[1:]) * kind.itemsize)
                yield start, np.frombuffer(content, kind).reshape(rows, *shape[1:])
    except UnbraidError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UnbraidError(f"{path} cannot be read as a binary matrix of Small NORB: {error}") from None


def _whole(path: Path, *shape: int) -> np.ndarray:
    return np.concatenate([rows for _, rows in _rows(path, _NUMBERS, *shape)])
