"""Architectures: add one by writing its file and its line in the table."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from unbraid.errors import UnbraidError
from unbraid.models.balls_all_conv import balls_all_conv
from unbraid.models.balls_conv import balls_conv
from unbraid.models.balls_fc import balls_fc
from unbraid.models.burgess import burgess
from unbraid.models.locatello import locatello
from unbraid.models.mlp import mlp
from unbraid.models.swift import swift
from unbraid.models.vae import VAE, ImageShape
from unbraid.processors import with_memory
from unbraid.randomness import torch_generator
from unbraid.registry import check_options, lookup, parameters

__all__ = ["ARCHITECTURES", "VAE", "Architecture", "ImageShape", "build", "describe"]


@dataclass(frozen=True)
class Architecture:
    """`function(image_shape, *, latent_dim, ...)` describes the net; `build` makes it, with weights from a seed."""

    function: Callable[..., VAE]
    description: str


ARCHITECTURES: dict[str, Architecture] = {
    "burgess": Architecture(burgess, "convolutions of the controlled-capacity experiments (Burgess 2018)"),
    "locatello": Architecture(locatello, "convolutions of disentanglement_lib's study (Locatello 2019)"),
    "mlp": Architecture(mlp, "fully connected, 1200 wide, ReLU and tanh (Higgins 2016)"),
    "swift": Architecture(swift, "a cheap convolutional net for quick training on a CPU"),
    "balls_fc": Architecture(balls_fc, "fully connected, 1200 wide, ELU (bouncing balls, Hennigh 2016)"),
    "balls_conv": Architecture(balls_conv, "small convolutions, 32 latents (bouncing balls, Hennigh 2016)"),
    "balls_all_conv": Architecture(
        balls_all_conv, "no dense layer, 16 latents at 32x32 (bouncing balls, Hennigh 2016)"
    ),
}


def build(name: str, image_shape: ImageShape, *, seed: int = 0, **options: int) -> VAE:
    """A model on the CPU with the weights that `seed` names: the same on every machine, global random state untouched.

    `options` are the architecture's keywords, such as `latent_dim`, and default to its own. Raises UnbraidError for
    an unknown name or option and for a size that the architecture cannot take.
    """
    vae = with_memory(describe(name, image_shape, **options))
    vae.initialise(torch_generator(seed, "init"))
    return vae


def describe(name: str, image_shape: ImageShape, **options: int) -> VAE:
    """The same model on the meta device: names and shapes of its parameters, however many, and no memory for them."""
    architecture = lookup(ARCHITECTURES, name, "architecture")
    check_options(options, parameters(architecture.function), f'the architecture "{name}"')
    for option, value in options.items():
        if value < 1:
            raise UnbraidError(f"{option} must be at least 1, not {value}")
    try:
        with torch.device("meta"):  # where the layers' own initialisation draws nothing from the global generator
            return architecture.function(image_shape, **options)
    except (RuntimeError, OverflowError) as error:
        sizes = ", ".join(f"{key} {value:,}" for key, value in options.items())
        shape = "x".join(map(str, image_shape))
        raise UnbraidError(f"no array is large enough for {name} of {shape} images with {sizes}") from error
