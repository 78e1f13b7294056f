"""Random forests of entropy splits, several times faster than the published code where a factor has many values.

What scikit-learn's RandomForestClassifier(criterion="entropy") does otherwise by default: each tree sees a bootstrap
sample, and each node the square root of the latents, drawn at random. No tree can be the same one, since the random
numbers are others; forests agree as two seeds do.

All nodes of a level are split at once. Sums of n log n come from a table of 64-bit integers (fixed point), so that
moving a point from right to left of a split costs four look-ups, however many classes there are, and running sums are
exact.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from unbraid.metrics.columns import SAME, columns

_NEVER = np.iinfo(np.int64).min
_BLOCK = 5  # trees of which the votes are added up; fixed, so that the sums do not depend on the number of cores


def random_forest(
    codes: np.ndarray,
    labels: np.ndarray,
    test_codes: np.ndarray,
    rng: np.random.Generator,
    *,
    trees: int = 100,
    depth: int = 10,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(importance [L], predicted [N], test_predicted [N']) of a forest that tells `labels` [N] from codes [N, L].

    The importance of a latent is its share of the entropy that all splits of a tree removed, averaged over the trees
    that have any; all 0 where nothing can be split.
    """
    from joblib import cpu_count

    classes, index = np.unique(labels, return_inverse=True)
    data = _Data.of(codes, test_codes, index)

    def none_yet() -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(data.x)), np.zeros((data.x.shape[1], len(classes)))

    def grow(generators: list[np.random.Generator]) -> tuple[np.ndarray, np.ndarray]:
        importance, votes = none_yet()
        for generator in generators:
            gains = _Tree(data, depth, generator).grow(votes)
            importance += gains / (gains.sum() or 1.0)
        return importance, votes

    generators = rng.spawn(trees)
    importance, votes = none_yet()
    with ThreadPoolExecutor(cpu_count()) as pool:
        for block in pool.map(grow, [generators[i : i + _BLOCK] for i in range(0, trees, _BLOCK)]):
            importance += block[0]
            votes += block[1]
    predicted = classes[votes.argmax(1)]
    return importance / (importance.sum() or 1.0), predicted[: len(codes)], predicted[len(codes) :]


@dataclass(frozen=True)
class _Data:
    x: np.ndarray  # float64 [L, N + N'], rounded to float32: rows to fit, then rows to test
    order: np.ndarray  # int64 [L, N] rows to fit, sorted by each latent
    y: np.ndarray  # [N] index of the class, in as few bytes as it needs: short integers sort by radix
    classes: int
    n_log_n: np.ndarray  # int64 [N + 1] in `unit`
    unit: float

    @classmethod
    def of(cls, codes: np.ndarray, test_codes: np.ndarray, index: np.ndarray) -> "_Data":
        x = columns(np.concatenate([codes, test_codes]))
        n = np.arange(len(codes) + 1.0)
        n_log_n = n * np.log(np.maximum(n, 1))
        unit = 2.0 ** (int(np.log2(n_log_n[-1] + 1)) - 59)
        classes = int(index.max()) + 1
        return cls(
            x,
            np.argsort(x[:, : len(codes)], axis=1, kind="stable"),
            index.astype(np.min_scalar_type(classes)),
            classes,
            np.rint(n_log_n / unit).astype(np.int64),
            unit,
        )


