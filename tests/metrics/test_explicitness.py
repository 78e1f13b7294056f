"""Explicitness: its areas against scikit-learn's, and what it says of codes with a known answer."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from unbraid.metrics.explicitness import explicitness, mean_auc
from unbraid.types import Representation


def rep(codes, factors):
    split = 2 * len(codes) // 3
    sizes = tuple(int(size) for size in factors.max(0) + 1)
    return Representation(codes[:split], factors[:split], sizes, codes[split:], factors[split:])


def run(representation):
    return explicitness(representation, np.random.default_rng(0))


def factors(n=900, sizes=(3, 5)):
    return np.stack([np.random.default_rng(k).integers(size, size=n) for k, size in enumerate(sizes)], axis=1)


@pytest.mark.parametrize("ties", [False, True])
def test_areas_are_those_of_scikit_learn(ties):
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=300)
    scores = rng.normal(size=(300, 4)) + np.eye(4)[labels]
    scores = np.round(scores) if ties else scores
    expected = roc_auc_score(np.eye(4)[labels], scores, average="macro")
    assert mean_auc(scores, labels, np.arange(4)) == pytest.approx(expected)


def test_area_counts_pairs():
    scores = np.array([[3.0], [1.0], [2.0], [1.0]])
    won, pairs = 1 + 1 + 0 + 0.5, 4  # 3 beats both others; 1 loses to 2 and ties with 1
    assert mean_auc(scores, np.array([7, 7, 0, 0]), np.array([7])) == won / pairs


def test_values_that_the_test_points_lack_are_left_out():
    scores = np.eye(3)[[0, 1, 0, 1]]
    assert mean_auc(scores, np.array([0, 1, 0, 1]), np.arange(3)) == 1
    assert mean_auc(scores, np.zeros(4, int), np.arange(3)) == 0.5


def test_the_whole_against_plain_scikit_learn():
    f = factors()
    noisy = rep(f @ np.random.default_rng(0).normal(size=(2, 4)) + np.random.default_rng(1).normal(size=(900, 4)), f)
    scaler = StandardScaler().fit(noisy.codes)
    areas = []
    for train, test in zip(noisy.factors.T, noisy.test_factors.T, strict=True):
        model = LogisticRegression(max_iter=5_000, tol=1e-8).fit(scaler.transform(noisy.codes), train)
        probabilities = model.predict_proba(scaler.transform(noisy.test_codes))
        areas.append(roc_auc_score(LabelBinarizer().fit_transform(test), probabilities))
    assert run(noisy).score == pytest.approx(np.mean(areas), abs=1e-3)


def test_known_answers():
    f = factors()
    assert run(rep(np.c_[np.eye(3)[f[:, 0]], np.eye(5)[f[:, 1]]], f)).score == 1
    noise = run(rep(np.random.default_rng(0).normal(size=(900, 3)), f))
    assert noise.score == pytest.approx(0.5, abs=0.05) and noise.parts["train"] > 0.5
    two_values = factors(sizes=(2, 2))
    assert run(rep(two_values - 0.5, two_values)).score == 1


def test_linear_maps_hardly_matter():
    f = factors()
    codes = f + np.random.default_rng(0).normal(size=(900, 2))
    rotation = np.array([[0.6, 0.8], [-0.8, 0.6]])
    scores = [run(rep(c, f)).score for c in (codes, codes @ rotation, codes * [100, -0.01] + 5)]
    assert max(scores) - min(scores) < 0.003


def test_an_angle_in_one_latent_is_less_explicit_than_sine_and_cosine():
    f = factors(sizes=(12, 2))
    angle = 2 * np.pi * f[:, 0] / 12
    on_a_circle = run(rep(np.c_[np.sin(angle), np.cos(angle), f[:, 1]], f)).score
    assert on_a_circle == 1
    assert run(rep(np.c_[np.abs(angle - np.pi), f[:, 1]], f)).score < 0.99, "angles on both sides of pi look alike"


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_collapsed_latents(value):
    f = factors()
    dead = np.full((900, 1), value)
    codes = f + np.random.default_rng(0).normal(size=(900, 2))
    assert run(rep(np.c_[codes, dead], f)).score == pytest.approx(run(rep(codes, f)).score, abs=1e-6)
    assert run(rep(np.c_[dead, dead], f)).score == pytest.approx(0.5, abs=1e-6)
