"""Kernels of convolutions in a row, each with the activation that follows it, compiled for their sizes.

One image is worked on at a time and goes through all of them, so that what is made on the way lies in the cache.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from unbraid.models.convolution_loops import down, pad, scatter, sum_of_pixels, up, weight_gradient
from unbraid.models.convolution_sizes import Chain, Convolution, Padded, fold_of, is_scattered, scatter_floats
from unbraid.models.machine_code import Code, Kernel, compiled

_KERNELS = 256  # of each direction that are kept; burgess has four forward and two backward for one size of images
_LINE = 16  # floats of a line of the cache


@lru_cache(_KERNELS)
def forward_kernel(chain: Chain, kept: bool) -> tuple[Kernel, int]:
    """(kernel over images given, a working space, and of each convolution its weight, bias and images made; floats of
    that space a share).

    Images that are not kept are made in the working space, all but the last, and their array is not looked at.
    """
    room = _Room()
    parts = [_Forward(room, of, kept or number == len(chain) - 1) for number, of in enumerate(chain)]

    def begin(code: Code, arrays: Sequence[Any]) -> None:
        for number, part in enumerate(parts):
            code.apart(part.begin, arrays[2 + 3 * number], arrays[1])

    def each(code: Code, image: Any, arrays: Sequence[Any]) -> None:
        x, space = code.at(arrays[0], code.multiply(image, math.prod(chain[0].given))), arrays[1]
        for number, part in enumerate(parts):
            weight, bias, made = arrays[2 + 3 * number : 5 + 3 * number]
            place = code.multiply(image, math.prod(chain[number].made))
            y = code.at(made, place) if part.is_kept else code.at(space, part.made)
            code.apart(part.one_image, x, weight, bias, y, space)
            x = y

    return compiled(2 + 3 * len(chain), each, begin=begin, share_of_array={1: room.floats}), room.floats


@lru_cache(_KERNELS)
def backward_kernel(chain: Chain, of_images: bool, of_weights: bool) -> tuple[Kernel, int]:
    """(kernel over images given, the gradient of those made, that of those given, a working space, and of each
    convolution its weight, images made, and gradients of weight and bias; floats of that space a share)."""
    room = _Room()
    parts = [_Backward(room, of, of_images or number > 0, of_weights) for number, of in enumerate(chain)]

    def begin(code: Code, arrays: Sequence[Any]) -> None:
        for number, part in enumerate(parts):
            code.apart(part.begin, arrays[4 + 4 * number], arrays[3])

    def each(code: Code, image: Any, arrays: Sequence[Any]) -> None:
        space, seen = arrays[3], [arrays[0], *arrays[5::4]]  # what each is given, and what the last one made
        places = [code.multiply(image, math.prod(size)) for size in (chain[0].given, *(of.made for of in chain))]
        images = [code.at(array, place) for array, place in zip(seen, places, strict=True)]
        gradient = code.at(arrays[1], places[-1])
        for number, part in reversed([*enumerate(parts)]):
            before = code.at(space, part.gradient) if number else code.at(arrays[2], places[0])
            code.apart(part.one_image, *images[number : number + 2], gradient, arrays[4 + 4 * number], space, before)
            gradient = before

    def end(code: Code, share: Any, shares: Any, arrays: Sequence[Any]) -> None:
        for number, part in enumerate(parts):
            code.apart(part.end, share, shares, arrays[3], *arrays[6 + 4 * number : 8 + 4 * number])

    last = end if of_weights else None
    kernel = compiled(4 + 4 * len(chain), each, begin=begin, end=last, share_of_array={3: room.floats})
    return kernel, room.floats


def floats_of(chain: Chain) -> int:
    """Of a share's working space backward, the larger of the two."""
    room = _Room()
    for of in chain:
        _Backward(room, of, of_images=True, of_weights=True)
    return room.floats


