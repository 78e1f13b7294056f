"""Dense layers on the CPU: larger ones through the library that is quicker, and laid out as it is quicker."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unbraid.kernels.transformed import holds_floats, is_plainly_run, is_turned, with_floats
from unbraid.models.activations import followed

_WORTH_IT = 1 << 14  # weights; a smaller product takes as long as the call


@cache
def has_onednn() -> bool:
    """Whether it is quicker on this machine's CPU; of the machine alone, so that it gives the same bits every time."""
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


class FastLinear(nn.Linear):
    """nn.Linear, equal to it but for rounding; to be differentiated once, backwards. Others in a row with it may run it
    along with themselves (models/fast_sequential.py).

    torch.mm goes to MKL, which on processors of other makers than its own keeps to AVX2, by kernels not made for them:
    twice the time of oneDNN where they have AVX-512. Where they have not, MKL is the quicker, and more so with the
    images of a batch side by side, as columns (docs/speed.md).
    """

    def forward(self, x: Tensor) -> Tensor:
        if not has_onednn() or not self._is_ours(x):
            return F.linear(x, self.weight, self.bias)
        return _Linear.apply(x, self.weight, self.bias)

    def in_columns(self, x: Tensor, activation: str) -> Tensor:
        """The same and the activation after it; it may lie turned in memory: for who knows that the next layer takes
        that."""
        if has_onednn() or not self._is_ours(x):
            return followed(self.forward(x), activation)
        return _Columns.apply(x, self.weight, self.bias, activation).t()

    def _is_ours(self, x: Tensor) -> bool:
        weight, bias = self.weight, self.bias
        if weight.numel() < _WORTH_IT or not is_plainly_run() or x.dim() != 2:
            return False
        fits = bias is None or (bias.shape == weight.shape[:1] and holds_floats(bias))
        return fits and holds_floats(x) and holds_floats(weight)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            product(grad, weight.t()) if of_x else None,
            product(grad.t(), x.t()) if of_weight else None,
            grad.sum(0) if of_bias else None,
        )


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [B, I], weight [O, I], bias [O] -> [B, O]"""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Columns(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, activation: str) -> Tensor:
        """[O, B]"""
        from unbraid.models import column_kernels

        made = torch.mm(weight, x.t())
        column_kernels.finish(made, bias, activation)
        ctx.activation = activation
        ctx.save_for_backward(x, weight, made if activation else None)  # else it may be written over
        return made

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from unbraid.models import column_kernels

        x, weight, made = ctx.saved_tensors
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        grad = with_floats(grad)
        are_ours = all(tensor is None or holds_floats(tensor) for tensor in (grad, x, weight, made))
        if are_ours and is_plainly_run():
            before, sums = column_kernels.gradient_before(grad, made, ctx.activation)
            for_weight = column_kernels.gradient_of_weight(before, x) if of_weight else None
        else:
            before = _before(grad, made, ctx.activation)
            sums = before.sum(1)
            for_weight = torch.mm(before, x) if of_weight else None
        for_x = torch.mm(weight.t(), before).t() if of_x else None
        return for_x, for_weight, sums if of_bias else None, None


def _before(gradient: Tensor, made: Tensor | None, activation: str) -> Tensor:
    """By torch, as where it looks on: the gradient before the activation that made `made`."""
    if made is None:
        return gradient
    if activation == "relu":
        return torch.where(made <= 0, 0.0, gradient)
    return torch.where(made > 0, gradient, gradient * (made + 1))


def in_rows(x: Any) -> Any:
    """`x`, but a matrix that lies turned in memory as layers that know nothing of columns expect it."""
    if not isinstance(x, Tensor) or not is_turned(x):
        return x
    return _Rows.apply(x) if is_plainly_run() and holds_floats(x) else x.contiguous()


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        from unbraid.models import column_kernels

        return column_kernels.in_rows(x.t())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad
