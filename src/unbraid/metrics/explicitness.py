"""Explicitness: whether a linear classifier can read the factors off the whole code."""

import numpy as np

from unbraid.metrics.logistic import logistic_regression
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import points
from unbraid.metrics.scaling import standardise
from unbraid.types import Representation


def explicitness(rep: Representation, rng: np.random.Generator, *, train: int = 10_000, test: int = 5_000) -> Result:
    """Area under the ROC curve of a linear classifier of the factors, averaged over values and factors.

    Explicitness = 1/F sum_k 1/V_k sum_v AUC(p(v_k = v | c), v_k = v), one value against the rest (Ridgeway & Mozer
    2018, section 3).

    Protocol: 10,000 points to fit, 5,000 to test; codes in standard deviations of the points to fit; multinomial
    logistic regression, C = 1, by L-BFGS. The solver matters: the one of older scikit-learn (liblinear, one value
    against the rest) has given .87 where this gives .92. Range 0.5 (guessing) to 1 (every value told from the others);
    values that the test points lack are left out. Failings: ROC curves forgive much, so that scores below 0.7 are rare;
    only what a linear softmax can use counts, so an angle in one latent is charged for; nothing is said of how many
    latents it took. Carbonneau et al. 2022 stretch the range to 0 to 1. Parts: train, the same on the points fitted.
    """
    codes, factors, test_codes, test_factors = points(rep, rng, train, test)
    codes, test_codes = standardise(codes), standardise(test_codes, codes)
    areas = [
        _areas(codes, factor, test_codes, test_factor)
        for factor, test_factor in zip(factors.T, test_factors.T, strict=True)
    ]
    seen, unseen = np.mean(areas, axis=0)
    return Result(float(unseen), {"train": float(seen)})


def _areas(
    codes: np.ndarray, factor: np.ndarray, test_codes: np.ndarray, test_factor: np.ndarray
) -> tuple[float, float]:
    if factor.min() == factor.max():
        return 0.5, 0.5
    classifier = logistic_regression(codes, factor)
    return (
        mean_auc(classifier.predict_proba(codes), factor, classifier.classes_),
        mean_auc(classifier.predict_proba(test_codes), test_factor, classifier.classes_),
    )


def mean_auc(scores: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> float:
    """Mean over classes of the probability that a point of the class has a higher score [N, K] in it than another.

    Ties count half; classes that no point or every point has are left out; 0.5 where none remains.
    """
    from scipy.stats import rankdata

    member = labels[:, None] == classes  # [N, K]
    inside = member.sum(0)
    outside = len(labels) - inside
    rank_sum = np.sum(rankdata(scores, axis=0), axis=0, where=member)
    told = (inside > 0) & (outside > 0)
    areas = (rank_sum - inside * (inside + 1) / 2)[told] / (inside * outside)[told]
    return float(areas.mean()) if len(areas) else 0.5
