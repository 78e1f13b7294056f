"""Gradient-boosted classification trees that split latents between a few bins, all classes of a stage at once.

The trees of boosting.py but for that; the same trees where no latent has more values than bins.

What a split needs to know is the sum of residuals in each bin. For all classes at once that is a sparse matrix [L B, N]
of ones, where a point lies in a bin, times the residuals [N, K]. Below the root only left children are summed up: what
they lack of their parent is in the right ones. Residuals are whole numbers (fixed point), to each of which a unit
larger than all their sum is added: one product then gives both sums and counts of points, without rounding.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from unbraid.metrics.columns import SAME, columns
from unbraid.metrics.softmax import Softmax

_DEPTH = 3
_RATE = 0.1
_BLOCK = 8  # classes grown at once: their sums fit the cache of a core
_PURE = np.finfo(np.float64).eps  # gain per point below which a node is a leaf
_TIE = 1e-10  # relative difference of gains that is rounding


def binned_trees(
    codes: np.ndarray,
    labels: np.ndarray,
    test_codes: np.ndarray,
    rng: np.random.Generator,
    *,
    stages: int = 100,
    bins: int = 64,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(importance [L], predicted [N], test_predicted [N']) of trees boosted on codes [N, L] to tell `labels` [N].

    The importance of a latent is its share of the squared error that all splits removed; all 0 where nothing can be
    split.
    """
    from joblib import cpu_count

    x, test_x = columns(codes), columns(test_codes)  # [L, N], [L, N']
    thresholds = [_thresholds(column, bins) for column in x]
    binned, test_binned = _binned(x, thresholds, bins), _binned(test_x, thresholds, bins)
    loss = Softmax(labels)
    score = np.repeat(loss.start, x.shape[1], axis=1)  # [K, N]
    test_score = np.repeat(loss.start, test_x.shape[1], axis=1)  # [K, N']
    blocks = [slice(k, k + _BLOCK) for k in range(0, len(score), _BLOCK)]
    growers = [_Grower(binned, test_binned, bins, generator) for generator in rng.spawn(len(blocks))]

    def grow(block: slice, grower: _Grower) -> None:
        steps, test_steps = grower.newton_steps(residual[block])
        score[block] += _RATE * loss.damping * steps
        test_score[block] += _RATE * loss.damping * test_steps

    with ThreadPoolExecutor(min(cpu_count(), len(blocks))) as pool:
        for _ in range(stages):
            residual = loss.target - loss.probability(score)
            list(pool.map(grow, blocks, growers))

    importance = np.sum([grower.gains for grower in growers], axis=0)
    return importance / (importance.sum() or 1.0), loss.decide(score), loss.decide(test_score)


def _thresholds(column: np.ndarray, bins: int) -> np.ndarray:
    """Rising, at most bins - 1: all places between values of `column` [N], or the widest of each part of equal size.

    The widest, since clusters are then kept apart as long as there are fewer of them than parts.
    """
    values = np.sort(column)
    gaps = np.diff(values)
    before = np.flatnonzero(gaps > SAME)
    if len(before) >= bins:
        starts = np.arange(bins - 1) * len(gaps) // (bins - 1)
        widest = starts + [part.argmax() for part in np.split(gaps, starts[1:])]
        before = widest[gaps[widest] > SAME]
    return (values[before] + values[before + 1]) / 2


def _binned(x: np.ndarray, thresholds: list[np.ndarray], bins: int) -> np.ndarray:
    """[L, N] of how many of its latent's thresholds each value of `x` [L, N] exceeds."""
    found = [np.searchsorted(own, column) for own, column in zip(thresholds, x, strict=True)]
    return np.array(found, np.min_scalar_type(bins - 1))


