"""DCI by gradient-boosted trees that split between bins, the quick variant of dci_gbt."""

import numpy as np

from unbraid.metrics.binned_boosting import binned_trees
from unbraid.metrics.dci import accuracy, dci
from unbraid.metrics.result import Result
from unbraid.types import Representation


def dci_hgb(
    rep: Representation,
    rng: np.random.Generator,
    *,
    train: int = 10_000,
    test: int = 5_000,
    stages: int = 100,
    bins: int = 64,
) -> Result:
    """How nearly each latent matters for one factor only, to boosted trees that split latents between 64 bins.

    D, completeness and informativeness as in dci_gbt (Eastwood & Williams 2018, section 2), with trees of the same
    loss, depth, rate and number, which may split a latent at `bins` - 1 places only, as histogram boosting does (Ke et
    al. 2017). They take a fifth of the time.

    Protocol: 10,000 points to fit, 5,000 to test. Of a latent with more than 64 values, sorted, 63 equal parts are
    made, and the widest gap of each may be split. The same trees as in dci_gbt, but for ties, where no latent has more
    values than that. Otherwise, over three seeds each of four kinds of codes of dSprites' factors
    (benchmarks/dci_difference.py), D and completeness differ from those of dci_gbt by at most 0.016, informativeness
    by at most 0.024; under heavy noise D is up to 0.046 lower and completeness 0.040. Informativeness on the points of
    the fit is up to 0.1 lower: fewer splits memorise less. Compare scores of one of the two only.
    Range 0 to 1 for D and completeness (0 where nothing matters or all matters equally, 1 where each latent or factor
    has one partner), informativeness from guessing to 1. Failings: those of dci_gbt; values of a factor closer together
    in a latent than a bin is wide are not told apart. Matrices: importance [L, F], columns summing to 1.
    """

    def fit(
        codes: np.ndarray, factor: np.ndarray, test_codes: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return binned_trees(codes, factor, test_codes, rng, stages=stages, bins=bins)

    return dci(rep, rng, train, test, fit, accuracy)
