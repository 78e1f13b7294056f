"""Linear regression that leaves out what it does not need."""

import numpy as np


def lasso(x: np.ndarray, y: np.ndarray, alpha: float, tolerance: float = 1e-7, sweeps: int = 10_000) -> np.ndarray:
    """[L, T]: for each target the w that minimises |y - x w|^2 / 2N + alpha |w|_1, for x [N, L] and y [N, T] centred.

    Coordinate descent (Friedman et al. 2010) on the covariances, for all targets at once, until no coefficient moves
    by more than `tolerance`. A column of zeros gets the coefficient 0.
    """
    gram, target = x.T @ x / len(x), x.T @ y / len(x)  # [L, L], [L, T]
    w = np.zeros_like(target)
    for _ in range(sweeps):
        before = w.copy()
        for latent in np.flatnonzero(np.diag(gram) > 0):
            pull = target[latent] - gram[latent] @ w + gram[latent, latent] * w[latent]
            w[latent] = np.sign(pull) * np.maximum(np.abs(pull) - alpha, 0) / gram[latent, latent]
        if np.abs(w - before).max(initial=0) <= tolerance:
            break
    return w
