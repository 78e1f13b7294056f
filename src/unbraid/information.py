"""Entropy and mutual information of discrete variables, in nats, from joint histograms."""

import numpy as np

_ROUNDING = 1e-12  # nats: what independent variables show for no other reason than rounding


def equal_width_bins(values: np.ndarray, bins: int = 20) -> np.ndarray:
    """int64 [N, K] in 0..bins-1: each column of `values` [N, K] cut into `bins` equal intervals over its own range.

    The edges are those of numpy.histogram, closed on the left; the largest value falls into the last bin. A constant
    column falls into one bin.
    """
    binned = np.empty(values.shape, np.int64)
    for column, low, high in zip(range(values.shape[1]), values.min(0), values.max(0), strict=True):
        edges = np.linspace(low, high, bins + 1)[1:-1]
        binned[:, column] = np.searchsorted(edges, values[:, column], side="right")
    return binned


def joint_histogram(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """int64 [A, B]: how often each pair of values occurs in two vectors [N] of indices from 0."""
    rows, columns = int(first.max()) + 1, int(second.max()) + 1
    return np.bincount(first * columns + second, minlength=rows * columns).reshape(rows, columns)


def entropy_of_counts(counts: np.ndarray) -> float:
    """-sum p log p of the shares p of `counts` (any shape): 0 where one cell holds everything."""
    counts = counts[counts > 0]
    total = counts.sum()
    return float(max(np.log(total) - counts @ np.log(counts) / total, 0.0))


def entropy(values: np.ndarray) -> np.ndarray:
    """[K]: H of each column of indices `values` [N, K]."""
    return np.array([entropy_of_counts(np.bincount(column)) for column in values.T])


def joint_entropy(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[K, M]: H(first_k, second_m) of every column of `first` [N, K] with every column of `second` [N, M]."""
    return np.array([[entropy_of_counts(joint_histogram(a, b)) for b in second.T] for a in first.T])


def mutual_information(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[K, M]: I(first_k; second_m) = H(first_k) + H(second_m) - H(first_k, second_m), never negative.

    Both are indices from 0, [N, K] and [N, M]. The plug-in estimate: it is biased upwards by about
    (A - 1)(B - 1) / 2N for A and B values.
    """
    mi = entropy(first)[:, None] + entropy(second) - joint_entropy(first, second)
    return np.where(mi < _ROUNDING, 0.0, mi)


def conditional_entropy(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[K, M]: H(first_k | second_m) = H(first_k, second_m) - H(second_m), never negative."""
    return np.maximum(joint_entropy(first, second) - entropy(second), 0.0)
