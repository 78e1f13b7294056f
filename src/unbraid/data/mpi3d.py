"""MPI3D: a robot arm that holds an object, drawn simply, drawn well, and photographed."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unbraid.data import array_files, cache, published
from unbraid.data.arrays import blocks_of
from unbraid.data.labels import Grid
from unbraid.data.stored import Stored
from unbraid.errors import UnbraidError

FACTOR_NAMES = (
    "object_color",
    "object_shape",
    "object_size",
    "camera_height",
    "background_color",
    "horizontal_axis",
    "vertical_axis",
)
# of the published sets, and of the challenge's with four colours and shapes
FACTOR_SIZES = {1_036_800: (6, 6, 2, 3, 3, 40, 40), 460_800: (4, 4, 2, 3, 3, 40, 40)}
_URL = "https://storage.googleapis.com/disentanglement_dataset/Final_Dataset/"
_MD5 = {
    "mpi3d_toy": "55889cb7c7dfc655d6e0277beee88868",
    "mpi3d_realistic": "59a6225b88b635365f70c91b3e52f70f",
    "mpi3d_real": "0f33f609918fb5c97996692f91129802",
}


def mpi3d_toy(*, source: str = "") -> Stored:
    """MPI3D (Gondal 2019), simply drawn, from the published mpi3d_toy.npz; uint8 [3, 64, 64].

    Every combination of seven factors once, the last fastest: object_color, object_shape, object_size, camera_height,
    background_color, horizontal_axis, vertical_axis; 1,036,800 images, or 460,800 in the files with four colours and
    shapes. `source` is the path of the file; "" downloads it into the cache folder, where its images are unpacked too
    (12.7 GB). Raises UnbraidError where the file is missing or another.
    """
    return _mpi3d("mpi3d_toy", source)


def mpi3d_realistic(*, source: str = "") -> Stored:
    """MPI3D (Gondal 2019), drawn with light and materials, from mpi3d_realistic.npz; see `mpi3d_toy`."""
    return _mpi3d("mpi3d_realistic", source)


def mpi3d_real(*, source: str = "") -> Stored:
    """MPI3D (Gondal 2019), photographed, from mpi3d_real.npz; see `mpi3d_toy`."""
    return _mpi3d("mpi3d_real", source)


def _mpi3d(name: str, source: str) -> Stored:
    file = published.Published(f"{name}.npz", (f"{_URL}{name}.npz",), _MD5[name])
    path = published.found(name, source, [file])
    n = _count(path)

    def blocks() -> Iterator[np.ndarray]:
        with array_files.opened(path) as found:
            yield from blocks_of(found["images"])

    kept = cache.kept(name, [os.fspath(path.resolve()), *cache.stamp(path)], blocks, stretch=False)
    return Stored(kept.pixels, Grid(FACTOR_NAMES, FACTOR_SIZES[n]), kept.binary)


def _count(path: Path) -> int:
    if path.suffix.lower() != ".npz":
        raise UnbraidError(f"{path} is not a file of MPI3D, which ends in .npz")
    with array_files.opened(path) as found:
        shape = found["images"].shape if "images" in found else ()
        if shape[1:] != (64, 64, 3) or shape[0] not in FACTOR_SIZES or found["images"].dtype != np.uint8:
            counts = " or ".join(f"{n:,}" for n in FACTOR_SIZES)
            raise UnbraidError(f"{path} is not a file of MPI3D: it must hold {counts} images [64, 64, 3] of bytes")
        return shape[0]
