"""Dense layers on the CPU through oneDNN, which uses the widest vectors of every maker's processors."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WORTH_IT = 1 << 14  # weights; a smaller product takes as long as the call


class FastLinear(nn.Linear):
    """nn.Linear, equal to it but for rounding.

    torch.mm goes to MKL, which on processors of other makers than its own keeps to vectors half as wide as they have:
    twice the time of oneDNN, forward and backward alike (docs/speed.md).
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32 or x.dim() != 2 or _transformed():
            return F.linear(x, self.weight, self.bias)
        return _Product.apply(x, self.weight, self.bias)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            _product(grad, weight.t()) if of_x else None,
            _product(grad.t(), x.t()) if of_weight else None,
            grad.sum(0) if of_bias else None,
        )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [B, I], weight [O, I], bias [O] -> [B, O]"""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _transformed() -> bool:
    """Inside vmap and the like, or while the model is exported: those know torch's own operators only."""
    inside = torch._C._functorch.peek_interpreter_stack() is not None
    return inside or torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined]


def is_faster() -> bool:
    """On this machine's CPU; of the machine alone, so that one machine gives the same bits every time."""
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def accelerate(network: nn.Module) -> None:
    """Makes the larger dense layers of `network`, whose weights stay as they are, FastLinear ones."""
    for layer in network.modules():
        if type(layer) is nn.Linear and layer.weight.numel() >= _WORTH_IT:
            layer.__class__ = FastLinear
