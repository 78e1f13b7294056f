"""Robust mutual information gap: q(z|x) itself cut into bins."""

import numpy as np

from unbraid.information import entropy, entropy_of_counts
from unbraid.metrics.mig import gap
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import rows
from unbraid.types import Representation

_ROWS_AT_ONCE = 10_000
_NARROWEST = 1e-12  # keeps a posterior of variance 0 a step rather than 0/0
_REACH = 9.0  # standard deviations: the mass beyond is 1e-19, and numbers near the smallest double are slow


def _information(table: np.ndarray) -> float:
    rows, columns = entropy_of_counts(table.sum(axis=1)), entropy_of_counts(table.sum(axis=0))
    return max(rows + columns - entropy_of_counts(table), 0.0)


def rmig(
    rep: Representation, rng: np.random.Generator, *, points: int = 10_000, bins: int = 100, limit: float = 4.0
) -> Result:
    """The gap of mig for the latents' posteriors rather than their means.

    RMIG = 1/F sum_k (I(z_1k; v_k) - I(z_2k; v_k)) / H(v_k), from the joint table
    Q(b, v) = 1/N sum_n q(z in bin b | x_n) [v_n = v] (Do & Tran 2020).

    Protocol: 10,000 points; 100 equal bins from -4 to 4, the outer two reaching to infinity; each q(z|x) spreads over
    the bins by its mass in them. Range 0 to 1, the ends as in mig; noise of the posterior counts against a latent, so
    a latent at the prior knows nothing, whatever its mean does. Failings: those of mig on the side of the factors, and
    bins on a fixed range presume the scale of a VAE's codes. Do & Tran use every image and the density at a bin's
    centre in place of its mass. Matrices: mutual_information [L, F] in nats.
    """
    from scipy.special import ndtr

    assert rep.logvar is not None  # the table says needs="posterior"
    chosen = rows(rep, rng, points)
    factors = rep.factors[chosen].astype(np.int64)
    sizes = factors.max(axis=0) + 1
    columns = factors + np.cumsum(sizes) - sizes  # each value of each factor has a column of its own
    edges = np.linspace(-limit, limit, bins + 1)[1:-1]
    joint = np.zeros((rep.codes.shape[1], int(sizes.sum()), bins))
    for start in range(0, len(chosen), _ROWS_AT_ONCE):
        piece = chosen[start : start + _ROWS_AT_ONCE]
        one_hot = np.zeros((len(piece), joint.shape[1]))
        np.put_along_axis(one_hot, columns[start : start + _ROWS_AT_ONCE], 1.0, axis=1)
        sds = np.maximum(np.exp(rep.logvar[piece] / 2), _NARROWEST)
        for latent, (mean, sd) in enumerate(zip(rep.codes[piece].T, sds.T, strict=True)):
            distance = np.clip((edges - mean[:, None]) / sd[:, None], -_REACH, _REACH)
            joint[latent] += one_hot.T @ np.diff(ndtr(distance), axis=1, prepend=0.0, append=1.0)

    tables = np.split(joint, np.cumsum(sizes)[:-1], axis=1)  # F times [L, V, bins]
    mi = np.array([[_information(of_latent) for of_latent in table] for table in tables]).T
    return Result(float(np.mean(gap(mi, axis=0) / entropy(factors))), matrices={"mutual_information": mi})
