"""Mutual information gap between binned latents and factors."""

import numpy as np

from unbraid.information import entropy, mutual_information
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import draw_binned
from unbraid.types import Representation


def gap(values: np.ndarray, axis: int) -> np.ndarray:
    """The largest value along `axis` less the second largest."""
    second, first = np.split(np.sort(values, axis).take((-2, -1), axis), 2, axis)
    return (first - second).squeeze(axis)


def mig(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, bins: int = 20) -> Result:
    """How much more one latent knows of a factor than any other latent does.

    MIG = 1/F sum_k (I(c_1k; v_k) - I(c_2k; v_k)) / H(v_k), where c_1k and c_2k are the two latents with the most
    mutual information with factor v_k (Chen et al. 2018, section 4.1, on posterior means as in Locatello et al. 2019).

    Protocol: 10,000 points; each latent is cut into 20 equal widths, discrete factors keep all their values, continuous
    ones are cut like latents. Range 0 to 1: 0 where two latents (or none) know each factor equally well, 1 where one
    latent gives each factor away and no other latent knows of it. Failings: it only looks at factors, so one latent
    that holds two factors costs nothing (see mig_sup); 20 bins cannot tell 32 positions, so even perfect codes of
    dSprites stay at about 0.9; equal widths waste bins on outliers; a factor that needs two latents, such as an
    angle, scores 0; plug-in mutual information grows as points get fewer. Others bin the factors too, or divide by the
    latent's entropy, or leave the shape out; we do none of these. Matrices: mutual_information [L, F] in nats.
    """
    codes, factors = draw_binned(rep, rng, points, bins)
    mi = mutual_information(codes, factors)
    return Result(float(np.mean(gap(mi, axis=0) / entropy(factors))), matrices={"mutual_information": mi})
