"""Convolutions on the CPU, each with the activation after it, by kernels made for their sizes."""

from functools import cache
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unbraid.models.transformed import transformed

if TYPE_CHECKING:
    from unbraid.models.convolution_kernels import Convolution

_MOST_CHANNELS = 128  # beyond, weights fill the cache that images should lie in


def fits(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether there are kernels for such a layer, whatever the images' size."""
    pairs = layer.kernel_size, layer.stride, layer.padding, layer.output_padding
    alike = all(isinstance(pair, tuple) and len(set(pair)) == 1 for pair in pairs)
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return alike and plain and layer.bias is not None and max(layer.in_channels, layer.out_channels) <= _MOST_CHANNELS


class FastConv2d(nn.Conv2d):
    """nn.Conv2d and the activation after it, equal to them but for rounding."""

    activation = ""

    def forward(self, x: Tensor) -> Tensor:
        kernel = _kernel(self, x, None)
        if kernel is None:
            return _activated(super().forward(x), self.activation)
        return _Convolution.apply(x, self.weight, self.bias, kernel)


class FastConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d and the activation after it, equal to them but for rounding."""

    activation = ""

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        kernel = None if output_size is not None else _kernel(self, x, self.output_padding[0])
        if kernel is None:
            return _activated(super().forward(x, output_size), self.activation)
        return _Convolution.apply(x, self.weight, self.bias, kernel)


class DoneReLU(nn.ReLU):
    """What the convolution before it has done."""

    def forward(self, input: Tensor) -> Tensor:
        return input


class DoneELU(nn.ELU):
    """What the convolution before it has done."""

    def forward(self, input: Tensor) -> Tensor:
        return input


def _activated(x: Tensor, activation: str) -> Tensor:
    return getattr(F, activation)(x) if activation else x


def _kernel(layer: FastConv2d | FastConvTranspose2d, x: Tensor, more: int | None) -> "Convolution | None":
    """What is asked of the layer; None where there is no kernel for it, and torch's own is needed.

    more: the output padding of a transposed convolution.
    """
    if transformed() or x.dtype != torch.float32 or x.dim() != 4 or x.shape[1] != layer.in_channels or len(x) == 0:
        return None
    if layer.weight.dtype != torch.float32 or x.device.type != "cpu":
        return None
    channels = layer.in_channels, layer.out_channels
    how = layer.kernel_size[0], layer.stride[0], int(layer.padding[0]), more
    return _convolution(x.shape[2], x.shape[3], *channels, *how, layer.activation)


@cache
def _convolution(
    height: int,
    width: int,
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int,
    padding: int,
    more: int | None,
    activation: str,
) -> "Convolution | None":
    """None where a side has no pixel, or a number of them that the stride does not divide."""
    from unbraid.models.convolution_kernels import Convolution

    if more is None:
        sides = [(pixels + 2 * padding - kernel) // stride + 1 for pixels in (height, width)]
    else:
        sides = [(pixels - 1) * stride - 2 * padding + kernel + more for pixels in (height, width)]
    given, made = (height, width, inputs), (sides[0], sides[1], outputs)
    large, small = (given, made) if more is None else (made, given)
    if min(sides) < 1 or any(pixels % stride for pixels in large[:2]):
        return None
    return Convolution(more is not None, large, small, kernel, stride, padding, activation)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, of: "Convolution") -> Tensor:
        from unbraid.models.convolution_kernels import forward_kernel

        x = x.contiguous(memory_format=torch.channels_last)
        height, width, channels = of.made
        out = torch.empty((len(x), channels, height, width), memory_format=torch.channels_last)
        run, space = forward_kernel(of)
        shares = torch.get_num_threads()
        arrays = x, _weight(weight, of, of.transposed), bias.contiguous(), out, torch.empty(shares * space)
        run(len(x), shares, [array.data_ptr() for array in arrays])
        ctx.of = of
        ctx.save_for_backward(x, weight, out if of.activation else None)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from unbraid.models.convolution_kernels import backward_kernel

        x, weight, out = ctx.saved_tensors
        of, of_images = ctx.of, ctx.needs_input_grad[0]
        grad = grad.contiguous(memory_format=torch.channels_last)
        run, space = backward_kernel(of, of_images)
        shares, k = torch.get_num_threads(), of.kernel
        for_x = torch.empty_like(x) if of_images else None
        for_weight = torch.empty(shares, k, k, of.large[2], of.small[2])
        for_bias = torch.empty(shares, of.made[2])
        turned = _weight(weight, of, not of.transposed)
        arrays = x, out, grad, turned, for_x, for_weight, for_bias, torch.empty(shares * space)
        run(len(x), shares, [0 if array is None else array.data_ptr() for array in arrays])
        return for_x, _together(for_weight).permute(3, 2, 0, 1), _together(for_bias), None


def _weight(weight: Tensor, of: "Convolution", up: bool) -> Tensor:
    """[n, C, k, k], of either kind of convolution, as the kernels in this direction want it."""
    from unbraid.models.convolution_kernels import up_weight

    order = up_weight(of) if up else (0, 1, 2, 3)
    return weight.permute(2, 3, 1, 0).permute(order).contiguous()


def _together(shares: Tensor) -> Tensor:
    return shares[0] if len(shares) == 1 else shares.sum(0)
