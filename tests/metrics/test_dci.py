"""DCI: the arithmetic of importances, and each model against plain scikit-learn."""

import warnings

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Lasso
from sklearn.preprocessing import StandardScaler

from unbraid.metrics.dci import completeness, disentanglement
from unbraid.metrics.dci_gbt import dci_gbt
from unbraid.metrics.dci_hgb import dci_hgb
from unbraid.metrics.dci_lasso import dci_lasso
from unbraid.metrics.dci_rf import dci_rf
from unbraid.types import Representation

SIZES = (3, 4, 6)
QUICK = {dci_gbt: {"stages": 15}, dci_hgb: {"stages": 15}, dci_rf: {"trees": 20}, dci_lasso: {}}


def factors(n, seed):
    return np.stack([np.random.default_rng([seed, k]).integers(size, size=n) for k, size in enumerate(SIZES)], axis=1)


def rep(encode, n=800, n_test=400):
    """`encode` takes factors and a generator."""
    first, second = factors(n, 0), factors(n_test, 1)
    return Representation(
        encode(first, np.random.default_rng(2)), first, SIZES, encode(second, np.random.default_rng(3)), second
    )


def perfect(f, rng):
    return f + 0.05 * rng.normal(size=f.shape)


def result(metric, representation, seed=0):
    return metric(representation, np.random.default_rng(seed), **QUICK[metric])


def weighted_entropies(importance):
    """D and C as the large comparison computes them: weights, and a trace of importance everywhere."""
    by_code = 1 - entropy(importance.T + 1e-11, base=importance.shape[1])
    by_factor = 1 - entropy(importance + 1e-11, base=importance.shape[0])
    total = importance.sum()
    return by_code @ importance.sum(1) / total, by_factor @ importance.sum(0) / total


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_importances_agree_with_entropies_of_scipy(seed):
    rng = np.random.default_rng(seed)
    importance = rng.exponential(size=(6, 4)) * (rng.random((6, 4)) < 0.7)
    importance[1] = 0
    expected = weighted_entropies(importance)
    np.testing.assert_allclose((disentanglement(importance), completeness(importance)), expected, atol=1e-8)


def test_scores_of_importances_that_speak_for_themselves():
    assert disentanglement(np.eye(3)) == completeness(np.eye(3)) == pytest.approx(1)
    assert disentanglement(np.ones((4, 3))) == pytest.approx(0)
    assert completeness(np.ones((4, 3))) == pytest.approx(0)
    assert disentanglement(np.zeros((4, 3))) == completeness(np.zeros((4, 3))) == 0
    one_of_three = np.zeros((4, 3))
    one_of_three[2, 1] = 0.2
    assert disentanglement(one_of_three) == pytest.approx(1)
    assert completeness(one_of_three) == pytest.approx(1), "factors for which nothing matters drop out"
    dominant = np.array([[9.0, 0.0], [0.5, 0.5]])
    assert disentanglement(dominant) == pytest.approx(0.9), "latents weigh as much as they matter"
    assert completeness(dominant.T) == pytest.approx(0.9), "and so do factors"


def test_a_latent_without_importance_does_not_stop_the_count():
    importance = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert disentanglement(importance) == pytest.approx(1)


@pytest.mark.parametrize("metric", QUICK)
def test_perfect_codes(metric):
    found = result(metric, rep(perfect))
    lowest = 0.4 if metric is dci_rf else 0.98  # with three latents, each node of a forest is offered a single one
    assert found.score > lowest and found.parts["completeness"] > lowest
    assert found.parts["informativeness_test"] > 0.97
    np.testing.assert_array_equal(found.matrices["importance"].argmax(0), [0, 1, 2])


@pytest.mark.parametrize("metric", [dci_gbt, dci_hgb, dci_rf])
def test_noise_scores_near_zero(metric):
    found = result(metric, rep(lambda f, rng: rng.normal(size=(len(f), 5))))
    assert found.score < 0.05 and found.parts["completeness"] < 0.05
    assert found.parts["informativeness_test"] == pytest.approx(np.mean(1 / np.array(SIZES)), abs=0.08)


def test_linear_noise_has_no_importance_at_all():
    found = result(dci_lasso, rep(lambda f, rng: rng.normal(size=(len(f), 5)), n=60_000))
    assert found.score == found.parts["completeness"] == 0
    assert found.parts["informativeness_test"] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("metric", QUICK)
def test_order_sign_and_scale_of_latents_do_not_matter(metric):
    def turned(f, rng):
        return perfect(f, rng)[:, [2, 0, 1]] * [-1, 4, -0.25]

    first, second = result(metric, rep(perfect)), result(metric, rep(turned))
    tolerance = 0.15 if metric is dci_rf else 1e-3  # other latents are drawn
    assert first.score == pytest.approx(second.score, abs=tolerance)
    assert first.parts["completeness"] == pytest.approx(second.parts["completeness"], abs=tolerance)


@pytest.mark.parametrize("metric", QUICK)
def test_rotated_codes_are_entangled(metric):
    rotation = np.linalg.qr(np.random.default_rng(9).normal(size=(3, 3)))[0]
    scale = np.array(SIZES) - 1
    found = result(metric, rep(lambda f, rng: (perfect(f, rng) / scale) @ rotation))
    assert found.score < 0.7 and found.parts["completeness"] < 0.7


@pytest.mark.parametrize("metric", [dci_gbt, dci_hgb])
def test_a_latent_twice_halves_what_each_copy_matters(metric):
    found = result(metric, rep(lambda f, rng: np.tile(perfect(f, rng), 2)))
    assert found.score > 0.97
    assert found.parts["completeness"] == pytest.approx(1 - np.log(2) / np.log(6), abs=0.02)


