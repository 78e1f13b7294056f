"""3CharM, also called DCIMIG: gaps of mutual information that count for modularity and compactness at once."""

import numpy as np

from unbraid.information import entropy, mutual_information
from unbraid.metrics.mig import gap
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import draw_binned
from unbraid.types import Representation


def dcimig(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, bins: int = 10) -> Result:
    """What share of the factors' information sits in latents of their own.

    Each latent's gap g_j = I(c_j; v_1j) - I(c_j; v_2j) between the two factors it knows best counts for the better
    one; DCIMIG = sum_k max_(j: 1j = k) g_j / sum_k H(v_k) (Sepliarskaia et al. 2019, 3CharM).

    Protocol: points and 10 equal widths as in mig_sup, the settings of the comparison of Carbonneau et al. 2022. Range
    0 to 1: 0 where every latent knows two factors equally well, 1 where each factor is given away by a latent that
    knows of no other. Failings: factors of many values weigh more, by their entropy; a second latent for the same
    factor costs nothing; 10 bins cannot tell more than 10 values apart. Matrices: mutual_information [L, F] in nats.
    """
    codes, factors = draw_binned(rep, rng, points, bins)
    mi = mutual_information(codes, factors)
    own = np.where(np.arange(mi.shape[1]) == mi.argmax(axis=1)[:, None], gap(mi, axis=1)[:, None], 0.0)
    return Result(float(own.max(axis=0).sum() / entropy(factors).sum()), matrices={"mutual_information": mi})
