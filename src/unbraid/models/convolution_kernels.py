"""Kernels of convolutions in a row, each with the activation that follows it, compiled for their sizes.

One image is worked on at a time and goes through all of them, so that what is made on the way lies in the cache.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from unbraid.models.convolution_loops import (
    activate,
    added,
    down,
    pad,
    scatter,
    sum_of_pixels,
    up,
    weight_gradient,
)
from unbraid.models.convolution_sizes import Chain, Convolution, Padded, fold_of, is_scattered, scatter_floats
from unbraid.models.machine_code import Code, Kernel, compiled

_KERNELS = 256  # that are kept; a net has four, and two more for every size of images
_LINE = 16  # floats of a line of the cache


@lru_cache(_KERNELS)
def forward_kernel(chain: Chain, kept: bool) -> tuple[Kernel, int]:
    """(kernel over images given, a working space, and of each convolution its weight, bias and images made; floats of
    that space a share).

    Images that are not kept are made in the working space, all but the last, and their array is not looked at.
    """
    room = _Room()
    parts = [_Forward(room, of, kept or of is chain[-1]) for of in chain]

    def begin(code: Code, arrays: Sequence[Any]) -> None:
        for number, part in enumerate(parts):
            code.apart(part.begin, arrays[2 + 3 * number], arrays[1])

    def each(code: Code, image: Any, arrays: Sequence[Any]) -> None:
        x, space = code.at(arrays[0], code.multiply(image, math.prod(chain[0].given))), arrays[1]
        for number, part in enumerate(parts):
            weight, bias, made = arrays[2 + 3 * number : 5 + 3 * number]
            of_image = code.multiply(image, math.prod(part.of.made))
            y = code.at(made, of_image) if part.kept else code.at(space, part.made)
            code.apart(part.each, x, weight, bias, y, space)
            x = y

    return compiled(2 + 3 * len(chain), each, begin=begin, share_of_array={1: room.floats}), room.floats


def floats_of(chain: Chain) -> int:
    """Of the working space that one image needs on its way forward or backward."""
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


class _Forward:
    """One convolution of a chain, and its places in the working space."""

    def __init__(self, room: _Room, of: Convolution, kept: bool) -> None:
        self.of, self.kept = of, kept
        self.padded = Padded.small(of) if of.transposed else Padded.large(of)
        self.image, self.weight = room.take(self.padded.floats), _Weight(room, of, of.transposed)
        self.scattered = room.take(scatter_floats(of)) if of.transposed else 0
        self.made = 0 if kept else room.take(math.prod(of.made))

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        self.weight.arrange(code, weight, space)

    def each(self, code: Code, x: Any, weight: Any, bias: Any, y: Any, space: Any) -> None:
        of, given = self.of, code.at(space, self.image)
        pad(code, x, given, self.padded)
        arrangement = self.weight.of(code, weight, space)
        if not of.transposed:
            down(code, of, given, arrangement, bias, y, of.activation)
        elif is_scattered(of):
            scatter(code, of, given, arrangement, bias, y, code.at(space, self.scattered))
            activate(code, y, math.prod(of.made), of.activation)
        else:
            up(code, of, given, arrangement, bias, y, of.activation)


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
        given, made, space = arrays[0], arrays[5::4], arrays[3]
        sizes = [chain[0].given, *(of.made for of in chain)]
        places = [code.multiply(image, math.prod(size)) for size in sizes]
        images = [code.at(array, place) for array, place in zip((given, *made), places, strict=True)]
        gradient = code.at(arrays[1], places[-1])
        for number, part in reversed([*enumerate(parts)]):
            for_x = code.at(space, part.gradient) if number else code.at(arrays[2], places[0])
            code.apart(part.each, *images[number : number + 2], gradient, arrays[4 + 4 * number], space, for_x)
            gradient = for_x

    def end(code: Code, share: Any, shares: Any, arrays: Sequence[Any]) -> None:
        for number, part in enumerate(parts):
            code.apart(part.end, share, shares, arrays[3], *arrays[6 + 4 * number : 8 + 4 * number])

    last = end if of_weights else None
    kernel = compiled(4 + 4 * len(chain), each, begin=begin, end=last, share_of_array={3: room.floats})
    return kernel, room.floats


class _Backward:
    """The same of its gradients."""

    def __init__(self, room: _Room, of: Convolution, of_images: bool, of_weights: bool) -> None:
        self.room, self.of, self.of_images, self.of_weights = room, of, of_images, of_weights
        self.large_size, self.small_size = Padded.large(of), Padded.small(of)
        self.large, self.small = room.take(self.large_size.floats), room.take(self.small_size.floats)
        if of_images:
            self.weight = _Weight(room, of, not of.transposed)
            self.scattered = 0 if of.transposed else room.take(scatter_floats(of))
            self.gradient = room.take(math.prod(of.given))
        if of_weights:
            self.of_weight, self.of_bias = room.take(of.weights), room.take(of.made[2])

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        if self.of_images:
            self.weight.arrange(code, weight, space)

    def each(self, code: Code, x: Any, y: Any, gradient: Any, weight: Any, space: Any, for_x: Any) -> None:
        of, large, small = self.of, code.at(space, self.large), code.at(space, self.small)
        of_given, given_size, of_made, made_size = large, self.large_size, small, self.small_size
        if of.transposed:
            of_given, given_size, of_made, made_size = of_made, made_size, of_given, given_size
        pad(code, gradient, of_made, made_size, y, of.activation)
        if self.of_weights:
            pad(code, x, of_given, given_size)
            sum_of_pixels(code, of_made, made_size, code.at(space, self.of_bias))
            weight_gradient(code, of, large, small, code.at(space, self.of_weight))
        if not self.of_images:
            return
        arrangement = self.weight.of(code, weight, space)
        if of.transposed:
            down(code, of, large, arrangement, None, for_x, "")
        elif is_scattered(of):
            scatter(code, of, small, arrangement, None, for_x, code.at(space, self.scattered))
        else:
            up(code, of, small, arrangement, None, for_x, "")

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
                code.set(found, added(code, [code.get(found), code.load(there, width)]))
            return code.get(found)

        with code.loop(*code.portion(rows, share, shares)) as row:
            for start, width in code.along(outputs * fold):
                place = code.add(code.multiply(row, outputs * fold), start)
                found = total(code.add(place, self.of_weight), width)
                for each in range(width):
                    at = code.add(start, each)
                    n, c = code.divide(at, fold), code.remainder(at, fold)
                    to = code.add(code.multiply(n, of.weights // outputs), code.add(code.multiply(row, fold), c))
                    code.store(code.picked(found, [each]), code.at(for_weight, to))
        with code.loop(*code.portion(of.made[2], share, shares)) as channel:
            code.store(total(code.add(channel, self.of_bias), 1), code.at(for_bias, channel))


class _Weight:
    """A weight [n, k, k, C], of either kind of convolution, as the kernels in one direction want it."""

    def __init__(self, room: _Room, of: Convolution, up: bool) -> None:
        self.convolution, self.up = of, up
        self.is_as_given = up and is_scattered(of)
        self.place = 0 if self.is_as_given else room.take(of.weights)

    def of(self, code: Code, weight: Any, space: Any) -> Any:
        return weight if self.is_as_given else code.at(space, self.place)

    def arrange(self, code: Code, weight: Any, space: Any) -> None:
        """Writes [k, k, inputs / fold, outputs, fold]."""
        if self.is_as_given:
            return
        of, target = self.convolution, code.at(space, self.place)
        n, channels = of.small[2], of.large[2]
        patch = of.weights // n
        inputs, outputs = (n, channels) if self.up else (channels, n)
        fold = fold_of(inputs, outputs)
        steps = (patch, 1) if self.up else (1, patch)  # from one input to the next, one output
        with code.loop(of.kernel**2) as tap, code.loop(inputs // fold) as some:
            source = code.at(weight, code.add(code.multiply(tap, channels), code.multiply(some, fold * steps[0])))
            there = code.at(target, code.multiply(code.add(code.multiply(tap, inputs // fold), some), fold * outputs))
            if fold == steps[1] == 1:
                code.copy(source, there, outputs)
            else:
                with code.loop(outputs) as output:
                    for each in range(fold):
                        value = code.scalar(code.at(source, code.add(code.multiply(output, steps[1]), each * steps[0])))
                        code.store(value, code.at(there, code.add(code.multiply(output, fold), each)))
