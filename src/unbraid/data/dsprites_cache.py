"""The drawn dSprites on disk: drawn once, checked once a process, mapped rather than read."""

import hashlib
import math
from functools import cache
from pathlib import Path

import numpy as np

from unbraid.data.cache import cache_folder
from unbraid.data.dsprites_drawing import FACTOR_SIZES, SIDE, draw
from unbraid.data.pixels import Pixels
from unbraid.errors import UnbraidError
from unbraid.files import replacing
from unbraid.progress import progress

SHAPE = (math.prod(FACTOR_SIZES), SIDE * SIDE // 8)  # eight pixels a byte
SHA256 = "3a228f4037ef3d42a42588e0e01f1078aa2df13cfa17584e88c95ed9fb5672da"


def cache_file() -> Path:
    return cache_folder() / f"dsprites-{SHA256[:8]}.bits"


@cache
def drawn(path: Path) -> Pixels:
    """All images, mapped from the file at `path`, which is drawn anew unless its checksum is right."""
    try:
        if not _sound(path):
            _build(path)
        rows = np.asarray(np.memmap(path, np.uint8, mode="r", shape=SHAPE))
    except (OSError, NotImplementedError) as error:  # the latter from a file system without locks
        raise UnbraidError(
            f"the drawn dSprites ({math.prod(SHAPE) / 1e6:.0f} MB) cannot be kept in {path.parent} ({error}): "
            "make room there or set UNBRAID_CACHE to another folder"
        ) from error
    return Pixels(rows, (1, SIDE, SIDE), packed=True)


def _sound(path: Path) -> bool:
    if not path.exists() or path.stat().st_size != math.prod(SHAPE):
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == SHA256


def _build(path: Path) -> None:
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if _sound(path):  # another process drew it while this one waited
            return
        with (
            replacing(path) as temporary,
            temporary.open("wb") as file,
            progress("drawing dSprites", math.prod(FACTOR_SIZES), "images") as bar,
        ):
            for shape, scale, orientation in np.ndindex(FACTOR_SIZES[:3]):
                file.write(draw(shape, scale, orientation).data)
                bar.advance(math.prod(FACTOR_SIZES[3:]))