class _Grower:
    """Grows trees for a block of classes, one of each at a time; `gains` [L] is what their splits have won so far.

    A node is a bool [K, N], the points in it of each class's tree; all nodes of a level are grown together.
    """

    def __init__(self, binned: np.ndarray, test_binned: np.ndarray, bins: int, rng: np.random.Generator) -> None:
        from scipy.sparse import csc_array

        latents, n = binned.shape
        row = binned.T.astype(np.int64) + bins * np.arange(latents)  # [N, L]
        first = np.arange(n + 1) * latents
        self.in_bin = csc_array((np.ones(row.size), row.ravel(), first), shape=(latents * bins, n))
        self.binned, self.test_binned, self.bins, self.rng = binned, test_binned, bins, rng
        self.point = 2.0 ** (52 - n.bit_length())  # n of them, and residuals beside, are still exact
        self.gains = np.zeros(latents)

    def newton_steps(self, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a tree for each row of `residual` [K, N] adds to the scores of points [K, N] and test points [K, N']."""
        size = np.abs(residual)
        unit = 4 * np.maximum(size.sum(1, keepdims=True), 1e-150) / self.point  # [K, 1]
        packed = np.rint(residual / unit) + self.point
        nodes = [np.ones(residual.shape, bool)]
        test_nodes = [np.ones((len(residual), self.test_binned.shape[1]), bool)]
        sums = self._sums(packed, nodes)
        for level in range(_DEPTH):
            if level:
                left = self._sums(packed, nodes[: len(nodes) // 2])
                sums = np.concatenate([left, sums - left])
            latent, last, gain = self._best_splits(sums, unit)
            np.add.at(self.gains, latent, gain)
            nodes = _children(nodes, self.binned, latent, last)
            test_nodes = _children(test_nodes, self.test_binned, latent, last)
        leaf, test_leaf = _numbered(nodes), _numbered(test_nodes)
        leaves = len(nodes) * len(residual)
        curvature = np.bincount(leaf.ravel(), (size * (1 - size)).ravel(), leaves)
        step = np.bincount(leaf.ravel(), residual.ravel(), leaves)
        step = np.divide(step, curvature, out=np.zeros(leaves), where=curvature > 1e-150)
        return step[leaf], step[test_leaf]

    def _sums(self, packed: np.ndarray, nodes: list[np.ndarray]) -> np.ndarray:
        """[nodes, K, L, bins]: `packed` [K, N] summed over the points of each node that lie in each bin."""
        masked = np.empty((packed.shape[1], len(nodes), len(packed)))
        for i, node in enumerate(nodes):
            np.multiply(packed, node, out=masked[:, i].T)
        sums = self.in_bin @ masked.reshape(len(masked), -1)
        return np.ascontiguousarray(sums.T).reshape(len(nodes), len(packed), -1, self.bins)

    def _best_splits(self, sums: np.ndarray, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(latent, last bin on the left, squared error removed), each [nodes, K]; leaves keep all on the left.

        Splitting m points whose residuals sum to S, so that the k on the left have s of it, removes
        (s - k S / m)^2 m / (k (m - k)).
        """
        s = sums.cumsum(-1)
        k = np.rint(s / self.point)
        s -= k * self.point
        s *= unit[:, :, None]
        m, total = k[..., -1:], s[..., -1:]
        parted = k * (m - k)
        gain = np.zeros_like(s)
        np.divide((s - k * (total / np.maximum(m, 1))) ** 2 * m, parted, out=gain, where=parted > 0)
        best = gain.max(-1)  # [nodes, K, L]
        top = best.max(-1, keepdims=True)
        tied = best >= (1 - _TIE) * top
        latent = (tied * self.rng.random(tied.shape)).argmax(-1, keepdims=True)
        last = np.take_along_axis(gain.argmax(-1), latent, -1)
        leaf = top <= _PURE * m[..., 0, :]
        last[leaf], top[leaf] = self.bins - 1, 0.0
        return latent[..., 0], last[..., 0], top[..., 0]


def _children(nodes: list[np.ndarray], binned: np.ndarray, latent: np.ndarray, last: np.ndarray) -> list[np.ndarray]:
    """The left children of all nodes, then the right ones."""
    left = [binned[j] <= b[:, None] for j, b in zip(latent, last.astype(binned.dtype), strict=True)]
    pairs = list(zip(nodes, left, strict=True))
    return [node & goes for node, goes in pairs] + [node & ~goes for node, goes in pairs]


def _numbered(leaves: list[np.ndarray]) -> np.ndarray:
    """[K, N] which leaf of all K trees each point is in."""
    number = np.zeros(leaves[0].shape, np.uint8)
    for i, leaf in enumerate(leaves):
        number += leaf * np.uint8(i)
    return number + len(leaves) * np.arange(len(number))[:, None]
