"""Which rows a metric looks at: published numbers of points from a whole data set, every row of a sample."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from unbraid.information import equal_width_bins
from unbraid.types import Representation

Cut = Callable[[np.ndarray, int], np.ndarray]  # (values [N, K], bins) -> int64 [N, K]


def rows(rep: Representation, rng: np.random.Generator, points: int = 10_000) -> np.ndarray:
    """int64 [n]: `points` rows of a population, drawn with replacement; else every row.

    A factor of which all drawn rows have the same value, since its others are rare, gets one row more, of another
    value. Constant, it would have no entropy to share out and no classes to tell apart, and whether a score is a
    number would hang on the seed.
    """
    if not rep.population:
        return np.arange(len(rep.codes))
    chosen = rng.integers(len(rep.codes), size=points)
    for factor in rep.factors.T:
        drawn = factor[chosen]
        if drawn.min() == drawn.max():
            chosen = np.append(chosen, rng.choice(np.flatnonzero(factor != drawn[0])))
    return chosen


def draw(rep: Representation, rng: np.random.Generator, points: int = 10_000) -> tuple[np.ndarray, np.ndarray]:
    """(codes [n, L], factors [n, F]) of `rows`."""
    chosen = rows(rep, rng, points)
    return rep.codes[chosen], rep.factors[chosen]


def discrete_factors(
    factors: np.ndarray, factor_sizes: tuple[int | None, ...], bins: int = 20, cut: Cut = equal_width_bins
) -> np.ndarray:
    """int64 [N, F]: value indices as they are, continuous factors cut into `bins` bins, by default of equal width."""
    continuous = [size is None for size in factor_sizes]
    indices = np.where(continuous, 0, factors).astype(np.int64)
    if any(continuous):
        indices[:, continuous] = cut(factors[:, continuous], bins)
    return indices


def draw_binned(
    rep: Representation, rng: np.random.Generator, points: int = 10_000, bins: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """(codes [n, L], factors [n, F]) of `rows` as indices: latents and continuous factors in `bins` equal widths."""
    codes, factors = draw(rep, rng, points)
    return equal_width_bins(codes, bins), discrete_factors(factors, rep.factor_sizes, bins)


def fit_and_test(
    rep: Representation, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(codes, factors, test_codes, test_factors): the tables from which to draw for fitting and for testing.

    Of a population the whole, twice. Of a sample its rows and its test rows, or, where it has none, two thirds and one
    third of its rows after a shuffle.
    """
    if rep.population:
        return rep.codes, rep.factors, rep.codes, rep.factors
    if rep.test_codes is not None and rep.test_factors is not None:
        return rep.codes, rep.factors, rep.test_codes, rep.test_factors
    order = rng.permutation(len(rep.codes))
    held_out, kept = np.split(order, [len(order) // 3])
    return rep.codes[kept], rep.factors[kept], rep.codes[held_out], rep.factors[held_out]


def points(
    rep: Representation, rng: np.random.Generator, train: int = 10_000, test: int = 5_000
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(codes, factors, test_codes, test_factors) to fit on and to test with.

    Of a population `train` and `test` rows, drawn with replacement; of a sample the tables of `fit_and_test`.
    """
    if rep.population:
        return *draw(rep, rng, train), *draw(rep, rng, test)
    return fit_and_test(rep, rng)


class RowsByValue:
    """An index of the rows of discrete `factors` [N, F] by the value of each factor."""

    def __init__(self, factors: np.ndarray) -> None:
        self.factors = factors.astype(np.int64)
        narrow = self.factors.astype(np.min_scalar_type(int(self.factors.max())))  # short integers sort by radix: fast
        self._order = np.argsort(narrow, axis=0, kind="stable").T  # [F, N] rows in the order of the factor's values
        self._counts = [np.bincount(column) for column in self.factors.T]
        self._starts = [np.cumsum(counts) - counts for counts in self._counts]

    def rows(self, factor: int) -> Iterator[np.ndarray]:
        """The rows of each value of `factor` that occurs, in rising order of the values."""
        for start, count in zip(self._starts[factor], self._counts[factor], strict=True):
            if count:
                yield self._order[factor][start : start + count]

    @property
    def shared(self) -> list[int]:
        """The factors with a value that two rows have; a value seen once can be held in one image alone."""
        return [factor for factor, counts in enumerate(self._counts) if counts.max() > 1]

    def draw_pairs(
        self, factor: int, shape: tuple[int, ...], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Two int64 [*shape]: rows with a value of `factor` that others have too, and for each another one of these.

        A row beside itself would differ by nothing in any latent, most often where values are rare: that alone would
        give the factor away, whatever the codes.
        """
        values, place = self._draw_members(factor, shape, rng)
        starts, counts = self._starts[factor][values], self._counts[factor][values]
        other = (place + 1 + rng.integers(counts - 1)) % counts
        return self._order[factor][starts + place], self._order[factor][starts + other]

    def draw_sharing(self, factor: int, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """int64 [*shape]: rows that share one value of `factor` along the last axis.

        The value is that of a random row, so it follows the factor's own distribution: uniform on a grid. One that a
        single row has is not held: that row alone varies in no latent, whatever the codes.
        """
        values, _ = self._draw_members(factor, shape[:-1], rng)
        values = np.broadcast_to(values[..., None], shape)
        return self._order[factor][self._starts[factor][values] + rng.integers(self._counts[factor][values])]

    def _draw_members(
        self, factor: int, shape: tuple[int, ...], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Random rows among those whose value others have too: (value, place among the rows of that value)."""
        counts = self._counts[factor]
        ends = np.cumsum(np.where(counts > 1, counts, 0))
        drawn = rng.integers(ends[-1], size=shape)
        values = np.searchsorted(ends, drawn, side="right")
        return values, drawn - (ends - counts)[values]


def rounds(
    factors: Sequence[int], points: int, rng: np.random.Generator, at_once: int = 500
) -> Iterator[tuple[int, int]]:
    """(factor, count) pairs: `points` points, the factor of each drawn uniformly, in pieces small enough for memory."""
    if not factors:
        return
    counts = rng.multinomial(points, np.full(len(factors), 1 / len(factors)))
    for factor, count in zip(factors, counts, strict=True):
        for done in range(0, count, at_once):
            yield factor, min(at_once, count - done)
