"""Ada-GVAE: weak supervision by pairs of images that share factors."""

from torch import Tensor

from unbraid.objectives.beta_vae import beta_vae
from unbraid.objectives.pairs import arithmetic, shared
from unbraid.types import Forward, Terms


def ada_gvae(out: Forward, *, beta: float = 1.0) -> Terms:
    """recon + beta KL, of posteriors averaged over what a pair of images shares (Locatello 2020).

    The batch is pairs, its first half beside its second, and `posterior` has averaged theirs before z was drawn.
    Nothing tells which factors a pair shares, nor how many. A mean over all images, as in disentanglement_lib; beta as
    of the beta-VAE. Its batches of 64 pairs are a batch_size of 128 here.
    """
    return beta_vae(out, beta=beta)


def posterior(mean: Tensor, logvar: Tensor, **_: Tensor | float) -> tuple[Tensor, Tensor]:
    """Shared latents get the mean of both means and of both variances."""
    return shared(mean, logvar, arithmetic)
