"""ReLU on the CPU that writes over what it is given, in both directions."""

from typing import Any

import torch
from torch import Tensor, nn

from unbraid.models.transformed import transformed

_LARGE = 1 << 19  # numbers; fewer come out of the cache as fast as Python calls


class FastReLU(nn.ReLU):
    """nn.ReLU to the last bit, for use between two layers that need neither what they gave nor its gradient again.

    What a convolution has just made still lies in the cache; a result beside it would be fetched from memory first,
    which takes ten times as long as the work. Likewise the gradient that the next layer gives back (docs/speed.md).
    """

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) if input.numel() < _LARGE or transformed() else _ReLU.apply(input)


class _ReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        ctx.save_for_backward(x.relu_())
        return x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward.grad_input(grad, y, 0, grad_input=grad)
