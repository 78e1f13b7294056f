"""Kernels that are faster on a CPU than torch's choice: which, when, and put into a network."""

import torch
from torch import nn

from unbraid.models.fast_activation import FastReLU
from unbraid.models.fast_linear import FastLinear
from unbraid.models.fast_upsampling import FastUpsampling

_WORTH_IT = 1 << 14  # weights of a dense layer; a smaller product takes as long as the call
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, FastUpsampling)  # themselves: a subclass may need what it gave


def is_faster() -> bool:
    """On this machine's CPU; of the machine alone, so that one machine gives the same bits every time."""
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def accelerate(network: nn.Module) -> None:
    """Gives the layers of `network` that have one their faster kernel; the weights stay as they are."""
    for layer in network.modules():
        if type(layer) is nn.Linear and layer.weight.numel() >= _WORTH_IT:
            layer.__class__ = FastLinear
        elif type(layer) is nn.ConvTranspose2d and FastUpsampling.fits(layer):
            layer.__class__ = FastUpsampling
    for chain in network.modules():
        if type(chain) is nn.Sequential:
            _overwrite(chain)


def _overwrite(chain: nn.Sequential) -> None:
    """Each ReLU between two convolutions becomes one that writes over their numbers, which nobody else sees."""
    layers = list(chain)
    for place, (before, layer, after) in enumerate(zip(layers, layers[1:], layers[2:], strict=False), start=1):
        apart = type(before) in _CONVOLUTIONS and type(after) in _CONVOLUTIONS
        if type(layer) is nn.ReLU and apart and not (isinstance(before, FastUpsampling) and before.gives_a_view):
            chain[place] = FastReLU()  # not by its class: the same layer may stand elsewhere too
