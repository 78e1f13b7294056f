import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import GRID, RNG, UNIT, random_rep, rep, slow_information

from unbraid.metrics import modularity, score


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_it_is_the_published_formula(seed: int) -> None:
    sample = random_rep(seed)
    mi, h_factors, _ = slow_information(sample)
    scores = []
    for row in mi:
        template = [max(row) if k == row.index(max(row)) else 0.0 for k in range(len(row))]
        distance = sum((i - t) ** 2 for i, t in zip(row, template, strict=True))
        scores.append(1 - distance / (max(row) ** 2 * (len(h_factors) - 1)))
    assert modularity(sample, RNG).score == pytest.approx(np.mean(scores), abs=1e-9)


def test_known_codes() -> None:
    assert modularity(rep(UNIT), RNG).score == pytest.approx(1)
    assert modularity(rep(UNIT[:, [0, 0, 1, 2]]), RNG).score == pytest.approx(1)
    both = np.c_[GRID[:, 0] + 3 * GRID[:, 1], GRID[:, 2]]
    assert modularity(rep(both), RNG).score == pytest.approx(1 - (math.log(3) / math.log(4)) ** 2 / 4)


def test_a_latent_without_information_scores_0() -> None:
    assert modularity(rep(np.c_[UNIT, np.full(len(UNIT), 0.1)]), RNG).score == pytest.approx(0.75)
    assert modularity(rep(np.full((len(GRID), 2), 0.1)), RNG).score == 0


def test_noise_knows_of_no_continuous_factor_more_than_of_another() -> None:
    """Of equal widths it did: of few bins in use, as a skewed factor leaves, fewer errors are counted."""
    rng = np.random.default_rng(0)
    normal, noise = rng.normal(size=(2_000, 3)), rng.normal(size=(2_000, 5))
    skewed = np.exp(normal * [0.1, 1, 2])
    assert score(noise, skewed, ["modularity"])["modularity"] < 0.3
    assert score(normal, skewed, ["modularity"])["modularity"] > 0.95
