"""What every objective starts from: the two terms of the evidence lower bound (Kingma & Welling 2014)."""

from torch import Tensor

from unbraid.probability import kl_per_latent
from unbraid.types import Forward


def recon_and_kl(out: Forward) -> tuple[Tensor, Tensor]:
    """Reconstruction [] and KL of each latent [L]: sums over pixels, means over the batch, nats per image."""
    recon = out.likelihood(out.logits, out.x).mean()
    kl = kl_per_latent(out.mean, out.logvar).mean(0)
    return recon, kl


def detached(**logs: Tensor) -> dict[str, Tensor]:
    """Values to look at, cut from the graph."""
    return {name: value.detach() for name, value in logs.items()}
