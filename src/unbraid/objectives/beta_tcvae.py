"""beta-TCVAE with minibatch-weighted sampling."""

from unbraid.objectives.total_correlation import penalise_tc
from unbraid.probability import minibatch_log_weights
from unbraid.types import Forward, Terms


def beta_tcvae(out: Forward, *, beta: float = 6.0) -> Terms:
    """recon + KL + (beta - 1) TC, TC = KL(q(z) || prod_l q(z_l)) from the minibatch (Chen 2018, section 3.2).

    beta 1 is the VAE. The estimate lies far above TC, by (L - 1) log N where every posterior is the prior: read its
    course, not its value. disentanglement_lib drops the constant (L - 1) log(N B); the gradient is the same. KL is
    in closed form, as there, and not Chen's sum of three estimates.
    """
    weights = minibatch_log_weights(out.n_data, len(out.z), device=out.z.device)
    return penalise_tc(out, beta, weights)
