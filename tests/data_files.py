"""Small files in the exact formats of the data sets that are read from files, and the options that read them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)


def pictures(folder: Path, n: int = 60, size: int = 12, colour: bool = True) -> np.ndarray:
    """uint8 [n, size, size, 3], written as PNG files called 000.png, 001.png, ... in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    images = RNG.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    if not colour:
        images[:] = images[..., :1]
    images[:, 0, 0], images[:, 0, 1] = 0, 255
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03}.png")
    return images


def _images(folder: Path) -> dict[str, Any]:
    pictures(folder)
    return {"path": str(folder), "size": 12}


def _arrays(folder: Path) -> dict[str, Any]:
    images = RNG.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8)
    images[:, 0, 0, :2] = 0, 255
    factors = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), axis=1)
    np.savez(folder / "arrays.npz", images=images, factors=factors, factor_names=np.array(["a", "b", "c"]))
    return {"path": str(folder / "arrays.npz")}


WRITERS: dict[str, Callable[[Path], dict[str, Any]]] = {"images": _images, "arrays": _arrays}


def options(name: str, folder: Path) -> dict[str, Any]:
    """What `load(name, **options)` needs; {} for a data set that needs no file."""
    if name not in WRITERS:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    return WRITERS[name](folder)
