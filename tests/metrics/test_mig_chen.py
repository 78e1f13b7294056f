import math

import numpy as np
import pytest
from metric_cases import GRID, RNG, UNIT, rep

from unbraid.metrics import mig_chen


def sampled_mig(means: np.ndarray, sds: np.ndarray, factors: np.ndarray, samples: int, seed: int) -> float:
    """The paper's estimate: entropies by sampling z from q(z|x) and averaging -log q(z)."""
    rng = np.random.default_rng(seed)

    def entropy(mean: np.ndarray, sd: np.ndarray) -> float:
        n = rng.integers(len(mean), size=samples)
        z = rng.normal(mean[n], sd[n])
        log_density = -0.5 * ((z[:, None] - mean) / sd) ** 2 - np.log(sd) - 0.5 * math.log(2 * math.pi)
        return -float(np.mean(np.logaddexp.reduce(log_density, axis=1) - math.log(len(mean))))

    gaps = []
    for factor in factors.T:
        values, counts = np.unique(factor, return_counts=True)
        shares = counts / counts.sum()
        informations = []
        for mean, sd in zip(means.T, sds.T, strict=True):
            conditional = [entropy(mean[factor == v], sd[factor == v]) for v in values]
            informations.append(entropy(mean, sd) - float(shares @ conditional))
        first, second, *_ = sorted(np.maximum(informations, 0), reverse=True)
        gaps.append((first - second) / -float(shares @ np.log(shares)))
    return float(np.mean(gaps))


def test_it_is_what_sampling_tends_to() -> None:
    rng = np.random.default_rng(3)
    means = UNIT @ rng.normal(size=(3, 4))
    logvar = rng.uniform(-4, 0, size=means.shape)
    estimates = [sampled_mig(means, np.exp(logvar / 2), GRID, 3_000, seed) for seed in range(6)]
    spread = np.std(estimates, ddof=1) / math.sqrt(6)
    assert mig_chen(rep(means, logvar=logvar), RNG).score == pytest.approx(np.mean(estimates), abs=4 * spread + 2e-3)


def test_narrow_posteriors_of_perfect_codes_score_1() -> None:
    assert mig_chen(rep(UNIT, logvar=np.full(UNIT.shape, -8.0)), RNG).score == pytest.approx(1, abs=1e-2)


def test_latents_at_the_prior_know_nothing() -> None:
    prior = np.zeros(UNIT.shape)
    assert mig_chen(rep(prior, logvar=prior), RNG).score == pytest.approx(0, abs=1e-6)
    halves = np.c_[UNIT, np.zeros(UNIT.shape)]
    logvar = np.c_[np.full(UNIT.shape, -8.0), prior]
    assert mig_chen(rep(halves, logvar=logvar), RNG).score == pytest.approx(1, abs=1e-2)


def test_wide_posteriors_hide_what_their_means_tell() -> None:
    assert mig_chen(rep(UNIT, logvar=np.full(UNIT.shape, 6.0)), RNG).score < 0.01


def test_two_latents_alike_leave_no_gap() -> None:
    codes = UNIT[:, [0, 0, 1, 1, 2, 2]]
    assert mig_chen(rep(codes, logvar=np.full(codes.shape, -4.0)), RNG).score == pytest.approx(0, abs=1e-12)


def test_extreme_variances_stay_finite() -> None:
    for logvar in (-1e4, 1e4):
        assert 0 <= mig_chen(rep(UNIT, logvar=np.full(UNIT.shape, logvar)), RNG).score <= 1


def test_one_wide_posterior_does_not_blur_the_others_unevenly() -> None:
    """It stretches the line that is integrated over; floors that look at the means alone fall below a step of it."""
    cells, means = np.tile(GRID, (10, 1)), np.tile(UNIT, (10, 1))
    logvar = np.full(means.shape, -20.0)
    logvar[0] = 5.0
    assert mig_chen(rep(means, cells, logvar=logvar), RNG).score == pytest.approx(1, abs=0.02)
