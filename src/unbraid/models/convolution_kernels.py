"""What a convolution does within a kernel, image by image: down or up through it, and its gradients."""

import math
from typing import Any

from unbraid.kernels.machine_code import Code, Room, Share
from unbraid.models.activation_loops import LONG, activate
from unbraid.models.convolution_loops import dots, down, pad, sum_of_pixels, to_planes, up, weight_gradient
from unbraid.models.convolution_sizes import Convolution, Padded, fold_of, is_dotted, pixels_at_once


class _Way:
    """Down or up through a convolution: its weight as that way wants it, and where it works."""

    def __init__(self, room: Room, of: Convolution, up: bool) -> None:
        self.of, self.up = of, up
        self.is_dotted = up and is_dotted(of)
        self.working = room.take(of.weights * (pixels_at_once(of) if self.is_dotted else 1))

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        """[n, k, k, C] -> [k, k, inputs / fold, outputs, fold], or what `dots` wants"""
        of, target = self.of, code.at(space, self.working)
        n, channels = of.small[2], of.large[2]
        patch = of.weights // n
        if self.is_dotted:
            pixels = pixels_at_once(of)
            with code.loop(patch) as row, code.loop(n) as number:
                value = code.scalar(code.at(weight, code.add(code.multiply(number, patch), row)))
                place = code.add(code.multiply(row, n * pixels), number)
                for pixel in range(pixels):
                    code.store(value, code.at(target, code.add(place, pixel * n)))
            return
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
        write = dots if self.is_dotted else up if self.up else down
        write(code, self.of, given, working, bias, out, activation)


class ConvolutionForward:
    """One convolution of a chain, and its places in the working space.

    takes_planes, gives_planes: its images lie as planes, since a dense layer is what comes before or after.
    is_asked_for: what it makes always has an array; else it may have to lie in the working space.
    """

    def __init__(self, room: Room, of: Convolution, takes_planes: bool, gives_planes: bool, is_asked_for: bool) -> None:
        self.of, self.takes_planes, self.gives_planes = of, takes_planes, gives_planes
        self.size = Padded.small(of) if of.transposed else Padded.large(of)
        self.given, self.way = room.take(self.size.floats), _Way(room, of, up=of.transposed)
        self.made = 0 if is_asked_for and not gives_planes else room.take(math.prod(of.made))

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        code.fill(code.at(space, self.given), self.size.floats)
        self.way.begin(code, weight, space)

    def one_image(self, code: Code, x: Any, weight: Any, bias: Any, y: Any, space: Any) -> None:
        given, made = code.at(space, self.given), code.at(space, self.made) if self.gives_planes else y
        pad(code, x, given, self.size, planes=self.takes_planes)
        activation = self.of.activation
        is_long = activation in LONG
        self.way.one_image(code, given, weight, bias, made, space, "" if is_long else activation)
        if is_long:
            activate(code, made, math.prod(self.of.made), activation)
        if self.gives_planes:
            to_planes(code, made, y, self.of.made)


class ConvolutionBackward:
    """The gradients of one convolution of a chain, and their places in the working space."""

    def __init__(
        self, room: Room, of: Convolution, takes_planes: bool, gives_planes: bool, of_images: bool, of_weights: bool
    ) -> None:
        self.room, self.of, self.of_images, self.of_weights = room, of, of_images, of_weights
        self.takes_planes, self.gives_planes = takes_planes, gives_planes
        self.large_size, self.small_size = Padded.large(of), Padded.small(of)
        self.large, self.small = room.take(self.large_size.floats), room.take(self.small_size.floats)
        if of_images:
            self.way, self.gradient = _Way(room, of, up=not of.transposed), room.take(math.prod(of.given))
        if of_weights:
            self.for_weight, self.for_bias = room.take(of.weights), room.take(of.made[2])

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        code.fill(code.at(space, self.large), self.large_size.floats)
        code.fill(code.at(space, self.small), self.small_size.floats)
        if self.of_weights:
            code.fill(code.at(space, self.for_weight), self.of.weights)
            code.fill(code.at(space, self.for_bias), self.of.made[2])
        if self.of_images:
            self.way.begin(code, weight, space)

    def one_image(self, code: Code, x: Any, y: Any, gradient: Any, weight: Any, space: Any, before: Any) -> None:
        """`before` is where the gradient of x shall be."""
        of, large, small = self.of, code.at(space, self.large), code.at(space, self.small)
        sides = [(large, self.large_size), (small, self.small_size)]
        (given, given_size), (made, made_size) = reversed(sides) if of.transposed else sides
        pad(code, gradient, made, made_size, y, of.activation, self.gives_planes)
        if self.of_weights:
            pad(code, x, given, given_size, planes=self.takes_planes)
            sum_of_pixels(code, made, made_size, code.at(space, self.for_bias))
            weight_gradient(code, of, large, small, code.at(space, self.for_weight))
        if self.of_images:
            found = code.at(space, self.gradient) if self.takes_planes else before
            self.way.one_image(code, made, weight, None, found, space, "")
            if self.takes_planes:
                to_planes(code, found, before, of.given)

    def end(self, code: Code, share: Share, space: Any, for_weight: Any, for_bias: Any) -> None:
        """Adds up what the shares found, each some rows; the weight's gradient becomes [n, k, k, C]."""
        of = self.of
        inputs, outputs = of.large[2], of.small[2]
        fold = fold_of(inputs, outputs)
        rows = of.weights // (outputs * fold)  # as `weight_gradient` has them

        def total(place: Any, width: int) -> Any:
            found = code.variable(code.constant(0.0, width))
            with code.loop(share.count) as other:
                there = code.at(space, code.add(code.multiply(other, self.room.floats), place))
                code.set(found, code.total(code.get(found), code.load(there, width)))
            return code.get(found)

        with code.loop(*code.portion(rows, share.number, share.count)) as row:
            for start, width in code.along(outputs * fold):
                place = code.add(code.multiply(row, outputs * fold), start)
                found = total(code.add(place, self.for_weight), width)
                for number in range(width):
                    at = code.add(start, number)
                    n, c = code.divide(at, fold), code.remainder(at, fold)
                    to = code.add(code.multiply(n, of.weights // outputs), code.add(code.multiply(row, fold), c))
                    code.store(code.picked(found, [number]), code.at(for_weight, to))
        with code.loop(*code.portion(of.made[2], share.number, share.count)) as channel:
            code.store(total(code.add(channel, self.for_bias), 1), code.at(for_bias, channel))
