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
    bins: int = 20,
    min_variance: float = 0.01,
) -> Result:
    """How much more a latent knows of one factor than of any other: the complement of mig.

    MIG-sup = 1/A sum_j (n_j1 - n_j2), where n_j1 and n_j2 are the two largest of n_jk = I(c_j; v_k) / H(v_k), over
    the A active latents, those whose variance exceeds `min_variance` (Li et al. 2020 and their code).

    Protocol: 10,000 points and 20 equal widths as in mig. Range 0 to 1: 0 where every latent knows two factors equally
    well or none is active, 1 where every active latent gives one factor away and knows of no other. Failings: a factor
    split over many latents costs nothing as long as each holds only that factor; the threshold on the variance
    presumes the scale of a VAE's codes; the bins' loss is that of mig. Another reading in use divides by the latent's
    entropy H(c_j) and averages over all latents, collapsed ones as 0: it is the part "over_latent_entropy". Matrices:
    mutual_information [L, F] in nats.
    """
    codes, factors = draw(rep, rng, points)
    active = codes.var(axis=0) > min_variance
    binned, indices = equal_width_bins(codes, bins), discrete_factors(factors, rep.factor_sizes, bins)
    mi = mutual_information(binned, indices)
    gaps = gap(mi / entropy(indices), axis=1)
    latent_entropy = entropy(binned)
    over_latents = np.divide(gap(mi, axis=1), latent_entropy, out=np.zeros(len(mi)), where=latent_entropy > 0)
    return Result(
        float(gaps[active].mean()) if active.any() else 0.0,
        {"over_latent_entropy": float(over_latents.mean())},
        {"mutual_information": mi},
    )
