"""UDR against the published procedure written out with scikit-learn and SciPy."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso
from sklearn.preprocessing import StandardScaler

from unbraid.errors import UnbraidError
from unbraid.metrics.udr import udr

KINDS = ("lasso", "spearman")


def uncorrelated(n=1_000, latents=4):
    raw = np.random.default_rng(0).normal(size=(n, latents))
    return np.linalg.qr(raw - raw.mean(0))[0] * np.sqrt(n)


def active(codes):
    return [np.ones(c.shape[1]) for c in codes]


def published(codes, kl, kind):
    """Model scores, pair by pair."""
    scaled = [StandardScaler().fit_transform(c) for c in codes]
    pairs = np.zeros((len(codes), len(codes)))
    for i, first in enumerate(scaled):
        for j, second in enumerate(scaled):
            if kind == "lasso":
                first_seen = first * (kl[i] > 0.01)
                similarity = np.abs(Lasso(alpha=0.1, tol=1e-10).fit(first_seen, second).coef_.T)
            else:
                similarity = np.abs([[spearmanr(a, b)[0] for b in second.T] for a in first.T])
            similarity = similarity[kl[i] > 0.01][:, kl[j] > 0.01]
            sides = [
                np.mean([row.max() ** 2 / row.sum() if row.sum() else 0 for row in rows])
                for rows in (similarity, similarity.T)
            ]
            pairs[i, j] = np.mean(sides)
    return np.array([np.median(np.delete(pairs[:, i], i)) for i in range(len(codes))]), pairs


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_the_published_procedure(kind):
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(500, 4))
    codes = [sources @ rng.normal(size=(4, 5)) + rng.normal(size=(500, 5)) for _ in range(4)]
    kl = [rng.exponential(size=5) * (rng.random(5) < 0.7) for _ in range(4)]
    scores, pairs = published(codes, kl, kind)
    found = udr(codes, kl, kind=kind)
    np.testing.assert_allclose(found.scores, scores, atol=1e-5)
    off_diagonal = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(found.pairs[off_diagonal], pairs[off_diagonal], atol=1e-5)
    assert np.isnan(np.diag(found.pairs)).all()


@pytest.mark.parametrize(("kind", "best"), [("lasso", 0.9), ("spearman", 1.0)])
def test_models_alike_but_for_order_and_sign(kind, best):
    codes = uncorrelated()
    twins = [codes, codes[:, [2, 0, 3, 1]] * [1, -1, 1, -1], codes * 7 + 1]
    atol = 0.1 if kind == "spearman" else 1e-6  # ranks of uncorrelated columns correlate a little
    np.testing.assert_allclose(udr(twins, active(twins), kind=kind).scores, best, atol=atol)


def test_identical_single_latents_by_rank():
    code = np.random.default_rng(0).normal(size=(100, 1))
    found = udr([code, np.exp(code)], [np.ones(1)] * 2, kind="spearman")
    np.testing.assert_allclose(found.scores, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_rotated_models_agree_less_and_noise_not_at_all(kind):
    rng = np.random.default_rng(1)
    codes = uncorrelated()
    rotated = [codes @ np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(4)]
    alike = udr([codes] * 4, active(rotated), kind=kind).scores
    noise = [rng.normal(size=(1_000, 4)) for _ in range(4)]
    assert (udr(rotated, active(rotated), kind=kind).scores < alike - 0.2).all()
    assert (udr(noise, active(noise), kind=kind).scores < 0.1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_uninformative_latents_do_not_count(kind):
    codes = uncorrelated()
    dead = np.random.default_rng(5).normal(size=(1_000, 3))
    wide = [np.c_[codes, dead], np.c_[dead[::-1], codes]]
    kl = [np.r_[np.ones(4), np.full(3, 0.01)], np.r_[np.full(3, 0.001), np.ones(4)]]
    plain = udr([codes, codes], active([codes, codes]), kind=kind)
    np.testing.assert_allclose(udr(wide, kl, kind=kind).scores, plain.scores)


@pytest.mark.parametrize("kind", KINDS)
def test_collapsed_models_score_zero(kind):
    codes = uncorrelated()
    found = udr([codes, codes, np.full((1_000, 4), 0.1)], [np.ones(4), np.ones(4), np.zeros(4)], kind=kind)
    assert found.scores[2] == 0
    assert found.pairs[0, 2] == found.pairs[2, 0] == 0
    constant_yet_informative = udr([codes, np.full((1_000, 4), 0.1)], [np.ones(4)] * 2, kind=kind)
    np.testing.assert_allclose(constant_yet_informative.scores, 0, atol=1e-9)


@pytest.mark.parametrize(
    ("codes", "kl", "kind", "says"),
    [
        ([np.ones((5, 2))], [np.ones(2)], "lasso", "at least two models"),
        ([np.ones((5, 2))] * 2, [np.ones(2)], "lasso", "2 and 1"),
        ([np.ones((5, 2)), np.ones((6, 2))], [np.ones(2)] * 2, "lasso", r"model 1 .*\[6, 2\].*same images"),
        ([np.ones((5, 2))] * 2, [np.ones(2), np.ones(3)], "lasso", r"model 1 .*KL of shape \[3\]"),
        ([np.ones((5, 2))] * 2, [np.ones(2)] * 2, "pearson", '"lasso" or "spearman", not "pearson"'),
    ],
)
def test_tables_that_do_not_fit(codes, kl, kind, says):
    with pytest.raises(UnbraidError, match=says):
        udr(codes, kl, kind=kind)
