"""Mutual information gap with binned latents."""

import numpy as np

from unbraid.information import entropy, equal_width_bins, mutual_information
from unbraid.metrics.result import Result
from unbraid.metrics.sampling import discrete_factors, draw
from unbraid.types import Representation


def mig(rep: Representation, rng: np.random.Generator, *, points: int = 10_000, bins: int = 20) -> Result:
    """Mean over factors of the gap between the two largest I(latent; factor), over H(factor)."""
    codes, factors = draw(rep, rng, points)
    indices = discrete_factors(factors, rep.factor_sizes, bins)
    mi = mutual_information(equal_width_bins(codes, bins), indices)
    second, first = np.sort(mi, axis=0)[-2:]
    return Result(float(np.mean((first - second) / entropy(indices))), matrices={"mutual_information": mi})
