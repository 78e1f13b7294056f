"""Densities in nats: diagonal Gaussians, the aggregate posterior from a minibatch, and likelihoods of images.

Letters: B batch, L latents, N images in the training set. Everything is differentiable, works under torch.func.vmap
and never branches on a value.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unbraid.errors import UnbraidError

LOG_2PI = math.log(2 * math.pi)


def kl_per_latent(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)) of each latent, [B, L] nats; at least 0, which only the prior itself reaches.

    1/2 (mean^2 + exp(logvar) - 1 - logvar): Kingma & Welling 2014, appendix B.
    """
    return 0.5 * (mean.square() + torch.expm1(logvar) - logvar)


def log_density(z: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; mean, exp(logvar)) of each entry, in the shape the three broadcast to."""
    return -0.5 * (LOG_2PI + logvar + (z - mean).square() * torch.exp(-logvar))


def minibatch_log_weights(n_data: int, batch_size: int, *, device: torch.device | str = "cpu") -> Tensor:
    """[B, B] of -log(N B): minibatch-weighted sampling (Chen 2018, appendix C.1).

    exp of the estimate of log q(z) built on it is a lower bound of q(z) in expectation.
    """
    return torch.full((batch_size, batch_size), -math.log(n_data * batch_size), device=device)


def stratified_log_weights(n_data: int, batch_size: int, *, device: torch.device | str = "cpu") -> Tensor:
    """[B, B] log weights of minibatch stratified sampling (Chen 2018, appendix C.2); each row's weights sum to 1.

    With M = B - 1, row i gives its own image, from which z_i came, 1/N (on the diagonal), one other image (N - M)/(N M)
    and the rest 1/M: unbiased for q(z_i) when the batch is drawn without replacement. Raises UnbraidError for a
    batch of one and for a batch larger than the training set.
    """
    if not 2 <= batch_size <= n_data:
        raise UnbraidError(
            f"minibatch stratified sampling takes batches of 2 to {n_data} (the training set), not {batch_size}: "
            "change batch_size or use minibatch-weighted sampling"
        )
    others = batch_size - 1
    own = torch.eye(batch_size, device=device)
    neighbour = own.roll(1, dims=1)
    rest = 1 - own - neighbour
    neighbour_log_weight = math.log((n_data - others) / (n_data * others))
    return -math.log(n_data) * own + neighbour_log_weight * neighbour - math.log(others) * rest


def log_aggregate(z: Tensor, mean: Tensor, logvar: Tensor, log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """log q(z_i) [B] and log q(z_il) [B, L] of the aggregate posterior, estimated from the batch's own posteriors.

    log q(z_i) = logsumexp_j(W_ij + sum_l log q(z_il | x_j)), and the same for each latent on its own, with the log
    weights W [B, B] of `minibatch_log_weights` or `stratified_log_weights`.
    """
    pairs = log_density(z.unsqueeze(1), mean.unsqueeze(0), logvar.unsqueeze(0))  # [B, B, L]: z_i under q(.|x_j)
    log_qz = torch.logsumexp(log_weights + pairs.sum(2), dim=1)
    log_qz_per_latent = torch.logsumexp(log_weights.unsqueeze(2) + pairs, dim=1)
    return log_qz, log_qz_per_latent


def _per_image(nats: Tensor) -> Tensor:
    """[B, C, H, W] -> [B]: the sum over pixels, never their mean."""
    return nats.flatten(1).sum(1)


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """Cross-entropy of pixels x in [0, 1] with sigmoid(logits), [B] nats per image.

    0 is its floor on binary images only; on grey or coloured ones see `bernoulli_floor`.
    """
    return _per_image(F.softplus(logits) - x * logits)


def bernoulli_floor(x: Tensor) -> Tensor:
    """The least `bernoulli_nll` that any logits can reach, [B]: the entropy of the pixels, 0 for binary images."""
    return _per_image(torch.special.entr(x) + torch.special.entr(1 - x))


def gaussian_nll(logits: Tensor, x: Tensor, *, sigma: float = math.sqrt(0.5)) -> Tensor:
    """-log N(x; sigmoid(logits), sigma^2) of all pixels, [B] nats per image; a density, so it can be negative.

    The default sigma = sqrt(1/2) is the field's summed squared error, up to the constant 1/2 log(pi) per pixel; a
    smaller sigma weighs the reconstruction more, as 1 / (2 sigma^2).
    """
    scale = torch.as_tensor(sigma)
    return _per_image(0.5 * (LOG_2PI + ((x - torch.sigmoid(logits)) / scale).square()) + scale.log())


# Below this |logit| the closed forms of the continuous Bernoulli cancel; above it the series are too short.
_SERIES = 0.5


def _log_normaliser(logits: Tensor) -> Tensor:
    """log of the integral of exp(logits * x) over [0, 1]: l/2 + log(sinh(l/2) / (l/2))."""
    size = logits.abs()
    series = size.square() / 24 - size.pow(4) / 2880 + size.pow(6) / 181440
    large = size.clamp(min=_SERIES)  # keeps the unused branch, and so its gradient, finite
    closed = large / 2 + torch.log(-torch.expm1(-large)) - large.log()
    return logits / 2 + torch.where(size < _SERIES, series, closed)


def continuous_bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    """-log of the continuous Bernoulli density at x in [0, 1], [B] nats per image; a density, so it can be negative.

    p(x) = exp(l x) / integral_0^1 exp(l t) dt with l the logit of its parameter lambda: Loaiza-Ganem & Cunningham
    2019, in the logits, where lambda = 1/2 is the smooth point l = 0.
    """
    return _per_image(_log_normaliser(logits) - x * logits)


def continuous_bernoulli_mean(logits: Tensor) -> Tensor:
    """1 / (1 - exp(-l)) - 1/l in (0, 1), 1/2 at l = 0: the slope of the log-normaliser, not lambda."""
    series = logits / 12 - logits.pow(3) / 720 + logits.pow(5) / 30240
    large = torch.where(logits.abs() < _SERIES, _SERIES, logits)
    closed = 0.5 / torch.tanh(large / 2) - 1 / large
    return 0.5 + torch.where(logits.abs() < _SERIES, series, closed)


@dataclass(frozen=True)
class Likelihood:
    """p(x|z) of an image given the decoder's logits [B, C, H, W]."""

    nll: Callable[..., Tensor]  # (logits, x, *, options) -> [B] nats per image
    mean: Callable[[Tensor], Tensor]  # logits -> x_hat in [0, 1]


LIKELIHOODS: dict[str, Likelihood] = {
    "bernoulli": Likelihood(bernoulli_nll, torch.sigmoid),
    "gaussian": Likelihood(gaussian_nll, torch.sigmoid),
    "continuous_bernoulli": Likelihood(continuous_bernoulli_nll, continuous_bernoulli_mean),
}
