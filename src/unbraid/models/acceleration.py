"""Kernels that are faster on a CPU than torch's choice: which, when, and put into a network."""

import torch
from torch import nn

from unbraid.models.fast_linear import FastLinear
from unbraid.models.fast_upsampling import FastUpsampling

_WORTH_IT = 1 << 14  # weights of a dense layer; a smaller product takes as long as the call


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
