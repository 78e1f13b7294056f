"""How far the latents are from independent: no factors needed."""

import numpy as np

from unbraid.information import equal_width_bins, mutual_information
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import draw
from unbraid.types import Representation


def unsupervised(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, bins: int = 20) -> Result:
    """Total correlation of the codes, were they Gaussian; beside it a Wasserstein distance and pairwise information.

    With S the codes' covariance and D its diagonal (the unsupervised scores of Locatello et al. 2019):
    score: 1/2 (sum_j log S_jj - log det S) nats, the total correlation of Normal(0, S);
    wasserstein: 2 tr S - 2 tr (D^1/2 S D^1/2)^1/2, the squared 2-Wasserstein distance of Normal(0, S) to Normal(0, D);
    wasserstein_norm: the same over tr S;
    mutual_information: mean of I(c_i; c_j) over pairs of latents, each cut into 20 equal widths.

    Protocol: 10,000 points. Range 0 (uncorrelated, which for Gaussian codes is independent) upwards; lower is better.
    Failings: low values are no proof of disentanglement, since a rotation of independent Gaussian codes keeps them;
    means can be correlated where samples of q(z|x) are not, which is why regularised models still show high values;
    wasserstein depends on the scale of the codes. Constant latents, which make others divide by 0, are left out of the
    covariance; a latent that is a linear function of others has infinite total correlation and is charged about 18
    nats, the most that rounding can tell. Matrices: covariance and mutual_information [L, L].
    """
    codes, _ = draw(rep, rng, points)
    covariance = np.atleast_2d(np.cov(codes, rowvar=False))  # of one latent NumPy makes a number
    active = np.flatnonzero(np.ptp(codes, axis=0) > 0)
    sds = np.sqrt(np.diag(covariance)[active])
    part = covariance[np.ix_(active, active)]
    score, wasserstein, trace = 0.0, 0.0, float(np.trace(part))
    if len(active):
        correlation = np.linalg.eigvalsh(part / np.outer(sds, sds))
        score = -0.5 * float(np.log(np.maximum(correlation, np.finfo(np.float64).eps)).sum())
        root = np.sqrt(np.maximum(np.linalg.eigvalsh(part * np.outer(sds, sds)), 0.0))
        wasserstein = max(2 * trace - 2 * float(root.sum()), 0.0)
    mi = mutual_information(*[equal_width_bins(codes, bins)] * 2)
    pairs = mi[~np.eye(len(mi), dtype=bool)]
    return Result(
        max(score, 0.0),
        {
            "wasserstein": wasserstein,
            "wasserstein_norm": wasserstein / trace if trace > 0 else 0.0,
            "mutual_information": float(pairs.mean()) if pairs.size else 0.0,
        },
        {"covariance": covariance, "mutual_information": mi},
    )
