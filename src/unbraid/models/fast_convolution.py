"""Convolutions on the CPU, as many in a row as fit, by one kernel that is made for their sizes."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from unbraid.models.activations import followed, is_plain, is_watched, with_activations
from unbraid.models.transformed import holds_floats, is_plainly_run, with_floats

if TYPE_CHECKING:
    from unbraid.models.convolution_sizes import Chain, Convolution

_MOST_WEIGHTS = 1 << 18  # beyond, they fill the cache that images should lie in
_LARGEST = 16  # windows; the code for larger ones takes long to compile
_MOST_FLOATS = 1 << 19  # of a share's working space for convolutions in a row: 2 MiB


class _How(NamedTuple):
    """What is asked of an image; `output_padding` of a transposed convolution alone."""

    weight: tuple[int, ...]
    bias: tuple[int, ...]
    stride: int
    padding: int
    output_padding: int | None
    activation: str


def fits(layer: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Whether there are kernels for such a layer, whatever the images' size; asked where there are any kernels."""
    from unbraid.models.convolution_sizes import fill_vectors

    square = len({*layer.kernel_size}) == len({*layer.output_padding}) == 1
    if not (is_plain(layer) and square and layer.kernel_size[0] <= _LARGEST and layer.weight.numel() <= _MOST_WEIGHTS):
        return False
    known = int(layer.padding[0]) >= 0 and layer.output_padding[0] < layer.stride[0]  # others torch refuses
    return known and fill_vectors(layer.in_channels) and fill_vectors(layer.out_channels)


class FastConv2d(nn.Conv2d):
    """nn.Conv2d, equal to it but for rounding; to be differentiated once, backwards."""

    def forward(self, x: Tensor) -> Tensor:
        found = _convolved(x, [(self, "")])
        return super().forward(x) if found is None else found[0]


class FastConvTranspose2d(nn.ConvTranspose2d):
    """nn.ConvTranspose2d, equal to it but for rounding; to be differentiated once, backwards."""

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        found = None if output_size is not None else _convolved(x, [(self, "")])
        return super().forward(x, output_size) if found is None else found[0]


_TAKERS = (FastConv2d, FastConvTranspose2d)
_FORWARDS = tuple(kind.forward for kind in _TAKERS)


class FastSequential(nn.Sequential):
    """nn.Sequential that runs convolutions in a row, each with the activation after it, as one kernel."""

    def forward(self, input: Any) -> Any:
        x, layers = input, with_activations(self, _TAKERS)
        while layers:
            convolutions = [*takewhile(lambda each: _is_ours(each[0]), layers)]
            found = _convolved(x, convolutions)
            if found is None:
                (layer, activation), *layers = layers
                x = followed(layer(x), activation)
            else:
                x, count = found
                layers = layers[count:]
        return x


def _is_ours(layer: nn.Module) -> bool:
    """A layer of one of the kinds above, which does what they do and nothing else."""
    return isinstance(layer, _TAKERS) and type(layer).forward in _FORWARDS and not is_watched(layer)


def _convolved(x: Any, row: Sequence[tuple[nn.Module, str]]) -> tuple[Tensor, int] | None:
    """(what comes out of the first of these convolutions, how many there are of them); None where there is no kernel.

    Kernels take addresses of floats, so whatever is not simply that must not come near them.
    """
    if not row or not holds_floats(x) or x.dim() != 4 or len(x) == 0 or not is_plainly_run():
        return None
    hows: list[_How] = []
    parameters: list[Tensor] = []
    learning = torch.is_grad_enabled()
    needed = learning and x.requires_grad  # a gradient
    for layer, activation in row:
        assert isinstance(layer, _TAKERS)
        weight, bias = layer.weight, layer.bias
        if bias is None or not holds_floats(weight) or not holds_floats(bias):
            break
        if learning and not needed and (weight.requires_grad or bias.requires_grad):
            if hows:
                break  # what comes before keeps nothing
            needed = True
        output_padding = layer.output_padding[0] if isinstance(layer, nn.ConvTranspose2d) else None
        asked = layer.stride[0], int(layer.padding[0]), output_padding, activation
        hows.append(_How(tuple(weight.shape), tuple(bias.shape), *asked))
        parameters += weight, bias
    chain = _chain(tuple(x.shape[1:]), tuple(hows))
    if not chain:
        return None
    parameters = parameters[: 2 * len(chain)]
    if needed:
        return _Convolutions.apply(x, chain, *parameters), len(chain)
    return _forward(x, chain, parameters, kept=False)[-1], len(chain)


