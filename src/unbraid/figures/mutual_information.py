"""Which latent knows which factor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unbraid.errors import UnbraidError
from unbraid.figures.checks import numbers, words
from unbraid.figures.heat_map import heat_map

_LITTLE = 0.05  # of the largest entry: a latent below it knows nothing worth an order


def mutual_information(
    matrix: Any,
    factor_names: Sequence[str],
    *,
    normalised: bool = False,
    ordered: bool = True,
    title: str = "",
    theme: str = "light",
) -> Figure:
    """The mutual information [L, F] of each latent and each factor in nats, or `normalised` by the factor's entropy.

    The latents are grouped by the factor they know most of, in the order of the factors, the best latent of each group
    first, and those that know little of any factor last: perfect disentanglement shows as one dark cell in each column
    along the diagonal. With `ordered=False` they stand as they are numbered. The colours of normalised matrices end
    at 1, the factor known completely.
    """
    matrix = numbers(matrix, "matrix", "L F")
    factor_names = words(factor_names, "factor_names", matrix.shape[1])
    if matrix.min() < 0 or (normalised and matrix.max() > 1 + 1e-6):
        bounds = "in [0, 1] when normalised" if normalised else "at least 0"
        raise UnbraidError(f"mutual information must be {bounds}, not from {matrix.min():.4g} to {matrix.max():.4g}")
    order = _grouped(matrix) if ordered else np.arange(len(matrix))
    return heat_map(
        matrix[order],
        [f"z{latent}" for latent in order],
        factor_names,
        unit="share of entropy" if normalised else "nats",
        high=1.0 if normalised else None,
        row_latents=order.tolist(),
        title=title,
        theme=theme,
    )


def _grouped(matrix: np.ndarray) -> np.ndarray:
    best, most = matrix.argmax(axis=1), matrix.max(axis=1)
    little = most <= _LITTLE * most.max()
    return np.lexsort((-most, np.where(little, matrix.shape[1], best)))
