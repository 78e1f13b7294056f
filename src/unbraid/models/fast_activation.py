"""ReLU on the CPU that writes over what it is given, in both directions."""

from typing import Any

import torch
from torch import Tensor, nn

from unbraid.models.transformed import transformed

_LARGE = 1 << 19  # numbers; with fewer the detour through Python costs what it saves


class FastReLU(nn.ReLU):
    """nn.ReLU to the last bit; in training it writes over its input, and over the gradient of its output.

    So it may stand only where nobody else sees either: between two convolutions. What a convolution has just made still
    lies in the cache; a result beside it would be fetched from memory first, which takes many times as long as the work
    (docs/speed.md). In `eval` mode it is a plain ReLU, for those who look at what each layer gives.
    """

    def forward(self, input: Tensor) -> Tensor:
        if transformed() or not self.training or input.numel() < _LARGE:
            return super().forward(input)
        return _ReLU.apply(input)


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
