"""Data sets: add one by writing its file and its line in the table."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unbraid.data.array_files import SUFFIXES
from unbraid.data.arrays import arrays, from_arrays
from unbraid.data.balls import balls
from unbraid.data.dsprites import dsprites, dsprites_noshape
from unbraid.data.image_list import TABLES
from unbraid.data.images import images
from unbraid.errors import UnbraidError
from unbraid.registry import check_options, lookup, parameters
from unbraid.types import Dataset

__all__ = ["DATASETS", "Data", "at", "from_arrays", "load"]


@dataclass(frozen=True)
class Data:
    """`function(*, options) -> Dataset` makes or opens it."""

    function: Callable[..., Dataset]
    description: str
    likelihood: str = "bernoulli"  # of the published experiments on it; "auto" looks at the images


DATASETS: dict[str, Data] = {
    "dsprites": Data(dsprites, "737,280 black-and-white 64x64 images, every combination of 5 factors (Matthey 2017)"),
    "dsprites_noshape": Data(dsprites_noshape, "the same images, shape not among the factors (Locatello 2019)"),
    "balls": Data(balls, "grey frames of balls that bounce in a box, simulated as they are needed (Hennigh 2016)"),
    "images": Data(images, "pictures of your own: a folder, or a table of paths and factors", likelihood="auto"),
    "arrays": Data(arrays, "images and factors of your own in an .npy, .npz or HDF5 file", likelihood="auto"),
}


def at(name: str) -> tuple[str, dict[str, str]]:
    """(name in the table, options) of what a user calls a data set: a name of the table, or a path.

    A folder and a table (.csv, .parquet) are `images`, a file of arrays (.npy, .npz, .h5) is `arrays`; the path is
    made absolute, so that a config means the same from any folder. A name goes before a folder of that name, which is
    `./name`. Raises UnbraidError for anything else.
    """
    if name in DATASETS:
        return name, {}
    path = Path(os.path.expanduser(name))  # noqa: PTH111 - of an unknown user it stays as it is
    suffix = path.suffix.lower()
    entry = "arrays" if suffix in SUFFIXES else "images" if suffix in TABLES or (name and _is_folder(path)) else None
    if entry is not None:
        return entry, {"path": str(path.absolute())}
    if os.sep in name or "/" in name or suffix:
        raise UnbraidError(
            f'"{name[:200]}" is no data: give a folder of images, a table of their paths ({", ".join(TABLES)}), '
            f"a file of arrays ({', '.join(SUFFIXES)}) or a name from `unbraid data list`"
        )
    lookup(DATASETS, name, "data set")
    raise AssertionError  # the look-up has refused it


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        return False


def load(name: str, **options: bool | int | float | str) -> Dataset:
    """The data set called `name` in the table, or the images at a path, with options: `load("balls", n_balls=2)`.

    Raises UnbraidError for an unknown name or option, and for an option of the wrong type.
    """
    name, own = at(name)
    options = {**options, **own}
    data = lookup(DATASETS, name, "data set")
    allowed = parameters(data.function)
    check_options(options, allowed, f'the data set "{name}"')
    for option, value in options.items():
        wanted = allowed[option].type
        fits = type(value) is wanted or (wanted is float and type(value) is int)  # True is no number here
        if not fits:
            raise UnbraidError(f"{option} of {name} must be of type {wanted.__name__}, not {value!r}")
    return data.function(**options)
