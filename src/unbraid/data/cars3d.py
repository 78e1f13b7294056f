"""Cars3D: 183 models of cars from 24 sides and 4 heights."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.data import cache, image_files, published
from unbraid.data.labels import Grid
from unbraid.data.stored import Stored
from unbraid.errors import UnbraidError
from unbraid.progress import progress

FACTOR_NAMES = ("elevation", "azimuth", "object_type")
FACTOR_SIZES = (4, 24, 183)
_SHAPE = (128, 128, 3, 24, 4)
_LARGEST = 2**26  # bytes of a .mat file; a car has 19 million
_FILE = published.Published(
    "nips2015-analogy-data.tar.gz",
    ("http://www.scottreed.info/files/nips2015-analogy-data.tar.gz",),
    "4e866a7919c1beedf53964e6f7a23686",
)


def cars3d(*, source: str = "", size: int = 64) -> Stored:
    """Cars3D (Reed 2015), every combination of three factors once: 17,568 images, uint8 [3, size, size].

    Factors in storage order, the last fastest: elevation (4), azimuth (24), object_type (183 cars, by the name of their
    file). The published images of 128 x 128 pixels are made smaller (Lanczos). `source` is the published
    nips2015-analogy-data.tar.gz or a folder with its car_*_mesh.mat; "" downloads the archive into the cache folder.
    Raises UnbraidError where the files are missing or others.
    """
    if not 1 <= size <= 128:
        raise UnbraidError(f"size must be from 1 to 128 pixels, not {size}")
    path = published.found("cars3d", source, [_FILE])

    def blocks() -> Iterator[np.ndarray]:
        cars: dict[str, np.ndarray] = {}  # [4, 24, size, size, 3] each
        with progress("reading cars", FACTOR_SIZES[2], "cars") as bar:
            for name, stream in _streams(path):
                cars[name] = _car(stream, name, size)
                bar.advance()
        if len(cars) != FACTOR_SIZES[2]:
            raise UnbraidError(f"{path} holds {len(cars)} files car_*.mat, and Cars3D has {FACTOR_SIZES[2]}")
        images = np.stack([cars[name] for name in sorted(cars)], axis=2)
        yield np.ascontiguousarray(np.moveaxis(images.reshape(-1, size, size, 3), 3, 1))

    kept = cache.kept("cars3d", [os.fspath(path.resolve()), *cache.stamp(path), size], blocks, stretch=False)
    return Stored(kept.pixels, Grid(FACTOR_NAMES, FACTOR_SIZES), kept.binary)


def _is_car(name: str) -> bool:
    return name.startswith("car_") and name.endswith(".mat")


def _streams(path: Path) -> Iterator[tuple[str, Any]]:
    """(name, open file) of each car; nothing of the archive is written anywhere."""
    if path.is_dir():
        for file in sorted(path.rglob("car_*.mat")):
            with file.open("rb") as stream:
                yield file.name, stream
        return
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if member.isfile() and _is_car(name) and member.size <= _LARGEST:
                    yield name, archive.extractfile(member)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UnbraidError(f"{path} cannot be read as {_FILE.name}: {error}") from None


def _car(stream: Any, name: str, size: int) -> np.ndarray:
    """uint8 [4, 24, size, size, 3]"""
    from scipy.io import loadmat

    try:
        images = loadmat(stream, variable_names=["im"])["im"]
    except Exception as error:  # its reader raises anything at all on broken files
        raise UnbraidError(f"{name} cannot be read as a file of Cars3D: {error or type(error).__name__}") from None
    if getattr(images, "shape", ()) != _SHAPE or images.dtype != np.uint8:
        raise UnbraidError(f"{name} is no file of Cars3D: it must hold im {list(_SHAPE)} of bytes")
    return image_files.resized(images.transpose(4, 3, 0, 1, 2).reshape(-1, *_SHAPE[:3]), size).reshape(
        4, 24, size, size, 3
    )
