"""beta-TCVAE with minibatch stratified sampling."""

from unbraid.objectives.total_correlation import penalise_tc
from unbraid.probability import stratified_log_weights
from unbraid.types import Forward, Terms


def beta_tcvae_mss(out: Forward, *, beta: float = 6.0) -> Terms:
    """`beta_tcvae` with the stratified estimate of q(z), unbiased before the logarithm (Chen 2018, appendix C.2).

    Each image weighs 1/N on its own code. The weight matrix in wide circulation has that entry in its first column
    and not on the diagonal. Raises UnbraidError for a batch larger than the training set.
    """
    weights = stratified_log_weights(out.n_data, len(out.z), device=out.z.device)
    return penalise_tc(out, beta, weights)
