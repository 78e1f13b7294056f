"""Objectives: add one by writing its file and its line in the table.

Each is a pure function `(Forward, *, hyper-parameters) -> Terms`: no step counter, no random draw, no `if` on a
hyper-parameter, so that one function serves one model or, under torch.func.vmap, a hundred.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

from unbraid.objectives.beta_vae import beta_vae
from unbraid.types import Terms

__all__ = ["OBJECTIVES", "Aux", "Objective"]


@dataclass(frozen=True)
class Aux:
    """A second network that an objective trains beside the model, with an Adam of its own."""

    build: Callable[[int, int], nn.Module]  # (latent_dim, seed) -> network on z [B, L]
    lr: float
    betas: tuple[float, float]


@dataclass(frozen=True)
class Objective:
    """`function` with what the trainer must know about it."""

    function: Callable[..., Terms]
    description: str
    defaults: Mapping[str, str] = field(default_factory=dict)  # schedules, as text, in place of signature defaults
    aux: Aux | None = None


OBJECTIVES: dict[str, Objective] = {
    "beta_vae": Objective(beta_vae, "beta-VAE (Higgins 2017)"),
}
