"""DCI by sparse linear regression, as first published."""

import numpy as np

from unbraid.metrics.dci import dci
from unbraid.metrics.lasso import lasso
from unbraid.metrics.result import Result
from unbraid.metrics.scaling import standardise
from unbraid.types import Representation


def dci_lasso(
    rep: Representation, rng: np.random.Generator, *, train: int = 10_000, test: int = 5_000, alpha: float = 0.02
) -> Result:
    """How nearly each latent matters for one factor only, to a sparse linear regression of the factors.

    D and completeness as in dci_gbt, with the sizes of the coefficients as importances; informativeness is
    R^2 = 1 - NRMSE^2, where NRMSE is the root mean squared error over the target's standard deviation, the error that
    the paper reports (Eastwood & Williams 2018, sections 2 and 4).

    Protocol: 10,000 points to fit, 5,000 to test; codes and factors (discrete ones by their value index) standardised;
    alpha 0.02 for all, as in the authors' code; solved to 1e-7. Range 0 to 1 for D and completeness, as in dci_gbt;
    R^2 up to 1, 0 for the mean as the guess, below 0 where that would be better. Failings: only what is linear in the
    index of the value is seen, so an angle or a shape without an order goes unnoticed; alpha shrinks every coefficient,
    which flatters D and C, most of all where little is predicted: one chance coefficient above alpha gives codes of
    noise D = C = 1. Factors weigh by the sum of their coefficients in completeness, so those of which nothing is
    predicted drop out. Others pick alpha by cross-validation on codes scaled to [0, 1] (Carbonneau et al. 2022).
    Matrices: importance [L, F].
    """

    def fit(
        codes: np.ndarray, factor: np.ndarray, test_codes: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        target = factor[:, None].astype(np.float64)
        w = lasso(standardise(codes), standardise(target), alpha)[:, 0]
        predicted, test_predicted = (
            target.mean() + target.std() * (standardise(c, codes) @ w) for c in (codes, test_codes)
        )
        return np.abs(w), predicted, test_predicted

    return dci(rep, rng, train, test, fit, _explained)


def _explained(predicted: np.ndarray, true: np.ndarray) -> float:
    spread = np.var(true)
    return float(1 - np.mean(np.square(predicted - true)) / spread) if spread > 0 else 0.0
