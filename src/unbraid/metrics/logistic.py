"""The linear classifier of explicitness and infoe."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression


def logistic_regression(
    codes: np.ndarray, labels: np.ndarray, *, c: float = 1.0, balanced: bool = False, iterations: int = 1_000
) -> "LogisticRegression":
    """Multinomial logistic regression of labels [N] on codes [N, L] by L-BFGS, penalised by |w|^2 / 2c.

    It may stop before it converges, silently: `iterations` is part of a metric's protocol. One thread, because the
    products are so small that more wait for each other most of the time (ten times slower on two busy cores).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    weight = "balanced" if balanced else None
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # few points a value
        return LogisticRegression(solver="lbfgs", C=c, class_weight=weight, max_iter=iterations).fit(codes, labels)
