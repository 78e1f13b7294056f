"""Normalised information between latents and factors: what infom and infoc share."""

import numpy as np

from unbraid.information import entropy


def normalised_information(
    codes: np.ndarray, factors: np.ndarray, rng: np.random.Generator, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """([L, F] I(c_j; v_k) / H(v_k), [L] which latents are active) of codes [N, L] and discrete factors [N, F].

    Information is estimated from nearest neighbours (Ross 2014) on standardised codes. A latent is active where its
    range is above a twentieth of the widest, the rule of Hsu et al. 2023; Tripod (Hsu et al. 2024) asks for a tenth of
    the widest interquartile range instead, FactorVAE's metric for a standard deviation of 0.05.
    """
    spread = np.ptp(codes, axis=0)
    active = spread > spread.max() / 20
    information = np.zeros((codes.shape[1], factors.shape[1]))
    for j in np.flatnonzero(spread > 0):
        code = codes[:, j] / codes[:, j].std()
        code += 1e-10 * max(1.0, np.abs(code).mean()) * rng.standard_normal(len(code))  # equal values get an order
        information[j] = [neighbour_information(code, factor, neighbours) for factor in factors.T]
    return information / entropy(factors), active


def largest_share(rows: np.ndarray) -> float:
    """Mean over rows [R, K] of max / sum, moved from [1/K, 1] to [0, 1]; rows of zeros count as 0, no rows as 0.

    Rows of one entry have nothing to share with: 1 if any is positive.
    """
    if not rows.size:
        return 0.0
    total, even = rows.sum(axis=1), 1 / rows.shape[1]
    if even == 1:
        return float(np.any(total > 0))  # a mean would count the factors of which chance estimates a little
    share = np.divide(rows.max(axis=1), total, out=np.full(len(rows), even), where=total > 0)
    return float((share.mean() - even) / (1 - even))


def neighbour_information(code: np.ndarray, factor: np.ndarray, neighbours: int) -> float:
    """I(code; factor) >= 0 in nats, of a continuous code [N] and a discrete factor [N] (Ross 2014).

    psi(N) + <psi(k)> - <psi(N_v)> - <psi(m)>: m points of any value lie nearer than the k-th neighbour of the same
    value, the point itself included; k is `neighbours`, or all others of a rarer value. Values seen once are left out.
    """
    from scipy.special import digamma

    order = np.argsort(code)
    code, factor = code[order], factor[order]
    counts = np.bincount(factor)
    kept = counts[factor] > 1
    code, factor = code[kept], factor[kept]
    if not len(code):
        return 0.0
    nearer, same, k = np.empty((3, len(code)))
    for value in np.unique(factor):
        members = np.flatnonzero(factor == value)
        own = code[members]
        count = min(neighbours, len(own) - 1)
        low, high = _reach(own, count)
        nearer[members] = np.searchsorted(code, high, "left") - np.searchsorted(code, low, "right")
        same[members], k[members] = len(own), count
    nearer = np.maximum(nearer, 1)
    information = digamma(len(code)) + np.mean(digamma(k) - digamma(same) - digamma(nearer))
    return max(0.0, float(information))


def _reach(code: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(low [n], high [n]) of the open interval around each of the sorted `code` [n] up to its k-th nearest other.

    The neighbour's own value bounds it on its side, so that no rounding of a distance takes it in.
    """
    window = np.arange(k + 1) + np.arange(len(code))[:, None]  # with k out of reach on either side
    padded = np.concatenate([np.full(k, -np.inf), code, np.full(k, np.inf)])
    below, above = padded[window], padded[window + k]  # [n, k + 1] ends of the runs of k + 1 points that hold the point
    distance = np.maximum(code[:, None] - below, above - code[:, None])
    best = np.arange(len(code)), distance.argmin(1)
    below, above, distance = below[best], above[best], distance[best]
    to_left = code - below >= above - code
    return np.where(to_left, below, code - distance), np.where(to_left, code + distance, above)
