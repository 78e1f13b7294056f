"""The cache folder, and images kept there decoded: written once under a lock, then mapped rather than read."""

import hashlib
import io
import json
import mmap
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.data.pixels import Pixels
from unbraid.errors import UnbraidError
from unbraid.files import replacing, write_json

_FORMAT = 1  # of what lies in the cache: another number makes every file anew
_HEADER = 128  # bytes of an .npy file before its rows
_ROWS_MAPPED = 64  # rows between two times that mapped pages are given back; a row may map 2 MB around it


def cache_folder() -> Path:
    """$UNBRAID_CACHE, or this system's folder for the user's caches."""
    import platformdirs

    chosen = os.environ.get("UNBRAID_CACHE")
    try:
        return Path(chosen or platformdirs.user_cache_dir("unbraid", appauthor=False)).expanduser()
    except RuntimeError:  # of a user whom the system does not know
        raise UnbraidError("there is no home folder to keep a cache in: set UNBRAID_CACHE to a folder") from None


def stamp(path: Path) -> tuple[int, int]:
    """(bytes, time of change in ns): another one means that the file has changed."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns


class Mapped:
    """uint8 [N, width] in an .npy file, read where asked.

    Pages that were read count as memory of the process until they are given back, which happens now and then: so a
    file larger than memory does not seem to fill it. They stay in the system's own cache of files.
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._rows = np.frombuffer(self._map, np.uint8, offset=_HEADER).reshape(shape)
        self.shape, self.nbytes = self._rows.shape, self._rows.nbytes
        self._asked = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: Any) -> np.ndarray:
        rows = np.array(self._rows[indices])
        self._asked += len(rows)
        if self._asked > _ROWS_MAPPED and hasattr(mmap, "MADV_DONTNEED"):  # Windows gives pages back by itself
            self._map.madvise(mmap.MADV_DONTNEED)
            self._asked = 0
        return rows


@dataclass(frozen=True)
class Kept:
    """Images in the cache and what was noted when they were written."""

    pixels: Pixels
    binary: bool
    notes: dict[str, Any]
    path: Path


Blocks = Callable[[], Iterable[np.ndarray]]
Notes = Callable[[Path], dict[str, Any]]


def kept(name: str, identity: Any, blocks: Blocks, *, stretch: bool = True, notes: Notes = lambda path: {}) -> Kept:
    """The images that `blocks()` yields, uint8 [n, C, H, W] and all of one shape, from the cache or written into it.

    `identity` is whatever they depend on, as JSON. With `stretch`, images of nothing but 0 and 1 are black and white,
    and kept as 0 and 255. `notes(path)`, called at the end, may write files beside `path`; what it returns is kept with
    the images. A file under its final name is whole: Ctrl-C or a full disk leaves none.
    """
    digest = hashlib.sha256(json.dumps([_FORMAT, identity]).encode()).hexdigest()
    path = cache_folder() / f"{name}-{digest[:16]}.npy"
    try:
        facts = _facts(path) or _written(path, blocks, stretch, notes)
        pixels = Pixels(Mapped(path, tuple(facts["rows"])), tuple(facts["shape"]))
    except (OSError, NotImplementedError) as error:  # the latter from a file system without locks
        raise UnbraidError(
            f"the images cannot be kept in {path.parent} ({getattr(error, 'strerror', None) or error}): "
            "make room there or set UNBRAID_CACHE to another folder"
        ) from error
    return Kept(pixels, facts["binary"], facts["notes"], path)


def _facts(path: Path) -> dict[str, Any] | None:
    """What was noted of the sound file at `path`; None where there is none."""
    try:
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        n, width = facts["rows"]
        return facts if path.stat().st_size == _HEADER + n * width else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _written(path: Path, blocks: Blocks, stretch: bool, notes: Notes) -> dict[str, Any]:
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        facts = _facts(path)
        if facts is not None:  # another process wrote it while this one waited
            return facts
        for left in path.parent.glob(f".{path.name}.*.tmp"):  # of a process that was killed
            left.unlink(missing_ok=True)
        with replacing(path) as temporary, temporary.open("wb+") as file:
            facts = _write(file, blocks(), stretch)
        facts["notes"] = notes(path)
        write_json(path.with_suffix(".json"), facts)
        return facts


def _write(file: Any, blocks: Iterable[np.ndarray], stretch: bool) -> dict[str, Any]:
    file.write(bytes(_HEADER))
    n, shape, high, grey = 0, (0, 0, 0), 0, False
    for block in blocks:
        n, shape = n + len(block), block.shape[1:]
        high = max(high, int(block.max()))
        grey = grey or bool(((block != 0) & (block != 255)).any())
        file.write(np.ascontiguousarray(block).data)
    rows = n, int(np.prod(shape))
    file.seek(0)
    file.write(_header(rows))
    file.flush()
    if stretch and high == 1:
        _stretch(file, rows)
        grey = False
    return {"rows": list(rows), "shape": list(shape), "binary": not grey}


def _header(rows: tuple[int, int]) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": rows})
    assert len(header.getvalue()) == _HEADER
    return header.getvalue()


def _stretch(file: Any, rows: tuple[int, int]) -> None:
    """0 and 1 become 0 and 255."""
    at_once = max(1, 2**24 // rows[1])
    for first in range(0, rows[0], at_once):
        place = _HEADER + first * rows[1]
        file.seek(place)
        block = np.frombuffer(file.read(min(at_once, rows[0] - first) * rows[1]), np.uint8)
        file.seek(place)
        file.write((block * np.uint8(255)).data)
