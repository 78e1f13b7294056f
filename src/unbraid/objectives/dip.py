"""The regularizer of both DIP-VAEs: a covariance pulled towards the identity."""

from torch import Tensor


def covariance(codes: Tensor) -> Tensor:
    """[B, L] -> [L, L], over the batch, divided by B."""
    centred = codes - codes.mean(0)
    return centred.T @ centred / len(codes)


def distance_from_identity(cov: Tensor, lambda_od: float, lambda_d: float) -> Tensor:
    """lambda_od sum_{i != j} cov_ij^2 + lambda_d sum_i (cov_ii - 1)^2, a scalar (Kumar 2018, equations 6 and 7)."""
    diagonal = cov.diagonal()
    off_diagonal = cov - diagonal.diag_embed()
    return lambda_od * off_diagonal.square().sum() + lambda_d * (diagonal - 1).square().sum()
