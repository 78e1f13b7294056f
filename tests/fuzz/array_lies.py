"""HDF5 files that h5py itself has written, and .npz members beside the images, made to harm whoever reads them."""

import io
import itertools
import math
import zlib
from random import Random
from typing import Any

import numpy as np
from spoiling import saved

SHAPES = [(6, 8, 8), (6,), (), (0, 8, 8), (1, 2_000_000), (6, 1, 1, 3), (70_000, 8, 8), (2**20, 64, 64), (6, 6)]
KINDS = ["u1", "f4", "f8", "i8", "?", "f2", "S9", "u2"]
CHUNKS = [1, 2, 3, 100, 2**15, 2**20]
NAMES = ["images", "factors", "labels", "imgs", "latents/classes", "a", "b/images", "x" * 300]
LINKS = [1, 2, 200]


def chunked(group: Any, name: str, random: Random, like: np.ndarray) -> None:
    """Chunks of any shape, some of them there: zeros, noise, or what cannot be unfolded."""
    shape = random.choice([like.shape, *SHAPES])
    if not math.prod(shape) or not shape:
        group.create_dataset(name, data=np.zeros(shape, np.uint8))
        return
    kind = random.choice([like.dtype.str, *KINDS])
    chunks = tuple(random.choice([min(length, chunk) for chunk in CHUNKS]) for length in shape)
    if math.prod(chunks) * np.dtype(kind).itemsize > 2**22:
        chunks = tuple(min(length, 4) for length in shape)
    dataset = group.create_dataset(name, shape, kind, chunks=chunks, compression="gzip")
    size = math.prod(chunks) * np.dtype(kind).itemsize
    packed = [zlib.compress(bytes(size), 9), zlib.compress(bytes(size + 9)), zlib.compress(b"")]
    content = random.choice([*packed, packed[0], packed[0], random.randbytes(30)])
    places = itertools.product(*(range(0, length, chunk) for length, chunk in zip(shape, chunks, strict=True)))
    for place in itertools.islice(places, random.choice([0, 1, 300])):
        dataset.id.write_direct_chunk(place, content)


def linked(file: Any, random: Random) -> None:
    """Groups within groups, each with many links to the next one; the last may lead back."""
    groups = [file, *(file.create_group(f"g{number}") for number in range(random.randrange(1, 4)))]
    many = random.choice(LINKS)
    for group, inner in itertools.pairwise(groups):
        for number in range(many):
            group[f"link{number}"] = inner
    if random.random() < 0.3:
        groups[-1]["back"] = random.choice(groups)  # a circle


def lying_hdf5(random: Random, **good: np.ndarray) -> bytes:
    """Arrays of these names or of others, in this form or in another."""
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, array in good.items():
            if random.random() < 0.6:
                file.create_dataset(name.replace("__", "/"), data=array, compression="gzip")
            else:
                chunked(file, name.replace("__", "/"), random, array)
        for name in random.sample(NAMES, random.randrange(3)):
            if name not in file:
                chunked(file, name, random, np.zeros((6, 8, 8), np.uint8))
        if random.random() < 0.3:
            linked(file, random)
    return stream.getvalue()


def lying_factors(random: Random, images: np.ndarray) -> bytes:
    """Sound images, and beside them factors and names of any kind, number and width."""
    n = len(images)
    factors = random.choice(
        [
            np.zeros((n, random.choice([0, 1, 256, 257, 200_000])), random.choice(["u1", "?"])),
            np.zeros((n, 2), random.choice(["f16", "c16", "M8[s]", "S1", "V9", "i8", "u8", "f2"])),
            np.zeros((n, 1), f"{random.choice('SUV')}{random.choice([1, 10_000, 400_000])}"),
            np.full((n, 1), random.choice([2.0**53, -1.0, 65_535.0, 65_536.0, np.nan, -0.0])),
            np.zeros((random.choice([1, n + 1]), 1)),
            np.uint8(1),
        ]
    )
    width = random.choice([1, 200, 201, 10_000, 400_000])
    names = np.array(["a", "b", "\0", "x" * width][: random.randrange(5)] or "a", random.choice(["U", "S"]))
    return saved(lambda stream: np.savez_compressed(stream, images=images, factors=factors, factor_names=names))
