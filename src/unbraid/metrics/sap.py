"""Separated attribute predictability."""

import warnings

import numpy as np

from unbraid.metrics.mig import gap
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import points
from unbraid.types import Representation


def sap(rep: Representation, rng: np.random.Generator, *, train: int = 10_000, test: int = 5_000) -> Result:
    """Mean over factors of the gap between the two latents that, each alone, predict the factor best.

    SAP = 1/F sum_k (S_(1)k - S_(2)k), S_jk the test accuracy of a linear classifier of factor k from latent j, or
    their squared correlation where the factor is continuous (Kumar et al. 2018, section 3).

    Protocol: 10,000 points to fit, 5,000 to test; linear support vector machines, C = 0.01, balanced classes, one
    against the rest, squared hinge loss and a regularised intercept, on raw codes, as in Locatello et al. 2019; solved
    in the primal, which finds the optimum that the dual descent of older libraries approaches. Range 0 (the two best
    latents predict equally well) to 1. Failings: thresholds on a line cannot tell many ordered classes apart, so that
    perfect codes of dSprites' factors, of 3 to 40 values, score about 0.2; the scale of a latent matters through C; a
    factor spread over sine and cosine scores near 0. Carbonneau et al. 2022 use decision trees instead. Parts:
    squared_correlation, the score were all factors continuous. Matrices: predictability [L, F].
    """
    codes, factors, test_codes, test_factors = points(rep, rng, train, test)
    correlation = np.array([[_squared_correlation(code, factor) for factor in factors.T] for code in codes.T])
    predictability = correlation.copy()
    for k in (k for k, size in enumerate(rep.factor_sizes) if size is not None):
        for j in range(codes.shape[1]):
            predicted = _classify(codes[:, [j]], factors[:, k], test_codes[:, [j]])
            predictability[j, k] = np.mean(predicted == test_factors[:, k])
    return Result(
        float(np.mean(gap(predictability, axis=0))),
        {"squared_correlation": float(np.mean(gap(correlation, axis=0)))},
        {"predictability": predictability},
    )


def _squared_correlation(code: np.ndarray, factor: np.ndarray) -> float:
    code, factor = code - code.mean(), factor - factor.mean()
    scale = (code @ code) * (factor @ factor)
    return float((code @ factor) ** 2 / scale) if scale > 0 else 0.0


def _classify(code: np.ndarray, labels: np.ndarray, test_code: np.ndarray) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    if labels.min() == labels.max():
        return np.full(len(test_code), labels[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # on codes of a huge scale it stops a little early
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # few points a value
        return LinearSVC(C=0.01, class_weight="balanced", dual=False).fit(code, labels).predict(test_code)
