"""Codes whose scores are known without measuring, and slow, plain estimates to hold the package's against."""

import math
from collections import Counter

import numpy as np

from unbraid.types import Representation

SIZES = (3, 4, 5)
GRID = np.tile(np.indices(SIZES).reshape(3, -1).T, (2, 1))  # [120, 3], every cell twice
UNIT = (GRID - GRID.mean(0)) / GRID.std(0)  # each factor on a latent of its own


def rep(codes: np.ndarray, factors: np.ndarray = GRID, logvar: np.ndarray | None = None) -> Representation:
    sizes = tuple(int(column.max()) + 1 for column in factors.T)
    return Representation(np.asarray(codes, np.float64), factors, sizes, logvar=logvar)


def random_rep(seed: int, points: int = 90, latents: int = 4) -> Representation:
    """Factors that are not independent of each other, and codes that know something of them."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(SIZES, size=(points, 3))
    factors[:, 1] = np.where(rng.random(points) < 0.3, factors[:, 0], factors[:, 1])
    factors[:3] = [[0, 0, 0], [1, 1, 1], [2, 3, 4]]  # no factor is constant, whatever the seed
    codes = factors @ rng.normal(size=(3, latents)) + rng.normal(size=(points, latents))
    return rep(codes, factors)


def bins_by_division(values: np.ndarray, bins: int) -> list[int]:
    low, high = min(values), max(values)
    return [0 if low == high else min(int((v - low) / (high - low) * bins), bins - 1) for v in values]


def slow_entropy(*variables: object) -> float:
    """H of the tuples that the variables form, by counting them one after the other."""
    counts = Counter(zip(*variables, strict=True))  # type: ignore[call-overload]
    total = sum(counts.values())
    return -sum(n / total * math.log(n / total) for n in counts.values())


def slow_information(rep: Representation, bins: int = 20) -> tuple[list[list[float]], list[float], list[float]]:
    """I [L][F], H(factor) [F], H(latent) [L]."""
    codes = [bins_by_division(column, bins) for column in rep.codes.T]
    factors = [column.tolist() for column in rep.factors.T]
    mi = [[slow_entropy(c) + slow_entropy(f) - slow_entropy(c, f) for f in factors] for c in codes]
    return mi, [slow_entropy(f) for f in factors], [slow_entropy(c) for c in codes]


def two_best(values: list[float]) -> tuple[float, float]:
    first, second, *_ = sorted(values, reverse=True)
    return first, second


RNG = np.random.default_rng(0)  # for metrics that draw nothing from a sample