class _Tree:
    """One tree, grown level by level; a node is its number on the level."""

    def __init__(self, data: _Data, depth: int, rng: np.random.Generator) -> None:
        self.data, self.depth, self.rng = data, depth, rng
        latents, n = data.order.shape
        self.weight = np.bincount(rng.integers(n, size=n), minlength=n)  # [N] how often the bootstrap drew each row
        self.bag = np.flatnonzero(self.weight)
        self.order = data.order.ravel()[np.flatnonzero(self.weight[data.order])].reshape(latents, -1)  # [L, S]
        self.node_of = np.zeros(n, np.int64)  # [N] the node of each row to fit; past the last one once it is in a leaf

    def grow(self, votes: np.ndarray) -> np.ndarray:
        """Adds the tree's class probabilities to `votes` [N + N', K] and returns what each latent won [L]."""
        data = self.data
        gains = np.zeros(len(data.x))
        row = np.arange(data.x.shape[1])  # of the rows that are not in a leaf yet,
        node = np.zeros_like(row)  # and where they are
        nodes = 1
        for level in range(self.depth + 1):
            counts = self._counts(nodes)
            splits = self._search(counts) if level < self.depth else _Splits(nodes)
            found = splits.gain > _NEVER
            np.add.at(gains, splits.latent[found], splits.gain[found] * data.unit)

            stays = found[node]
            votes[row[~stays]] += (counts / counts.sum(1, keepdims=True))[node[~stays]]
            row, node = row[stays], node[stays]
            if not len(row):
                break
            to_right = data.x[splits.latent[node], row] > splits.threshold[node]
            node = 2 * (np.cumsum(found) - 1)[node] + to_right
            nodes = 2 * int(found.sum())
            self.node_of[:] = nodes
            fitted = row < len(self.node_of)
            self.node_of[row[fitted]] = node[fitted]
        return gains

    def _counts(self, nodes: int) -> np.ndarray:
        """int64 [nodes, K]: how many points of each class, drawn twice counted twice, are in each node."""
        inside = self.bag[self.node_of[self.bag] < nodes]
        cell = self.node_of[inside] * self.data.classes + self.data.y[inside]
        counts = np.bincount(cell, self.weight[inside], nodes * self.data.classes)
        return counts.astype(np.int64).reshape(nodes, -1)

    def _search(self, counts: np.ndarray) -> "_Splits":
        """The best split of each impure node among random latents: the square root of all, and further ones, one by
        one, as long as none has shown two values in the node."""
        latents = len(self.order)
        splits = _Splits(len(counts))
        drawn = self.rng.random((len(counts), latents)).argsort(1)  # [nodes, L]
        nodes = np.flatnonzero((counts > 0).sum(1) > 1)
        first = max(1, int(np.sqrt(latents)))
        for start, stop in [(0, first), *((i, i + 1) for i in range(first, latents))]:
            if not len(nodes):
                break
            self._try(counts, splits, nodes, drawn[nodes, start:stop])
            nodes = nodes[splits.gain[nodes] == _NEVER]
        return splits

    def _try(self, counts: np.ndarray, splits: "_Splits", nodes: np.ndarray, drawn: np.ndarray) -> None:
        """Writes into `splits` the best split of the nodes [M] by the latents [M, T] drawn for each.

        Pair p = T i + t is node i with its t-th latent. The points of all pairs stand in one long row, pair after pair,
        each sorted by its latent. A split that leaves n_c points of class c, out of n, on the left, and m_c out of m on
        the right, takes away the entropy sum_c (n_c log n_c + m_c log m_c) - n log n - m log m, less the same unsplit.
        """
        g, classes, pairs = self.data.n_log_n, self.data.classes, drawn.size
        latent_of, of_node = drawn.ravel(), np.repeat(nodes, drawn.shape[1])  # [pairs]
        small = np.min_scalar_type(pairs)
        pair_at = np.full((len(self.order), len(counts) + 1), pairs, small)  # `pairs` where no pair wants the point
        pair_at[latent_of, of_node] = np.arange(pairs)
        row_of = np.arange(len(self.order))[:, None] * pair_at.shape[1]
        pair = np.take(pair_at, np.take(self.node_of, self.order) + row_of).ravel()
        wanted = np.flatnonzero(pair < pairs)
        wanted = wanted[np.argsort(pair[wanted], kind="stable")]
        pair, point = pair[wanted], self.order.ravel()[wanted]

        y, w = self.data.y[point], self.weight[point]
        by_class = np.argsort(y, kind="stable")
        by_class = by_class[np.argsort(pair[by_class], kind="stable")]
        pair = pair.astype(np.int64)
        total = counts[of_node].ravel()  # [pairs K]
        cell = pair * classes + y
        left = np.empty_like(w)
        left[by_class] = np.cumsum(w[by_class])
        left -= (np.cumsum(total) - total)[cell]  # n_c, the point itself included
        right = total[cell] - left
        unlike = np.cumsum(g[left] - g[left - w] + g[right] - g[right + w])  # telescopes to 0 over every pair

        size = counts.sum(1)[of_node]
        on_left = np.cumsum(w) - (np.cumsum(size) - size)[pair]
        gain = unlike - g[on_left] - g[size[pair] - on_left] + g[size][pair]
        x = self.data.x[latent_of[pair], point]
        gain[:-1][(np.diff(x) <= SAME) | (pair[1:] != pair[:-1])] = _NEVER
        gain[-1] = _NEVER

        node = pair // drawn.shape[1]
        starts = np.searchsorted(node, np.arange(len(nodes)))
        splits.gain[nodes] = np.maximum.reduceat(gain, starts)
        best = np.flatnonzero(gain == splits.gain[nodes][node])
        best = best[np.searchsorted(best, starts)]  # the first of equals: the latents stand in random order
        splits.latent[nodes] = latent_of[pair[best]]
        splits.threshold[nodes] = (x[best] + x[np.minimum(best + 1, len(x) - 1)]) / 2


class _Splits:
    """The best split of each node; a gain of _NEVER where there is none."""

    def __init__(self, nodes: int) -> None:
        self.gain = np.full(nodes, _NEVER)
        self.latent = np.zeros(nodes, np.int64)
        self.threshold = np.zeros(nodes)
