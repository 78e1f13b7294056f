"""Which rows a metric looks at: published numbers of points from a whole data set, every row of a sample."""

import numpy as np

from unbraid.errors import UnbraidError
from unbraid.information import equal_width_bins
from unbraid.types import Representation


def draw(rep: Representation, rng: np.random.Generator, points: int = 10_000) -> tuple[np.ndarray, np.ndarray]:
    """(codes [n, L], factors [n, F]): `points` rows of a population, drawn with replacement; else all rows."""
    if not rep.population:
        return rep.codes, rep.factors
    rows = rng.integers(len(rep.codes), size=points)
    return rep.codes[rows], rep.factors[rows]


def points(
    rep: Representation, rng: np.random.Generator, train: int = 10_000, test: int = 5_000
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(codes, factors, test_codes, test_factors) to fit on and to test with.

    Of a population: `train` and `test` rows, drawn with replacement. Of a sample: all its rows and its test rows, or,
    where it has none, two thirds and one third of its rows after a shuffle.
    """
    if rep.population:
        return *draw(rep, rng, train), *draw(rep, rng, test)
    if rep.test_codes is not None and rep.test_factors is not None:
        return rep.codes, rep.factors, rep.test_codes, rep.test_factors
    order = rng.permutation(len(rep.codes))
    held_out, kept = np.split(order, [len(order) // 3])
    return rep.codes[kept], rep.factors[kept], rep.codes[held_out], rep.factors[held_out]


def discrete_factors(factors: np.ndarray, factor_sizes: tuple[int | None, ...], bins: int = 20) -> np.ndarray:
    """int64 [N, F]: value indices as they are, continuous factors in `bins` bins of equal width."""
    continuous = [size is None for size in factor_sizes]
    indices = np.where(continuous, 0, factors).astype(np.int64)
    indices[:, continuous] = equal_width_bins(factors[:, continuous], bins)
    return indices


class RowsByValue:
    """An index of the rows of discrete `factors` [N, F] by the value of each factor."""

    def __init__(self, factors: np.ndarray) -> None:
        self.factors = factors.astype(np.int64)
        self._order = np.argsort(self.factors, axis=0, kind="stable").T  # [F, N] rows, sorted by the factor's value
        self._counts = [np.bincount(column) for column in self.factors.T]
        self._starts = [np.cumsum(counts) - counts for counts in self._counts]

    def draw(self, factor: int, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """int64, the shape of `values`: for each value a row that has it in `factor`, uniformly among those rows."""
        counts = self._counts[factor][values]
        if not counts.all():
            raise UnbraidError(f"factor {factor} has no row with one of the values asked for; ask for values it takes")
        return self._order[factor][self._starts[factor][values] + rng.integers(counts)]

    def draw_sharing(self, factor: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """int64 [*shape]: rows that share one value of `factor` along the last axis.

        The value is that of a random row, so it follows the factor's own distribution: uniform on a grid.
        """
        values = self.factors[rng.integers(len(self.factors), size=shape[:-1]), factor]
        return self.draw(factor, np.broadcast_to(values[..., None], shape), rng)
