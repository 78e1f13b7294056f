"""What a figure is given: arrays of the shapes its docstring names, with finite numbers in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unbraid.errors import UnbraidError


def check_shape(array: np.ndarray, name: str, shape: str, **sizes: int) -> None:
    """Raises UnbraidError unless `array` is of the shape "L T", where sizes known from elsewhere are L=10."""
    letters = shape.split()
    fits = array.ndim == len(letters) and 0 not in array.shape
    if fits and all(sizes.get(letter, size) == size for letter, size in zip(letters, array.shape, strict=True)):
        return
    known = ", ".join(f"{letter} = {sizes[letter]}" for letter in letters if letter in sizes)
    raise UnbraidError(
        f"{name} must have the shape [{', '.join(letters)}]{f' with {known}' if known else ''}, not {list(array.shape)}"
    )


def numbers(values: Any, name: str, shape: str, **sizes: int) -> np.ndarray:
    """`values` as float64 of the shape, all finite."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise UnbraidError(f"{name} must be numbers of the shape [{', '.join(shape.split())}]") from None
    check_shape(array, name, shape, **sizes)
    if not np.isfinite(array).all():
        raise UnbraidError(f"{name} must be finite, and {int((~np.isfinite(array)).sum())} of its numbers are not")
    return array


def words(values: Sequence[str], name: str, count: int) -> list[str]:
    """`values` as text, `count` of them."""
    found = [str(value) for value in values]
    if len(found) != count:
        raise UnbraidError(f"{name} must be {count} names, one for each, not {len(found)}")
    return found
