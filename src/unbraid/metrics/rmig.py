"""Robust mutual information gap: q(z|x) itself cut into bins."""

import numpy as np

from unbraid.metrics.mig import gap
from unbraid.metrics.result import Result
from unbraid.types import Representation

_ROWS_AT_ONCE = 2_000
_WIDEST_LOGVAR = 50.0  # beyond it a standard deviation is 0 or infinite for every purpose
_LEAST = 1e-8  # what the authors' code keeps standard deviations, variances and the p of log p from falling below
_SEEN = 1e-5  # a posterior whose density is nowhere as large at the bins' centres falls between (or far beyond) them


def rmig(rep: Representation, rng: np.random.Generator, *, bins: int = 100, limit: float = 4.0) -> Result:
    """The gap of mig for the latents' posteriors rather than their means.

    RMIG = 1/F sum_k (I(z_1k; v_k) - I(z_2k; v_k)) / H(v_k), from the joint table
    Q(b, v) = 1/N sum_n Q(b | x_n) [v_n = v] (Do & Tran 2020 and their code).

    Protocol: every row counts, of a population too; 100 equal bins from -4 to 4; Q(b | x) is the density of q(z|x) at
    the bins' centres, made to sum to 1; where none of these reaches 1e-5, and where no `logvar` is given, all of it is
    in the bin of the mean, the outer bins reaching to infinity; p counts as at least 1e-8 in log p. Range 0 to 1, the
    ends as in mig; noise of the posterior counts against a latent, so a latent at the prior knows nothing, whatever
    its mean does. Failings: those of mig on the side of the factors, and bins on a fixed range presume the scale of a
    VAE's codes; with few rows a value, 100 bins overestimate information. Matrices: mutual_information [L, F] in nats.
    """
    factors = rep.factors.astype(np.int64)
    sizes = factors.max(axis=0) + 1
    columns = factors + np.cumsum(sizes) - sizes  # each value of each factor has a column of its own
    edges = np.linspace(-limit, limit, bins + 1)
    joint = np.zeros((rep.codes.shape[1], int(sizes.sum()), bins))
    for start in range(0, len(factors), _ROWS_AT_ONCE):
        piece = slice(start, start + _ROWS_AT_ONCE)
        means = rep.codes[piece]
        one_hot = np.zeros((len(means), joint.shape[1]))
        np.put_along_axis(one_hot, columns[piece], 1.0, axis=1)
        for latent, mean in enumerate(means.T):
            logvar = None if rep.logvar is None else rep.logvar[piece, latent]
            joint[latent] += one_hot.T @ _shares(mean, logvar, edges)

    tables = np.split(joint / len(factors), np.cumsum(sizes)[:-1], axis=1)  # F times [L, V, bins]
    information, entropies = zip(*map(_information, tables), strict=True)
    mi = np.stack(information, axis=1)
    return Result(float(np.mean(gap(mi, axis=0) / entropies)), matrices={"mutual_information": mi})


def _shares(mean: np.ndarray, logvar: np.ndarray | None, edges: np.ndarray) -> np.ndarray:
    """[n, bins]: how much of each q(z|x) is in which bin; rows sum to 1."""
    bins = len(edges) - 1
    own = np.eye(bins)[np.searchsorted(edges[1:-1], mean, side="right")]
    if logvar is None:
        return own
    sd = np.maximum(np.exp(np.clip(logvar, -_WIDEST_LOGVAR, _WIDEST_LOGVAR) / 2), _LEAST)[:, None]
    centres = (edges[:-1] + edges[1:]) / 2
    density = np.exp(-np.square(centres - mean[:, None]) / (2 * np.maximum(sd**2, _LEAST)))
    density /= sd * np.sqrt(2 * np.pi)
    seen = density.max(axis=1, keepdims=True) >= _SEEN
    return np.where(seen, density / np.where(seen, density.sum(axis=1, keepdims=True), 1.0), own)


def _information(table: np.ndarray) -> tuple[np.ndarray, float]:
    """([L] I(z_j; v), H(v)) of the joint shares [L, V, bins] of one factor."""
    of_value, of_bin = table[0].sum(axis=1), table.sum(axis=1)
    h_value, h_bin, h_joint = (-p * np.log(np.maximum(p, _LEAST)) for p in (of_value, of_bin, table))
    return h_value.sum() + h_bin.sum(axis=1) - h_joint.sum(axis=(1, 2)), float(h_value.sum())