@lru_cache(1024)
def _chain(image: tuple[int, int, int], hows: tuple[_How, ...]) -> "Chain":
    """As many of the convolutions as one kernel takes; none where there is none for the first."""
    from unbraid.models.convolution_kernels import floats_of

    chain: Chain = ()
    for how in hows:
        of = _convolution(image, how)
        if of is None or (chain and floats_of((*chain, of)) > _MOST_FLOATS):
            break
        chain = (*chain, of)
        height, width, channels = of.made
        image = channels, height, width
    return chain


def _convolution(image: tuple[int, int, int], how: _How) -> "Convolution | None":
    """None where there is no kernel: what torch refuses, windows that are not square, strides that leave pixels over.

    Weights may have been replaced since `fits` was asked.
    """
    from unbraid.models.convolution_sizes import Convolution, fill_vectors

    if len(how.weight) != 4 or how.weight[2] != how.weight[3] or math.prod(how.weight) > _MOST_WEIGHTS:
        return None
    (channels, *sides), kernel, stride, transposed = image, how.weight[-1], how.stride, how.output_padding is not None
    if how.output_padding is None:
        outputs, inputs = how.weight[:2]
        made_sides = [(pixels + 2 * how.padding - kernel) // stride + 1 for pixels in sides]
    else:
        inputs, outputs = how.weight[:2]
        made_sides = [(pixels - 1) * stride - 2 * how.padding + kernel + how.output_padding for pixels in sides]
    if channels != inputs or how.bias != (outputs,) or min(*sides, *made_sides, outputs) < 1:
        return None
    given, made = (sides[0], sides[1], inputs), (made_sides[0], made_sides[1], outputs)
    large, small = (made, given) if transposed else (given, made)
    if any(pixels % stride for pixels in large[:2]) or not (fill_vectors(inputs) and fill_vectors(outputs)):
        return None
    return Convolution(transposed, large, small, kernel, stride, how.padding, how.activation)


class _Convolutions(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, chain: "Chain", *parameters: Tensor) -> Tensor:
        x = _channels_last(x)
        made = _forward(x, chain, parameters, kept=True)
        ctx.chain = chain
        last = made[-1] if chain[-1].activation else None  # else nobody asks for it, and it may be written over
        ctx.save_for_backward(x, *parameters[::2], *made[:-1], last)
        return made[-1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        from unbraid.models.convolution_kernels import backward_kernel
        from unbraid.models.machine_code import shares_of

        # Channels last again, for hooks may have saved them in another way.
        chain, saved, grad = ctx.chain, ctx.saved_tensors, _channels_last(with_floats(grad))
        x, *weights = (_channels_last(tensor) for tensor in saved[: 1 + len(chain)])
        made = [None if tensor is None else _channels_last(tensor) for tensor in saved[1 + len(chain) :]]
        of_images, of_weights = ctx.needs_input_grad[0], any(ctx.needs_input_grad[2:])
        run, space = backward_kernel(chain, of_images, of_weights)
        shares = shares_of(len(x))
        for_x = torch.empty_like(x) if of_images else None
        found: list[Tensor | None] = []
        arrays: list[Tensor | None] = [x, grad, for_x, x.new_empty(shares * space)]
        for of, weight, out in zip(chain, weights, made, strict=True):
            both = (torch.empty_like(weight), weight.new_empty(of.made[2])) if of_weights else (None, None)
            found += both
            arrays += weight, out, *both
        run(len(x), shares, arrays)
        return for_x, None, *found


def _forward(x: Tensor, chain: "Chain", parameters: Sequence[Tensor], kept: bool) -> list[Tensor]:
    """The images that each convolution makes; those before the last are not there unless they are kept."""
    from unbraid.models.convolution_kernels import forward_kernel
    from unbraid.models.machine_code import shares_of

    x = _channels_last(x)
    run, space = forward_kernel(chain, kept)
    shares = shares_of(len(x))
    made = [_empty(len(x), of, x) for of in (chain if kept else chain[-1:])]
    arrays: list[Tensor | None] = [x, x.new_empty(shares * space)]
    for number, out in enumerate(made if kept else [*[None] * (len(chain) - 1), *made]):
        arrays += _channels_last(parameters[2 * number]), parameters[2 * number + 1].contiguous(), out
    run(len(x), shares, arrays)
    return made


def _empty(count: int, of: "Convolution", like: Tensor) -> Tensor:
    height, width, channels = of.made
    size = count, channels, height, width
    return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
