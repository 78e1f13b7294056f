import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import GRID, RNG, UNIT, random_rep, rep, slow_information, two_best

from unbraid.metrics import dcimig


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_it_is_the_published_formula(seed: int) -> None:
    sample = random_rep(seed)
    mi, h_factors, _ = slow_information(sample, bins=10)
    best = [0.0] * len(h_factors)
    for row in mi:
        first, second = two_best(row)
        best[row.index(first)] = max(best[row.index(first)], first - second)
    assert dcimig(sample, RNG).score == pytest.approx(sum(best) / sum(h_factors), abs=1e-9)


def test_known_codes() -> None:
    assert dcimig(rep(UNIT), RNG).score == pytest.approx(1)
    assert dcimig(rep(UNIT[:, [0, 0, 1, 2]]), RNG).score == pytest.approx(1)
    assert dcimig(rep(np.full((len(GRID), 2), 0.1)), RNG).score == 0
    both = np.c_[GRID[:, 0] + 3 * GRID[:, 1], GRID[:, 2]]
    expected = (math.log(4) - math.log(3) + math.log(5)) / math.log(60)
    assert dcimig(rep(both), RNG, bins=12).score == pytest.approx(expected)
