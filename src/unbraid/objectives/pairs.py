"""Posteriors of pairs of images: latents that hardly differ within a pair are taken to be shared (Locatello 2020)."""

from collections.abc import Callable

import torch
from torch import Tensor

Average = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]  # (mean, variance) of two, each [P, L]


def shared(mean: Tensor, logvar: Tensor, average: Average) -> tuple[Tensor, Tensor]:
    """Posteriors [2 P, L], image p paired with image P + p, averaged within pairs for each latent below the threshold.

    With d_l = KL(q(z_l | x_1) || q(z_l | x_2)), in this order as in disentanglement_lib, latent l counts as shared
    where d_l < (min d + max d) / 2, and keeps its two posteriors otherwise; so one latent at least is never shared.
    """
    means, logvars = mean.unflatten(0, (2, -1)), logvar.unflatten(0, (2, -1))  # [2, P, L]
    (first, second), (var_1, var_2) = means, logvars.exp()
    apart = 0.5 * ((var_1 + (first - second).square()) / var_2 - 1 + logvars[1] - logvars[0])  # [P, L]
    threshold = 0.5 * (apart.amin(1, keepdim=True) + apart.amax(1, keepdim=True))
    same = (apart < threshold).detach()
    together, variance = average(first, second, var_1, var_2)
    return (
        torch.where(same, together, means).flatten(0, 1),
        torch.where(same, variance.log(), logvars).flatten(0, 1),
    )


def arithmetic(first: Tensor, second: Tensor, var_1: Tensor, var_2: Tensor) -> tuple[Tensor, Tensor]:
    """Means of the means and of the variances (Hosoya 2019)."""
    return (first + second) / 2, (var_1 + var_2) / 2


def product(first: Tensor, second: Tensor, var_1: Tensor, var_2: Tensor) -> tuple[Tensor, Tensor]:
    """The product of the two Gaussians (Bouchacourt 2018), its variance doubled as in disentanglement_lib.

    Two equal posteriors are then left as they are; the product itself would be twice as sure.
    """
    variance = 2 * var_1 * var_2 / (var_1 + var_2)
    return variance * (first / var_1 + second / var_2) / 2, variance
