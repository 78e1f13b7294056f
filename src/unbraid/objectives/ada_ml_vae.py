"""Ada-ML-VAE: weak supervision by pairs of images that share factors."""

from torch import Tensor

from unbraid.objectives.beta_vae import beta_vae
from unbraid.objectives.pairs import product, shared
from unbraid.types import Forward, Terms


def ada_ml_vae(out: Forward, *, beta: float = 1.0) -> Terms:
    """As Ada-GVAE, but what a pair shares is the product of its two posteriors (Locatello 2020)."""
    return beta_vae(out, beta=beta)


def posterior(mean: Tensor, logvar: Tensor, **_: Tensor | float) -> tuple[Tensor, Tensor]:
    """Shared latents get the product of both Gaussians, see `pairs.product`."""
    return shared(mean, logvar, product)
