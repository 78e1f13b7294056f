import math

import numpy as np
import pytest
import scipy.linalg
from metric_cases import GRID, RNG, UNIT, bins_by_division, rep, slow_entropy

from unbraid.metrics import unsupervised


def with_covariance(covariance: list[list[float]], points: int = 100) -> np.ndarray:
    """Codes whose sample covariance is exactly the one asked for."""
    raw = np.random.default_rng(0).normal(size=(points, len(covariance)))
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    return white @ np.linalg.cholesky(covariance).T


def factors(points: int) -> np.ndarray:
    return np.arange(points)[:, None] % 2


def test_two_correlated_gaussians() -> None:
    codes = with_covariance([[4.0, 1.2], [1.2, 1.0]])  # correlation 0.6
    result = unsupervised(rep(codes, factors(100)), RNG)
    assert result.score == pytest.approx(-0.5 * math.log(1 - 0.36))


def test_wasserstein_is_the_distance_to_the_diagonal() -> None:
    covariance = np.array([[4.0, 1.2, 0.3], [1.2, 1.0, -0.2], [0.3, -0.2, 0.5]])
    root = scipy.linalg.sqrtm(
        np.diag(np.sqrt(np.diag(covariance))) @ covariance @ np.diag(np.sqrt(np.diag(covariance)))
    )
    parts = unsupervised(rep(with_covariance(covariance.tolist()), factors(100)), RNG).parts
    assert parts["wasserstein"] == pytest.approx(2 * np.trace(covariance) - 2 * np.trace(root))
    assert parts["wasserstein_norm"] == pytest.approx(parts["wasserstein"] / 5.5)


def test_mean_pairwise_information() -> None:
    codes = np.c_[UNIT, UNIT[:, 0] + 0.1 * np.random.default_rng(0).normal(size=len(UNIT))]
    binned = [bins_by_division(column, 20) for column in codes.T]
    pairs = [(a, b) for a in range(4) for b in range(a)]
    slow = [slow_entropy(binned[a]) + slow_entropy(binned[b]) - slow_entropy(binned[a], binned[b]) for a, b in pairs]
    assert unsupervised(rep(codes), RNG).parts["mutual_information"] == pytest.approx(np.mean(slow))


def test_one_latent_depends_on_nothing() -> None:
    codes = np.random.default_rng(0).normal(size=(100, 1))
    result = unsupervised(rep(codes, factors(100)), RNG)
    assert result.score == result.parts["mutual_information"] == 0
    assert result.matrices["covariance"] == pytest.approx(np.var(codes, ddof=1)[None, None])


def test_uncorrelated_codes_score_0() -> None:
    result = unsupervised(rep(UNIT), RNG)
    assert [result.score, *result.parts.values()] == pytest.approx([0] * 4, abs=1e-9)


def test_constant_latents_are_left_out() -> None:
    codes = with_covariance([[4.0, 1.2], [1.2, 1.0]])
    padded = unsupervised(rep(np.c_[codes, np.full(100, 0.1)], factors(100)), RNG)
    assert padded.score == pytest.approx(-0.5 * math.log(1 - 0.36))
    constant = unsupervised(rep(np.full((len(GRID), 2), 0.1)), RNG)
    assert [constant.score, *constant.parts.values()] == [0, 0, 0, 0]


def test_a_doubled_latent_is_charged_a_lot_but_finitely() -> None:
    assert 15 < unsupervised(rep(UNIT[:, [0, 0, 1, 2]]), RNG).score < 20
