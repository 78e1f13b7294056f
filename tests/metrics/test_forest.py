"""Random forests against scikit-learn's: tree by tree where nothing is drawn but the rows, else on average."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from unbraid.metrics.forest import random_forest


def data(seed, n=600, latents=4, classes=5, noise=0.5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    codes = rng.normal(size=(n, latents))
    codes[:, 0] = labels + noise * codes[:, 0]
    codes[:, 1] += 0.5 * (labels % 2)
    return codes, labels


def bootstrap(seed, n):
    """The rows that the only tree of a forest of this seed sees, counted."""
    (generator,) = np.random.default_rng(seed).spawn(1)
    return np.bincount(generator.integers(n, size=n), minlength=n)


@pytest.mark.parametrize("digits", [15, 1])
@pytest.mark.parametrize("classes", [2, 5, 40])
@pytest.mark.parametrize("seed", range(3))
def test_a_tree_on_one_latent_is_the_same(seed, classes, digits):
    """With one latent nothing is drawn but the rows. One digit makes values repeat."""
    codes, labels = data(seed, latents=2, classes=classes)
    test_codes, _ = data(seed + 100, latents=2, classes=classes)
    codes, test_codes = codes[:, :1].round(digits), test_codes[:, :1].round(digits)
    weight = bootstrap(seed, len(codes)).astype(float)
    tree = DecisionTreeClassifier(criterion="entropy", max_depth=6).fit(codes, labels, weight)
    _, predicted, test_predicted = random_forest(
        codes, labels, test_codes, np.random.default_rng(seed), trees=1, depth=6
    )
    np.testing.assert_array_equal(predicted, tree.predict(codes))
    np.testing.assert_array_equal(test_predicted, tree.predict(test_codes))


def test_importance_of_a_tree_that_has_one_choice():
    """Beside a latent, three that are constant: whatever is drawn, the one that can be split is."""
    codes, labels = data(0)
    codes[:, 1:] = [0.1, 0.0, 7.0]
    importance, predicted, _ = random_forest(codes, labels, codes, np.random.default_rng(0), trees=1)
    tree = DecisionTreeClassifier(criterion="entropy", max_depth=10).fit(codes, labels, bootstrap(0, 600).astype(float))
    np.testing.assert_array_equal(importance, [1, 0, 0, 0])
    np.testing.assert_array_equal(predicted, tree.predict(codes))


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_forests_differ_as_two_seeds_of_theirs(noise):
    codes, labels = data(0, latents=6, classes=8, noise=noise)
    test_codes, test_labels = data(1, latents=6, classes=8, noise=noise)
    mine, theirs = [], []
    for seed in range(4):
        importance, predicted, tested = random_forest(codes, labels, test_codes, np.random.default_rng(seed))
        mine.append([*importance, np.mean(predicted == labels), np.mean(tested == test_labels)])
        model = RandomForestClassifier(criterion="entropy", max_depth=10, random_state=seed).fit(codes, labels)
        scores = model.score(codes, labels), model.score(test_codes, test_labels)
        theirs.append([*model.feature_importances_, *scores])
    spread = np.maximum(np.std(theirs, axis=0), 0.003)
    assert (np.abs(np.mean(mine, axis=0) - np.mean(theirs, axis=0)) < 4 * spread).all()


def test_importances_are_shares():
    codes, labels = data(0)
    importance, _, _ = random_forest(codes, labels, codes, np.random.default_rng(0), trees=7)
    assert importance.sum() == pytest.approx(1) and (importance > 0).all()


def test_more_pairs_than_a_byte_can_count():
    codes, labels = data(0, n=3_000, latents=9, classes=300)
    importance, predicted, _ = random_forest(codes, labels, codes[:1], np.random.default_rng(0), trees=5, depth=12)
    assert importance.argmax() == 0 and np.mean(predicted == labels) > 0.5


def test_nothing_to_split():
    labels = np.array([4, 4, 4, 9])
    importance, predicted, test_predicted = random_forest(
        np.zeros((4, 3)), labels, np.ones((2, 3)), np.random.default_rng(0)
    )
    np.testing.assert_array_equal(importance, np.zeros(3))
    np.testing.assert_array_equal(predicted, [4, 4, 4, 4])
    np.testing.assert_array_equal(test_predicted, [4, 4])
    importance, predicted, _ = random_forest(np.eye(4), np.full(4, 7), np.eye(4), np.random.default_rng(0), trees=3)
    np.testing.assert_array_equal(importance, np.zeros(4))
    np.testing.assert_array_equal(predicted, [7, 7, 7, 7])


def test_the_number_of_cores_does_not_matter(monkeypatch):
    codes, labels = data(5, n=300)
    fits = []
    for cores in (1, 3):
        monkeypatch.setattr("joblib.cpu_count", lambda cores=cores: cores)
        fits.append(random_forest(codes, labels, codes, np.random.default_rng(0), trees=20))
    for first, second in zip(*fits, strict=True):
        np.testing.assert_array_equal(first, second)
