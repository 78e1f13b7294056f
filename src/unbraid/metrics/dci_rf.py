"""DCI by random forests."""

import numpy as np

from unbraid.metrics.dci import accuracy, dci
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
    """x"""

    def fit(
        codes: np.ndarray, factor: np.ndarray, test_codes: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(
            trees, criterion="entropy", max_depth=depth, n_jobs=-1, random_state=int(rng.integers(2**31))
        ).fit(codes, factor)
        return forest.feature_importances_, forest.predict(codes), forest.predict(test_codes)

    return dci(rep, rng, train, test, fit, accuracy)
