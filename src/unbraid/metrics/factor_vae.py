"""The FactorVAE score: does the latent that varies least name the factor that was held?"""

import numpy as np

from unbraid.metrics.result import Result
from unbraid.metrics.sampling import RowsByValue, fit_and_test, rounds, rows
from unbraid.types import Representation


def _votes(
    codes: np.ndarray, factors: np.ndarray, variances: np.ndarray, points: int, batch: int, rng: np.random.Generator
) -> np.ndarray:
    """int64 [L, F]: how often each latent varied least, for its size, while each factor was held."""
    index = RowsByValue(factors)
    votes = np.zeros((codes.shape[1], factors.shape[1]), np.int64)
    for factor, count in rounds(index.shared, points, rng):
        drawn = codes[index.draw_sharing(factor, (count, batch), rng)]  # [count, batch, L]
        least = (drawn.var(axis=1, ddof=1) / variances).argmin(axis=1)
        votes[:, factor] += np.bincount(least, minlength=len(votes))
    return votes


def factor_vae(
    rep: Representation,
    rng: np.random.Generator,
    *,
    train: int = 10_000,
    test: int = 5_000,
    batch: int = 64,
    variance_points: int = 10_000,
    min_sd: float = 0.05,
) -> Result:
    """Accuracy of a majority vote that names the held factor from the latent of least variance.

    Each vote holds one factor, drawn uniformly, at one value in a batch of 64 and goes to the latent
    argmin_j Var_batch(c_j) / Var(c_j); each latent then stands for the factor that most of its votes held (Kim & Mnih
    2018, section 4).

    Protocol: Var(c_j) from 10,000 points (ddof 1); latents with a standard deviation below 0.05 are left out; 10,000
    votes to fit, 5,000 to test, as in Locatello et al. 2019. Of a sample, votes hold values that two rows or more have,
    and test votes come from other rows. Range 1/F (guessing, and where the rows have no such values to fit on or to
    test with) to 1, and 0 where no latent is active. Failings: a factor spread over two latents costs nothing, nor does
    a latent that also leaks other factors as long as it varies least; the threshold presumes the scale of a VAE's
    codes; without it, a constant latent would win every vote. Parts: train_accuracy, active latents. Matrices: votes
    [L, F] of the fit.
    """
    variances = rep.codes[rows(rep, rng, variance_points)].var(axis=0, ddof=1)
    active = np.flatnonzero(np.sqrt(variances) >= min_sd)
    votes = np.zeros((rep.codes.shape[1], rep.factors.shape[1]), np.int64)
    if not len(active):
        return Result(0.0, {"train_accuracy": 0.0, "active": 0.0}, {"votes": votes})
    codes, factors, test_codes, test_factors = fit_and_test(rep, rng)
    fitted = _votes(codes[:, active], factors, variances[active], train, batch, rng)
    tested = _votes(test_codes[:, active], test_factors, variances[active], test, batch, rng)
    named = np.arange(len(active)), fitted.argmax(axis=1)
    votes[active] = fitted
    seen, unseen = (
        float(cast[named].sum() / cast.sum()) if fitted.any() and cast.any() else 1 / factors.shape[1]
        for cast in (fitted, tested)
    )
    return Result(unseen, {"train_accuracy": seen, "active": float(len(active))}, {"votes": votes})
