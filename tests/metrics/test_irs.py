import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import GRID, RNG, UNIT, bins_by_division, random_rep, rep

from unbraid.metrics import irs, score
from unbraid.types import Representation


def quantile(values: list[float], q: float) -> float:
    values, place = sorted(values), q * (len(values) - 1)
    low = math.floor(place)
    return values[low] + (place - low) * (values[min(low + 1, len(values) - 1)] - values[low])


def slow_irs(rep: Representation) -> float:
    total = weights = 0.0
    for latent in rep.codes.T:
        if min(latent) == max(latent):
            continue
        largest = max(abs(latent - sum(latent) / len(latent)))
        best = -math.inf
        for factor in rep.factors.T:
            binned = bins_by_division(factor, 20)
            moved = []
            for value in set(binned):
                group = [c for c, b in zip(latent, binned, strict=True) if b == value]
                centre = sum(group) / len(group)
                moved.append(quantile([abs(c - centre) for c in group], 0.99))
            best = max(best, 1 - sum(moved) / len(moved) / largest)
        total, weights = total + best * largest, weights + largest
    return total / weights if weights else 0.0


@given(st.integers(0, 10**6))
@settings(max_examples=10)
def test_it_is_the_published_formula(seed: int) -> None:
    sample = random_rep(seed)
    sample.codes[:, 1] = 0.1
    assert irs(sample, RNG).score == pytest.approx(slow_irs(sample), abs=1e-9)


def test_known_codes() -> None:
    perfect = irs(rep(UNIT), RNG)
    assert perfect.score == pytest.approx(1)
    assert np.diag(perfect.matrices["robustness"]) == pytest.approx(1)
    assert irs(rep(-3 * UNIT[:, [2, 0, 1]]), RNG).score == pytest.approx(1)


def test_a_gap_between_indices_is_seen_by_the_bins() -> None:
    """Of 40 values in 20 bins, 0 and 1 share one, and so they must where a small sample has few of the others."""
    rng = np.random.default_rng(0)
    factors = np.c_[rng.choice([0, 1, 5, 20, 39], 60), np.arange(60) % 3]
    codes = factors + 0.1 * rng.normal(size=(60, 2))
    assert score(codes, factors, ["irs"])["irs"] == pytest.approx(slow_irs(rep(codes, factors)), abs=1e-9)


def test_the_shape_of_a_continuous_factor_does_not_matter() -> None:
    """Of equal widths the tail of a skewed factor has bins of one point, which moves by nothing, noise or not."""
    rng = np.random.default_rng(0)
    normal, noise = rng.normal(size=(2_000, 3)), rng.normal(size=(2_000, 4))
    even, skewed = (score(noise, factors, ["irs"])["irs"] for factors in (normal, np.exp(2 * normal)))
    assert skewed == pytest.approx(even, abs=1e-9)
    assert skewed < 0.45
    assert score(np.exp(normal), np.exp(normal), ["irs"])["irs"] > 0.95


def test_constant_latents_weigh_nothing() -> None:
    constant = np.full(len(UNIT), 0.1)
    result = irs(rep(np.c_[constant, UNIT]), RNG)
    assert result.score == pytest.approx(1)
    assert not result.matrices["robustness"][0].any()
    assert irs(rep(np.c_[constant, constant]), RNG).score == 0


def test_larger_latents_weigh_more() -> None:
    noise = np.random.default_rng(0).normal(size=(len(GRID), 1))
    small, large = (irs(rep(np.c_[UNIT, scale * noise]), RNG).score for scale in (0.01, 100))
    assert large < small < 1
