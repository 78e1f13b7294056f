"""DIP-VAE-II."""

from unbraid.objectives.dip import covariance, distance_from_identity
from unbraid.objectives.elbo import detached, recon_and_kl
from unbraid.types import Forward, Terms


def dip_vae_ii(out: Forward, *, lambda_od: float = 10.0, lambda_d_factor: float = 1.0) -> Terms:
    """recon + KL + the distance of Cov[z] = Cov[mean] + E[diag(variance)] from the identity (Kumar 2018, equation 7).

    The expected posterior covariance is a diagonal matrix of each latent's own batch mean. lambda_od and
    lambda_d_factor as in `dip_vae_i`; the published ratio is 1 here. lambda_od 0 is the VAE.
    """
    recon, kl = recon_and_kl(out)
    covariance_z = covariance(out.mean) + out.logvar.exp().mean(0).diag_embed()  # [L, L]
    dip = distance_from_identity(covariance_z, lambda_od, lambda_d_factor * lambda_od)
    return Terms(recon + kl.sum() + dip, logs=detached(recon=recon, kl=kl, dip=dip))
