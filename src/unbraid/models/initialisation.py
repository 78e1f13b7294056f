"""How layers get their first weights: each rule draws from the generator it is given, never from global state."""

import math

import torch
from torch import nn

from unbraid.models.vae import Layer


def _fans(layer: Layer) -> tuple[int, int]:
    """Inputs per output and outputs per input, as in the layer's forward direction."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    cells = math.prod(layer.kernel_size)
    return layer.in_channels * cells, layer.out_channels * cells


def _biases(layer: Layer) -> torch.Tensor:
    assert layer.bias is not None
    return layer.bias


def fan_in_uniform(layer: Layer, generator: torch.Generator) -> None:
    """Weights and biases uniform in +-1/sqrt(fan_in).

    Differs from PyTorch's default at transposed convolutions, which counts their output channels as fan-in.
    """
    bound = 1 / math.sqrt(_fans(layer)[0])
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(_biases(layer), -bound, bound, generator=generator)


def glorot_uniform(layer: Layer, generator: torch.Generator) -> None:
    """Weights uniform in +-sqrt(6 / (fan_in + fan_out)), biases zero: TensorFlow's default (Glorot & Bengio 2010)."""
    bound = math.sqrt(6 / sum(_fans(layer)))
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.zeros_(_biases(layer))


def truncated_normal(layer: Layer, generator: torch.Generator, *, sd: float) -> None:
    """Weights normal with deviation `sd` redrawn beyond two deviations, biases all equal to `sd`."""
    nn.init.trunc_normal_(layer.weight, std=sd, a=-2 * sd, b=2 * sd, generator=generator)
    nn.init.constant_(_biases(layer), sd)


def balls_normal(layer: Layer, generator: torch.Generator) -> None:
    """`truncated_normal` of 0.01 in convolutions and 0.1 in dense layers: the bouncing-balls nets that mix the two."""
    truncated_normal(layer, generator, sd=0.1 if isinstance(layer, nn.Linear) else 0.01)
