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
    mi, h_factors, h_latents = slow_information(sample)
    active = [np.subtract(*two_best([i / h for i, h in zip(row, h_factors, strict=True)])) for row in mi[1:]]
    result = mig_sup(sample, RNG)
    assert result.score == pytest.approx(np.mean(active), abs=1e-9)
    other = [np.subtract(*two_best(row)) / h for row, h in zip(mi, h_latents, strict=True)]
    assert result.parts["over_latent_entropy"] == pytest.approx(np.mean(other), abs=1e-9)


def test_known_codes() -> None:
    assert mig_sup(rep(UNIT), RNG).score == pytest.approx(1)
    assert mig_sup(rep(UNIT[:, [0, 0, 1, 2]]), RNG).score == pytest.approx(1)  # a split factor costs nothing
    assert mig_sup(rep(np.c_[UNIT, np.zeros(len(UNIT))]), RNG).score == pytest.approx(1)
    both = np.c_[GRID[:, 0] + 3 * GRID[:, 1], GRID[:, 2]]
    assert mig_sup(rep(both), RNG).score == pytest.approx(0.5)


def test_no_active_latent_scores_0() -> None:
    assert mig_sup(rep(1e-3 * UNIT), RNG).score == 0
    constant = mig_sup(rep(np.full((len(GRID), 2), 0.1)), RNG)
    assert (constant.score, constant.parts["over_latent_entropy"]) == (0, 0)


def test_two_latents_of_two_binary_factors_each() -> None:
    bits = np.indices((2, 2)).reshape(2, -1).T
    turned = np.c_[bits.sum(1), bits[:, 0] - bits[:, 1]]
    assert mig_sup(rep(turned, bits), RNG).score == pytest.approx(0, abs=1e-12)
    assert mig_sup(rep(np.c_[bits[:, 0], bits.sum(1)], bits), RNG).score == pytest.approx(0.5)
    assert mig_sup(rep(turned, bits), RNG).matrices["mutual_information"] == pytest.approx(math.log(2) / 2)
