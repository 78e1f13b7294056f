"""Data sets: add one by writing its file and its line in the table."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unbraid.data.array_files import SUFFIXES
from unbraid.data.arrays import arrays, from_arrays
from unbraid.data.balls import balls
from unbraid.data.cars3d import cars3d
from unbraid.data.celeba import celeba
from unbraid.data.dsprites import dsprites, dsprites_noshape
from unbraid.data.dsprites_variants import color_dsprites, noisy_dsprites, scream_dsprites
from unbraid.data.image_list import TABLES
from unbraid.data.images import images
from unbraid.data.mpi3d import mpi3d_real, mpi3d_realistic, mpi3d_toy
from unbraid.data.shapes3d import shapes3d
from unbraid.data.shapes3d_like import shapes3d_like
from unbraid.data.smallnorb import smallnorb
from unbraid.data.xy_squares import xy_squares
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
    "color_dsprites": Data(color_dsprites, "dSprites, each in a random colour (Locatello 2019)"),
    "noisy_dsprites": Data(noisy_dsprites, "dSprites on noise (Locatello 2019)"),
    "scream_dsprites": Data(
        scream_dsprites, "dSprites on parts of a painting, whose picture it needs (Locatello 2019)"
    ),
    "shapes3d_like": Data(
        shapes3d_like, "an object in a coloured room, ray-cast: 480,000 images of 6 factors, no file"
    ),
    "xy_squares": Data(
        xy_squares, "a red, a green and a blue square, anywhere on a grid: 262,144 images (Michlo 2023)"
    ),
    "shapes3d": Data(shapes3d, "3D Shapes, 480,000 images of 6 factors, from its file (Burgess & Kim 2018)"),
    "mpi3d_toy": Data(mpi3d_toy, "MPI3D, a robot arm, simply drawn: 1,036,800 images of 7 factors (Gondal 2019)"),
    "mpi3d_realistic": Data(mpi3d_realistic, "MPI3D, drawn with light and materials (Gondal 2019)"),
    "mpi3d_real": Data(mpi3d_real, "MPI3D, photographed (Gondal 2019)"),
    "cars3d": Data(cars3d, "183 cars from 24 sides and 4 heights: 17,568 images (Reed 2015)"),
    "smallnorb": Data(smallnorb, "toys of 5 kinds from many sides in 6 lights: 48,600 images (LeCun 2004)"),
    "celeba": Data(celeba, "202,599 faces with 40 attributes, to be fetched by hand (Liu 2015)"),
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
    lookup(DATASETS, name, "data set or folder")
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
