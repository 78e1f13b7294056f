import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import GRID, RNG, UNIT, random_rep, rep, slow_information, two_best

from unbraid.metrics import mig_sup


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_it_is_the_published_formula(seed: int) -> None:
    sample = random_rep(seed)
    sample.codes[:, 0] *= 1e-3  # below the variance of an active latent
    mi, h_factors, h_latents = slow_information(sample, bins=10)
    gaps = [np.subtract(*two_best(row)) / h for row, h in zip(mi, h_latents, strict=True)]
    result = mig_sup(sample, RNG)
    assert result.score == pytest.approx(np.mean(gaps), abs=1e-9)
    active = [np.subtract(*two_best([i / h for i, h in zip(row, h_factors, strict=True)])) for row in mi[1:]]
    assert result.parts["over_factor_entropy"] == pytest.approx(np.mean(active), abs=1e-9)


def both_rules(codes: np.ndarray, factors: np.ndarray = GRID) -> tuple[float, float]:
    result = mig_sup(rep(codes, factors), RNG, bins=20)
    return result.score, result.parts["over_factor_entropy"]


def test_known_codes() -> None:
    assert both_rules(UNIT) == pytest.approx((1, 1))
    assert both_rules(UNIT[:, [0, 0, 1, 2]]) == pytest.approx((1, 1))  # a split factor costs nothing
    assert both_rules(np.c_[UNIT, np.zeros(len(UNIT))]) == pytest.approx((0.75, 1))  # a constant latent counts as 0
    both = np.c_[GRID[:, 0] + 3 * GRID[:, 1], GRID[:, 2]]
    of_both = (math.log(4) - math.log(3)) / math.log(12)
    assert both_rules(both) == pytest.approx(((of_both + 1) / 2, 0.5))


def test_ten_bins_keep_every_value_of_a_discrete_factor() -> None:
    many = np.c_[np.arange(200) % 20, np.arange(200) // 100]
    matrix = mig_sup(rep(many, many), RNG).matrices["mutual_information"]
    assert matrix == pytest.approx(np.diag([math.log(10), math.log(2)]), abs=1e-9)


def test_small_latents_count_for_the_headline_alone() -> None:
    assert both_rules(1e-3 * UNIT) == pytest.approx((1, 0))
    assert both_rules(np.full((len(GRID), 2), 0.1)) == (0, 0)


def test_two_latents_of_two_binary_factors_each() -> None:
    bits = np.indices((2, 2)).reshape(2, -1).T
    turned = np.c_[bits.sum(1), bits[:, 0] - bits[:, 1]]
    assert both_rules(turned, bits) == pytest.approx((0, 0), abs=1e-12)
    assert both_rules(np.c_[bits[:, 0], bits.sum(1)], bits) == pytest.approx((0.5, 0.5))
    assert mig_sup(rep(turned, bits), RNG).matrices["mutual_information"] == pytest.approx(math.log(2) / 2)
