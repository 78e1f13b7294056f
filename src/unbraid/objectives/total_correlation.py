"""The KL term taken apart from a minibatch (Chen 2018, equation 2), for the two beta-TCVAE estimators."""

from torch import Tensor

from unbraid.objectives.elbo import detached, recon_and_kl
from unbraid.probability import log_aggregate, log_density
from unbraid.types import Forward, Terms


def penalise_tc(out: Forward, beta: float, log_weights: Tensor) -> Terms:
    """recon + KL + (beta - 1) TC, with log q(z) from the batch's posteriors under log_weights [B, B].

    KL = mi + tc + dwkl; the three are logged as estimated from the samples, while KL itself is in closed form.
    """
    recon, kl = recon_and_kl(out)
    log_qz, log_qz_per_latent = log_aggregate(out.z, out.mean, out.logvar, log_weights)  # [B], [B, L]
    zero = out.z.new_zeros(())
    log_qz_given_x = log_density(out.z, out.mean, out.logvar).sum(1)  # [B]
    log_pz = log_density(out.z, zero, zero).sum(1)  # [B]
    tc = (log_qz - log_qz_per_latent.sum(1)).mean()
    mi = (log_qz_given_x - log_qz).mean()
    dwkl = (log_qz_per_latent.sum(1) - log_pz).mean()
    loss = recon + kl.sum() + (beta - 1) * tc
    return Terms(loss, logs=detached(recon=recon, kl=kl, tc=tc, mi=mi, dwkl=dwkl))
