"""Layers in a row on the CPU, as many as fit, by one kernel that is made for their sizes."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from unbraid.kernels.transformed import holds_floats, is_plainly_run, is_turned, with_floats

if TYPE_CHECKING:
    from unbraid.models.chain_kernels import Chain
    from unbraid.models.convolution_sizes import Convolution
    from unbraid.models.dense_kernels import Dense

MOST_WEIGHTS = 1 << 18  # of a convolution; more fill the cache that images should lie in
_MOST_WEIGHTS_OF_DENSE = 1 << 18  # beyond, a library's product is quicker
_MOST_FLOATS = 1 << 19  # of a share's working space for convolutions in a row: 2 MiB


# What is asked for in a row: what `_dense` or `_convolution` wants beside the size, or the size that images are to be
# seen with, () for a row of numbers. Made in each step, where anything but a tuple would take several times as long.
_Asked = tuple[Any, ...]


def is_known(layer: nn.Module) -> bool:
    """Whether it may stand in a row with layers that have weights: it changes how an image is seen and nothing else."""
    if type(layer) is nn.Flatten:
        return layer.start_dim == 1 and layer.end_dim == -1
    return type(layer) is nn.Unflatten and layer.dim == 1 and len(layer.unflattened_size) == 3


def run(x: Any, row: Sequence[tuple[nn.Module, str]]) -> tuple[Tensor, int] | None:
    """(what comes out of the first of these layers, each with the activation after it, how many those are); None where
    there is no kernel for the first.

    The layers are convolutions, dense ones and what `is_known`. Kernels take addresses of floats, so whatever is not
    simply that must not come near them.
    """
    if not row or not is_plainly_run() or not holds_floats(x) or x.numel() == 0:  # in this order for torch.compile
        return None
    asked: list[_Asked] = []
    parameters: list[Tensor] = []
    learning = torch.is_grad_enabled()
    needed = learning and x.requires_grad  # a gradient
    for layer, activation in row:
        if isinstance(layer, nn.Flatten):
            asked.append(((),))
            continue
        if isinstance(layer, nn.Unflatten):
            asked.append((tuple(layer.unflattened_size),))
            continue
        assert isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
        weight, bias = layer.weight, layer.bias
        if bias is None or not holds_floats(weight) or not holds_floats(bias):
            break
        if learning and not needed and (weight.requires_grad or bias.requires_grad):
            if parameters:
                break  # what comes before keeps nothing
            needed = True
        parameters += weight, bias
        if isinstance(layer, nn.Linear):
            asked.append((weight.shape, bias.shape, activation))
        else:
            output_padding = layer.output_padding[0] if isinstance(layer, nn.ConvTranspose2d) else None
            asked.append((weight.shape, bias.shape, activation, layer.stride[0], int(layer.padding[0]), output_padding))
    chain, count = _chain(x.shape[1:], tuple(asked))
    if not chain:
        return None
    parameters = parameters[: 2 * len(chain)]
    if needed:
        return _Chain.apply(x, chain, *parameters), count
    return _forward(x, chain, parameters, kept=False)[-1], count


@lru_cache(1024)
def _chain(size: tuple[int, ...], asked: tuple[_Asked, ...]) -> tuple["Chain", int]:
    """(as many layers as one kernel takes, how many of those asked they are); none where none takes the first."""
    from unbraid.models.chain_kernels import floats_of

    chain: Chain = ()
    count = 0
    for number, how in enumerate(asked):
        if len(how) == 1:
            seen = how[0] or (math.prod(size),)
            if not chain or math.prod(seen) != math.prod(size) or min(seen) < 1:
                break
            if how[0] and not len(size) == len(chain[-1].made) == 1:
                break  # only what a dense layer makes, or its planes, lies as torch would see it anew
            size = seen
            continue
        of = _dense(size, *how) if len(how) == 3 else _convolution(size, *how)
        if of is None or (chain and floats_of((*chain, of)) > _MOST_FLOATS):
            break
        chain, count = (*chain, of), number + 1
        size = of.made if len(of.made) == 1 else (of.made[2], *of.made[:2])
    return chain, count


def _dense(size: Sequence[int], weight: Sequence[int], bias: Sequence[int], activation: str) -> "Dense | None":
    from unbraid.models.dense_kernels import Dense

    if len(size) != 1 or len(weight) != 2 or math.prod(weight) > _MOST_WEIGHTS_OF_DENSE:
        return None
    outputs, inputs = weight
    if size[0] != inputs or bias != (outputs,) or min(weight) < 1:
        return None
    return Dense(inputs, outputs, activation)


def _convolution(
    image: Sequence[int],
    weight: Sequence[int],
    bias: Sequence[int],
    activation: str,
    stride: int,
    padding: int,
    output_padding: int | None,
) -> "Convolution | None":
    """None where there is no kernel: what torch refuses, windows that are not square, strides that leave pixels over.

    Weights may have been replaced since `fits` was asked. output_padding: of a transposed convolution alone.
    """
    from unbraid.models.convolution_sizes import Convolution, fill_vectors

    if len(image) != 3 or len(weight) != 4 or weight[2] != weight[3] or math.prod(weight) > MOST_WEIGHTS:
        return None
    (channels, *sides), kernel, transposed = image, weight[-1], output_padding is not None
    if output_padding is None:
        outputs, inputs = weight[:2]
        made_sides = [(pixels + 2 * padding - kernel) // stride + 1 for pixels in sides]
    else:
        inputs, outputs = weight[:2]
        made_sides = [(pixels - 1) * stride - 2 * padding + kernel + output_padding for pixels in sides]
    if channels != inputs or bias != (outputs,) or min(*sides, *made_sides, outputs) < 1:
        return None
    given, made = (sides[0], sides[1], inputs), (made_sides[0], made_sides[1], outputs)
    large, small = (made, given) if transposed else (given, made)
    if any(pixels % stride for pixels in large[:2]) or not (fill_vectors(inputs) and fill_vectors(outputs)):
        return None
    return Convolution(transposed, large, small, kernel, stride, padding, activation)


class _Chain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, chain: "Chain", *parameters: Tensor) -> Tensor:
        x = _arranged(x)
        made = _forward(x, chain, parameters, kept=True)
        ctx.chain = chain
        last = made[-1] if chain[-1].activation else None  # else nobody asks for it, and it may be written over
        ctx.save_for_backward(x, *parameters[::2], *made[:-1], last)
        return made[-1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from unbraid.kernels.machine_code import shares_of
        from unbraid.models.chain_kernels import backward_kernel, has_gradient

        # Arranged again, for hooks may have saved them in another way.
        chain, grad = ctx.chain, _arranged(with_floats(grad))
        saved = ctx.saved_tensors
        x, *weights = (_arranged(tensor) for tensor in saved[: 1 + len(chain)])
        made = [None if tensor is None else _arranged(tensor) for tensor in saved[1 + len(chain) :]]
        of_images, of_weights = ctx.needs_input_grad[0], any(ctx.needs_input_grad[2:])
        run, space = backward_kernel(chain, of_images, of_weights)
        shares = shares_of(len(x))
        for_x = torch.empty_like(x) if of_images else None
        found: list[Tensor | None] = []
        arrays: list[Tensor | None] = [x, grad, for_x, x.new_empty(shares * space)]
        for number, (of, weight, out) in enumerate(zip(chain, weights, made, strict=True)):
            own = x.new_empty(len(x) * math.prod(of.made)) if has_gradient(chain, number) else None
            both = (torch.empty_like(weight), weight.new_empty(of.made[-1])) if of_weights else (None, None)
            found += both
            arrays += weight, out, own, *both
        run(len(x), shares, arrays)
        return for_x, None, *found


def _forward(x: Tensor, chain: "Chain", parameters: Sequence[Tensor], kept: bool) -> list[Tensor]:
    """What each layer makes, where anybody asks for it."""
    from unbraid.kernels.machine_code import shares_of
    from unbraid.models.chain_kernels import forward_kernel, is_asked_for

    x = _arranged(x)
    run, space = forward_kernel(chain)
    shares = shares_of(len(x))
    arrays: list[Tensor | None] = [x, x.new_empty(shares * space)]
    made = []
    for number, of in enumerate(chain):
        out = None
        if kept or is_asked_for(chain, number):
            out = _empty(len(x), of.made, x)
            made.append(out)
        arrays += _arranged(parameters[2 * number]), parameters[2 * number + 1].contiguous(), out
    run(len(x), shares, arrays)
    return made


def _empty(count: int, size: Sequence[int], like: Tensor) -> Tensor:
    if len(size) == 1:
        return like.new_empty((count, *size))
    height, width, channels = size
    shape = count, channels, height, width
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _arranged(tensor: Tensor) -> Tensor:
    """Images and weights of convolutions channels last, all else row by row."""
    if tensor.dim() == 4:
        return tensor.contiguous(memory_format=torch.channels_last)
    if is_turned(tensor):
        from unbraid.models.column_kernels import in_rows

        return in_rows(tensor.t())
    return tensor.contiguous()
