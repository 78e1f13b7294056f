"""The loss that boosted trees lower: softmax of a score per class, the logistic function of one score for two."""

import numpy as np


class Softmax:
    """What there is to learn of `labels` [N], as K rows: one a class, or one in all where there are two classes.

    `target` [K, N] is 1 where a point is of the class, `start` [K, 1] the scores before anything is learnt, and
    `damping` what a Newton step of one row is multiplied by since the other rows take theirs too (Friedman 2001).
    """

    def __init__(self, labels: np.ndarray) -> None:
        self.classes, index = np.unique(labels, return_inverse=True)
        self.target = np.equal.outer(np.arange(len(self.classes)), index).astype(np.float64)
        self.start = np.log(self.target.mean(1, keepdims=True))
        self.binary = len(self.classes) == 2
        self.damping = 1.0 if self.binary else 1 - 1 / len(self.classes)
        if self.binary:
            self.target, self.start = self.target[1:], self.start[1:] - self.start[:1]

    def probability(self, score: np.ndarray) -> np.ndarray:
        """Of each row's class, [K, N]."""
        if self.binary:
            return 1 / (1 + np.exp(-score))
        p = np.exp(score - score.max(0))
        return p / p.sum(0)

    def decide(self, score: np.ndarray) -> np.ndarray:
        """The label that scores [K, N] are highest for, [N]."""
        return self.classes[(score[0] >= 0).astype(int) if self.binary else score.argmax(0)]
