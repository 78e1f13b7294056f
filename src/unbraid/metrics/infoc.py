"""InfoC: compactness by information."""

import numpy as np

from unbraid.metrics.infomec import largest_share, normalised_information
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import draw
from unbraid.types import Representation


def infoc(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, neighbours: int = 10) -> Result:
    """How much of what the active latents know of each factor is in one of them.

    InfoC = (1/F sum_k max_j NMI_jk / sum_j NMI_jk - 1/A) / (1 - 1/A), over the A active latents j; NMI as in infom
    (Hsu et al. 2023).

    Protocol as in infom. Range 0 (all active latents know each factor equally) to 1 (each factor is known to one); 0
    where no latent is active or none knows anything. With one active latent the published formula is 0/0; we give 1,
    what it knows being in one place, as DCI's completeness does. Failings: as in infom; and the fewer latents are
    active, the easier it is, so a collapsed code scores well: read it beside infoe. Parts: active_latents. Matrices:
    normalised_information [L, F].
    """
    codes, factors = draw(rep, rng, points)
    nmi, active = normalised_information(codes, factors, rng, neighbours)
    score = largest_share(nmi[active].T)
    return Result(score, {"active_latents": float(active.sum())}, {"normalised_information": nmi})
