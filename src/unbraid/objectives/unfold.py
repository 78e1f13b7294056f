"""Latents opened in turn under a sub-Gaussian prior: one factor a latent within minutes."""

import torch

from unbraid.objectives.elbo import detached, recon_and_kl
from unbraid.probability import log_aggregate, minibatch_log_weights
from unbraid.types import Forward, Terms

LED = 2  # latents that start as linear coordinates of the images
_UNIFORM = 9 / 5  # E[x^4] / E[x^2]^2 of a uniform variable
_REST = -4.0  # log-variance at which a closed latent rests


def unfold(
    out: Forward,
    *,
    beta: float = 1.0,
    tau: float = 5.0,
    kappa: float = 1.0,
    led: float = 0.0,
    opened: float = 10.0,
    closed: float = 100.0,
) -> Terms:
    """recon + tau TC + led D + sum_l [(1 - c_l) (beta KL_l + kappa K_l) + c_l closed H_l].

    Ours, with c_l = clip(l + 1 - opened, 0, 1). Three ambiguities of the Gaussian VAE are taken out.

    A net that begins anywhere begins folded: a latent first tells the middle of the image from its rim, both ends of a
    position look alike to it, and no penalty unfolds it later. A linear code has no folds. So the first two latents are
    led by two linear coordinates u of the images, their independent components, with D = E[sum_l<2 (mean_l - u_l)^2],
    until the net has learned to follow; then the schedule of `led` falls to 0.

    Latents that are all free from the start share out a factor between them. Here latent l is closed until the schedule
    of `opened` passes l: the first latents take what shortens the reconstruction most, and each next one what is left
    (the idea of progressive VAEs, Li 2020, within one layer of latents). A closed latent rests at a point, mean 0 and
    log-variance -4, by H_l = E[mean_l^2 + (logvar_l + 4)^2]. Closed by its KL instead it would be pure noise, to which
    the decoder goes deaf, and it would stay dead once open; from its rest the decoder has never heard it, and listens.

    And the standard normal prior cannot tell two codes from their rotation: the fourth moment can, as in independent
    component analysis (Hyvarinen & Oja 1997). K_l = max(0, E[mean_l^4] - 9/5 E[mean_l^2]^2) over the batch is 0 for a
    code that spreads evenly, whatever its scale, 0.6 for the diagonal of two such codes of variance 1, 1.2 for a
    Gaussian one.

    With opened at least L, kappa 0 and led 0 it is the beta-TCVAE with beta = 1 + tau (Chen 2018). The KL logged is
    that to N(0, 1), 1.5 nats for a latent at rest, so ELBOs compare with other objectives once all are open. Weights
    are in nats per image, 0 or more.
    """
    recon, kl = recon_and_kl(out)
    latents = torch.arange(1, len(kl) + 1, device=kl.device)
    shut = (latents - opened).clamp(0, 1)  # [L]
    rest = (out.mean.square() + (out.logvar - _REST).square()).mean(0)  # [L]
    log_weights = minibatch_log_weights(out.n_data, len(out.z), device=out.z.device)
    log_qz, log_qz_per_latent = log_aggregate(out.z, out.mean, out.logvar, log_weights)
    tc = (log_qz - log_qz_per_latent.sum(1)).mean()
    square = out.mean.square()
    kurtosis = (square.square().mean(0) - _UNIFORM * square.mean(0).square()).clamp(min=0)  # [L]
    of_open, of_closed = (1 - shut) * (beta * kl + kappa * kurtosis), closed * shut * rest
    off = (out.mean[:, :LED] - out.linear[:, : len(kl)]).square().sum(1).mean() if out.linear is not None else 0.0
    loss = recon + of_open.sum() + of_closed.sum() + tau * tc + led * off
    return Terms(loss, logs=detached(recon=recon, kl=kl, tc=tc, kurtosis=kurtosis.sum()))
