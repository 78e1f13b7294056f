"""Convolutions on the CPU by kernels that are made for their sizes."""

from typing import Any

from torch import Tensor, nn

from unbraid.models import chain
from unbraid.models.activations import is_plain

_LARGEST = 16  # windows; the code for larger ones takes long to compile


def fits(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether there are kernels for such a layer, whatever the images' size; asked where there are any kernels."""
    from unbraid.models.convolution_sizes import fill_vectors

    square = len({*layer.kernel_size}) == len({*layer.output_padding}) == 1
    small = layer.kernel_size[0] <= _LARGEST and layer.weight.numel() <= chain.MOST_WEIGHTS
    if not (is_plain(layer) and square and small):
        return False
    known = int(layer.padding[0]) >= 0 and layer.output_padding[0] < layer.stride[0]  # others torch refuses
    return known and fill_vectors(layer.in_channels) and fill_vectors(layer.out_channels)


class FastConv2d(nn.Conv2d):
    """nn.Conv2d, equal to it but for rounding; to be differentiated once, backwards."""

    def forward(self, x: Tensor) -> Tensor:
        found = chain.run(x, [(self, "")])
        return super().forward(x) if found is None else found[0]


class FastConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d, equal to it but for rounding; to be differentiated once, backwards."""

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        found = None if output_size is not None else chain.run(x, [(self, "")])
        return super().forward(x, output_size) if found is None else found[0]
