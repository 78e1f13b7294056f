"""Architectures: add one by writing its file and its line in the table."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from unbraid.errors import UnbraidError
from unbraid.models.burgess import burgess
from unbraid.models.vae import VAE, ImageShape
from unbraid.randomness import torch_generator
from unbraid.registry import lookup, parameters, suggest

__all__ = ["ARCHITECTURES", "VAE", "Architecture", "ImageShape", "build"]


@dataclass(frozen=True)
class Architecture:
    """`function(image_shape, *, latent_dim, ...)` describes the net; `build` makes it, with weights from a seed."""

    function: Callable[..., VAE]
    description: str


ARCHITECTURES: dict[str, Architecture] = {
    "burgess": Architecture(burgess, "convolutions of the controlled-capacity experiments (Burgess 2018)"),
}


def build(name: str, image_shape: ImageShape, *, seed: int = 0, **options: int) -> VAE:
    """A model on the CPU with the weights that `seed` names: the same on every machine, global random state untouched.

    `options` are the architecture's keywords, such as `latent_dim`, and default to its own. Raises UnbraidError for
    an unknown name or option and for a size that the architecture cannot take.
    """
    architecture = lookup(ARCHITECTURES, name, "architecture")
    allowed = parameters(architecture.function)
    for option in options:
        if option not in allowed:
            raise UnbraidError(
                f'the architecture "{name}" has no option "{option}"{suggest(option, allowed)} '
                f"(allowed: {', '.join(allowed)})"
            )
    if options.get("latent_dim", 1) < 1:
        raise UnbraidError(f"latent_dim must be at least 1, not {options['latent_dim']}")
    with torch.device("meta"):  # shapes only: the layers' own initialisation would draw from the global generator
        vae = architecture.function(image_shape, **options)
    vae = vae.to_empty(device="cpu")
    vae.initialise(torch_generator(seed, "init"))
    return vae
