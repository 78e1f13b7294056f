"""Pairs of images that share most of their factors: weak supervision, which knows that and nothing more."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from unbraid.errors import UnbraidError
from unbraid.randomness import numpy_generator
from unbraid.types import Batches, Dataset

if TYPE_CHECKING:
    import torch

Partner = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]  # (indices [P], changed [P, F]) -> [P]


def pairs(
    dataset: Dataset, batch_size: int, *, seed: int, device: "torch.device | str" = "cpu", changed: int = 0
) -> Batches:
    """Batches whose image b and image b + batch_size / 2 are a pair; a function of (seed, step) alone.

    Of each pair, `changed` of the F factors are drawn anew for the second image and the others are shared; 0 draws
    that number too, k evenly from 1 to F - 1, for each pair (Locatello 2020). As in disentanglement_lib, a factor that
    is drawn anew may come out as it was. Unlike there: its code goes on to take 1 or k by the toss of a coin, so that
    one factor changes in 1 / 2 + 1 / (2 F - 2) of its pairs and each larger number of them in 1 / (2 F - 2), where here
    every number has 1 / (F - 1); and it tosses the coin of a k that is told as well, where here k factors change. On a
    grid every value is as probable as any other; of a list, every image that shares the rest. Raises UnbraidError for
    an odd batch, a number of factors that leaves nothing shared or changed, and data without
    two discrete factors.
    """
    import torch

    n_factors, there = len(dataset.factor_names), torch.device(device)
    if n_factors < 2 or None in dataset.factor_sizes:
        raise UnbraidError(
            "pairs of images that share factors need two or more factors, all of them discrete, and this data has "
            f"{', '.join(dataset.factor_names) or 'none'}"
        )
    if not 0 <= changed < n_factors:
        raise UnbraidError(f"pair_changes must be from 0 (drawn) to {n_factors - 1} of this data, not {changed}")
    if batch_size % 2 or not batch_size >= 2:
        raise UnbraidError(f"batch_size must be even for pairs of images, not {batch_size}")
    partner = _on_a_grid(dataset) if _is_grid(dataset) else _of_a_list(dataset)

    def batch(step: int) -> "torch.Tensor":
        rng = numpy_generator(seed, "pairs", step)
        first = rng.integers(len(dataset), size=batch_size // 2)
        numbers = rng.integers(1, n_factors, size=(len(first), 1))  # drawn even where told, so that k alone differs
        ranks = rng.random((len(first), n_factors)).argsort(1).argsort(1)
        second = partner(first, ranks < (changed or numbers), rng)
        images = dataset.images(np.concatenate([first, second]))
        return torch.from_numpy(images).to(there).float() / 255

    return batch


def _is_grid(dataset: Dataset) -> bool:
    """Whether every combination of values occurs, and so once."""
    if math.prod(size for size in dataset.factor_sizes if size is not None) != len(dataset):
        return False
    everywhere = np.arange(len(dataset))
    try:
        return bool((dataset.indices(dataset.factors(everywhere)) == everywhere).all())
    except UnbraidError:
        return False


def _on_a_grid(dataset: Dataset) -> Partner:
    sizes = np.array(dataset.factor_sizes, np.int64)

    def partner(indices: np.ndarray, changed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        drawn = rng.integers(sizes, size=changed.shape)
        return dataset.indices(np.where(changed, drawn, dataset.factors(indices)))

    return partner


def _of_a_list(dataset: Dataset) -> Partner:
    """Any image that shares what is not changed; that may be the image itself."""
    values = dataset.factors(np.arange(len(dataset)))
    columns = [np.ascontiguousarray(column, np.int32) for column in values.T]
    orders = [np.argsort(column, kind="stable").astype(np.int32) for column in columns]  # images by value
    starts = [np.concatenate([[0], np.cumsum(np.bincount(column))]) for column in columns]  # where each value's begin

    def alike(index: int, shared: list[int]) -> np.ndarray:
        """The images with the values that this one has of these factors; the rarest go first and leave few to look at.

        Nothing is kept for the next pair: forty factors can be shared in more ways than there are steps.
        """
        values = {factor: columns[factor][index] for factor in shared}
        ends = {factor: starts[factor][value : value + 2] for factor, value in values.items()}
        rarest, *others = sorted(shared, key=lambda factor: np.diff(ends[factor])[0])
        found = orders[rarest][slice(*ends[rarest])]
        for factor in others:
            found = found[columns[factor][found] == values[factor]]
        return found

    def partner(indices: np.ndarray, changed: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        places = rng.random(len(indices))
        chosen = np.empty_like(indices)
        for row, (index, shared) in enumerate(zip(indices, ~changed, strict=True)):
            found = alike(index, np.flatnonzero(shared).tolist())
            chosen[row] = found[int(places[row] * len(found))]
        return chosen

    return partner
