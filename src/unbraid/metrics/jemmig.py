"""Joint entropy minus mutual information gap."""

import numpy as np

from unbraid.information import entropy, joint_entropy
from unbraid.metrics.mig import gap
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import draw_binned
from unbraid.types import Representation


def jemmig(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, bins: int = 10) -> Result:
    """A gap of mutual information that also charges a latent for what it knows besides its factor.

    J_k = H(c_1k, v_k) - I(c_1k; v_k) + I(c_2k; v_k), with the two latents of mig; the score is
    1/F sum_k (1 - J_k / (H(v_k) + log bins)), the part "nats" the mean of J_k (Do & Tran 2020).

    Protocol: points and 10 equal widths as in mig_sup, the settings of Carbonneau et al. 2022. Range 0 to 1: 0 where
    latents and factors are independent and the best latent fills all bins evenly, 1 where each factor and its latent
    determine each other and no other latent knows of it; in nats 0 is best. Failings: a factor of more values than
    there are bins cannot reach 1; a constant latent does not score 0, since its joint entropy is small. Do & Tran cut
    q(z|x) into 100 bins from -4 to 4 instead of its mean into 10, and report J_k / (H + log bins), lower being better.
    Matrices: mutual_information and joint_entropy [L, F] in nats.
    """
    codes, factors = draw_binned(rep, rng, points, bins)
    h_factors, joint = entropy(factors), joint_entropy(codes, factors)
    mi = entropy(codes)[:, None] + h_factors - joint
    best = np.take_along_axis(joint, mi.argmax(axis=0)[None], axis=0)[0]
    loss = best - gap(mi, axis=0)
    return Result(
        float(np.mean(1 - loss / (h_factors + np.log(bins)))),
        {"nats": float(loss.mean())},
        {"mutual_information": mi, "joint_entropy": joint},
    )
