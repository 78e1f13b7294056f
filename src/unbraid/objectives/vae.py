"""The variational autoencoder."""

from unbraid.objectives.elbo import detached, recon_and_kl
from unbraid.types import Forward, Terms


def vae(out: Forward) -> Terms:
    """recon + KL, the negative evidence lower bound in nats per image (Kingma & Welling 2014, equation 10)."""
    recon, kl = recon_and_kl(out)
    return Terms(recon + kl.sum(), logs=detached(recon=recon, kl=kl))