@pytest.mark.parametrize("metric", [dci_gbt, dci_hgb, dci_rf])
def test_an_angle_over_sine_and_cosine_is_disentangled_but_incomplete(metric):
    def circle(f, rng):
        angle = 2 * np.pi * f[:, 2] / SIZES[2]
        return np.c_[perfect(f, rng)[:, :2], np.sin(angle), np.cos(angle)] + 0.05 * rng.normal(size=(len(f), 4))

    found = result(metric, rep(circle))
    assert found.score > found.parts["completeness"] + 0.1
    assert found.parts["informativeness_test"] > 0.97


@pytest.mark.parametrize("metric", QUICK)
def test_collapsed_latents(metric):
    one_left = result(metric, rep(lambda f, rng: np.c_[np.full(len(f), 0.1), perfect(f, rng)[:, 0], np.zeros(len(f))]))
    importance = one_left.matrices["importance"]
    assert (importance[[0, 2]] == 0).all() and importance[1, 0] > 0
    none_left = result(metric, rep(lambda f, rng: np.full((len(f), 3), 0.1)))
    assert none_left.score == none_left.parts["completeness"] == 0


@pytest.mark.parametrize("metric", QUICK)
def test_the_seed_decides(metric):
    noisy = rep(lambda f, rng: f + rng.normal(size=f.shape))
    first, again = result(metric, noisy, seed=1), result(metric, noisy, seed=1)
    assert first.score == again.score and first.parts == again.parts


def test_factors_are_fitted_with_different_generators():
    twice = factors(300, 0)[:, [1, 1]]
    codes = twice + np.random.default_rng(0).normal(size=(300, 2))
    found = dci_rf(Representation(codes, twice, (4, 4), codes, twice), np.random.default_rng(0), trees=5)
    first, second = found.matrices["importance"].T
    assert not np.array_equal(first, second)


def test_lasso_against_scikit_learn():
    noisy = rep(lambda f, rng: f @ rng.normal(size=(3, 4)) + rng.normal(size=(len(f), 4)))
    scaler = StandardScaler().fit(noisy.codes)
    importance, explained = [], []
    for factor, test_factor in zip(noisy.factors.T, noisy.test_factors.T, strict=True):
        target = StandardScaler().fit(factor[:, None])
        model = Lasso(0.02, tol=1e-12).fit(scaler.transform(noisy.codes), target.transform(factor[:, None]))
        importance.append(np.abs(model.coef_))
        explained.append(model.score(scaler.transform(noisy.test_codes), target.transform(test_factor[:, None])))
    found = result(dci_lasso, noisy)
    np.testing.assert_allclose(found.matrices["importance"], np.transpose(importance), atol=1e-6)
    assert found.parts["informativeness_test"] == pytest.approx(np.mean(explained), abs=1e-6)


def test_lasso_takes_continuous_factors():
    values = np.random.default_rng(0).normal(size=(900, 2))
    both = Representation(values[:600], values[:600], (None, None), values[600:], values[600:])
    found = dci_lasso(both, np.random.default_rng(0))
    assert found.score == pytest.approx(1, abs=1e-3)
    assert found.parts["informativeness_test"] == pytest.approx(1 - 0.02**2, abs=1e-3)


@pytest.mark.parametrize("bins", [20, 200])
def test_dci_by_binned_trees_is_dci_by_exact_trees_where_values_are_few(bins):
    def few(f, rng):
        return np.clip(np.round(f + 0.7 * rng.normal(size=f.shape)), -2, 7)

    exact, binned = result(dci_gbt, rep(few)), dci_hgb(rep(few), np.random.default_rng(0), stages=15, bins=bins)
    np.testing.assert_allclose(binned.matrices["importance"], exact.matrices["importance"], atol=5e-3)
    assert binned.score == pytest.approx(exact.score, abs=2e-3)
    assert binned.parts == pytest.approx(exact.parts, abs=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("turned", [False, True])
def test_dci_by_binned_trees_at_full_size_is_as_near_as_its_description_says(turned):
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(6, 6)))[0] if turned else np.eye(6)

    def encode(f, rng):
        return np.c_[f / SIZES, np.zeros((len(f), 3))] @ turn + 0.1 * rng.normal(size=(len(f), 6))

    full = rep(encode, 10_000, 5_000)
    exact, binned = (metric(full, np.random.default_rng(0)) for metric in (dci_gbt, dci_hgb))
    assert binned.score == pytest.approx(exact.score, abs=0.02)
    assert binned.parts["completeness"] == pytest.approx(exact.parts["completeness"], abs=0.02)
    assert binned.parts["informativeness_test"] == pytest.approx(exact.parts["informativeness_test"], abs=0.02)


def test_forest_against_scikit_learn():
    noisy = rep(lambda f, rng: f @ np.eye(3, 5) + rng.normal(size=(len(f), 5)), n=2_000)
    importance, accuracy = [], []
    for factor, test_factor in zip(noisy.factors.T, noisy.test_factors.T, strict=True):
        model = RandomForestClassifier(100, criterion="entropy", max_depth=10, random_state=0).fit(noisy.codes, factor)
        importance.append(model.feature_importances_)
        accuracy.append(model.score(noisy.test_codes, test_factor))
    found = dci_rf(noisy, np.random.default_rng(0))
    np.testing.assert_allclose(found.matrices["importance"], np.transpose(importance), atol=0.015)
    assert found.parts["informativeness_test"] == pytest.approx(np.mean(accuracy), abs=0.02)


def test_a_population_is_sampled_at_the_published_size():
    f = factors(50, 0)
    codes = perfect(f, np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dci_lasso(Representation(codes, f, SIZES, population=True), np.random.default_rng(0))
    assert found.score > 0.9
