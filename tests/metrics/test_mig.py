import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import GRID, RNG, UNIT, bins_by_division, random_rep, rep, slow_information, two_best

from unbraid.metrics import METRICS, mig
from unbraid.metrics.mig import gap
from unbraid.types import Representation

BINNED = ["mig", "mig_sup", "dcimig", "jemmig", "modularity"]


def value(codes: np.ndarray, factors: np.ndarray = GRID) -> float:
    return mig(rep(codes, factors), RNG).score


def test_gap() -> None:
    assert gap(np.array([[1.0, 5.0], [4.0, 5.0], [2.0, 0.0]]), axis=0).tolist() == [2, 0]


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_it_is_the_published_formula(seed: int) -> None:
    sample = random_rep(seed)
    mi, h_factors, _ = slow_information(sample)
    gaps = [np.subtract(*two_best([row[k] for row in mi])) / h for k, h in enumerate(h_factors)]
    assert mig(sample, RNG).score == pytest.approx(np.mean(gaps), abs=1e-9)


def test_one_latent_for_each_factor_scores_1() -> None:
    assert value(UNIT) == pytest.approx(1)
    assert value(np.exp(-2 * UNIT[:, [2, 0, 1]]), GRID) < 1  # equal widths crowd the values of a curved latent together


def test_a_second_latent_for_a_factor_takes_that_factor_away() -> None:
    assert value(UNIT[:, [0, 0, 1, 2]]) == pytest.approx(2 / 3)


def test_a_constant_latent_changes_nothing_and_constant_codes_score_0() -> None:
    assert value(np.c_[UNIT, np.full(len(UNIT), 0.1)]) == pytest.approx(1)
    assert value(np.full((len(UNIT), 2), 0.1)) == 0


def test_two_factors_in_one_latent_cost_nothing() -> None:
    both = GRID[:, 0] + 3 * GRID[:, 1]  # the known failing that mig_sup was made for
    assert value(np.c_[both, GRID[:, 2]]) == pytest.approx(1)


def test_two_factors_turned_by_45_degrees_share_their_latents() -> None:
    square = np.indices((5, 5)).reshape(2, -1).T
    assert value(np.c_[square.sum(1), square[:, 0] - square[:, 1]], square) == pytest.approx(0, abs=1e-12)


def test_a_circle_over_two_latents_scores_0() -> None:
    angle, other = np.indices((8, 5)).reshape(2, -1)
    turn = 2 * math.pi * angle / 8
    codes = np.c_[np.cos(turn).round(9), np.sin(turn).round(9), other]
    assert value(codes, np.c_[angle, other]) == pytest.approx(0.5)


def test_twenty_bins_cannot_tell_forty_values_but_the_factor_keeps_them() -> None:
    forty = np.indices((40, 2)).reshape(2, -1).T
    assert value(forty, forty) == pytest.approx((math.log(20) / math.log(40) + 1) / 2)
    assert mig(rep(forty, forty), RNG, bins=40).score == pytest.approx(1)


def test_noise_scores_next_to_nothing() -> None:
    rng = np.random.default_rng(1)
    factors = rng.integers((3, 6, 40), size=(10_000, 3))
    assert 0 <= value(rng.normal(size=(10_000, 6)), factors) < 0.01


def test_a_continuous_factor_is_binned_like_a_latent() -> None:
    position = np.random.default_rng(2).uniform(size=(500, 2))
    by_hand = np.array([bins_by_division(column, 20) for column in position.T]).T
    continuous = Representation(3 * position, position, (None, None))
    assert mig(continuous, RNG).score == pytest.approx(value(3 * position, by_hand))


@pytest.mark.parametrize("name", BINNED)
@given(st.integers(0, 10**6))
@settings(max_examples=10)
def test_what_must_not_matter_does_not(name: str, seed: int) -> None:
    """The order of latents, rows and of a factor's values, and the sign, place and scale of a latent."""
    sample, rng = random_rep(seed), np.random.default_rng(seed)
    function = METRICS[name].function
    score = function(sample, RNG).score
    assert -1e-12 <= score <= 1 + 1e-12

    latents, rows = rng.permutation(sample.codes.shape[1]), rng.permutation(len(sample.codes))
    assert function(rep(sample.codes[:, latents], sample.factors), RNG).score == pytest.approx(score)
    assert function(rep(sample.codes[rows], sample.factors[rows]), RNG).score == pytest.approx(score)
    # latents stay wide enough to count as active in mig_sup
    moved = 5 + sample.codes * np.array([-1, 2, 1.5, -3])
    assert function(rep(moved, sample.factors), RNG).score == pytest.approx(score, abs=0.02)
    renamed = np.stack([rng.permutation(5)[column] for column in sample.factors.T], axis=1)
    assert function(rep(sample.codes, renamed), RNG).score == pytest.approx(score)


def test_a_population_is_sampled() -> None:
    population = Representation(UNIT, GRID, (3, 4, 5), population=True)
    few = mig(population, np.random.default_rng(0), points=50).score
    assert few != pytest.approx(1, abs=1e-6)  # 50 points of 120 are not balanced
    assert mig(population, np.random.default_rng(0), points=50_000).score == pytest.approx(1, abs=1e-3)
