"""What a metric returns, and what its line in the table says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Result:
    """A headline `score`, further named values and the matrices behind them (rows latents, columns factors)."""

    score: float
    parts: Mapping[str, float] = field(default_factory=dict)
    matrices: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Whether all of it are numbers, as JSON asks for."""
        numbers = np.isfinite([self.score, *self.parts.values()]).all()
        return bool(numbers) and all(bool(np.isfinite(matrix).all()) for matrix in self.matrices.values())


@dataclass(frozen=True)
class Metric:
    """One line of METRICS.

    `function(rep, rng, *, <published parameters with published defaults>) -> Result`: every metric takes a generator,
    also one that draws nothing, so that all are called alike.
    """

    function: Callable[..., Result]
    description: str  # one line for menus and tables
    paper: str  # "Author year"
    needs: Literal["any", "discrete", "posterior"] = "any"  # posterior: discrete factors and the variances of q(z|x)
    min_factors: int = 1
    higher_is_better: bool = True
    default: bool = True  # whether it runs unasked
