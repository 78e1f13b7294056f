"""Mutual information gap as first published, from q(z|x) rather than from binned means."""

import numpy as np

from unbraid.information import REACH, entropy, mixture_entropy
from unbraid.metrics.mig import gap
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import RowsByValue
from unbraid.types import Representation

_WIDEST_LOGVAR = 50.0  # beyond it a standard deviation is 0 or infinite for every purpose
_NARROWEST = 1 / 2_000  # of the line that the posteriors cover: what the integration still resolves


def mig_chen(rep: Representation, rng: np.random.Generator) -> Result:
    """The gap of mig between z and the factors, with z distributed as the encoder says.

    MIG = 1/F sum_k (I(z_1k; v_k) - I(z_2k; v_k)) / H(v_k), I(z_j; v_k) = H(z_j) - sum_v p(v) H(z_j | v_k = v), where
    q(z_j) and q(z_j | v) are the mixtures of the q(z_j|x) of all images, and of those with the value v (Chen et al.
    2018, section 4.1).

    Protocol: every row counts, of a population too. Range 0 to 1, the ends as in mig; a latent at the prior knows
    nothing. Failings: a factor that needs two latents scores 0, one latent that holds two factors costs nothing, and
    with few rows a value each mixture is spiky, so that information is overestimated. Chen et al. estimate each
    entropy from 10,000 samples of its mixture and leave out the shape; the entropies are integrals along a line, so we
    integrate instead of sampling (to 2e-3 nats, no spread over seeds), with no posterior narrower than 1/2000 of the
    line that all of them cover; and no factor is left out. Matrices: mutual_information [L, F] in nats.
    """
    assert rep.logvar is not None  # the table says needs="posterior"
    factors = rep.factors.astype(np.int64)
    sds = np.exp(np.clip(rep.logvar, -_WIDEST_LOGVAR, _WIDEST_LOGVAR) / 2)
    index = RowsByValue(factors)
    h_factors = entropy(factors)
    mi = np.empty((rep.codes.shape[1], factors.shape[1]))
    for latent, (mean, sd) in enumerate(zip(rep.codes.T, sds.T, strict=True)):
        sd = np.maximum(sd, _NARROWEST * ((mean + REACH * sd).max() - (mean - REACH * sd).min()))
        marginal = mixture_entropy(mean, sd)
        for factor in range(factors.shape[1]):
            conditional = sum(len(rows) * mixture_entropy(mean[rows], sd[rows]) for rows in index.rows(factor))
            mi[latent, factor] = np.clip(marginal - conditional / len(mean), 0.0, h_factors[factor])
    return Result(float(np.mean(gap(mi, axis=0) / h_factors)), matrices={"mutual_information": mi})
