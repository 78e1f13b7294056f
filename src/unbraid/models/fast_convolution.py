"""Convolutions on the CPU, each with the activation after it, by kernels made for their sizes."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from unbraid.models.activations import followed, is_plain
from unbraid.models.transformed import transformed

if TYPE_CHECKING:
    from unbraid.models.convolution_kernels import Convolution

_MOST_WEIGHTS = 1 << 18  # beyond, they fill the cache that images should lie in


def fits(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether there are kernels for such a layer, whatever the images' size; asked where there are any kernels."""
    from unbraid.models.convolution_kernels import fill_vectors

    square = len({*layer.kernel_size}) == len({*layer.output_padding}) == 1
    if not (is_plain(layer) and square and layer.weight.numel() <= _MOST_WEIGHTS):
        return False
    known = int(layer.padding[0]) >= 0 and layer.output_padding[0] < layer.stride[0]  # others torch refuses
    return known and fill_vectors(layer.in_channels) and fill_vectors(layer.out_channels)


class FastConv2d(nn.Conv2d):
    """nn.Conv2d and the activation after it, equal to them but for rounding; to be differentiated once, backwards."""

    activation = ""

    def forward(self, x: Tensor) -> Tensor:
        of = _asked(self, x, None)
        if of is None:
            return followed(super().forward(x), self.activation)
        return _Convolution.apply(x, self.weight, self.bias, of)


class FastConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d and the activation after it, equal to them but for rounding; to be differentiated once."""

    activation = ""

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        of = None if output_size is not None else _asked(self, x, self.output_padding[0])
        if of is None:
            return followed(super().forward(x, output_size), self.activation)
        return _Convolution.apply(x, self.weight, self.bias, of)


def _asked(layer: FastConv2d | FastConvTranspose2d, x: Tensor, output_padding: int | None) -> "Convolution | None":
    """What is asked of the layer; None where there is no kernel for it, and torch's own is needed.

    Kernels take addresses of floats, so whatever is not simply that must not come near them. output_padding: of a
    transposed convolution.
    """
    weight, bias = layer.weight, layer.bias
    if bias is None or not all(map(_is_array, (x, weight, bias))) or x.dim() != 4 or len(x) == 0:
        return None
    if transformed() or torch._C._len_torch_dispatch_stack() or torch.is_autocast_enabled("cpu"):
        return None
    sizes = tuple(x.shape[1:]), tuple(weight.shape), tuple(bias.shape)
    return _convolution(*sizes, layer.stride[0], int(layer.padding[0]), output_padding, layer.activation)


def _is_array(x: Any) -> bool:
    there = type(x) in (Tensor, nn.Parameter) and x.device.type == "cpu" and x.layout == torch.strided
    return there and x.dtype == torch.float32 and not x.is_neg()


@lru_cache(1024)
def _convolution(
    image: tuple[int, int, int],
    weight: tuple[int, int, int, int],
    bias: tuple[int],
    stride: int,
    padding: int,
    output_padding: int | None,
    activation: str,
) -> "Convolution | None":
    """None where torch would object, and where a stride leaves pixels over."""
    from unbraid.models.convolution_kernels import Convolution

    (channels, *sides), kernel = image, weight[-1]
    if output_padding is None:
        outputs, inputs = weight[:2]
        made_sides = [(pixels + 2 * padding - kernel) // stride + 1 for pixels in sides]
    else:
        inputs, outputs = weight[:2]
        made_sides = [(pixels - 1) * stride - 2 * padding + kernel + output_padding for pixels in sides]
    square = weight[2] == weight[3]  # weights may have been replaced
    if not square or channels != inputs or bias != (outputs,) or min(*sides, *made_sides) < 1:
        return None
    given, made = (sides[0], sides[1], inputs), (made_sides[0], made_sides[1], outputs)
    large, small = (given, made) if output_padding is None else (made, given)
    if any(pixels % stride for pixels in large[:2]):
        return None
    return Convolution(output_padding is not None, large, small, kernel, stride, padding, activation)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, of: "Convolution") -> Tensor:
        from unbraid.models.convolution_kernels import arranged, forward_kernel

        x = _channels_last(x)
        height, width, channels = of.made
        size = len(x), channels, height, width
        out = torch.empty(size, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        run, space = forward_kernel(of)
        shares = min(len(x), torch.get_num_threads())
        arrays = x, arranged(of, weight, of.transposed), bias.contiguous(), out, x.new_empty(shares * space)
        run(len(x), shares, [array.data_ptr() for array in arrays])
        ctx.of = of
        ctx.save_for_backward(x, weight, out if of.activation else None)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from unbraid.models.convolution_kernels import arranged, as_weight, backward_kernel

        of, of_images, of_weights = ctx.of, ctx.needs_input_grad[0], any(ctx.needs_input_grad[1:3])
        x, weight, out = ctx.saved_tensors
        x, grad = _channels_last(x), _channels_last(grad)  # x again, since hooks may save it in another layout
        out = None if out is None else _channels_last(out)
        run, space = backward_kernel(of, of_images, of_weights)
        shares = min(len(x), torch.get_num_threads())
        for_x = torch.empty_like(x) if of_images else None
        for_weight = x.new_empty(shares, of.weights) if of_weights else None
        for_bias = x.new_empty(shares, of.made[2]) if of_weights else None
        turned = arranged(of, weight, not of.transposed)
        arrays = x, out, grad, turned, for_x, for_weight, for_bias, x.new_empty(shares * space)
        run(len(x), shares, [0 if array is None else array.data_ptr() for array in arrays])
        if for_weight is None or for_bias is None:
            return for_x, None, None, None
        return for_x, as_weight(of, _together(for_weight)), _together(for_bias), None


def _channels_last(images: Tensor) -> Tensor:
    return images.resolve_neg().contiguous(memory_format=torch.channels_last)


def _together(shares: Tensor) -> Tensor:
    return shares[0] if len(shares) == 1 else shares.sum(0)
