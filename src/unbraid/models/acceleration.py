"""Kernels that are faster on a CPU than torch's choice: which, when, and put into a network."""

from itertools import pairwise

import torch
from torch import nn

from unbraid.models.fast_activation import FastReLU
from unbraid.models.fast_linear import FastLinear
from unbraid.models.fast_upsampling import NARROW, FastUpsampling

_WORTH_IT = 1 << 14  # weights of a dense layer; a smaller product takes as long as the call
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)
_SHAPING = (nn.Flatten, nn.Unflatten)


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
        if isinstance(chain, nn.Sequential):
            _overwrite(chain)


def _overwrite(chain: nn.Sequential) -> None:
    """Each ReLU between layers that need their numbers no more becomes one that writes over them."""
    layers = list(chain)
    for place, (before, layer) in enumerate(pairwise(layers), start=1):
        after = next((later for later in layers[place + 1 :] if not isinstance(later, _SHAPING)), None)
        if type(layer) is nn.ReLU and _gives_away(before) and isinstance(after, (*_CONVOLUTIONS, nn.Linear)):
            chain[place] = FastReLU()


def _gives_away(layer: nn.Module) -> bool:
    view = isinstance(layer, FastUpsampling) and layer.out_channels <= NARROW  # of what autograd lets nobody overwrite
    return isinstance(layer, _CONVOLUTIONS) and not view
