"""What a data set holds, seen by looking at its images."""

import hashlib
from dataclasses import dataclass

import numpy as np

from unbraid.progress import progress
from unbraid.types import Dataset

_MOST = 100_000  # images; of larger sets, as many spread evenly
_AT_ONCE = 2**25  # bytes


@dataclass(frozen=True)
class Survey:
    """Of the images at `indices`: all of them, or an even sample of a large set."""

    indices: np.ndarray  # [N]
    low: int  # the darkest level, of 0 to 255
    high: int
    mean: float
    deviation: float  # of all pixels of all images
    duplicates: int  # images that are equal to an earlier one
    factors: np.ndarray  # [N, F]; of all images where they are value indices


def survey(dataset: Dataset, *, show: bool = False) -> Survey:
    n = min(len(dataset), _MOST)
    indices = np.arange(n) * len(dataset) // n
    at_once = max(1, _AT_ONCE // int(np.prod(dataset.image_shape)))
    levels, seen = np.zeros(256, np.int64), set[bytes]()
    with progress("looking at images", n, "images", show=show) as bar:
        for start in range(0, n, at_once):
            images = dataset.images(indices[start : start + at_once])
            levels += np.bincount(images.reshape(-1), minlength=256)
            seen.update(hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)
            bar.advance(len(images))
    low, high = np.flatnonzero(levels)[[0, -1]]
    mean = np.average(np.arange(256), weights=levels)
    deviation = np.sqrt(np.average((np.arange(256) - mean) ** 2, weights=levels))
    known = np.arange(len(dataset)) if None not in dataset.factor_sizes else indices
    return Survey(indices, int(low), int(high), float(mean), float(deviation), n - len(seen), dataset.factors(known))
