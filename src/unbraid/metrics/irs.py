"""Interventional robustness: how little a latent moves while its factor stands still."""

import numpy as np

from unbraid.information import equal_width_bins, quantile_bins
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import draw
from unbraid.types import Representation


def irs(
    rep: Representation,
    rng: np.random.Generator,
    *,
    points: int = 10_000,
    bins: int = 20,
    quantile: float = 0.99,
) -> Result:
    """How robust each latent is against changes of all factors but one.

    R_jk = 1 - mean over values v of Q_0.99(|c_j - E[c_j | v_k = v]|) / max |c_j - E[c_j]|;
    IRS = sum_j w_j max_k R_jk / sum_j w_j with w_j = max |c_j - E[c_j]| (Suter et al. 2019, as in Locatello et al.
    2019: a quantile in place of the maximum, the mean over values in place of the probability-weighted one).

    Protocol: 10,000 points; discrete factors are cut into 20 equal widths, as published, continuous ones into 20 bins
    of equally many points: bins count alike, and one with few points, such as equal widths leave in the tail of a
    skewed factor, hardly moves whatever the codes; constant latents are left out. Range 0 to 1: near 0 where a latent
    moves as far with its best factor fixed as it ever does, 1 where fixing one factor holds it still; 0 where all
    latents are constant. Failings: the weights depend on the scale of the codes, so a rescaled latent moves the score;
    bins merge values (32 positions fall into 20), and the best factor is picked on the points that score it, so that
    noise scores above 0 (about 0.4, and more where few points have a value or the codes have long tails); a latent
    holding nothing but one rare jump looks robust. Matrices: robustness [L, F], rows of constant latents 0.
    """
    codes, factors = draw(rep, rng, points)
    active = np.flatnonzero(np.ptp(codes, axis=0) > 0)
    robustness = np.zeros((codes.shape[1], factors.shape[1]))
    if not len(active):
        return Result(0.0, matrices={"robustness": robustness})
    codes = codes[:, active]
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    for factor, size in enumerate(rep.factor_sizes):
        cut = quantile_bins if size is None else equal_width_bins
        binned = cut(factors[:, [factor]], bins)[:, 0]
        groups = [codes[binned == value] for value in np.unique(binned)]
        moved = [np.quantile(np.abs(group - group.mean(axis=0)), quantile, axis=0) for group in groups]
        robustness[active, factor] = 1 - np.mean(moved, axis=0) / largest
    score = np.average(robustness[active].max(axis=1), weights=largest)
    return Result(float(score), matrices={"robustness": robustness})
