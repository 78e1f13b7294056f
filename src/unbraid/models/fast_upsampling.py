"""Transposed convolutions of stride 2 on the CPU: the bias apart, and few channels by way of four times as many."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unbraid.models.transformed import transformed

_NARROW = 8  # output channels up to which oneDNN leaves most of its vectors empty


class FastUpsampling(nn.ConvTranspose2d):
    """nn.ConvTranspose2d of stride 2, equal to it but for rounding.

    oneDNN's forward pass takes as long for one output channel as for sixteen: few are reached by a 2x2 convolution to
    four times as many, then depth to space. Its backward pass sums the bias's gradient slowly: here that is a sum of
    its own (docs/speed.md).
    """

    @staticmethod
    def fits(layer: nn.ConvTranspose2d) -> bool:
        square = layer.kernel_size in ((3, 3), (4, 4)) and layer.padding[0] == layer.padding[1]
        furthest = 4 - layer.kernel_size[0] + int(layer.padding[0])  # of what `_upsampled` makes
        reaches = max(layer.output_padding) <= furthest
        simple = layer.dilation == (1, 1) and layer.groups == 1 and layer.bias is not None
        return square and reaches and layer.stride == (2, 2) and simple

    @property
    def gives_a_view(self) -> bool:
        """Which autograd lets nobody write over, as it is made in a function of ours."""
        return self.out_channels <= _NARROW

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        if x.dtype != torch.float32 or x.dim() != 4 or output_size is not None or transformed():
            return super().forward(x, output_size)
        return _Upsampling.apply(x, self.weight, self.bias, self.padding, self.output_padding)


class _Upsampling(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int], output_padding: tuple[int, int]
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding, ctx.output_padding = padding, output_padding
        if weight.shape[1] > _NARROW:
            return F.conv_transpose2d(x, weight, bias, 2, padding, output_padding)
        return _upsampled(x, weight, bias, padding, output_padding)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad[:3]
        for_x, for_weight, _ = torch.ops.aten.convolution_backward(
            grad,
            x,
            weight,
            None,
            [2, 2],
            list(ctx.padding),
            [1, 1],
            True,
            list(ctx.output_padding),
            1,
            [of_x, of_weight, False],
        )
        return for_x, for_weight, grad.sum((0, 2, 3)) if of_bias else None, None, None


def _upsampled(
    x: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int], output_padding: tuple[int, int]
) -> Tensor:
    """x [B, I, H, W], weight [I, O, k, k] with k = 3 or 4 -> [B, O, 2 (H - 1) + k - 2 padding + output_padding, ...]

    Pixel 2j + r of the uncropped output is x[j] weight[r] + x[j - 1] weight[r + 2], in each direction.
    """
    inputs, outputs, k, _ = weight.shape
    taps = F.pad(weight, (0, 4 - k, 0, 4 - k)).view(inputs, outputs, 2, 2, 2, 2)  # [I, O, back, r, back, r]
    kernel = taps.flip(2, 4).permute(1, 3, 5, 0, 2, 4).reshape(4 * outputs, inputs, 2, 2)
    out = F.pixel_shuffle(F.conv2d(x, kernel, bias.repeat_interleave(4), padding=1), 2)
    height, width = (
        2 * (size - 1) + k - 2 * pad + more
        for size, pad, more in zip(x.shape[2:], padding, output_padding, strict=True)
    )
    return out[:, :, padding[0] : padding[0] + height, padding[1] : padding[1] + width]
