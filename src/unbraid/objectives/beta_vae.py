"""beta-VAE."""

from unbraid.objectives.elbo import detached, recon_and_kl
from unbraid.types import Forward, Terms


def beta_vae(out: Forward, *, beta: float = 4.0) -> Terms:
    """recon + beta KL (Higgins 2017, equation 4).

    beta 0 is a noisy autoencoder, 1 the VAE, more presses towards the prior; in nats per image, so the beta of the
    literature that sums over pixels. beta_norm = beta L / pixels compares image sizes.
    """
    recon, kl = recon_and_kl(out)
    return Terms(recon + beta * kl.sum(), logs=detached(recon=recon, kl=kl))
