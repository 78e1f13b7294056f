"""3D Shapes: an object in a coloured room, 480,000 images."""

import math
import os
from collections.abc import Iterator

import numpy as np

from unbraid.data import array_files, cache, published
from unbraid.data.arrays import blocks_of
from unbraid.data.labels import Grid
from unbraid.data.stored import Stored
from unbraid.errors import UnbraidError

FACTOR_NAMES = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
FACTOR_SIZES = (10, 10, 10, 8, 4, 15)
_FILE = published.Published(
    "3dshapes.h5",
    ("https://storage.googleapis.com/3d-shapes/3dshapes.h5",),
    "099a2078d58cec4daad0702c55d06868",
)


def shapes3d(*, source: str = "") -> Stored:
    """3D Shapes (Burgess & Kim 2018), every combination of six factors once, from the published 3dshapes.h5.

    uint8 [3, 64, 64]. Factors in storage order, the last fastest: hues of floor, wall and object (0 to 0.9), scale
    (0.75 to 1.25), shape (cube, cylinder, sphere, capsule), orientation (-30 to 30 degrees). `source` is the path of
    the file; "" downloads it (255 MB) into the cache folder, where its images are unpacked too (5.9 GB). Raises
    UnbraidError where the file is missing or another.
    """
    path = published.found("shapes3d", source, [_FILE])
    n = math.prod(FACTOR_SIZES)
    if path.suffix.lower() not in array_files.SUFFIXES:
        raise UnbraidError(f"{path} is not 3dshapes.h5: it must be HDF5 with images and labels")

    def blocks() -> Iterator[np.ndarray]:
        with array_files.opened(path) as found:
            shapes = {name: array.shape for name, array in found.items()}
            wanted = {"images": (n, 64, 64, 3), "labels": (n, len(FACTOR_SIZES))}
            if not wanted.items() <= shapes.items() or found["labels"].dtype.kind not in "biuf":
                raise UnbraidError(
                    f"{path} is not 3dshapes.h5: it must hold images {[n, 64, 64, 3]} and "
                    f"labels {[n, len(FACTOR_SIZES)]} of numbers"
                )
            labels = found["labels"].read(n)
            order = np.stack([np.unique(column, return_inverse=True)[1] for column in labels.T], axis=1)
            if not np.array_equal(order, Grid(FACTOR_NAMES, FACTOR_SIZES).factors(np.arange(n))):
                raise UnbraidError(f"{path} is not 3dshapes.h5: its labels are not those of the published order")
            yield from blocks_of(found["images"])

    kept = cache.kept("shapes3d", [os.fspath(path.resolve()), *cache.stamp(path)], blocks, stretch=False)
    return Stored(kept.pixels, Grid(FACTOR_NAMES, FACTOR_SIZES), kept.binary)
