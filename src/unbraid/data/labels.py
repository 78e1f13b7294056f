"""Which factors made which image: a full grid in storage order, or a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from unbraid.errors import UnbraidError


@dataclass(frozen=True)
class Grid:
    """Every combination of the factors once, the last factor fastest."""

    names: tuple[str, ...]
    sizes: tuple[int, ...]

    def factors(self, indices: np.ndarray) -> np.ndarray:
        """int64 [n, F]"""
        return np.stack(np.unravel_index(indices, self.sizes), axis=-1).astype(np.int64)

    def indices(self, factors: np.ndarray) -> np.ndarray:
        """int64 [n]"""
        values = _rows(factors, self.names)
        outside = ~((values >= 0) & (values < self.sizes) & (values == np.floor(values)))
        if outside.any():
            row, factor = np.argwhere(outside)[0]
            raise UnbraidError(
                f"{self.names[factor]} must be a whole number from 0 to {self.sizes[factor] - 1}, "
                f"not {values[row, factor]}"
            )
        return np.ravel_multi_index(tuple(values.T.astype(np.int64)), self.sizes).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Listed:
    """Factors [N, F] written down for each image; a combination may occur any number of times.

    `levels` has for some factors what each of their value indices stands for.
    """

    names: tuple[str, ...]
    sizes: tuple[int | None, ...]
    values: np.ndarray
    levels: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def factors(self, indices: np.ndarray) -> np.ndarray:
        """[n, F], int64 or, for continuous factors, float64"""
        return self.values[indices]

    def indices(self, factors: np.ndarray) -> np.ndarray:
        """int64 [n]"""
        if not self.names:
            raise UnbraidError("this data set has no factors to look images up by: choose them by index")
        wanted = _rows(factors, self.names)
        with np.errstate(invalid="ignore"):  # no image has NaN, and its cast is not equal to it
            asked = wanted.astype(self.values.dtype)
        order, keys = self._sorted
        first, end = (np.searchsorted(keys, _keys(asked), side) for side in ("left", "right"))
        found = np.where((asked == wanted).all(axis=1), end - first, 0)
        wrong = np.flatnonzero(found != 1)
        if len(wrong):
            row = wrong[0]
            described = ", ".join(f"{name} {value}" for name, value in zip(self.names, wanted[row], strict=True))
            raise UnbraidError(
                f"{found[row] or 'no'} images have {described}, so these factors do not name one image: "
                "choose images by index instead"
            )
        return order[first]

    @cached_property
    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        keys = _keys(self.values)
        order = np.argsort(keys, kind="stable")
        return order, keys[order]


def _rows(factors: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    values = np.asarray(factors)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise UnbraidError(
            f"factors must be an array [N, {len(names)}] of {', '.join(names)}, not {list(values.shape)}"
        )
    return values


def _keys(values: np.ndarray) -> np.ndarray:
    """[n]: each row as one comparable item; adding 0 makes a negative zero equal to zero."""
    return np.ascontiguousarray(values + 0).view([("", values.dtype)] * values.shape[1])[:, 0]
