"""Kernels of layers in a row, convolutions and dense ones, each with the activation after it, compiled for their sizes.

Each share of the images goes through all of them on one thread. Through convolutions in a row it goes image by image,
so that what is made on the way lies in the cache; a dense layer takes all images of the share together. Between the two
an image lies as planes [channels, height, width], for that is how torch flattens it.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from unbraid.kernels.machine_code import Code, Kernel, Room, Share, Span, compiled
from unbraid.models.convolution_kernels import ConvolutionBackward, ConvolutionForward
from unbraid.models.convolution_sizes import Convolution
from unbraid.models.dense_kernels import Dense, DenseBackward, DenseForward

_KERNELS = 256  # of each direction that are kept; burgess has two of each for one size of images

Chain = tuple[Convolution | Dense, ...]  # each is given what the one before it makes


@lru_cache(_KERNELS)
def forward_kernel(chain: Chain) -> tuple[Kernel, int]:
    """(kernel over images given, a working space, and of each layer its weight, bias and what it makes; floats of that
    space a share).

    What is made between two convolutions needs no array: it lies in the working space where there is none.
    """
    room = Room()
    parts = [_forward(room, chain, number) for number in range(len(chain))]

    def work(code: Code, images: Span, arrays: Sequence[Any]) -> None:
        given, space = arrays[:2]
        weights, biases, made = arrays[2::3], arrays[3::3], arrays[4::3]
        for part, weight in zip(parts, weights, strict=True):
            if isinstance(part, ConvolutionForward):
                code.apart(part.begin, weight, space)
        for numbers in _runs(chain):
            dense = parts[numbers[0]]
            if isinstance(dense, DenseForward):
                (number,) = numbers
                code.apart(dense.images, *images, given, weights[number], biases[number], made[number], space)
            else:
                with code.loop(*images) as image:
                    x = _of(code, given, image, chain[numbers[0]].given)
                    for number in numbers:
                        part = parts[number]
                        assert isinstance(part, ConvolutionForward)
                        y = _of(code, made[number], image, chain[number].made)
                        if not is_asked_for(chain, number):
                            y = code.where_there(made[number], y, code.at(space, part.made))
                        code.apart(part.one_image, x, weights[number], biases[number], y, space)
                        x = y
            given = made[numbers[-1]]

    return compiled(2 + 3 * len(chain), work, share_of_array={1: room.floats}), room.floats


@lru_cache(_KERNELS)
def backward_kernel(chain: Chain, of_images: bool, of_weights: bool) -> tuple[Kernel, int]:
    """(kernel over images given, the gradient of what the last layer makes, that of those given, a working space, and
    of each layer its weight, what it makes, the gradient of that, and those of weight and bias; floats of that space a
    share).

    `has_gradient` says which of the layers' own gradients of what they make have an array.
    """
    room = Room()
    parts = [_backward(room, chain, number, of_images or number > 0, of_weights) for number in range(len(chain))]

    def work(code: Code, images: Span, arrays: Sequence[Any]) -> None:
        space, weights, made = arrays[3], arrays[4::5], arrays[5::5]
        after, before = [*arrays[6::5][:-1], arrays[1]], [arrays[2], *arrays[6::5][:-1]]  # gradients
        for part, weight in zip(parts, weights, strict=True):
            code.apart(part.begin, weight, space)
        for numbers in reversed(_runs(chain)):
            last = numbers[-1]
            dense = parts[last]
            if isinstance(dense, DenseBackward):
                slope = _slope(chain, last, arrays)
                code.apart(dense.images, *images, made[last], after[last], slope, weights[last], before[last])
                continue
            with code.loop(*images) as image:
                gradient = _of(code, after[last], image, chain[last].made)
                for number in reversed(numbers):
                    part = parts[number]
                    assert isinstance(part, ConvolutionBackward)
                    x = _of(code, _given(number, arrays), image, chain[number].given)
                    y = _of(code, made[number], image, chain[number].made)
                    there = _of(code, before[number], image, chain[number].given)
                    target = there if number == numbers[0] else code.at(space, part.gradient)
                    code.apart(part.one_image, x, y, gradient, weights[number], space, target)
                    gradient = target

    def end(code: Code, share: Share, arrays: Sequence[Any]) -> None:
        for number, part in enumerate(parts):
            seen = (_given(number, arrays), _slope(chain, number, arrays)) if isinstance(part, DenseBackward) else ()
            code.apart(_ending(part), *share, arrays[3], *seen, *arrays[7 + 5 * number : 9 + 5 * number])

    last = end if of_weights else None
    kernel = compiled(4 + 5 * len(chain), work, end=last, share_of_array={3: room.floats})
    return kernel, room.floats


def _ending(part: ConvolutionBackward | DenseBackward) -> Callable[..., None]:
    return lambda code, number, count, images, *given: part.end(code, Share(number, count, images), *given)


def floats_of(chain: Chain) -> int:
    """Of a share's working space that an image needs on its way back through the convolutions."""
    room = Room()
    for number, of in enumerate(chain):
        if isinstance(of, Convolution):
            _backward(room, chain, number, of_images=True, of_weights=True)
    return room.floats


def has_gradient(chain: Chain, number: int) -> bool:
    """Whether the gradient of what this layer makes, or before its activation, has an array of the kernel's own."""
    if number == len(chain) - 1:
        return isinstance(chain[number], Dense) and chain[number].activation != ""
    return isinstance(chain[number], Dense) or isinstance(chain[number + 1], Dense)


def is_asked_for(chain: Chain, number: int) -> bool:
    """Whether what this layer makes must have an array forward."""
    return number == len(chain) - 1 or has_gradient(chain, number)


def _forward(room: Room, chain: Chain, number: int) -> ConvolutionForward | DenseForward:
    of = chain[number]
    if isinstance(of, Dense):
        return DenseForward(room, of)
    return ConvolutionForward(room, of, *_beside_dense(chain, number), is_asked_for(chain, number))


def _backward(
    room: Room, chain: Chain, number: int, of_images: bool, of_weights: bool
) -> ConvolutionBackward | DenseBackward:
    of = chain[number]
    if isinstance(of, Dense):
        return DenseBackward(room, of, of_images)
    return ConvolutionBackward(room, of, *_beside_dense(chain, number), of_images, of_weights)


def _beside_dense(chain: Chain, number: int) -> tuple[bool, bool]:
    """Whether a dense layer comes right before, and right after."""
    before, after = chain[max(number - 1, 0)], chain[min(number + 1, len(chain) - 1)]
    return isinstance(before, Dense), isinstance(after, Dense)


def _runs(chain: Chain) -> list[list[int]]:
    """Numbers of layers that an image goes through by itself, and of dense layers, each alone."""
    kinds = [number if isinstance(of, Dense) else -1 for number, of in enumerate(chain)]
    return [[*numbers] for _, numbers in groupby(range(len(chain)), key=lambda number: kinds[number])]


def _of(code: Code, array: Any, image: Any, size: Sequence[int]) -> Any:
    return code.at(array, code.multiply(image, math.prod(size)))


def _given(number: int, arrays: Sequence[Any]) -> Any:
    """What a layer was given, of the arrays backward."""
    return arrays[5 * number] if number else arrays[0]


def _slope(chain: Chain, number: int, arrays: Sequence[Any]) -> Any:
    """The gradient before this layer's activation, of the arrays backward."""
    return arrays[6 + 5 * number] if has_gradient(chain, number) else arrays[1]
