"""Data sets: add one by writing its file and its line in the table."""

from collections.abc import Callable
from dataclasses import dataclass

from unbraid.data.arrays import from_arrays
from unbraid.data.balls import balls
from unbraid.data.dsprites import dsprites, dsprites_noshape
from unbraid.errors import UnbraidError
from unbraid.registry import check_options, lookup, parameters
from unbraid.types import Dataset

__all__ = ["DATASETS", "Data", "from_arrays", "load"]


@dataclass(frozen=True)
class Data:
    """`function(*, options) -> Dataset` makes or opens it."""

    function: Callable[..., Dataset]
    description: str


DATASETS: dict[str, Data] = {
    "dsprites": Data(dsprites, "737,280 black-and-white 64x64 images, every combination of 5 factors (Matthey 2017)"),
    "dsprites_noshape": Data(dsprites_noshape, "the same images, shape not among the factors (Locatello 2019)"),
    "balls": Data(balls, "grey frames of balls that bounce in a box, simulated as they are needed (Hennigh 2016)"),
}


def load(name: str, **options: bool | int | float | str) -> Dataset:
    """The data set called `name` in the table, with its own options, such as `load("balls", n_balls=2)`.

    Raises UnbraidError for an unknown name or option, and for an option of the wrong type.
    """
    data = lookup(DATASETS, name, "data set")
    allowed = parameters(data.function)
    check_options(options, allowed, f'the data set "{name}"')
    for option, value in options.items():
        wanted = allowed[option].type
        fits = type(value) is wanted or (wanted is float and type(value) is int)  # True is no number here
        if not fits:
            raise UnbraidError(f"{option} of {name} must be of type {wanted.__name__}, not {value!r}")
    return data.function(**options)
