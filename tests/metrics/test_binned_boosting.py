"""Boosted trees on bins against scikit-learn's, which are the same where bins are all the values that there are."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from unbraid.metrics.binned_boosting import binned_trees
from unbraid.metrics.boosting import boosted_trees


def data(seed, n=900, latents=4, classes=5, noise=0.3):
    """Codes of at most 50 different values a latent."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    codes = rng.normal(size=(n, latents))
    codes[:, 0] = labels + noise * codes[:, 0]
    codes[:, 1] += 0.5 * (labels % 2)
    return np.clip(np.round(codes / 0.2) * 0.2, -2, 7.8), labels


def theirs(codes, labels, test_codes, stages=100):
    model = GradientBoostingClassifier(n_estimators=stages, random_state=0).fit(codes, labels)
    return model.feature_importances_, model.predict(codes), model.predict(test_codes)


def ours(codes, labels, test_codes, seed=0, **options):
    return binned_trees(codes, labels, test_codes, np.random.default_rng(seed), **options)


def assert_same(first, second):
    np.testing.assert_allclose(first[0], second[0], atol=1e-6)
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(first[2], second[2])


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_trees_on_one_latent_of_few_values_are_the_same(seed, classes):
    """One latent leaves no ties between latents; ten classes are grown in two blocks."""
    codes, labels = data(seed, latents=2, classes=classes)
    one = codes[:, :1]
    assert_same(ours(one, labels, one[:300]), theirs(one, labels, one[:300]))


@pytest.mark.parametrize("seed", range(2))
def test_few_stages_on_many_latents_of_few_values_are_the_same(seed):
    codes, labels = data(seed, n=3_000, classes=3, noise=1.5)
    assert_same(ours(codes, labels, codes[:300], stages=4), theirs(codes, labels, codes[:300], stages=4))


def test_where_splits_tie_seeds_differ_as_much_as_those_of_exact_trees():
    codes, labels = data(0, latents=6, classes=4, noise=1.0)
    binned, exact = (
        np.array([trees(codes, labels, codes[:5], np.random.default_rng(seed), stages=40)[0] for seed in range(5)])
        for trees in (binned_trees, boosted_trees)
    )
    spread = exact.std(axis=0).max()
    assert 0 < binned.std(axis=0).max() < 3 * spread
    np.testing.assert_allclose(binned.mean(0), exact.mean(0), atol=3 * spread)


def test_bins_end_at_the_widest_gap_of_each_equal_part():
    """961 values leave 960 gaps, the sixth of each sixteen wider than the others."""
    rng = np.random.default_rng(0)
    rank = rng.permutation(961)
    gaps = np.where(np.arange(960) % 16 == 5, 1.5, 1.0)
    codes = np.r_[0, np.cumsum(gaps)][rank][:, None]
    labels = (np.sin(rank / 100) + 0.5 * rng.normal(size=961) > 0).astype(int)
    merged = ((rank + 10) // 16)[:, None]
    assert_same(ours(codes, labels, codes[:300], bins=61), theirs(merged, labels, merged[:300]))


def test_clusters_are_kept_apart():
    rng = np.random.default_rng(1)
    labels = rng.integers(40, size=3_000)
    codes = (labels + rng.uniform(-0.4, 0.4, 3_000))[:, None]
    _, predicted, test_predicted = ours(codes, labels, np.arange(40.0)[:, None])
    np.testing.assert_array_equal(predicted, labels)
    np.testing.assert_array_equal(test_predicted, np.arange(40))


def test_importances_of_many_values_are_near_those_of_exact_trees():
    rng = np.random.default_rng(2)
    labels = rng.integers(6, size=3_000)
    codes = rng.normal(size=(3_000, 5))
    codes[:, 0] = labels + 0.5 * codes[:, 0]
    codes[:, 1] += labels % 2
    binned, exact = ours(codes, labels, codes, stages=30), boosted_trees(codes, labels, codes, rng, stages=30)
    np.testing.assert_allclose(binned[0], exact[0], atol=0.03)
    assert np.mean(binned[1] == exact[1]) > 0.9


def test_more_classes_than_a_block_holds_are_all_learnt():
    labels = np.arange(2_000) % 40
    importance, predicted, _ = ours(np.c_[labels, np.zeros(2_000)], labels, np.zeros((1, 2)), stages=20)
    np.testing.assert_array_equal(predicted, labels)
    np.testing.assert_array_equal(importance, [1, 0])


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
    codes, labels = data(5, n=300, classes=20)
    fits = []
    for cores in (1, 3):
        monkeypatch.setattr("joblib.cpu_count", lambda cores=cores: cores)
        fits.append(ours(codes, labels, codes, stages=10))
    np.testing.assert_array_equal(fits[0][0], fits[1][0])
    np.testing.assert_array_equal(fits[0][1], fits[1][1])
