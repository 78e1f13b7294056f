"""What the fuzzed readers share: how a good file is spoilt, and what a reader is."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np


def saved(save: Callable[[Any], Any]) -> bytes:
    stream = BytesIO()
    save(stream)
    return stream.getvalue()


INTERESTING = [
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\0\0\0\x80",
    b"\xff" * 8,
    b"\0" * 8,
    b"\x01\0",
]


def spoilt(good: list[bytes], random: Random) -> bytes:
    """A good file with bytes changed, cut out, repeated, or swapped with another's."""
    content = bytearray(random.choice(good))
    for _ in range(random.randint(1, 6)):
        at = random.randrange(max(1, len(content)))
        kind = random.choice(["set", "set", "set", "flip", "cut", "insert", "truncate", "splice"])
        piece = random.choice([random.choice(INTERESTING), random.randbytes(random.randint(1, 8))])
        if kind == "set":
            content[at : at + len(piece)] = piece
        elif kind == "flip" and content:
            content[at] ^= 1 << random.randrange(8)
        elif kind == "cut":
            del content[at : at + random.randint(1, 64)]
        elif kind == "insert":
            content[at:at] = piece * random.randint(1, 16)
        elif kind == "truncate" and random.random() < 0.5:
            del content[at:]
        elif kind == "splice":
            content[at : at + 32] = random.choice(good)[at : at + 32]
    return bytes(content)


def load(source: Path, **options: Any) -> None:
    """As a user opens data; looks at some of the images."""
    from unbraid import data

    opened(data.load(os.fspath(source), **options))


def opened(dataset: Any) -> None:
    images = dataset.images(np.arange(min(len(dataset), 3)))
    assert images.dtype == np.uint8 and images.shape[1:] == dataset.image_shape


@dataclass(frozen=True)
class Reader:
    """Of files called `name`, whose folder `beside` fills with what else is read; functions of one random.Random."""

    name: str
    good: list[bytes]
    lying: Callable[[Random], bytes] | None = None
    read: Callable[[Path], None] = load
    beside: Callable[[Path], None] = lambda folder: None

    def file(self, random: Random) -> bytes:
        return self.lying(random) if self.lying and random.random() < 0.5 else spoilt(self.good, random)
