import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import GRID, RNG, UNIT, bins_by_division, random_rep, rep, slow_entropy, slow_information, two_best

from unbraid.metrics import jemmig


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_it_is_the_published_formula(seed: int) -> None:
    sample = random_rep(seed)
    mi, h_factors, _ = slow_information(sample, bins=10)
    losses = []
    for k, factor in enumerate(sample.factors.T):
        column = [row[k] for row in mi]
        first, second = two_best(column)
        best = bins_by_division(sample.codes[:, column.index(first)], 10)
        losses.append(slow_entropy(best, factor.tolist()) - first + second)
    result = jemmig(sample, RNG)
    assert result.parts["nats"] == pytest.approx(np.mean(losses), abs=1e-9)
    scores = [1 - loss / (h + math.log(10)) for loss, h in zip(losses, h_factors, strict=True)]
    assert result.score == pytest.approx(np.mean(scores), abs=1e-9)


def test_known_codes() -> None:
    perfect = jemmig(rep(UNIT), RNG)
    assert perfect.score == pytest.approx(1)
    assert perfect.parts["nats"] == pytest.approx(0, abs=1e-12)
    two_factors = jemmig(
        rep(np.c_[GRID[:, 0] + 3 * GRID[:, 1], GRID[:, 2]]), RNG, bins=12
    )  # H(z, v) - I = H(other factor)
    assert two_factors.parts["nats"] == pytest.approx((math.log(4) + math.log(3)) / 3)


def test_constant_codes_are_charged_the_entropy_of_the_factor() -> None:
    assert jemmig(rep(np.full((len(GRID), 2), 0.1)), RNG).parts["nats"] == pytest.approx(math.log(60) / 3)
