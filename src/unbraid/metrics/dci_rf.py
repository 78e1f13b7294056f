"""DCI by random forests."""

import numpy as np

from unbraid.metrics.dci import accuracy, dci
from unbraid.metrics.forest import random_forest
from unbraid.metrics.result import Result
from unbraid.types import Representation


def dci_rf(
    rep: Representation,
    rng: np.random.Generator,
    *,
    train: int = 10_000,
    test: int = 5_000,
    trees: int = 100,
    depth: int = 10,
) -> Result:
    """How nearly each latent matters for one factor only, to a random forest that predicts the factors.

    D, completeness and informativeness as in dci_gbt, with the importances of a forest (Eastwood & Williams 2018; this
    forest in Tripod, Hsu et al. 2024).

    Protocol: 10,000 points to fit, 5,000 to test; 100 trees of entropy splits and depth 10, each node choosing among
    the square root of the latents; the importance of a latent is its share of the entropy that splits removed, averaged
    over trees. Our own forest, equal to scikit-learn's as two of its seeds are. Tripod tests on a tenth of its points,
    and Eastwood & Williams fit regressions of 10 trees to standardised factors, their depth chosen by validation.
    Range 0 to 1 for D and completeness (0 where nothing matters or all matters equally, 1 where each latent or factor
    has one partner), informativeness from guessing to 1. Failings: nodes that are offered only useless latents split
    by these, so perfect codes stop short of 1 (0.82 for the factors of dSprites); D and C depend on the number of
    points; many-valued factors are overfitted, which gives noise importance. Matrices: importance [L, F], columns
    summing to 1.
    """

    def fit(
        codes: np.ndarray, factor: np.ndarray, test_codes: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return random_forest(codes, factor, test_codes, rng, trees=trees, depth=depth)

    return dci(rep, rng, train, test, fit, accuracy)