class _Room:
    """Of the working space: what lies in it, one after another."""

    floats = 0

    def take(self, floats: int) -> int:
        place = self.floats
        self.floats += -(-floats // _LINE) * _LINE
        return place


class _Way:
    """Down or up through a convolution: its weight as that way wants it, and where it works."""

    def __init__(self, room: _Room, of: Convolution, up: bool) -> None:
        self.of, self.up = of, up
        self.is_scattered = up and is_scattered(of)  # which takes the weight as it is
        self.working = room.take(scatter_floats(of) if self.is_scattered else of.weights)

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        """[n, k, k, C] -> [k, k, inputs / fold, outputs, fold]"""
        if self.is_scattered:
            return
        of, target = self.of, code.at(space, self.working)
        n, channels = of.small[2], of.large[2]
        patch = of.weights // n
        inputs, outputs = (n, channels) if self.up else (channels, n)
        fold = fold_of(inputs, outputs)
        by_input, by_output = (patch, 1) if self.up else (1, patch)  # from one to the next in what is given
        with code.loop(of.kernel**2) as tap, code.loop(inputs // fold) as some:
            source = code.at(weight, code.add(code.multiply(tap, channels), code.multiply(some, fold * by_input)))
            row = code.at(target, code.multiply(code.add(code.multiply(tap, inputs // fold), some), fold * outputs))
            if fold == by_output == 1:
                code.copy(source, row, outputs)
            else:
                with code.loop(outputs) as output:
                    for number in range(fold):
                        place = code.add(code.multiply(output, by_output), number * by_input)
                        to = code.add(code.multiply(output, fold), number)
                        code.store(code.scalar(code.at(source, place)), code.at(row, to))

    def one_image(self, code: Code, given: Any, weight: Any, bias: Any, out: Any, space: Any, activation: str) -> None:
        """`given` lies within its zeros."""
        working = code.at(space, self.working)
        if self.is_scattered:
            scatter(code, self.of, given, weight, bias, out, activation, working)
        else:
            (up if self.up else down)(code, self.of, given, working, bias, out, activation)


class _Forward:
    """One convolution of a chain, and its places in the working space."""

    def __init__(self, room: _Room, of: Convolution, is_kept: bool) -> None:
        self.of, self.is_kept = of, is_kept
        self.size = Padded.small(of) if of.transposed else Padded.large(of)
        self.given, self.way = room.take(self.size.floats), _Way(room, of, up=of.transposed)
        self.made = 0 if is_kept else room.take(math.prod(of.made))

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        self.way.begin(code, weight, space)

    def one_image(self, code: Code, x: Any, weight: Any, bias: Any, y: Any, space: Any) -> None:
        given = code.at(space, self.given)
        pad(code, x, given, self.size)
        self.way.one_image(code, given, weight, bias, y, space, self.of.activation)


class _Backward:
    """The gradients of one convolution of a chain, and their places in the working space."""

    def __init__(self, room: _Room, of: Convolution, of_images: bool, of_weights: bool) -> None:
        self.room, self.of, self.of_images, self.of_weights = room, of, of_images, of_weights
        self.large_size, self.small_size = Padded.large(of), Padded.small(of)
        self.large, self.small = room.take(self.large_size.floats), room.take(self.small_size.floats)
        if of_images:
            self.way, self.gradient = _Way(room, of, up=not of.transposed), room.take(math.prod(of.given))
        if of_weights:
            self.for_weight, self.for_bias = room.take(of.weights), room.take(of.made[2])

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        if self.of_images:
            self.way.begin(code, weight, space)

    def one_image(self, code: Code, x: Any, y: Any, gradient: Any, weight: Any, space: Any, before: Any) -> None:
        """`before` is where the gradient of x shall be."""
        of, large, small = self.of, code.at(space, self.large), code.at(space, self.small)
        sides = [(large, self.large_size), (small, self.small_size)]
        (given, given_size), (made, made_size) = reversed(sides) if of.transposed else sides
        pad(code, gradient, made, made_size, y, of.activation)
        if self.of_weights:
            pad(code, x, given, given_size)
            sum_of_pixels(code, made, made_size, code.at(space, self.for_bias))
            weight_gradient(code, of, large, small, code.at(space, self.for_weight))
        if self.of_images:
            self.way.one_image(code, made, weight, None, before, space, "")

    def end(self, code: Code, share: Any, shares: Any, space: Any, for_weight: Any, for_bias: Any) -> None:
        """Adds up what the shares found, each some rows; the weight's gradient becomes [n, k, k, C]."""
        of = self.of
        inputs, outputs = of.large[2], of.small[2]
        fold = fold_of(inputs, outputs)
        rows = of.weights // (outputs * fold)  # as `weight_gradient` has them

        def total(place: Any, width: int) -> Any:
            found = code.variable(code.constant(0.0, width))
            with code.loop(shares) as other:
                there = code.at(space, code.add(code.multiply(other, self.room.floats), place))
                code.set(found, code.total(code.get(found), code.load(there, width)))
            return code.get(found)

        with code.loop(*code.portion(rows, share, shares)) as row:
            for start, width in code.along(outputs * fold):
                place = code.add(code.multiply(row, outputs * fold), start)
                found = total(code.add(place, self.for_weight), width)
                for number in range(width):
                    at = code.add(start, number)
                    n, c = code.divide(at, fold), code.remainder(at, fold)
                    to = code.add(code.multiply(n, of.weights // outputs), code.add(code.multiply(row, fold), c))
                    code.store(code.picked(found, [number]), code.at(for_weight, to))
        with code.loop(*code.portion(of.made[2], share, shares)) as channel:
            code.store(total(code.add(channel, self.for_bias), 1), code.at(for_bias, channel))
