"""SAP against the optimum of its machines' own objective, found by another road."""

import numpy as np
import pytest
from scipy.optimize import minimize

from unbraid.metrics.sap import sap
from unbraid.types import Representation


def rep(codes, factors, sizes, split=None):
    split = split or 2 * len(codes) // 3
    return Representation(codes[:split], factors[:split], sizes, codes[split:], factors[split:])


def run(representation):
    return sap(representation, np.random.default_rng(0))


def brute_force_accuracy(code, labels, test_code, test_labels, c=0.01):
    classes, counts = np.unique(labels, return_counts=True)
    balanced = dict(zip(classes, len(labels) / (len(classes) * counts), strict=True))
    decisions = []
    for value in classes:
        sign = np.where(labels == value, 1.0, -1.0)
        # The published machines give the weight of a class to it alone; all other classes together weigh 1.
        weight = np.where(labels == value, balanced[value], 1.0) * c

        def objective(w, sign=sign, weight=weight):
            slack = np.maximum(0, 1 - sign * (w[0] * code + w[1]))
            return 0.5 * w @ w + weight @ slack**2

        slope, intercept = minimize(objective, np.zeros(2), method="BFGS", options={"gtol": 1e-8}).x
        decisions.append(slope * test_code + intercept)
    return np.mean(classes[np.argmax(decisions, axis=0)] == test_labels)


def test_matrix_against_the_objective_itself():
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(k, size=600) for k in (3, 5)], axis=1)
    factors[:100, 0] = 1  # uneven classes
    codes = np.c_[factors[:, 0] - 1, 0.4 * factors[:, 1], rng.normal(size=600)] + 0.3 * rng.normal(size=(600, 3))
    both = rep(codes, factors, (3, 5))
    expected = [
        [
            brute_force_accuracy(both.codes[:, j], both.factors[:, k], both.test_codes[:, j], both.test_factors[:, k])
            for k in range(2)
        ]
        for j in range(3)
    ]
    np.testing.assert_allclose(run(both).matrices["predictability"], expected, atol=0.011)


def test_a_binary_factor_known_to_one_latent():
    factors = np.random.default_rng(0).integers(2, size=(6_000, 2))
    codes = np.c_[2.0 * factors - 1, np.zeros(6_000)]
    found = run(rep(codes, factors, (2, 2)))
    np.testing.assert_allclose(np.diag(found.matrices["predictability"]), 1)
    assert found.score == pytest.approx(0.5, abs=0.03), "the second best latent guesses"


def test_a_latent_twice_leaves_no_gap():
    factors = np.random.default_rng(0).integers(3, size=(600, 2))
    assert run(rep(np.tile(factors - 1.0, 2), factors, (3, 3))).score == 0


@pytest.mark.parametrize("scale", [1, 10])
def test_perfect_codes_of_many_values_score_a_quarter_at_best(scale):
    """A property of the protocol: no threshold on a line tells the middle of 40 values from both ends."""
    sizes = (3, 6, 40, 32, 32)
    factors = np.stack([np.random.default_rng(k).integers(size, size=4_000) for k, size in enumerate(sizes)], axis=1)
    codes = (factors - factors.mean(0)) / factors.std(0)
    assert 0.15 < run(rep(scale * codes, factors, sizes)).score < 0.3


def test_noise_scores_near_zero():
    rng = np.random.default_rng(0)
    assert run(rep(rng.normal(size=(6_000, 5)), rng.integers(4, size=(6_000, 2)), (4, 4))).score < 0.02


def test_order_and_sign_of_latents_do_not_matter():
    rng = np.random.default_rng(0)
    factors = rng.integers(4, size=(900, 3))
    codes = factors + rng.normal(size=(900, 3))
    turned = codes[:, [2, 0, 1]] * [-1, 1, -1]
    assert run(rep(codes, factors, (4,) * 3)).score == pytest.approx(
        run(rep(turned, factors, (4,) * 3)).score, abs=0.005
    )


def test_continuous_factors_by_squared_correlation():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(900, 2))
    codes = np.c_[factors @ rng.normal(size=(2, 3)) + rng.normal(size=(900, 3)), np.full(900, 0.1)]
    both = rep(codes, factors, (None, None))
    found = run(both).matrices["predictability"]
    expected = np.corrcoef(both.codes[:, :3].T, both.factors.T)[:3, 3:] ** 2
    np.testing.assert_allclose(found[:3], expected)
    np.testing.assert_allclose(found[3], 0, atol=1e-12)


def test_squared_correlation_takes_every_factor_as_continuous():
    rng = np.random.default_rng(0)
    factors = rng.integers(5, size=(900, 2))
    codes = factors @ rng.normal(size=(2, 3)) + rng.normal(size=(900, 3))
    discrete, continuous = (run(rep(codes, factors, sizes)) for sizes in ((5, 5), (None, None)))
    assert discrete.parts["squared_correlation"] == continuous.score == continuous.parts["squared_correlation"]
    assert discrete.score != continuous.score


def test_collapsed_latents_guess():
    factors = np.random.default_rng(0).integers(2, size=(3_000, 2))
    found = run(rep(np.full((3_000, 3), 0.1), factors, (2, 2)))
    assert found.score == 0
    np.testing.assert_allclose(found.matrices["predictability"], 0.5, atol=0.05)


def test_a_value_that_only_the_test_rows_have():
    factors = np.array([[0, 0], [1, 0], [0, 0], [1, 0], [2, 1], [1, 1]])
    found = run(rep(factors + 0.0, factors, (3, 2), split=4)).matrices["predictability"]
    np.testing.assert_array_equal(found[:, 1], 0)
