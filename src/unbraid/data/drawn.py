"""A data set whose images are drawn when they are asked for, each from its index alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unbraid.data.labels import Grid
from unbraid.data.stored import shuffled
from unbraid.types import Batches

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Drawn:
    """Satisfies `unbraid.types.Dataset`: every combination of the factors once, none of them stored."""

    labels: Grid
    image_shape: tuple[int, int, int]
    draw: Callable[[np.ndarray], np.ndarray]  # factors [n, F] -> uint8 [n, C, H, W]
    binary: bool = False

    @property
    def factor_names(self) -> tuple[str, ...]:
        return self.labels.names

    @property
    def factor_sizes(self) -> tuple[int, ...]:
        return self.labels.sizes

    def __len__(self) -> int:
        return int(np.prod(self.labels.sizes))

    def factors(self, indices: np.ndarray) -> np.ndarray:
        return self.labels.factors(np.asarray(indices))

    def indices(self, factors: np.ndarray) -> np.ndarray:
        return self.labels.indices(factors)

    def images(self, indices: np.ndarray) -> np.ndarray:
        return self.draw(self.factors(indices))

    def batches(self, batch_size: int, *, seed: int, device: "torch.device | str" = "cpu") -> Batches:
        """Every image once an epoch, as `shuffled` has it."""
        import torch

        chosen, place = shuffled(len(self), batch_size, seed), torch.device(device)
        return lambda step: torch.from_numpy(self.images(chosen(step))).to(place).float() / 255
