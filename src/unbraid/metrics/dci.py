"""Disentanglement, completeness and informativeness: what the DCI metrics share, whatever model they fit."""

from collections.abc import Callable

import numpy as np

from unbraid.metrics.result import Result
from unbraid.metrics.sampling import points
from unbraid.types import Representation

# (codes [N, L], factor [N], test_codes [N', L], rng) -> (importance [L], predicted [N], test_predicted [N'])
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]
Quality = Callable[[np.ndarray, np.ndarray], float]  # (predicted, true) -> how well


def dci(rep: Representation, rng: np.random.Generator, train: int, test: int, fit: Fit, quality: Quality) -> Result:
    """D of the importances that `fit` finds factor by factor; parts completeness and informativeness_train and _test.

    Every factor is fitted with a generator of its own. Matrices: importance [L, F].
    """
    codes, factors, test_codes, test_factors = points(rep, rng, train, test)
    importance = np.empty((codes.shape[1], factors.shape[1]))
    seen, unseen = [], []
    for k, child in enumerate(rng.spawn(factors.shape[1])):
        importance[:, k], predicted, test_predicted = fit(codes, factors[:, k], test_codes, child)
        seen.append(quality(predicted, factors[:, k]))
        unseen.append(quality(test_predicted, test_factors[:, k]))
    parts = {
        "completeness": completeness(importance),
        "informativeness_train": float(np.mean(seen)),
        "informativeness_test": float(np.mean(unseen)),
    }
    return Result(disentanglement(importance), parts, {"importance": importance})


def disentanglement(importance: np.ndarray) -> float:
    """D = sum_j rho_j (1 - H_F(P_j)): how nearly each latent matters for one factor only (Eastwood & Williams 2018).

    P_j is row j of `importance` [L, F] over its sum, H_F its entropy to base F, rho_j its share of all importance.
    Latents of no importance have no weight; D is 0 where all are such.
    """
    weight = importance.sum(1)
    return float(_concentration(importance) @ weight / (weight.sum() or 1.0))


def completeness(importance: np.ndarray) -> float:
    """C = sum_k rho_k (1 - H_L(P_k)): how nearly each factor needs one latent only (Eastwood & Williams 2018).

    P_k is column k of `importance` [L, F] over its sum, H_L its entropy to base L, rho_k its share of all importance:
    the weights of Locatello et al. 2019 and of Hsu et al. 2024, where the paper's C is of each factor alone. A factor
    for which nothing matters has no weight; C is 0 where all are such.
    """
    return disentanglement(importance.T)


def accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    return float(np.mean(predicted == true))


def _concentration(rows: np.ndarray) -> np.ndarray:
    """1 - entropy of each row's shares, to the base of their number: 1 where one has all, 0 where all or none have."""
    total = rows.sum(1)
    p = rows / np.where(total > 0, total, 1.0)[:, None]
    entropy = -np.sum(p * np.log(p, out=np.zeros_like(p), where=p > 0), axis=1)
    return np.where(total > 0, 1 - entropy / np.log(rows.shape[1]), 0.0)
