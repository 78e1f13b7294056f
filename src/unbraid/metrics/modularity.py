"""Modularity: whether a latent knows of one factor only."""

import numpy as np

from unbraid.information import equal_width_bins, mutual_information, quantile_bins
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import discrete_factors, draw
from unbraid.types import Representation


def modularity(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, bins: int = 20) -> Result:
    """How little a latent knows of factors besides the one it knows best.

    Modularity = 1/L sum_j (1 - sum_(k != k_j) I(c_j; v_k)^2 / ((F - 1) I(c_j; v_kj)^2)), with k_j the best factor of
    latent j; a latent without any information scores 0 (Ridgeway & Mozer 2018, section 3).

    Protocol: 10,000 points; latents in 20 equal widths and discrete factors as in mig, continuous factors in 20 bins of
    equally many points: counting errors grow with the bins that are in use, so of noise a latent would seem to know
    most of the factor that is spread most evenly, and that alone scored up to 0.9. Range 0 to 1: 0 where each latent
    knows all factors equally well or nothing at all, 1 where each knows exactly one. Failings: it says nothing of how
    much a latent knows, and the noise in plug-in mutual information lets a latent of pure noise score well (about 0.7
    on dSprites), while an exactly constant one scores 0, so collapsed latents move the score either way; squares make
    two factors in one latent look mild once there are many factors. As in Locatello et al. 2019. Matrices:
    mutual_information [L, F] in nats.
    """
    codes, factors = draw(rep, rng, points)
    indices = discrete_factors(factors, rep.factor_sizes, bins, quantile_bins)
    mi = mutual_information(equal_width_bins(codes, bins), indices)
    squares = np.square(mi)
    best = squares.max(axis=1)
    rest = (squares.sum(axis=1) - best) / (squares.shape[1] - 1)
    deviation = np.divide(rest, best, out=np.ones_like(best), where=best > 0)
    return Result(float(np.mean(1 - deviation)), matrices={"mutual_information": mi})
