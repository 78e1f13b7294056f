"""DIP-VAE-I."""

from unbraid.objectives.dip import covariance, distance_from_identity
from unbraid.objectives.elbo import detached, recon_and_kl
from unbraid.types import Forward, Terms


def dip_vae_i(out: Forward, *, lambda_od: float = 10.0, lambda_d_factor: float = 10.0) -> Terms:
    """recon + KL + the distance of Cov[mean] from the identity (Kumar 2018, equation 6).

    lambda_od weighs the off-diagonal entries and lambda_d = lambda_d_factor * lambda_od the diagonal ones: the
    published ratio of 10 stays when lambda_od alone is changed. lambda_od 0 is the VAE.
    """
    recon, kl = recon_and_kl(out)
    dip = distance_from_identity(covariance(out.mean), lambda_od, lambda_d_factor * lambda_od)
    return Terms(recon + kl.sum() + dip, logs=detached(recon=recon, kl=kl, dip=dip))
