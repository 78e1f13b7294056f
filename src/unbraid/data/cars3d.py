"""Cars3D: 183 models of cars from 24 sides and 4 heights."""

import gzip
import io
import itertools
import math
import os
import struct
import tarfile
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

FACTOR_NAMES = ("elevation", "azimuth", "object_type")
FACTOR_SIZES = (4, 24, 183)
_SHAPE = (128, 128, 3, 24, 4)
_LARGEST = 2**26  # bytes of a .mat file, also when it is unfolded; a car has 19 million
_LARGEST_READ = 2**20  # bytes of the archive read together; some headers in it may claim any length
_MOST_OF_HEADERS = 2**23  # bytes
_MOST_MEMBERS, _MOST_TIMES = 10_000, 60  # of the archive: files, and how much larger than itself it may unfold
_BYTES, _MATRIX, _COMPRESSED = 2, 14, 15  # kinds of elements of a .mat file
_CLASS_OF_BYTES = b"\x09"  # what a matrix is made of, among its flags
_MOST_ELEMENTS = 1_000
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
    path = published.found("cars3d", source, [_FILE], unpacked=True)

    def blocks() -> Iterator[np.ndarray]:
        cars: dict[str, np.ndarray] = {}  # [4, 24, size, size, 3] each
        with progress("reading cars", FACTOR_SIZES[2], "cars") as bar:
            for name, content in _files(path):
                if name in cars:
                    raise UnbraidError(f"{path} holds {name} twice: give the published files alone")
                cars[name] = _car(content, name, size)
                bar.advance()
                if len(cars) > FACTOR_SIZES[2]:
                    break
        if len(cars) != FACTOR_SIZES[2]:
            some = "more" if len(cars) > FACTOR_SIZES[2] else f"{len(cars)}"
            raise UnbraidError(f"{path} holds {some} files car_*.mat, and Cars3D has {FACTOR_SIZES[2]}")
        images = np.stack([cars[name] for name in sorted(cars)], axis=2)
        yield np.ascontiguousarray(np.moveaxis(images.reshape(-1, size, size, 3), 3, 1))

    stamps = [cache.stamp(file) for file in (_in_folder(path) if path.is_dir() else [path])]
    kept = cache.kept("cars3d", [os.fspath(path.resolve()), stamps, size], blocks, stretch=False)
    return Stored(kept.pixels, Grid(FACTOR_NAMES, FACTOR_SIZES), kept.binary)


def _is_car(name: str) -> bool:
    return name.startswith("car_") and name.endswith(".mat")


def _in_folder(folder: Path) -> list[Path]:
    """The files of cars in a folder and those below it; one too many is enough to say so."""
    found = (file for file in folder.rglob("car_*.mat") if file.is_file())
    return sorted(itertools.islice(found, FACTOR_SIZES[2] + 1))


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name, content) of each car; nothing of the archive is written anywhere."""
    try:
        if path.is_dir():
            for file in _in_folder(path):
                if file.stat().st_size > _LARGEST:
                    raise ValueError(f"{file.name} is larger than {_LARGEST:,} bytes")
                yield file.name, file.read_bytes()
            return
        most = _LARGEST + _MOST_TIMES * path.stat().st_size
        with _Unfolded(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for number, member in enumerate(archive):
                if number >= _MOST_MEMBERS or member.offset_data + member.size > most:
                    raise UnbraidError(f"{path} unfolds to more than {_FILE.name} does: give the published one")
                name = member.name.rpartition("/")[2]
                if member.isreg() and _is_car(name) and member.size <= _LARGEST:
                    yield name, stream.content(archive.extractfile(member))
    except UnbraidError:
        raise
    except (tarfile.TarError, EOFError, OSError, ValueError, RecursionError, zlib.error) as error:
        what = "the files of Cars3D" if path.is_dir() else _FILE.name
        raise UnbraidError(f"{path} cannot be read as {what}: {error}") from None


class _Unfolded(gzip.GzipFile):
    """An archive that hands out little at a time: the reader of tar believes the length that a header claims."""

    of_headers = 0  # bytes read

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _LARGEST_READ:
            raise EOFError(f"a header would be {size} bytes long")
        self.of_headers += size
        if self.of_headers > _MOST_OF_HEADERS:
            raise EOFError(f"its headers have more than {_MOST_OF_HEADERS:,} bytes")
        return super().read(size)

    def content(self, file: Any) -> bytes:
        """All of a file in the archive."""
        before, content = self.of_headers, io.BytesIO()
        while part := file.read(_LARGEST_READ // 2):
            content.write(part)
            self.of_headers = before
        return content.getvalue()


def _car(content: bytes, name: str, size: int) -> np.ndarray:
    """uint8 [4, 24, size, size, 3]"""
    try:
        images = _image(content)
    except (ValueError, zlib.error) as error:
        raise UnbraidError(f"{name} cannot be read as a file of Cars3D: {error}") from None
    height, width, channels, azimuths, elevations = _SHAPE
    pictures = images.transpose(4, 3, 0, 1, 2).reshape(-1, height, width, channels)
    return image_files.resized(pictures, size).reshape(elevations, azimuths, size, size, channels)


def _image(content: bytes) -> np.ndarray:
    """The array `im`, uint8 [128, 128, 3, 24, 4], of a file of MATLAB 5; raises ValueError where there is none.

    Not by SciPy, whose reader unfolds whatever it meets, and on some broken files ends the whole program.
    """
    if content[124:128] != b"\x00\x01IM":
        raise ValueError("it is no file of MATLAB 5")
    left = _LARGEST
    for kind, element in itertools.islice(_elements(memoryview(content)[128:]), _MOST_ELEMENTS):
        if kind == _COMPRESSED:
            unfolding = zlib.decompressobj()
            plain = unfolding.decompress(element, left)
            left -= len(plain)
            if left <= 0 or not unfolding.eof:
                raise ValueError(f"it is cut short, or unfolds to more than {_LARGEST:,} bytes")
            kind, element = next(_elements(memoryview(plain)), (kind, element))
        parts = list(itertools.islice(_elements(element), 4)) if kind == _MATRIX else []
        if len(parts) == 4 and bytes(parts[2][1]) == b"im":
            (_, flags), (_, lengths), _, (stored, numbers) = parts
            is_right = np.frombuffer(lengths, "<i4").tolist() == list(_SHAPE) and len(numbers) == math.prod(_SHAPE)
            if is_right and stored == _BYTES and bytes(flags[:1]) == _CLASS_OF_BYTES:
                return np.frombuffer(numbers, np.uint8).reshape(_SHAPE, order="F")
    raise ValueError(f"it must hold im {list(_SHAPE)} of bytes")


def _elements(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(kind, content) of each element: a tag of two numbers and what it tells the length of, filled up to eight bytes.

    A small one lies within its own tag; one that is compressed is not filled up.
    """
    place = 0
    while place + 8 <= len(content):
        kind, length = struct.unpack_from("<II", content, place)
        start = place + 8
        if kind >> 16:
            kind, length, start = kind & 0xFFFF, min(kind >> 16, 4), place + 4
        if start + length > len(content):
            raise ValueError("an element is cut short")
        yield kind, content[start : start + length]
        end = max(start + length, place + 8)
        place = end if kind == _COMPRESSED else end + -end % 8
