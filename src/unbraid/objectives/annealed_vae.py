"""The VAE with controlled capacity."""

from unbraid.objectives.elbo import detached, recon_and_kl
from unbraid.types import Forward, Terms


def annealed_vae(out: Forward, *, gamma: float = 1000.0, capacity: float = 25.0) -> Terms:
    """recon + gamma |KL - capacity|, KL the batch mean of the sum over latents (Burgess 2018, equation 8).

    capacity is in nats and rises by a schedule, 0 -> 25 over 100,000 steps unless told; at 0 the objective is a
    beta-VAE of beta = gamma. The distance is taken from the mean KL, so one image may use more than another.
    """
    recon, kl = recon_and_kl(out)
    return Terms(recon + gamma * (kl.sum() - capacity).abs(), logs=detached(recon=recon, kl=kl))
