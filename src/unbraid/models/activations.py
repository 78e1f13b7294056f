"""Activations that a convolution takes along: it applies them itself, and the layer after it has nothing left to do."""

from collections import Counter
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

_MOST_CHANNELS = 128  # of a kernel of ours


class DoneReLU(nn.ReLU):
    """Lets through what the convolution before it has done."""

    def forward(self, input: Tensor) -> Tensor:
        return input


class DoneELU(nn.ELU):
    """Lets through what the convolution before it has done."""

    def forward(self, input: Tensor) -> Tensor:
        return input


_DONE: dict[type[nn.Module], tuple[str, type[nn.Module]]] = {nn.ReLU: ("relu", DoneReLU), nn.ELU: ("elu", DoneELU)}


def take_activations(network: nn.Module, takers: tuple[type[nn.Module], ...]) -> None:
    """Tells each layer of these kinds its `activation`, where one follows it in an nn.Sequential and stands nowhere
    else."""
    uses = Counter(layer for module in network.modules() for layer in module._modules.values())
    chains = [chain for chain in network.modules() if type(chain) is nn.Sequential]
    for first, second in (pair for chain in chains for pair in pairwise(chain)):
        plain = type(second) in _DONE and getattr(second, "alpha", 1.0) == 1.0  # of ELU, as the kernels have it
        if plain and isinstance(first, takers) and uses[first] == uses[second] == 1:
            name, second.__class__ = _DONE[type(second)]
            setattr(first, "activation", name)  # noqa: B010 - not every module has one, but takers do


def followed(x: Tensor, activation: str) -> Tensor:
    """`x` after the activation of that name; "" is none."""
    return getattr(F, activation)(x) if activation else x


def is_plain(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether it is what our kernels know: zeros around, both directions alike, a bias, channels that fit a tile."""
    alike = isinstance(layer.padding, tuple) and len({*layer.padding}) == len({*layer.stride}) == 1
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return alike and plain and layer.bias is not None and max(layer.in_channels, layer.out_channels) <= _MOST_CHANNELS
