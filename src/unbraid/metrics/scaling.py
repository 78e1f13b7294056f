"""Codes on a common scale."""

import numpy as np


def standardise(values: np.ndarray, reference: np.ndarray | None = None) -> np.ndarray:
    """Each column of `values` [N, K] in standard deviations from the mean, both of `reference` [N', K] if given.

    A column that is constant in the reference has no deviation: it is centred only, and so becomes 0 there.
    """
    reference = values if reference is None else reference
    deviation = np.where(np.ptp(reference, axis=0) > 0, reference.std(axis=0), 1.0)
    return (values - reference.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
