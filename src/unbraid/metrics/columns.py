"""How scikit-learn's trees read codes, which ours follow so that they find the same splits."""

import numpy as np

SAME = 1e-7  # values nearer than this are one value: no split comes between them


def columns(codes: np.ndarray) -> np.ndarray:
    """float64 [L, N], each latent in one piece: codes [N, L] rounded to float32."""
    return np.ascontiguousarray(codes.T, np.float32).astype(np.float64)
