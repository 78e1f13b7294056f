"""DCI by gradient-boosted trees, the variant of the large comparisons."""

import numpy as np

from unbraid.metrics.boosting import boosted_trees
from unbraid.metrics.dci import accuracy, dci
from unbraid.metrics.result import Result
from unbraid.types import Representation


def dci_gbt(
    rep: Representation, rng: np.random.Generator, *, train: int = 10_000, test: int = 5_000, stages: int = 100
) -> Result:
    """How nearly each latent matters for one factor only, to boosted trees that predict the factors.

    D = sum_j rho_j (1 - H_F(P_j)), where P_j are the importances of latent j over their sum, H_F the entropy to base F
    and rho_j its share of all importance; completeness swaps the parts of latents and factors, weights
    included; informativeness is accuracy (Eastwood & Williams 2018, section 2; with boosted trees and weighted
    completeness in Locatello et al. 2019).

    Protocol: 10,000 points to fit, 5,000 to test; per factor what GradientBoostingClassifier does by default (100
    stages, rate 0.1, depth 3, one tree per class and stage), the importance of a latent being its share of the squared
    error that splits removed. Our own trees, equal to those but for ties, which either draws at random: scores agree as
    two seeds of scikit-learn do, in less than a tenth of its time. Range 0 to 1 for D and completeness (0 where nothing
    matters or all matters equally, 1 where each latent or factor has one partner), informativeness from guessing to 1.
    Failings: D and C grow with the number of points and of stages (compare at equal ones only); trees overfit factors
    of many values, so noise latents gain importance; a code that splits a factor over two latents (sine and cosine of
    an angle) is incomplete, yet perfectly disentangled; a factor for which nothing matters drops out of completeness.
    Matrices: importance [L, F], columns summing to 1, or to 0 where nothing matters.
    """

    def fit(
        codes: np.ndarray, factor: np.ndarray, test_codes: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return boosted_trees(codes, factor, test_codes, rng, stages=stages)

    return dci(rep, rng, train, test, fit, accuracy)
