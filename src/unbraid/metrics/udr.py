"""Unsupervised disentanglement ranking: a model is good if its repetitions learn the same latents."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from unbraid.errors import UnbraidError
from unbraid.metrics.lasso import lasso
from unbraid.metrics.scaling import standardise


class Udr(NamedTuple):
    scores: np.ndarray  # [M]
    pairs: np.ndarray  # [M, M], row i column j: latents of model j found in model i; diagonal nan


def udr(
    codes: Sequence[np.ndarray],
    kl: Sequence[np.ndarray],
    *,
    kind: Literal["lasso", "spearman"] = "lasso",
    alpha: float = 0.1,
    threshold: float = 0.01,
) -> Udr:
    """How far M models, trained alike but for their seeds, agree on their latents up to order and sign.

    R_ab is the similarity of latent a of model i and latent b of model j: the size of a's coefficient in a lasso
    regression of b on the latents of i, or their Spearman correlation. With row and column maxima r,
    UDR_ij = 1/2 (mean_b r_b^2 / sum_a R_ab + mean_a r_a^2 / sum_b R_ab), over latents with KL above the threshold only;
    the score of model j is the median of UDR_ij over i (Duan et al. 2020, section 4).

    `codes` holds posterior means [N, L] of the *same* N images (published: 1,000) for each model, `kl` the mean KL [L]
    of each latent in nats; the models may differ in L. Protocol: standardised codes, alpha 0.1, threshold 0.01 nats.
    Range 0 (nothing shared; also given where a model has no informative latent) to 1. Failings: the lasso shrinks, so
    that even identical models reach 1 - alpha = 0.9 only; alike is not the same as disentangled, and a model with one
    informative latent agrees with its like perfectly. The paper's formula weights all latents of both models alike; its
    authors' published code, followed here, averages the two sides first, which differs where one model has more
    informative latents. Raises UnbraidError for fewer than two models or tables that do not fit.
    """
    _check(codes, kl, kind)
    informative = [
        standardise(np.asarray(c, np.float64)[:, np.asarray(k) > threshold]) for c, k in zip(codes, kl, strict=True)
    ]
    if kind == "spearman":
        informative = [standardise(_ranks(c)) for c in informative]
    everything = np.concatenate(informative, axis=1)
    ends = np.cumsum([c.shape[1] for c in informative])[:-1]
    pairs = np.full((len(codes), len(codes)), np.nan)
    for i, source in enumerate(informative):
        if kind == "lasso":
            similarity = np.abs(lasso(source, everything, alpha))
        else:
            similarity = np.abs(source.T @ everything) / len(source)
        for j, block in enumerate(np.split(similarity, ends, axis=1)):
            if j != i:
                pairs[i, j] = (_one_to_one(block) + _one_to_one(block.T)) / 2
    return Udr(np.nanmedian(pairs, axis=0), pairs)


def _one_to_one(similarity: np.ndarray) -> float:
    """Mean over columns of max^2 / sum: 1 where every column has a single entry, of size 1; columns of zeros give 0."""
    if not similarity.size:
        return 0.0
    total = similarity.sum(0)
    return float(np.mean(np.divide(similarity.max(0) ** 2, total, out=np.zeros_like(total), where=total > 0)))


def _ranks(codes: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata

    return np.asarray(rankdata(codes, axis=0))


def _check(codes: Sequence[np.ndarray], kl: Sequence[np.ndarray], kind: str) -> None:
    if kind not in ("lasso", "spearman"):
        raise UnbraidError(f'udr compares by "lasso" or "spearman", not "{kind}"')
    if len(codes) < 2 or len(codes) != len(kl):
        raise UnbraidError(
            f"udr compares at least two models, each with its codes and its KL, not {len(codes)} and {len(kl)}"
        )
    for model, (c, k) in enumerate(zip(codes, kl, strict=True)):
        if np.ndim(c) != 2 or len(c) != len(codes[0]) or np.shape(k) != np.shape(c)[1:]:
            raise UnbraidError(
                f"model {model} has codes of shape {list(np.shape(c))} and KL of shape {list(np.shape(k))}; udr needs "
                f"[{len(codes[0])}, L] and [L], the same images for all models"
            )
