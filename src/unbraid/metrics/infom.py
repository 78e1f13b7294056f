"""InfoM: modularity by information."""

import numpy as np

from unbraid.metrics.infomec import largest_share, normalised_information
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import draw
from unbraid.types import Representation


def infom(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, neighbours: int = 10) -> Result:
    """How much of what each active latent knows is of one factor.

    InfoM = (1/A sum_(active j) max_k NMI_jk / sum_k NMI_jk - 1/F) / (1 - 1/F), NMI_jk = I(c_j; v_k) / H(v_k)
    (Hsu et al. 2023).

    Protocol: 10,000 points; information from 10 nearest neighbours on standardised codes; latents with a range above
    a twentieth of the widest are active (other rules are in use: see infomec.py). Range 0 (each latent knows all
    factors equally) to 1 (each knows one); 0 where no latent is active; an active one that knows nothing counts as 0.
    Failings: ratios of noise are large, so that codes of pure noise score about 0.5, every one of their latents being
    active; nothing is said of how much is known. Parts: active_latents. Matrices: normalised_information [L, F].
    """
    codes, factors = draw(rep, rng, points)
    nmi, active = normalised_information(codes, factors, rng, neighbours)
    score = largest_share(nmi[active])
    return Result(score, {"active_latents": float(active.sum())}, {"normalised_information": nmi})
