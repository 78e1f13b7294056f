"""The structures that several floors share. Letters of the shapes: B batch, N points, L latents, F factors, C H W."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Forward:
    """One batch through the model: everything an objective may see."""

    x: "Tensor"  # [B, C, H, W] in [0, 1]
    logits: "Tensor"  # [B, C, H, W] decoder output before the likelihood's squashing
    mean: "Tensor"  # [B, L] of q(z|x)
    logvar: "Tensor"  # [B, L] of q(z|x)
    z: "Tensor"  # [B, L] sampled
    likelihood: "Callable[[Tensor, Tensor], Tensor]"  # (logits, x) -> negative log-likelihood [B], nats per image
    n_data: int  # N, the size of the training set: minibatch estimators of q(z) need it
    permutation: "Tensor | None" = None  # [B, L] int64: column l is a permutation of the batch, drawn by the trainer
    linear: "Tensor | None" = None  # [B, n] linear coordinates of x, of mean 0 and variance 1, where asked for
    aux: "Callable[[Tensor], Tensor] | None" = None  # second network on z [B, L]
    aux_frozen: "Callable[[Tensor], Tensor] | None" = None  # the same network with detached parameters


@dataclass(frozen=True, slots=True)
class Terms:
    """What an objective returns, in nats per image. One backward of `loss + aux_loss` serves both networks."""

    loss: "Tensor"  # [] for encoder and decoder
    aux_loss: "Tensor | None" = None  # [] for the second network
    logs: "Mapping[str, Tensor]" = field(default_factory=dict)  # "recon" [], "kl" [L], and what else is worth a curve

    def logged(self) -> "dict[str, Tensor]":
        """The loss and `logs`, of which nothing learns, whatever the objective has left in them."""
        return {name: value.detach() for name, value in {"loss": self.loss, **self.logs}.items()}


class Batches(Protocol):
    """Training batches as a pure function of the step, so that a resumed run sees what an unbroken one would."""

    def __call__(self, step: int) -> "Tensor":
        """float32 [B, C, H, W] in [0, 1] on the trainer's device."""
        ...


class Dataset(Protocol):
    """Images with or without ground-truth factors: a finite grid, a list or a reproducible stream."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)"""
        ...

    @property
    def factor_names(self) -> tuple[str, ...]:
        """F names; () where nothing is known."""
        ...

    @property
    def factor_sizes(self) -> tuple[int | None, ...]:
        """The number of values of each factor; None for a continuous one."""
        ...

    @property
    def binary(self) -> bool:
        """Whether every pixel is 0 or 255 (then the Bernoulli likelihood has floor 0)."""
        ...

    def __len__(self) -> int: ...

    def factors(self, indices: np.ndarray) -> np.ndarray:
        """[N, F]: value indices (int64) on a grid, values (float64) where any factor is continuous."""
        ...

    def indices(self, factors: np.ndarray) -> np.ndarray:
        """int64 [N]: where these factors [N, F] stand; raises UnbraidError where that is not one place."""
        ...

    def images(self, indices: np.ndarray) -> np.ndarray:
        """uint8 [N, C, H, W], 0 to 255."""
        ...

    def batches(self, batch_size: int, *, seed: int, device: "torch.device | str" = "cpu") -> Batches:
        """The training stream of a run with this seed."""
        ...


@dataclass(frozen=True)
class Representation:
    """Codes beside the factors that made the images: all that a metric sees.

    `population` marks a table that holds every cell of the data set: a metric then draws its published number of
    points from it. Otherwise the rows are a sample and all of them are used.
    """

    codes: np.ndarray  # [N, L] float64, posterior means
    factors: np.ndarray  # [N, F] int64 value indices (float64 for continuous factors)
    factor_sizes: tuple[int | None, ...]  # [F], None for a continuous factor
    test_codes: np.ndarray | None = None  # [N', L]
    test_factors: np.ndarray | None = None  # [N', F]
    population: bool = False
    logvar: np.ndarray | None = None  # [N, L] float64 of q(z|x); only what samples from it needs it
