"""Where the images come from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unbraid import data
from unbraid.data import DATASETS
from unbraid.errors import UnbraidError
from unbraid.runs import Run
from unbraid.types import Dataset


def open_images(run: Run, source: str) -> tuple[Dataset, Sequence[str] | None]:
    """(images, their names) of a data set's name or an array (.npy, .npz); the names are None where indices tell.

    The data set that the run was trained on comes with the options it was trained with.
    """
    if source == run.config.data:
        return run.data, None
    if source in DATASETS:
        return data.load(source), None
    path = Path(source)
    if path.suffix.lower() not in (".npy", ".npz"):
        raise UnbraidError(f"{source} is neither a data set ({', '.join(DATASETS)}) nor an array (.npy or .npz)")
    return data.from_arrays(_array(path)), None


def _array(path: Path) -> np.ndarray:
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            name = "images" if "images" in found else "imgs" if "imgs" in found else found.files[0]
            return found[name]
    except (OSError, ValueError, EOFError, LookupError, MemoryError) as error:
        raise UnbraidError(f"cannot read images from {path}: {' '.join(str(error).split())[:200]}") from None
