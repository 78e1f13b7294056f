"""InfoE: explicitness by information."""

import numpy as np

from unbraid.metrics.logistic import logistic_regression
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import draw
from unbraid.metrics.scaling import standardise
from unbraid.types import Representation


def infoe(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, iterations: int = 100) -> Result:
    """How much of the factors' information a linear classifier can use.

    InfoE = 1/F sum_k (1 - E[-log p(v_k | c)] / log V_k), with p a logistic regression and V_k the number of values:
    log V_k is the loss of the same balanced classifier where it sees nothing (Hsu et al. 2023).

    Protocol: 10,000 points, on which the classifier is both fitted and judged; standardised codes; multinomial,
    balanced classes, no penalty, at most 100 steps of L-BFGS. Range 0 (nothing usable) to 1 (every factor linearly
    readable); below 0 only where values are unevenly frequent. Failings: it often stops before it converges, so that
    scores are reproducible to about 0.003 between library versions; where classes are separable the loss falls for
    ever, and the steps decide; what is there but not linear (an angle in one latent) counts as nothing.
    """
    codes, factors = draw(rep, rng, points)
    codes = standardise(codes)
    usable = [1 - _loss(codes, factor, iterations) / np.log(len(np.unique(factor))) for factor in factors.T]
    return Result(float(np.mean(usable)))


def _loss(codes: np.ndarray, factor: np.ndarray, iterations: int) -> float:
    """Mean cross-entropy in nats of the classifier on the points that it was fitted to."""
    classifier = logistic_regression(codes, factor, c=np.inf, balanced=True, iterations=iterations)
    chosen = np.searchsorted(classifier.classes_, factor)
    probability = classifier.predict_proba(codes)[np.arange(len(codes)), chosen]
    return float(-np.mean(np.log(np.maximum(probability, np.finfo(np.float64).eps))))
