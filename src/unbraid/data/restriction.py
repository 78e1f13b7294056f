"""A part of a grid of factors to train on: every k-th value of some, all but a region of combinations."""

import math

import numpy as np

from unbraid.errors import UnbraidError
from unbraid.registry import lookup


def kept(names: tuple[str, ...], sizes: tuple[int, ...], *, every: str = "", without: str = "") -> np.ndarray | None:
    """int64, rising: the places in the grid that are left; None where nothing is left out.

    `every="pos_x:2,pos_y:4"` keeps the values 0, 2, 4, ... of the one and 0, 4, 8, ... of the other.
    `without="shape:0,pos_x:16-31"` leaves out the combinations where all of that holds, both ends of a range included:
    a square in the right half, while other shapes there, and squares elsewhere, stay. Raises UnbraidError for an
    unknown factor, a value that it does not have, and where nothing would be left.
    """
    if not every.strip() and not without.strip():
        return None
    dense = np.ones(sizes, bool)
    for factor, text in _pairs(every, "every", "pos_x:2,pos_y:2", names):
        step = _whole(text, 1, sizes[factor], f"every: {names[factor]}")
        dense &= _along(np.arange(sizes[factor]) % step == 0, factor, len(sizes))
    if without.strip():
        region = np.ones(sizes, bool)
        for factor, text in _pairs(without, "without", "shape:0,pos_x:16-31", names):
            low, dash, high = text.partition("-")
            first = _whole(low, 0, sizes[factor] - 1, f"without: {names[factor]}")
            last = _whole(high, first, sizes[factor] - 1, f"without: {names[factor]}") if dash else first
            values = np.arange(sizes[factor])
            region &= _along((first <= values) & (values <= last), factor, len(sizes))
        dense &= ~region
    if not dense.any():
        raise UnbraidError(f'every="{every}" without="{without}" leaves no image of {math.prod(sizes):,}')
    return np.flatnonzero(dense)


def _pairs(text: str, option: str, example: str, names: tuple[str, ...]) -> list[tuple[int, str]]:
    """(number of the factor, what is said of it) of "name:value,name:value"."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, colon, value = (word.strip() for word in part.partition(":"))
        if not colon:
            raise UnbraidError(f'{option} must be factors with values, such as "{example}", not "{text}"')
        found.append((lookup({name: n for n, name in enumerate(names)}, name, "factor"), value))
    if len({factor for factor, _ in found}) < len(found):
        raise UnbraidError(f'{option} names a factor twice in "{text}"')
    return found


def _whole(text: str, low: int, high: int, what: str) -> int:
    text = text.strip()
    if not text.isdecimal() or not low <= int(text) <= high:
        raise UnbraidError(f'{what} takes whole numbers from {low} to {high}, not "{text}"')
    return int(text)


def _along(mask: np.ndarray, axis: int, dimensions: int) -> np.ndarray:
    return mask.reshape([-1 if n == axis else 1 for n in range(dimensions)])
