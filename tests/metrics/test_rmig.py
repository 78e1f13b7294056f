import math

import numpy as np
import pytest
from metric_cases import GRID, RNG, UNIT, rep, two_best

from unbraid.metrics import rmig


def slow_rmig(means: np.ndarray, logvar: np.ndarray, factors: np.ndarray, bins: int, limit: float) -> float:
    def cdf(x: float, mean: float, sd: float) -> float:
        return 0.5 * (1 + math.erf((x - mean) / (sd * math.sqrt(2))))

    edges = [-math.inf, *(-limit + 2 * limit * i / bins for i in range(1, bins)), math.inf]
    gaps = []
    for factor in factors.T:
        informations = []
        for latent in range(means.shape[1]):
            joint: dict[tuple[int, int], float] = {}
            for mean, lv, value in zip(means[:, latent], logvar[:, latent], factor, strict=True):
                below = [cdf(edge, mean, math.exp(lv / 2)) for edge in edges]
                for b in range(bins):
                    joint[b, value] = joint.get((b, value), 0.0) + (below[b + 1] - below[b]) / len(factor)
            of_bin, of_value = [0.0] * bins, [0.0] * (max(factor) + 1)
            for (b, value), p in joint.items():
                of_bin[b] += p
                of_value[value] += p
            terms = (p * math.log(p / of_bin[b] / of_value[v]) for (b, v), p in joint.items() if p > 1e-15)
            informations.append(sum(terms))
        first, second = two_best(informations)
        gaps.append((first - second) / -sum(p * math.log(p) for p in of_value))
    return float(np.mean(gaps))


def test_it_is_the_published_formula() -> None:
    rng = np.random.default_rng(3)
    means, logvar = UNIT @ rng.normal(size=(3, 3)), rng.uniform(-5, 0, size=UNIT.shape)
    expected = slow_rmig(means, logvar, GRID, bins=12, limit=3.0)
    assert rmig(rep(means, logvar=logvar), RNG, bins=12, limit=3.0).score == pytest.approx(expected, abs=1e-9)


def test_known_posteriors() -> None:
    assert rmig(rep(UNIT, logvar=np.full(UNIT.shape, -9.0)), RNG).score == pytest.approx(1, abs=1e-3)
    assert rmig(rep(UNIT, logvar=np.full(UNIT.shape, -1e4)), RNG).score == pytest.approx(1)
    assert rmig(rep(UNIT, logvar=np.full(UNIT.shape, 8.0)), RNG).score < 0.01
    assert rmig(rep(np.zeros(UNIT.shape), logvar=np.zeros(UNIT.shape)), RNG).score == pytest.approx(0, abs=1e-12)
    twice = UNIT[:, [0, 0, 1, 1, 2, 2]]
    assert rmig(rep(twice, logvar=np.zeros(twice.shape)), RNG).score == pytest.approx(0, abs=1e-12)


def test_codes_beyond_the_limits_fall_into_the_outer_bins() -> None:
    sides = np.where(GRID[:, [1]] < 2, -1e6, 1e6) * np.ones((1, 2))
    sides[:, 1] = 0
    binary = (GRID[:, [1]] >= 2).astype(int)
    assert rmig(rep(sides, binary, logvar=np.zeros(sides.shape)), RNG).score == pytest.approx(1)
