"""Latents opened in turn under a sub-Gaussian prior: one factor a latent within minutes."""

from collections.abc import Mapping

import torch
from torch import Tensor

from unbraid.objectives import independence
from unbraid.objectives.elbo import detached, recon_and_kl
from unbraid.probability import log_aggregate, minibatch_log_weights
from unbraid.types import Forward, Terms

LED = 2  # latents that start as linear coordinates of the images
_UNIFORM = 9 / 5  # E[x^4] / E[x^2]^2 of a uniform variable
_REST = -8.0  # log-variance of a closed latent: z is 0 within 0.02, which no decoder hears


def unfold(
    out: Forward,
    *,
    beta: float = 1.0,
    tau: float = 5.0,
    kappa: float = 1.0,
    rent: float = 0.0,
    hsic: float = 0.0,
    led: float = 0.0,
    opened: float = 10.0,
) -> Terms:
    """recon + sum_l (beta KL_l + rent KL_l / (1 + KL_l)) + tau TC + hsic sum_l<m HSIC_lm + kappa sum_l<2 K_l + led D.

    Ours, where KL_l counts as far as latent l = 0, 1, ... is open, o_l = clip(opened - l, 0, 1). Five ambiguities of
    the Gaussian VAE are taken out.

    A net that begins anywhere begins folded: a latent first tells the middle of the image from its rim, both ends of a
    position look alike to it, and no penalty unfolds it later. A linear code has no folds. So the first two latents are
    led by two linear coordinates u of the images, their independent components, with D = E[sum_l<2 (mean_l - u_l)^2],
    until the net has learned to follow; then the schedule of `led` falls to 0.

    Latents that are all free from the start share out a factor between them. Here latent l is closed, at 0 whatever the
    image (see `posterior`), until the schedule of `opened` passes l: the first latents take what shortens the
    reconstruction most, and each next one what is left (the idea of progressive VAEs, Li 2020, within one layer of
    latents). When it opens it is woken (see `VAE.waken`): the decoder, which never heard it, begins to listen.

    Nor does the KL mind how many latents tell a thing: one that tells a little of what others tell already costs no
    more than the same nats in those. Here a latent pays rent too: nothing at KL_l = 0, half of `rent` at 1 nat, never
    more than `rent`. Its first nats are the dearest, so that latents which tell little move out.

    TC from a batch sees hardly more than the nats of each latent, since no two codes of all latents are near each
    other. Of two latents at a time a batch can tell: HSIC_lm = HSIC(mean_l, mean_m) (`independence.hsic`) closes a
    latent that tells anew what another tells, and keeps many from each telling the same in part.

    And the standard normal prior cannot tell two codes from their rotation: the fourth moment can, as in independent
    component analysis (Hyvarinen & Oja 1997). K_l = max(0, E[mean_l^4] - 9/5 E[mean_l^2]^2) over the batch is 0 for a
    code that spreads evenly, whatever its scale, 0.6 for the diagonal of two such codes of variance 1, 1.2 for a
    Gaussian one. It is asked of the two led latents alone: others may be at rest in most images.

    With beta 1, opened at least L, and kappa, rent, hsic and led 0 it is the beta-TCVAE with beta = 1 + tau (Chen
    2018). The KL logged is that of open latents, `dependence` is the sum of HSIC_lm. Weights are in nats per image, 0
    or more. Raises UnbraidError for batches of fewer than four images.
    """
    recon, kl = recon_and_kl(out)
    kl = _open(kl, opened) * kl
    log_weights = minibatch_log_weights(out.n_data, len(out.z), device=out.z.device)
    log_qz, log_qz_per_latent = log_aggregate(out.z, out.mean, out.logvar, log_weights)
    tc = (log_qz - log_qz_per_latent.sum(1)).mean()
    mean = out.mean[:, :LED]
    square = mean.square()
    kurtosis = (square.square().mean(0) - _UNIFORM * square.mean(0).square()).clamp(min=0)  # [2]; 0 of a closed one
    off = (mean - out.linear[:, : len(kl)]).square().sum(1).mean() if out.linear is not None else 0.0
    due = rent * (kl / (1 + kl)).sum()
    dependence = independence.hsic(out.mean).triu(1).sum()
    loss = recon + beta * kl.sum() + due + kappa * kurtosis.sum() + tau * tc + hsic * dependence + led * off
    return Terms(loss, logs=detached(recon=recon, kl=kl, tc=tc, kurtosis=kurtosis.sum(), dependence=dependence))


def posterior(
    mean: Tensor, logvar: Tensor, *, opened: Tensor | float = 10.0, **_: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Closed latents are points at 0; while one opens, its mean and its log-variance move to the encoder's."""
    share = _open(mean, opened)
    return share * mean, share * logvar + (1 - share) * _REST


def woken(before: Mapping[str, float], now: Mapping[str, float], count: int) -> list[int]:
    """The latents of `count` that begin to open between two steps."""
    return [latent for latent in range(count) if before["opened"] <= latent < now["opened"]]


def closed(now: Mapping[str, float], count: int) -> list[int]:
    """The latents of `count` that have not begun to open."""
    return [latent for latent in range(count) if latent >= now["opened"]]


def _open(like: Tensor, opened: Tensor | float) -> Tensor:
    """[L] the share, 0 to 1, to which each latent is open."""
    return (opened - torch.arange(like.shape[-1], dtype=like.dtype, device=like.device)).clamp(0, 1)
