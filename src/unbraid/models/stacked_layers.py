"""Layers that are quick under `torch.func.vmap` over models on CUDA: what they do there, and where to put them.

Convolutions take the activation that follows them along (`stacked_kernels`), outside of vmap too, where a network gives
what it gave before. Dense layers are batched products whose gradients come out as the weights lie, which spares a copy
of each.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unbraid.kernels.transformed import transformed
from unbraid.models import stacked_kernels
from unbraid.models.activations import are_all_watched, followed, is_plain, with_activations


def stack_well(network: nn.Module) -> None:
    """Gives the layers of `network` their kernels for stacks; the weights stay as they are."""
    for layer in network.modules():
        if type(layer) is nn.Conv2d and is_plain(layer):
            layer.__class__ = StackedConv2d
        elif type(layer) is nn.ConvTranspose2d and is_plain(layer):
            layer.__class__ = StackedConvTranspose2d
        elif type(layer) is nn.Linear and layer.bias is not None:
            layer.__class__ = StackedLinear
        elif type(layer) is nn.Sequential:
            layer.__class__ = StackedSequential


class StackedConv2d(nn.Conv2d):
    """Of all models at once under vmap; followed by the activation of that name."""

    def forward(self, x: Tensor, activation: str = "") -> Tensor:
        if not transformed():
            return followed(super().forward(x), activation)
        how = self.stride[0], int(self.padding[0]), activation, None
        return _Member.apply(_Convolution, x, self.weight, self.bias, *how)


class StackedConvTranspose2d(nn.ConvTranspose2d):
    """Of all models at once under vmap; followed by the activation of that name."""

    def forward(self, x: Tensor, output_size: Any = None, activation: str = "") -> Tensor:
        if not transformed() or output_size is not None:
            return followed(super().forward(x, output_size), activation)
        sizes = zip(x.shape[2:], self.kernel_size, self.output_padding, strict=True)
        stride, padding = self.stride[0], int(self.padding[0])
        size = tuple((pixels - 1) * stride - 2 * padding + k + more for pixels, k, more in sizes)
        return _Member.apply(_Convolution, x, self.weight, self.bias, stride, padding, activation, size)


class StackedSequential(nn.Sequential):
    """nn.Sequential whose convolutions do the activations after them."""

    def forward(self, input: Any) -> Any:
        if are_all_watched():
            return super().forward(input)
        x = input
        for layer, activation in with_activations(self, (StackedConv2d, StackedConvTranspose2d)):
            x = layer(x, activation=activation) if activation else layer(x)
        return x


class StackedLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        if not transformed() or x.dim() != 2:
            return F.linear(x, self.weight, self.bias)
        return _Member.apply(_Dense, x, self.weight, self.bias)


class _Member(torch.autograd.Function):
    """What one model calls under vmap; `stacked` is what is then called for all, with a first axis M."""

    @staticmethod
    def forward(stacked: Any, x: Tensor, weight: Tensor, bias: Tensor, *how: Any) -> Tensor:
        raise NotImplementedError("these layers know vmap over models alone")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        raise NotImplementedError

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, stacked: Any, x: Tensor, weight: Tensor, bias: Tensor, *how: Any
    ) -> tuple[Tensor, int]:
        batched = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip((x, weight, bias), in_dims[1:4], strict=True)
        ]
        return stacked.apply(*batched, *how), 0


class _Dense(torch.autograd.Function):
    """x [M, B, I], weight [M, O, I], bias [M, O] -> [M, B, O]"""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.mT)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        of_x = grad.bmm(weight) if ctx.needs_input_grad[0] else None
        return of_x, grad.mT.bmm(x), grad.sum(1)


class _Convolution(torch.autograd.Function):
    """x [M, B, C, H, W], weight [M, O, C, kh, kw] -> [M, B, O, H', W'], each model by itself.

    With a `size` it is transposed, its weight [M, C, O, kh, kw], and [H', W'] is the size.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int, activation: str, size: Any
    ) -> Tensor:
        ctx.stride, ctx.padding, ctx.activation, ctx.size = stride, padding, activation, size
        weight, bias = _taps_inside(weight), bias.contiguous()
        if size is None:
            out = stacked_kernels.down(x, weight, bias, stride, padding, _precision(), activation)
        else:
            out = stacked_kernels.up(x, weight, bias, stride, padding, size, _precision(), activation)
        ctx.save_for_backward(x, weight, out if activation else None)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        x, weight, out = ctx.saved_tensors
        if ctx.activation:
            grad, of_bias = stacked_kernels.through(out, grad, ctx.activation)
        else:
            of_bias = grad.sum((1, 3, 4))
        how = ctx.stride, ctx.padding
        large, small = (x, grad) if ctx.size is None else (grad, x)
        of_weight = stacked_kernels.weight_gradient(large, small, tuple(weight.shape[2:4]), *how, _precision())
        of_x = None
        if ctx.needs_input_grad[0] and ctx.size is None:
            of_x = stacked_kernels.up(grad, weight, None, *how, tuple(x.shape[3:]), _precision())
        elif ctx.needs_input_grad[0]:
            of_x = stacked_kernels.down(grad, weight, None, *how, _precision())
        return of_x, of_weight.permute(0, 1, 4, 2, 3), of_bias, None, None, None, None


def _taps_inside(weight: Tensor) -> Tensor:
    """[M, O, C, kh, kw] -> [M, O, kh, kw, C]; no copy where that is how the weights lie."""
    return weight.permute(0, 1, 3, 4, 2).contiguous()


def _precision() -> str:
    return "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
