"""Entropy and mutual information of discrete variables and of Gaussian mixtures on a line, in nats."""

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


def quantile_bins(values: np.ndarray, bins: int = 20) -> np.ndarray:
    """int64 [N, K] in 0..bins-1: each column of `values` [N, K] cut into `bins` intervals of equally many values.

    Equal values share a bin, so fewer and uneven ones are left where many are equal.
    """
    edges = np.quantile(values, np.arange(1, bins) / bins, axis=0)
    columns = [np.searchsorted(edge, column, side="right") for edge, column in zip(edges.T, values.T, strict=True)]
    return np.stack(columns, axis=1)


def joint_histogram(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """int64 [A, B]: how often each pair of values occurs in two vectors [N] of indices from 0."""
    rows, columns = int(first.max()) + 1, int(second.max()) + 1
    return np.bincount(first * columns + second, minlength=rows * columns).reshape(rows, columns)


def entropy_of_counts(counts: np.ndarray) -> float:
    """-sum p log p of the shares p of `counts` (any shape, whole or not): 0 where one cell holds everything."""
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


_GRID = 4096  # points of the line on which a mixture's density is worked out
REACH = 6.0  # standard deviations beyond which a Gaussian counts as 0
_WIDTHS_PER_OCTAVE = 8


def mixture_entropy(mean: np.ndarray, sd: np.ndarray) -> float:
    """Differential entropy of the mixture (1/N) sum_n Normal(mean_n, sd_n^2) on a line, in nats.

    -integral q log q, with q on a grid over the mixture's range, with six deviations at its ends. Each Gaussian is
    shared out among the two grid points beside its mean and the two of a ladder of widths beside its own, so that mean
    and variance stay what they are; then all Gaussians of one width are blurred at once, as a product of Fourier
    transforms. The error is below 2e-3 nats as long as no sd is below 1/2000 of that range; one below 1/4096 of it is
    widened to that.
    """
    low, high = float((mean - REACH * sd).min()), float((mean + REACH * sd).max())
    step = max((high - low) / _GRID, float(np.spacing(max(abs(low), abs(high)))))
    position = (mean - low) / step  # in steps from here on
    cell = np.floor(position).astype(np.int64)
    right = position - cell
    variance = np.square(np.maximum(sd, step) / step) - right * (1 - right)  # less what sharing adds

    rung = np.floor(_WIDTHS_PER_OCTAVE / 2 * np.log2(variance / variance.min())).astype(np.int64)
    ladder = variance.min() * 2.0 ** (2 / _WIDTHS_PER_OCTAVE * np.arange(rung.max() + 2))
    wider = (variance - ladder[rung]) / (ladder[rung + 1] - ladder[rung])
    histogram = np.zeros(len(ladder) * _GRID)
    for up, of_width in ((0, 1 - wider), (1, wider)):
        for along, of_cell in ((0, 1 - right), (1, right)):
            index = (rung + up) * _GRID + (cell + along) % _GRID
            histogram += np.bincount(index, of_width * of_cell, len(histogram))

    frequency = 2 * np.pi * np.fft.rfftfreq(_GRID)
    blur = np.exp(-0.5 * np.square(frequency) * ladder[:, None])
    density = np.fft.irfft((np.fft.rfft(histogram.reshape(-1, _GRID)) * blur).sum(0), _GRID)
    return entropy_of_counts(density) + float(np.log(step))
