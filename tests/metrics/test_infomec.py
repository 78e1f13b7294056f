"""InfoM, InfoC and InfoE against scikit-learn's estimators and the formulas written out."""

import numpy as np
import pytest
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from unbraid.metrics.infoc import infoc
from unbraid.metrics.infoe import infoe
from unbraid.metrics.infom import infom
from unbraid.metrics.infomec import largest_share, neighbour_information, normalised_information
from unbraid.types import Representation

SIZES = (3, 4, 6)


def factors(n=2_000):
    return np.stack([np.random.default_rng(k).integers(size, size=n) for k, size in enumerate(SIZES)], axis=1)


def run(metric, codes, f=None):
    return metric(Representation(codes, factors(len(codes)) if f is None else f, SIZES), np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("neighbours", [1, 3, 10])
def test_information_is_that_of_scikit_learn(seed, neighbours):
    rng = np.random.default_rng(seed)
    factor = rng.integers(7, size=700)
    code = np.sin(factor) + 0.5 * rng.normal(size=700) - 3
    expected = mutual_info_classif(
        code[:, None], factor, discrete_features=False, n_neighbors=neighbours, random_state=0
    ).item()
    assert neighbour_information(code, factor, neighbours) == pytest.approx(expected, abs=1e-9)


def test_information_with_rare_values_counted_point_by_point():
    rng = np.random.default_rng(0)
    factor = np.r_[rng.integers(3, size=200), [3] * 5, [4] * 2, [5]]
    code = factor + rng.normal(size=len(factor))
    terms = []
    for x, value in zip(code[:-1], factor[:-1], strict=True):  # the last value occurs once
        distance = np.abs(code[:-1] - x)
        own = np.sort(distance[factor[:-1] == value])
        k = min(10, len(own) - 1)
        terms.append(digamma(k) - digamma(len(own)) - digamma(np.sum(distance < own[k])))
    assert neighbour_information(code, factor, 10) == pytest.approx(digamma(len(terms)) + np.mean(terms), abs=1e-9)
    assert neighbour_information(code[-1:], factor[-1:], 10) == 0, "a value seen once tells nothing"


def test_information_with_known_values():
    rng = np.random.default_rng(0)
    factor = rng.integers(4, size=20_000)
    assert neighbour_information(rng.normal(size=20_000), factor, 10) == pytest.approx(0, abs=0.02)
    assert neighbour_information(factor + 0.1 * rng.random(20_000), factor, 10) == pytest.approx(np.log(4), abs=0.01)
    halves = rng.integers(2, size=20_000)
    overlapping = halves + 2 * rng.random(20_000)  # [0, 2] and [1, 3]: half the points are told for sure
    assert neighbour_information(overlapping, halves, 10) == pytest.approx(np.log(2) / 2, abs=0.02)


def test_equal_values_and_constant_latents():
    f = factors()
    nmi, active = normalised_information(
        np.c_[f[:, 0] + 0.0, np.full(2_000, 0.1), f[:, 1]], f, np.random.default_rng(0), 10
    )
    assert nmi[0, 0] == pytest.approx(1, abs=0.02) and nmi[2, 1] == pytest.approx(1, abs=0.02)
    np.testing.assert_array_equal(nmi[1], 0)
    np.testing.assert_array_equal(active, [True, False, True])


def test_active_latents_have_a_twentieth_of_the_widest_range():
    widths = np.array([20.0, 1.1, 0.9])
    _, active = normalised_information(
        np.linspace(0, 1, 2_000)[:, None] * widths, factors(), np.random.default_rng(0), 10
    )
    np.testing.assert_array_equal(active, [True, True, False])


def test_shares_written_out():
    rows = np.array([[3.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    shares = np.array([3 / 4, 1 / 3, 1 / 3, 1])
    assert largest_share(rows) == pytest.approx(np.mean((shares - 1 / 3) / (1 - 1 / 3)))
    assert largest_share(np.zeros((0, 3))) == largest_share(np.zeros((3, 0))) == 0
    assert largest_share(np.array([[2.0], [0.0]])) == 1 and largest_share(np.zeros((2, 1))) == 0


@pytest.mark.parametrize("metric", [infom, infoc])
def test_scores_against_the_published_formulas(metric):
    rng = np.random.default_rng(0)
    f = factors()
    codes = f @ rng.normal(size=(3, 5)) + rng.normal(size=(2_000, 5)) * [1, 1, 1, 1, 0.001]
    found = run(metric, codes)
    nmi = np.empty((3, 5))
    for k, factor in enumerate(f.T):
        entropy = -sum(p * np.log(p) for p in np.bincount(factor) / len(factor))
        scaled = StandardScaler().fit_transform(codes)
        nmi[k] = mutual_info_classif(scaled, factor, discrete_features=False, n_neighbors=10, random_state=0) / entropy
    if metric is infom:
        expected = (np.mean(nmi.max(0) / nmi.sum(0)) - 1 / 3) / (1 - 1 / 3)
    else:
        expected = (np.mean(nmi.max(1) / nmi.sum(1)) - 1 / 5) / (1 - 1 / 5)
    assert found.score == pytest.approx(expected, abs=1e-6)
    np.testing.assert_allclose(found.matrices["normalised_information"], nmi.T, atol=1e-6)


def test_perfect_codes():
    codes = factors() + 0.01 * np.random.default_rng(0).normal(size=(2_000, 3))
    assert run(infom, codes).score > 0.95
    assert run(infoc, codes).score > 0.95
    assert run(infoe, np.concatenate([np.eye(k)[f] for k, f in zip(SIZES, factors().T, strict=True)], 1)).score > 0.999


def test_noise_flatters_infom_but_not_infoe():
    noise = np.random.default_rng(0).normal(size=(2_000, 6))
    assert 0.3 < run(infom, noise).score < 0.8
    assert run(infoe, noise).score == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("metric", [infom, infoc, infoe])
def test_order_sign_and_scale_do_not_matter(metric):
    codes = factors() + np.random.default_rng(0).normal(size=(2_000, 3))
    turned = codes[:, [1, 2, 0]] * [-2, 2, -2] + 7
    assert run(metric, codes).score == pytest.approx(run(metric, turned).score, abs=1e-6)


def test_one_active_latent():
    codes = np.c_[factors()[:, 2] + 0.01 * np.random.default_rng(0).normal(size=2_000), np.zeros((2_000, 3))]
    found = run(infoc, codes)
    assert found.parts["active_latents"] == 1 and 0 <= found.score <= 1
    assert run(infom, codes).score > 0.9


def test_no_active_latent():
    for metric in (infom, infoc, infoe):
        assert run(metric, np.full((2_000, 3), 0.1)).score == pytest.approx(0, abs=1e-9)


def test_infoe_against_plain_scikit_learn():
    f = factors()
    f[:300, 0] = 1  # uneven values
    codes = f @ np.random.default_rng(0).normal(size=(3, 4)) + np.random.default_rng(1).normal(size=(2_000, 4))
    usable = []
    for factor in f.T:
        losses = []
        for seen in (StandardScaler().fit_transform(codes), np.zeros_like(codes)):
            model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=5_000, tol=1e-8).fit(seen, factor)
            losses.append(log_loss(factor, model.predict_proba(seen)))
        usable.append(1 - losses[0] / losses[1])
    assert run(infoe, codes, f).score == pytest.approx(np.mean(usable), abs=3e-3)
