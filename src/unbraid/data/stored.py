"""A data set whose images are all at hand: pixels beside labels, shuffled anew every epoch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unbraid.data.labels import Grid, Listed
from unbraid.data.pixels import Pixels
from unbraid.errors import UnbraidError
from unbraid.randomness import numpy_generator
from unbraid.types import Batches

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Stored:
    """Satisfies `unbraid.types.Dataset`. Where only some pictures belong to it, `kept` [N] are their rows.

    `names` [N] are those of their files, () where they have none.
    """

    pixels: Pixels
    labels: Grid | Listed  # of those that belong to it
    binary: bool
    kept: np.ndarray | None = None
    names: Sequence[str] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.pixels.shape

    @property
    def factor_names(self) -> tuple[str, ...]:
        return self.labels.names

    @property
    def factor_sizes(self) -> tuple[int | None, ...]:
        return self.labels.sizes

    @property
    def levels(self) -> Mapping[str, Sequence[str]]:
        """Of factors that came as words or as other numbers: what each value index stands for."""
        return self.labels.levels if isinstance(self.labels, Listed) else {}

    def __len__(self) -> int:
        return len(self.pixels) if self.kept is None else len(self.kept)

    def factors(self, indices: np.ndarray) -> np.ndarray:
        return self.labels.factors(np.asarray(indices))

    def indices(self, factors: np.ndarray) -> np.ndarray:
        return self.labels.indices(factors)

    def images(self, indices: np.ndarray) -> np.ndarray:
        return self.pixels.images(self._rows(np.asarray(indices)))

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        return indices if self.kept is None else self.kept[indices]

    def batches(self, batch_size: int, *, seed: int, device: "torch.device | str" = "cpu") -> Batches:
        """Every image once an epoch, in an order of that epoch's own; see `shuffled` for the last few."""
        import torch

        chosen, place = shuffled(len(self), batch_size, seed), torch.device(device)
        return lambda step: self.pixels.floats(self._rows(chosen(step)), place)


def shuffled(n: int, batch_size: int, seed: int) -> Callable[[int], np.ndarray]:
    """step -> int32 [batch_size], indices below `n` drawn without replacement within an epoch of n // batch_size steps.

    The n % batch_size last indices of an epoch's permutation are left out of it, so every batch is full. A function of
    (seed, step) alone: the permutation of the current epoch is kept, and made again when another one is asked for.
    """
    if n < 2 <= batch_size:
        raise UnbraidError("the data set has one image, and a batch takes two or more: add images")
    if not 1 <= batch_size <= n:
        least = min(n, 2)
        fitting = max(least, n // 4 * 2)
        raise UnbraidError(
            f"batch_size must be from {least} to {n:,}, the number of images in the data set, not {batch_size:,}: "
            f"such as batch_size={fitting} (--batch-size {fitting})"
        )
    kept: tuple[int, np.ndarray] = (-1, np.empty(0, np.int32))

    def chosen(step: int) -> np.ndarray:
        nonlocal kept
        epoch, batch = divmod(step, n // batch_size)
        if epoch != kept[0]:
            kept = (epoch, numpy_generator(seed, "shuffle", epoch).permutation(np.arange(n, dtype=np.int32)))
        return kept[1][batch * batch_size : (batch + 1) * batch_size]

    return chosen
