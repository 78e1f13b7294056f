"""The beta-VAE score: can a linear classifier tell which factor two images share?"""

import warnings

import numpy as np

from unbraid.metrics.result import Result
from unbraid.metrics.sampling import RowsByValue, fit_and_test, rounds
from unbraid.types import Representation


def _differences(
    codes: np.ndarray, factors: np.ndarray, points: int, pairs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """([n, L] mean |c1 - c2| over `pairs` pairs that share one factor, [n] which factor); empty without any pairs."""
    index = RowsByValue(factors)
    features, labels = [np.empty((0, codes.shape[1]))], [np.empty(0, np.int64)]
    for factor, count in rounds(index.shared, points, rng):
        first, second = index.draw_pairs(factor, (count, pairs), rng)
        features.append(np.abs(codes[first] - codes[second]).mean(axis=1))
        labels.append(np.full(count, factor))
    return np.concatenate(features), np.concatenate(labels)


def beta_vae(
    rep: Representation, rng: np.random.Generator, *, train: int = 10_000, test: int = 5_000, pairs: int = 64
) -> Result:
    """Accuracy with which the factor that pairs of images share is told from how little their codes differ.

    Each point is the mean of |c1 - c2| over 64 pairs that share the value of one factor, drawn uniformly among the
    factors; a linear classifier learns to name that factor (Higgins et al. 2017, section 3).

    Protocol: 10,000 points to fit, 5,000 to test; multinomial logistic regression by L-BFGS, C = 1, on raw features, as
    in Locatello et al. 2019 (Higgins et al. train theirs by Adagrad). A pair is two different rows; of a sample, pairs
    share values that two rows or more have, and test points come from other rows. Range 1/F (guessing, and where the
    rows have no such pairs to fit on or to test with) to 1. Failings: it saturates, since all the
    classifier needs is any linear trace of a factor: rotated codes come near 1, and codes that lack one factor reach
    it (the only one without a trace is told by elimination); it depends on the scale of the codes through C. Parts:
    train_accuracy.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    codes, factors, test_codes, test_factors = fit_and_test(rep, rng)
    features, labels = _differences(codes, factors, train, pairs, rng)
    test_features, test_labels = _differences(test_codes, test_factors, test, pairs, rng)
    if len(np.unique(labels)) < 2 or not len(test_labels):
        return Result(1 / factors.shape[1], {"train_accuracy": 1 / factors.shape[1]})
    classifier = LogisticRegression(solver="lbfgs", C=1.0, max_iter=1_000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # on codes of a huge scale it stops a little early
        classifier.fit(features, labels)
    return Result(
        float(classifier.score(test_features, test_labels)),
        {"train_accuracy": float(classifier.score(features, labels))},
    )
