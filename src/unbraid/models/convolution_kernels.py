"""Convolutions with the activation that follows them, each compiled for its sizes (machine_code.py).

Letters: S stride, k kernel, P padding. `large` is the side of a convolution with more pixels, [H, W, C], `small` the
other, [h, w, n]: `down` goes from large to small, `up` back, and a convolution's gradient for its images is the other
of the two. Images lie channels last, weights are [k, k, C, n], and one image is worked on at a time, so that all that
is made on the way lies in the cache.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from unbraid.models.machine_code import Code, Kernel, compiled, lanes, registers, widths

_NARROW = 8  # channels below which sums for one pixel leave most of a vector empty
_EXPM1 = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2)  # of its Taylor series; an error of 3e-8 up to ln(2) / 2
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # whose sum is ln(2); the first times an exponent is exact

ACTIVATIONS = ("", "relu", "elu")
Size = tuple[int, int, int]  # (height, width, channels)


@dataclass(frozen=True)
class Convolution:
    """What a kernel is made for."""

    transposed: bool  # from small to large
    large: Size
    small: Size
    kernel: int
    stride: int
    padding: int
    activation: str

    @property
    def given(self) -> Size:
        return self.small if self.transposed else self.large

    @property
    def made(self) -> Size:
        return self.large if self.transposed else self.small

    @property
    def weights(self) -> int:
        return self.kernel**2 * self.large[2] * self.small[2]

    def taps(self) -> list[tuple[int, int]]:
        return [(ky, kx) for ky in range(self.kernel) for kx in range(self.kernel)]

    def sources(self, remainder: int, tap: int) -> int | None:
        """A pixel at S q + remainder gets from the window at q + this, by this tap; None: it does not."""
        distance = remainder + self.padding - tap
        return None if distance % self.stride else distance // self.stride


class _Padded:
    """An image within zeros, in the working space: no kernel must ask where an image ends."""

    def __init__(self, size: Size, before: int, height: int, width: int) -> None:
        self.size, self.before = size, before
        self.row = width * size[2]  # floats
        self.floats = height * self.row
        self.first = before * self.row + before * size[2]  # of the image

    @classmethod
    def large(cls, of: Convolution) -> "_Padded":
        """As far as windows reach."""
        height, width, _ = of.large
        reach = [max(pixels + of.padding, (windows - 1) * of.stride + of.kernel) for pixels, windows in
                 ((height, of.small[0]), (width, of.small[1]))]  # fmt: skip
        return cls(of.large, of.padding, *reach)

    @classmethod
    def small(cls, of: Convolution) -> "_Padded":
        """As far as the pixels of large ask for windows."""
        found = [of.sources(remainder, tap) for remainder in range(of.stride) for tap in range(of.kernel)]
        known = [distance for distance in found if distance is not None]
        before, after = max(0, -min(known)), max(0, max(known))
        height, width = (
            before + max(windows, pixels // of.stride + after)
            for pixels, windows in zip(of.large[:2], of.small[:2], strict=True)
        )
        return cls(of.small, before, height, width)


@cache
def forward_kernel(of: Convolution) -> tuple[Kernel, int]:
    """(kernel over images given, weight, bias, images made and a working space, floats of that space a share)."""
    space = _Padded.small(of) if of.transposed else _Padded.large(of)
    more = _patches_space(of) if of.transposed else 0

    def write(code: Code, image: Any, arrays: Sequence[Any]) -> None:
        given, weight, bias, made, padded = arrays
        x = code.at(given, code.multiply(image, math.prod(of.given)))
        y = code.at(made, code.multiply(image, math.prod(of.made)))
        _pad(code, x, padded, space)
        if not of.transposed:
            _down(code, of, padded, weight, bias, y, of.activation)
        elif more:
            _scatter(code, of, padded, weight, bias, y, of.activation, code.at(padded, space.floats))
        else:
            _up(code, of, padded, weight, bias, y, of.activation)

    return compiled(write, 5, (0, 0, 0, 0, space.floats + more)), space.floats + more


@cache
def backward_kernel(of: Convolution, of_images: bool) -> tuple[Kernel, int]:
    """(kernel over images given, images made, their gradient, weight, gradients of images, weight and bias, and a
    working space; floats of that space a share). The gradients of weight and bias are a sum for each share."""
    large, small = _Padded.large(of), _Padded.small(of)
    more = _patches_space(of) if of_images and not of.transposed else 0
    space = large.floats + small.floats + more

    def write(code: Code, image: Any, arrays: Sequence[Any]) -> None:
        given, made, gradient, weight, for_given, for_weight, for_bias, padded = arrays
        of_large, of_small = padded, code.at(padded, large.floats)
        x, for_x = (code.at(array, code.multiply(image, math.prod(of.given))) for array in (given, for_given))
        y, g = (code.at(array, code.multiply(image, math.prod(of.made))) for array in (made, gradient))
        if of.transposed:
            _pad(code, x, of_small, small)
            _pad(code, g, of_large, large, y, of.activation)
            _sum(code, of_large, large, for_bias)
        else:
            _pad(code, x, of_large, large)
            _pad(code, g, of_small, small, y, of.activation)
            _sum(code, of_small, small, for_bias)
        _weight_gradient(code, of, of_large, of_small, for_weight)
        if of_images and of.transposed:
            _down(code, of, of_large, weight, None, for_x, "")
        elif more:
            _scatter(code, of, of_small, weight, None, for_x, "", code.at(padded, large.floats + small.floats))
        elif of_images:
            _up(code, of, of_small, weight, None, for_x, "")

    own = (0, 0, 0, 0, 0, of.weights, of.made[2], space)
    return compiled(write, 8, own), space


def _is_scattered(of: Convolution) -> bool:
    return of.large[2] < _NARROW and of.kernel > 1


def _patches_space(of: Convolution) -> int:
    """Floats that `_scatter` works in; 0 where it is not used."""
    if not _is_scattered(of):
        return 0
    return _Padded.large(of).floats + _patches(of).width * of.kernel**2 * of.large[2]


def _patches(of: Convolution) -> "_Grid":
    """Pixels of small that are made patches of at a time."""
    inputs, patch = of.small[2], of.kernel**2 * of.large[2]
    row = _Grid(1, of.small[1], 0, inputs, 0, patch)
    return replace(row, width=row.tile(registers() // min(2, len(widths(patch))))[1])


def up_weight(of: Convolution) -> tuple[int, int, int, int]:
    """Order of the axes of weights [k, k, C, n] as the kernels that go up want them."""
    return (3, 0, 1, 2) if _is_scattered(of) else (0, 1, 3, 2)


def _down(code: Code, of: Convolution, large: Any, weight: Any, bias: Any, out: Any, activation: str) -> None:
    """out[y, x, n] = bias[n] + sum over taps and C of large[S y + ky, S x + kx, C] weight[ky, kx, C, n]"""
    height, width, outputs = of.small
    inputs, row = of.large[2], _Padded.large(of).row
    taps = [(ky * row + kx * inputs, (ky * of.kernel + kx) * inputs * outputs) for ky, kx in of.taps()]
    there = _Grid(height, width, of.stride * row, of.stride * inputs, width * outputs, outputs)
    _gather(code, there, large, weight, bias, out, inputs, outputs, [(0, taps)], activation)


def _up(code: Code, of: Convolution, small: Any, weight: Any, bias: Any, out: Any, activation: str) -> None:
    """out[y, x, C] = bias[C] + sum over the windows that the pixel lies in and n of small[window, n] weight[tap, n, C]

    Pixels fall into S x S classes that lie in the same taps of their windows.
    """
    _, width, outputs = of.large
    inputs, space = of.small[2], _Padded.small(of)
    classes = []
    for ry in range(of.stride):
        for rx in range(of.stride):
            taps = []
            for ky, kx in of.taps():
                y, x = of.sources(ry, ky), of.sources(rx, kx)
                if y is not None and x is not None:
                    taps.append((space.first + y * space.row + x * inputs, (ky * of.kernel + kx) * inputs * outputs))
            classes.append(((ry * width + rx) * outputs, taps))
    step = of.stride * outputs
    there = _Grid(of.large[0] // of.stride, width // of.stride, space.row, inputs, step * width, step)
    _gather(code, there, small, weight, bias, out, inputs, outputs, classes, activation)


@dataclass(frozen=True)
class _Grid:
    """Pixels that are made, and floats from one to the next: in what is read and in what is written, down and right."""

    height: int
    width: int
    read_down: int
    read_right: int
    write_down: int
    write_right: int

    def tile(self, most: int) -> tuple[int, int]:
        """(height, width) of tiles of at most so many pixels that cover the grid."""
        width = max(d for d in range(1, min(self.width, most) + 1) if self.width % d == 0)
        return max(d for d in range(1, min(self.height, most // width) + 1) if self.height % d == 0), width


def _gather(
    code: Code,
    grid: _Grid,
    source: Any,
    weight: Any,
    bias: Any,
    out: Any,
    inputs: int,
    outputs: int,
    classes: Sequence[tuple[int, Sequence[tuple[int, int]]]],
    activation: str,
) -> None:
    """For every class, (where it is written, its taps), and every pixel of the grid: out = bias + sums over the taps.

    A tap is where it reads and where its weights [inputs, outputs] lie. The sums of a tile stay in registers.
    """
    ends = [sum(len(taps) for _, taps in classes[:number]) for number in range(len(classes) + 1)]
    bounds, places = code.table(ends), code.table([place for place, _ in classes])
    reads = code.table([read for _, taps in classes for read, _ in taps])
    weights = code.table([place for _, taps in classes for _, place in taps])
    parts = widths(outputs)
    for vectors in (parts[first : first + 2] for first in range(0, len(parts), 2)):
        down, right = grid.tile(min(registers() // len(vectors), 16))
        pixels = [(y, x) for y in range(down) for x in range(right)]
        with code.loop(len(classes)) as kind, code.loop(grid.height // down) as y, code.loop(grid.width // right) as x:
            read = code.add(code.multiply(y, down * grid.read_down), code.multiply(x, right * grid.read_right))
            sums: dict[tuple[tuple[int, int], int], Any] = {}
            for start, width in vectors:
                value = code.constant(0.0, width) if bias is None else code.load(code.at(bias, start), width)
                sums |= {(pixel, start): code.variable(value) for pixel in pixels}
            with code.loop(bounds(code.add(kind, 1)), bounds(kind)) as tap, code.loop(inputs) as channel:
                taken = code.at(source, code.add(code.add(read, reads(tap)), channel))
                factors = code.at(weight, code.add(weights(tap), code.multiply(channel, outputs)))
                loaded = {start: code.load(code.at(factors, start), width) for start, width in vectors}
                for pixel in pixels:
                    number = code.scalar(code.at(taken, pixel[0] * grid.read_down + pixel[1] * grid.read_right))
                    for start, width in vectors:
                        total = sums[pixel, start]
                        product = code.multiply_add(code.spread(number, width), loaded[start], code.get(total, width))
                        code.set(total, product)
            write = code.add(code.multiply(y, down * grid.write_down), code.multiply(x, right * grid.write_right))
            target = code.at(out, code.add(write, places(kind)))
            for (pixel, start), total in sums.items():
                value = _activated(code, code.get(total, dict(vectors)[start]), activation)
                code.store(value, code.at(target, pixel[0] * grid.write_down + pixel[1] * grid.write_right + start))


def _scatter(
    code: Code, of: Convolution, small: Any, weight: Any, bias: Any, out: Any, activation: str, working: Any
) -> None:
    """What `_up` does, for few channels C: each pixel of small is added to the k x k x C numbers that it tells of.

    weight is [n, k, k, C], so that one vector has several taps.
    """
    height, width, channels = of.large
    inputs, space, padded = of.small[2], _Padded.small(of), _Padded.large(of)
    patch, row = of.kernel**2 * channels, of.kernel * channels
    large, patches, grid = working, code.at(working, padded.floats), _patches(of)
    right = grid.width
    value = None if bias is None else [code.scalar(code.at(bias, channel)) for channel in range(channels)]
    if value is None or channels == 1:
        code.fill(large, padded.floats, value and value[0])
    else:
        with code.loop(padded.floats // channels) as pixel:
            for channel, scalar in enumerate(value):
                code.store(scalar, code.at(large, code.add(code.multiply(pixel, channels), channel)))
    one = [(0, [(space.first, 0)])]
    with code.loop(of.small[0]) as y, code.loop(of.small[1] // right) as x:
        read = code.add(code.multiply(y, space.row), code.multiply(x, right * inputs))
        _gather(code, grid, code.at(small, read), weight, None, patches, inputs, patch, one, "")
        first = code.add(code.multiply(y, of.stride * padded.row), code.multiply(x, right * of.stride * channels))
        corner = code.at(large, first)
        for pixel in range(right):
            for ky in range(of.kernel):
                for start, size in widths(row):
                    target = code.at(corner, pixel * of.stride * channels + ky * padded.row + start)
                    told = code.load(code.at(patches, pixel * patch + ky * row + start), size)
                    code.store(code.builder.fadd(code.load(target, size), told), target)
    with code.loop(height) as y:
        source = code.at(large, code.add(code.multiply(y, padded.row), padded.first))
        target = code.at(out, code.multiply(y, width * channels))
        for at, size in _along(code, width * channels):
            code.store(_activated(code, code.load(code.at(source, at), size), activation), code.at(target, at))


def _weight_gradient(code: Code, of: Convolution, large: Any, small: Any, out: Any) -> None:
    """out[ky, kx, C, n] += sum over y and x of large[S y + ky, S x + kx, C] small[y, x, n]"""
    height, width, outputs = of.small
    channels, space, padded = of.large[2], _Padded.small(of), _Padded.large(of)
    rows = [ky * padded.row + kx * channels + c for ky, kx in of.taps() for c in range(channels)]
    parts = widths(outputs)
    for vectors in (parts[first : first + 2] for first in range(0, len(parts), 2)):
        most = 1 << (registers() // len(vectors)).bit_length() - 1  # rows at a time, whose sums are kept in registers
        patterns: dict[tuple[int, ...], list[tuple[int, int]]] = {}  # rows that lie alike are one loop
        for first in range(0, len(rows), most):
            some = rows[first : first + most]
            patterns.setdefault(tuple(row - some[0] for row in some), []).append((some[0], first * outputs))
        for pattern, chunks in patterns.items():
            reads, writes = code.table([read for read, _ in chunks]), code.table([write for _, write in chunks])
            with code.loop(len(chunks)) as chunk:
                corner, target = code.at(large, reads(chunk)), code.at(out, writes(chunk))
                sums = {
                    (number, start): code.variable(code.load(code.at(target, number * outputs + start), size))
                    for number in range(len(pattern))
                    for start, size in vectors
                }
                with code.loop(height) as y, code.loop(width) as x:
                    at = code.add(code.multiply(y, space.row), code.multiply(x, outputs))
                    gradient = code.at(small, code.add(at, space.first))
                    at = code.add(code.multiply(y, of.stride * padded.row), code.multiply(x, of.stride * channels))
                    pixel = code.at(corner, at)
                    loaded = {start: code.load(code.at(gradient, start), size) for start, size in vectors}
                    for number, distance in enumerate(pattern):
                        scalar = code.scalar(code.at(pixel, distance))
                        for start, size in vectors:
                            total = sums[number, start]
                            factor = code.spread(scalar, size)
                            code.set(total, code.multiply_add(factor, loaded[start], code.get(total, size)))
                for (number, start), total in sums.items():
                    value = code.get(total, dict(vectors)[start])
                    code.store(value, code.at(target, number * outputs + start))


def _pad(code: Code, image: Any, out: Any, space: _Padded, after: Any = None, activation: str = "") -> None:
    """Copies an image into its zeros; with what came `after` the activation, a gradient as it is before that."""
    height, width, channels = space.size
    with code.loop(height) as y:
        row = code.multiply(y, width * channels)
        source, target = code.at(image, row), code.at(out, code.add(code.multiply(y, space.row), space.first))
        for at, size in _along(code, width * channels):
            value = code.load(code.at(source, at), size)
            if activation:
                value = _through(code, value, code.load(code.at(after, code.add(row, at)), size), activation)
            code.store(value, code.at(target, at))


def _along(code: Code, floats: int) -> Any:
    """Places and widths of the vectors of a line; what is written in this loop is run for each."""
    wide = floats // lanes()
    if wide:
        with code.loop(wide) as index:
            yield code.multiply(index, lanes()), lanes()
    for start, width in widths(floats % lanes()):
        yield code.index(wide * lanes() + start), width


def _sum(code: Code, image: Any, space: _Padded, out: Any) -> None:
    """out[channel] += sum of the image's pixels"""
    height, width, channels = space.size
    apart = next(count for count in (4, 2, 1) if width % count == 0)  # sums that need not wait for each other
    for start, size in widths(channels):
        sums = [code.variable(code.constant(0.0, size)) for _ in range(apart)]
        with code.loop(height) as y, code.loop(width // apart) as x:
            at = code.add(code.multiply(y, space.row), code.multiply(x, apart * channels))
            pixel = code.at(image, code.add(at, space.first + start))
            for number, total in enumerate(sums):
                value = code.load(code.at(pixel, number * channels), size)
                code.set(total, code.builder.fadd(code.get(total, size), value))
        target = code.at(out, start)
        value = code.load(target, size)
        for total in sums:
            value = code.builder.fadd(value, code.get(total, size))
        code.store(value, target)


def _activated(code: Code, x: Any, activation: str) -> Any:
    """As torch has it, also of a NaN."""
    width = x.type.count
    if activation == "relu":
        return code.select(x, "<", 0.0, code.constant(0.0, width), x)
    if activation == "elu":
        return code.select(x, "<", 0.0, _expm1(code, x), x)
    return x


def _expm1(code: Code, x: Any) -> Any:
    """exp(x) - 1 for x < 0: of x = whole ln(2) + rest it is 2^whole expm1(rest) + 2^whole - 1."""
    width, builder = x.type.count, code.builder

    def constant(value: float) -> Any:
        return code.constant(value, width)

    x = code.select(x, "<", 0.0, code.select(x, ">", -30.0, x, constant(-30.0)), constant(0.0))  # below, it is -1
    whole = code.rounded(builder.fmul(x, constant(1 / math.log(2))))
    rest = code.multiply_add(whole, constant(-_LN2_HIGH), x)
    rest = code.multiply_add(whole, constant(-_LN2_LOW), rest)
    series = constant(_EXPM1[0])
    for factor in _EXPM1[1:]:
        series = code.multiply_add(series, rest, constant(factor))
    series = code.multiply_add(builder.fmul(series, rest), rest, rest)
    power = code.power_of_two(whole)
    return code.multiply_add(power, series, builder.fsub(power, constant(1.0)))


def _through(code: Code, gradient: Any, after: Any, activation: str) -> Any:
    """The gradient before an activation, from that after it and from what came out, as torch has it."""
    if activation == "relu":
        return code.select(after, "<=", 0.0, code.constant(0.0, gradient.type.count), gradient)
    return code.select(after, "<=", 0.0, code.multiply_add(gradient, after, gradient), gradient)
