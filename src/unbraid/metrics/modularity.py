"""Modularity: whether a latent knows of one factor only."""

import numpy as np

from unbraid.information import mutual_information
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import draw_binned
from unbraid.types import Representation


def modularity(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, bins: int = 20) -> Result:
    """How little a latent knows of factors besides the one it knows best.

    Modularity = 1/L sum_j (1 - sum_(k != k_j) I(c_j; v_k)^2 / ((F - 1) I(c_j; v_kj)^2)), with k_j the best factor of
    latent j; a latent without any information scores 0 (Ridgeway & Mozer 2018, section 3).

    Protocol: 10,000 points and 20 equal widths as in mig. Range 0 to 1: 0 where each latent knows all factors equally
    well or nothing at all, 1 where each knows exactly one. Failings: it says nothing of how much a latent knows, and
    the noise in plug-in mutual information lets a latent of pure noise score well (about 0.7 on dSprites), while an
    exactly constant one scores 0, so collapsed latents move the score either way; squares make two factors in one
    latent look mild once there are many factors. As in Locatello et al. 2019. Matrices: mutual_information [L, F] in
    nats.
    """
    codes, factors = draw_binned(rep, rng, points, bins)
    mi = mutual_information(codes, factors)
    squares = np.square(mi)
    best = squares.max(axis=1)
    rest = (squares.sum(axis=1) - best) / (squares.shape[1] - 1)
    deviation = np.divide(rest, best, out=np.ones_like(best), where=best > 0)
    return Result(float(np.mean(1 - deviation)), matrices={"mutual_information": mi})
