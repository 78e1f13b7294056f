import math

import numpy as np
import pytest
from metric_cases import GRID, RNG, UNIT, rep, two_best

from unbraid.metrics import rmig


def slow_rmig(means: np.ndarray, logvar: np.ndarray, factors: np.ndarray, bins: int, limit: float) -> float:
    width = 2 * limit / bins
    centres = [-limit + (b + 0.5) * width for b in range(bins)]

    def shares(mean: float, sd: float) -> list[float]:
        variance, sd = max(sd**2, 1e-8), max(sd, 1e-8)
        density = [math.exp(-((c - mean) ** 2) / (2 * variance)) / (sd * math.sqrt(2 * math.pi)) for c in centres]
        if max(density) < 1e-5:
            own = min(max(math.floor((mean + limit) / width), 0), bins - 1)
            return [float(b == own) for b in range(bins)]
        return [d * width / sum(e * width for e in density) for d in density]

    def log(p: float) -> float:
        return math.log(min(max(p, 1e-8), 1 - 1e-8))

    gaps = []
    for factor in factors.T:
        informations = []
        for latent in range(means.shape[1]):
            joint: dict[tuple[int, int], float] = {}
            of_bin, of_value = [0.0] * bins, [0.0] * (max(factor) + 1)
            for mean, lv, value in zip(means[:, latent], logvar[:, latent], factor, strict=True):
                for b, share in enumerate(shares(mean, math.exp(lv / 2))):
                    joint[b, value] = joint.get((b, value), 0.0) + share / len(factor)
                    of_bin[b] += share / len(factor)
                    of_value[value] += share / len(factor)
            terms = (p * (log(p) - log(of_bin[b]) - log(of_value[v])) for (b, v), p in joint.items())
            informations.append(sum(terms))
        first, second = two_best(informations)
        gaps.append((first - second) / -sum(p * log(p) for p in of_value))
    return float(np.mean(gaps))


@pytest.mark.parametrize("logvar", [(-5, 0), (-16, -9), (-40, -20)])  # wide, between the centres, point masses
def test_it_is_the_published_formula(logvar: tuple[float, float]) -> None:
    rng = np.random.default_rng(3)
    means, logvars = UNIT @ rng.normal(size=(3, 3)), rng.uniform(*logvar, size=UNIT.shape)
    expected = slow_rmig(means, logvars, GRID, bins=12, limit=3.0)
    assert rmig(rep(means, logvar=logvars), RNG, bins=12, limit=3.0).score == pytest.approx(expected, abs=1e-6)


def test_known_posteriors() -> None:
    assert rmig(rep(UNIT, logvar=np.full(UNIT.shape, -9.0)), RNG).score == pytest.approx(1, abs=1e-3)
    assert rmig(rep(UNIT, logvar=np.full(UNIT.shape, -1e4)), RNG).score == pytest.approx(1)
    assert rmig(rep(UNIT, logvar=np.full(UNIT.shape, 8.0)), RNG).score < 0.01
    assert rmig(rep(np.zeros(UNIT.shape), logvar=np.zeros(UNIT.shape)), RNG).score == pytest.approx(0, abs=1e-12)
    twice = UNIT[:, [0, 0, 1, 1, 2, 2]]
    assert rmig(rep(twice, logvar=np.zeros(twice.shape)), RNG).score == pytest.approx(0, abs=1e-12)


def test_without_variances_every_posterior_is_a_point() -> None:
    codes = UNIT @ np.random.default_rng(3).normal(size=(3, 3))
    assert rmig(rep(codes), RNG).score == rmig(rep(codes, logvar=np.full(codes.shape, -60.0)), RNG).score > 0.01
    assert rmig(rep(UNIT), RNG).score == pytest.approx(1)


def test_codes_beyond_the_limits_fall_into_the_outer_bins() -> None:
    sides = np.where(GRID[:, [1]] < 2, -1e6, 1e6) * np.ones((1, 2))
    sides[:, 1] = 0
    binary = (GRID[:, [1]] >= 2).astype(int)
    for logvar in (None, np.zeros(sides.shape)):
        assert rmig(rep(sides, binary, logvar=logvar), RNG).score == pytest.approx(1)
