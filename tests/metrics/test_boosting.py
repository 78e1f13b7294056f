"""Boosted trees against scikit-learn's, which grow the same where no two splits are equally good."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from unbraid.metrics.boosting import boosted_trees


def data(seed, n=900, latents=4, classes=5, noise=0.3):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    codes = rng.normal(size=(n, latents))
    codes[:, 0] = labels + noise * codes[:, 0]
    codes[:, 1] += 0.5 * (labels % 2)
    return codes, labels


def theirs(codes, labels, test_codes, stages=100, depth=3, seed=0):
    model = GradientBoostingClassifier(n_estimators=stages, max_depth=depth, random_state=seed).fit(codes, labels)
    return model.feature_importances_, model.predict(codes), model.predict(test_codes)


def ours(codes, labels, test_codes, seed=0, **options):
    return boosted_trees(codes, labels, test_codes, np.random.default_rng(seed), **options)


def assert_same(first, second):
    np.testing.assert_allclose(first[0], second[0], atol=1e-9)
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(first[2], second[2])


@pytest.mark.parametrize("classes", [2, 3, 8])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_trees_on_one_latent_are_the_same(seed, classes):
    """One latent leaves no ties between latents, however small the nodes become."""
    codes, labels = data(seed, latents=2, classes=classes)
    test_codes, _ = data(seed + 100, latents=2, classes=classes)
    one = slice(0, 1)
    assert_same(ours(codes[:, one], labels, test_codes[:, one]), theirs(codes[:, one], labels, test_codes[:, one]))


@pytest.mark.parametrize("classes", [2, 3, 8])
@pytest.mark.parametrize("seed", range(3))
def test_stumps_on_many_latents_are_the_same(seed, classes):
    """Splits of all rows are hardly ever equally good."""
    codes, labels = data(seed, classes=classes, noise=0.8)
    test_codes, _ = data(seed + 100, classes=classes, noise=0.8)
    options = {"stages": 20, "depth": 1}
    assert_same(ours(codes, labels, test_codes, **options), theirs(codes, labels, test_codes, **options))


@pytest.mark.parametrize("seed", range(2))
def test_few_stages_on_many_latents_are_the_same(seed):
    codes, labels = data(seed, n=3_000, classes=3, noise=1.5)
    test_codes, _ = data(seed + 100, classes=3, noise=1.5)
    assert_same(ours(codes, labels, test_codes, stages=4), theirs(codes, labels, test_codes, stages=4))


def test_where_splits_tie_seeds_differ_as_much_as_theirs():
    """Isolating one point is often equally good in several latents; then each draws one at random."""
    codes, labels = data(0, n=300, latents=6, classes=4, noise=1.0)
    runs = [
        np.array([fit(codes, labels, codes[:5], seed=seed, stages=40)[0] for seed in range(6)])
        for fit in (ours, theirs)
    ]
    spread = runs[1].std(axis=0).max()
    assert spread > 0
    assert runs[0].std(axis=0).max() < 3 * spread
    np.testing.assert_allclose(runs[0].mean(0), runs[1].mean(0), atol=3 * spread)


def test_values_that_repeat_are_not_split_apart():
    codes, labels = data(3, latents=2)
    codes, test_codes = np.round(codes, 1), np.round(data(103, latents=2)[0], 1)
    one = slice(0, 1)
    assert_same(ours(codes[:, one], labels, test_codes[:, one]), theirs(codes[:, one], labels, test_codes[:, one]))


def test_rows_that_repeat_and_constant_latents_change_nothing():
    codes, labels = data(4, latents=2)
    again = np.random.default_rng(0).integers(len(codes), size=1_500)
    codes, labels = np.c_[codes[again, 0], np.full(1_500, 0.1)], labels[again]
    assert_same(ours(codes, labels, codes[:50]), theirs(codes, labels, codes[:50]))


def test_nothing_to_split():
    labels = np.array([0, 1, 1, 2])
    importance, predicted, test_predicted = ours(np.zeros((4, 3)), labels, np.ones((2, 3)))
    np.testing.assert_array_equal(importance, np.zeros(3))
    np.testing.assert_array_equal(predicted, [1, 1, 1, 1])
    np.testing.assert_array_equal(test_predicted, [1, 1])


def test_one_label_is_always_predicted():
    importance, predicted, _ = ours(np.arange(6.0).reshape(3, 2), np.array([7, 7, 7]), np.zeros((1, 2)))
    np.testing.assert_array_equal(predicted, [7, 7, 7])
    assert importance.sum() == 0


def test_the_number_of_cores_does_not_matter(monkeypatch):
    codes, labels = data(5, n=300)
    fits = []
    for cores in (1, 3):
        monkeypatch.setattr("joblib.cpu_count", lambda cores=cores: cores)
        fits.append(ours(codes, labels, codes, stages=10))
    np.testing.assert_array_equal(fits[0][0], fits[1][0])


@pytest.mark.slow
def test_full_size_agrees_with_theirs():
    codes, labels = data(6, n=10_000, latents=10, classes=12, noise=2.0)
    test_codes, test_labels = data(106, n=5_000, latents=10, classes=12, noise=2.0)
    first, second = ours(codes, labels, test_codes), theirs(codes, labels, test_codes)
    np.testing.assert_allclose(first[0], second[0], atol=0.006)
    assert (
        abs(np.mean(first[2] == test_labels) - np.mean(second[2] == test_labels)) < 0.012
    )  # two seeds of theirs: 0.004
