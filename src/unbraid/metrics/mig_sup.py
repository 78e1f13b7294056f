"""Mutual information gap seen from the latents."""

import numpy as np

from unbraid.information import entropy, equal_width_bins, mutual_information
from unbraid.metrics.mig import gap
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import discrete_factors, draw
from unbraid.types import Representation


def mig_sup(
    rep: Representation,
    rng: np.random.Generator,
    *,
    points: int = 10_000,
    bins: int = 10,
    min_variance: float = 0.01,
) -> Result:
    """How much more a latent knows of one factor than of any other: the complement of mig.

    MIG-sup = 1/L sum_j (I(c_j; v_1j) - I(c_j; v_2j)) / H(c_j), where v_1j and v_2j are the two factors that latent j
    knows best; a constant latent counts as 0 (Li et al. 2020, as Carbonneau et al. 2022 and their code read it).

    Protocol: 10,000 points; each latent is cut into 10 equal widths, discrete factors keep all their values, continuous
    ones are cut like latents. Range 0 to 1: 0 where every latent knows two factors equally well or nothing, 1 where
    every latent is given away by one factor and knows of no other. Failings: a factor split over many latents costs
    nothing as long as each holds only that factor; a collapsed latent counts as 0, so spare latents lower the score;
    noise within a latent counts against it. Li et al.'s own code divides by the factor's entropy H(v_k) instead, before
    it looks for the two largest, and averages over the active latents, those whose variance exceeds `min_variance`:
    that is the part "over_factor_entropy", 0 where none is active. Matrices: mutual_information [L, F] in nats.
    """
    codes, factors = draw(rep, rng, points)
    binned, indices = equal_width_bins(codes, bins), discrete_factors(factors, rep.factor_sizes, bins)
    mi, of_latents = mutual_information(binned, indices), entropy(binned)
    gaps = np.divide(gap(mi, axis=1), of_latents, out=np.zeros(len(mi)), where=of_latents > 0)
    active = codes.var(axis=0) > min_variance
    over_factors = gap(mi / entropy(indices), axis=1)[active]
    return Result(
        float(gaps.mean()),
        {"over_factor_entropy": float(over_factors.mean()) if active.any() else 0.0},
        {"mutual_information": mi},
    )
