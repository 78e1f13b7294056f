"""Convolutions with the activation that follows them, each compiled for its sizes (machine_code.py).

Letters: S stride, k kernel, P padding. `large` is the side of a convolution with more pixels, [H, W, C], `small` the
other, [h, w, n]: `down` goes from large to small, `up` back, and a convolution's gradient for its images is the other
of the two. Images lie channels last, and one image is worked on at a time, so that all that is made on the way lies
in the cache.

A vector holds the numbers of several channels that are made. Where those fill half of it or a quarter, it takes two
inputs or four at once: `fold` of them, whose weights lie interleaved.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

from unbraid.models.exponential import expm1
from unbraid.models.machine_code import Code, Kernel, compiled, lanes, registers, widths

_KERNELS = 256  # that are kept; a net has some ten, and one more of each for every size of images
_LINE = 16  # floats of a line of the cache
_NARROW = 8  # channels below which sums for one pixel leave most of a vector empty

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


Chain = tuple[Convolution, ...]  # each is given what the one before it makes


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
        height, width = (
            max(of.padding + pixels, (windows - 1) * of.stride + of.kernel)
            for pixels, windows in zip(of.large[:2], of.small[:2], strict=True)
        )
        return cls(of.large, of.padding, height, width)

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


def fill_vectors(channels: int) -> bool:
    """Nearly: the rest beside whole vectors is two smaller ones at most. 15 = 8 + 4 + 2 + 1 is better off in torch."""
    return len(widths(channels % lanes())) <= 2


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
        self.padded = _Padded.small(of) if of.transposed else _Padded.large(of)
        self.image, self.weight = room.take(self.padded.floats), _Weight(room, of, of.transposed)
        self.scattered = room.take(_scatter_floats(of)) if of.transposed else 0
        self.made = 0 if kept else room.take(math.prod(of.made))

    def begin(self, code: Code, weight: Any, space: Any) -> None:
        self.weight.arrange(code, weight, space)

    def each(self, code: Code, x: Any, weight: Any, bias: Any, y: Any, space: Any) -> None:
        of, given = self.of, code.at(space, self.image)
        _pad(code, x, given, self.padded)
        arrangement = self.weight.of(code, weight, space)
        if not of.transposed:
            _down(code, of, given, arrangement, bias, y, of.activation)
        elif _is_scattered(of):
            _scatter(code, of, given, arrangement, bias, y, code.at(space, self.scattered))
            _activate(code, y, math.prod(of.made), of.activation)
        else:
            _up(code, of, given, arrangement, bias, y, of.activation)


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
        self.large_size, self.small_size = _Padded.large(of), _Padded.small(of)
        self.large, self.small = room.take(self.large_size.floats), room.take(self.small_size.floats)
        if of_images:
            self.weight = _Weight(room, of, not of.transposed)
            self.scattered = 0 if of.transposed else room.take(_scatter_floats(of))
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
        _pad(code, gradient, of_made, made_size, y, of.activation)
        if self.of_weights:
            _pad(code, x, of_given, given_size)
            _sum(code, of_made, made_size, code.at(space, self.of_bias))
            _weight_gradient(code, of, large, small, code.at(space, self.of_weight))
        if not self.of_images:
            return
        arrangement = self.weight.of(code, weight, space)
        if of.transposed:
            _down(code, of, large, arrangement, None, for_x, "")
        elif _is_scattered(of):
            _scatter(code, of, small, arrangement, None, for_x, code.at(space, self.scattered))
        else:
            _up(code, of, small, arrangement, None, for_x, "")

    def end(self, code: Code, share: Any, shares: Any, space: Any, for_weight: Any, for_bias: Any) -> None:
        """Adds up what the shares found, each some rows; the weight's gradient becomes [n, k, k, C]."""
        of = self.of
        inputs, outputs = of.large[2], of.small[2]
        fold = _fold(inputs, outputs)
        rows = of.weights // (outputs * fold)  # as `_weight_gradient` has them

        def total(place: Any, width: int) -> Any:
            found = code.variable(code.constant(0.0, width))
            with code.loop(shares) as other:
                there = code.at(space, code.add(code.multiply(other, self.room.floats), place))
                code.set(found, _added(code, [code.get(found), code.load(there, width)]))
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
        self.is_as_given = up and _is_scattered(of)
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
        fold = _fold(inputs, outputs)
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


def _is_scattered(of: Convolution) -> bool:
    return of.large[2] < _NARROW and of.kernel > 1


def _scatter_floats(of: Convolution) -> int:
    """That `_scatter` works in; 0 where it is not used."""
    if not _is_scattered(of):
        return 0
    return _Padded.large(of).floats + _patches_at_once(of) * of.kernel**2 * of.large[2]


def _patches_at_once(of: Convolution) -> int:
    return min(of.small[1], registers() // min(2, len(widths(of.kernel**2 * of.large[2]))))


def _fold(inputs: int, outputs: int) -> int:
    fold = lanes() // outputs
    return fold if fold in (2, 4) and lanes() % outputs == 0 and inputs % fold == 0 else 1


def _down(code: Code, of: Convolution, large: Any, weight: Any, bias: Any, out: Any, activation: str) -> None:
    """out[y, x, n] = bias[n] + sum over taps and C of large[S y + ky, S x + kx, C] weight[ky, kx, C, n]"""
    height, width, outputs = of.small
    inputs, row = of.large[2], _Padded.large(of).row
    taps = [(ky * row + kx * inputs, (ky * of.kernel + kx) * inputs * outputs) for ky, kx in of.taps()]
    there = _Grid(height, width, of.stride * row, of.stride * inputs, width * outputs, outputs)
    _gather(code, there, large, weight, bias, out, inputs, outputs, _fold(inputs, outputs), [(0, taps)], activation)


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
    _gather(code, there, small, weight, bias, out, inputs, outputs, _fold(inputs, outputs), classes, activation)


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
        """(height, width) of tiles of at most so many pixels; where they do not fit the grid, the last ones overlap."""
        width = _even(self.width, most)
        return _even(self.height, max(1, most // width)), width


def _even(count: int, most: int) -> int:
    """Length of the fewest parts of `count` things with at most so many each."""
    return -(-count // -(-count // most))


def _gather(
    code: Code,
    grid: _Grid,
    source: Any,
    weight: Any,
    bias: Any,
    out: Any,
    inputs: int,
    outputs: int,
    fold: int,
    classes: Sequence[tuple[int, Sequence[tuple[int, int]]]],
    activation: str,
) -> None:
    """For every class, (where it is written, its taps), and every pixel of the grid: out = bias + sums over the taps.

    A tap is where it reads and where its weights [inputs / fold, outputs, fold] lie. The sums of a tile stay in
    registers, each of the `fold` inputs with its own; in the end they are one.
    """
    ends = [sum(len(taps) for _, taps in classes[:number]) for number in range(len(classes) + 1)]
    bounds, places = code.table(ends), code.table([place for place, _ in classes])
    reads = code.table([read for _, taps in classes for read, _ in taps])
    weights = code.table([place for _, taps in classes for _, place in taps])
    parts = widths(outputs)
    for vectors in (parts[first : first + 2] for first in range(0, len(parts), 2)):
        down, right = grid.tile(min(registers() // len(vectors), 16))  # more would not be quicker, only longer code
        pixels = [(y, x) for y in range(down) for x in range(right)]
        with (
            code.loop(len(classes)) as kind,
            _starts(code, grid.height, down) as y,
            _starts(code, grid.width, right) as x,
        ):
            read = code.add(code.multiply(y, grid.read_down), code.multiply(x, grid.read_right))
            sums = {
                (pixel, start): code.variable(code.constant(0.0, width * fold))
                for start, width in vectors
                for pixel in pixels
            }
            with code.loop(bounds(code.add(kind, 1)), bounds(kind)) as tap, code.loop(inputs // fold) as channel:
                taken = code.at(source, code.add(code.add(read, reads(tap)), code.multiply(channel, fold)))
                factors = code.at(weight, code.add(weights(tap), code.multiply(channel, outputs * fold)))
                loaded = {start: code.load(code.at(factors, start), width * fold) for start, width in vectors}
                for pixel in pixels:
                    numbers = code.at(taken, pixel[0] * grid.read_down + pixel[1] * grid.read_right)
                    for start, width in vectors:
                        total, number = sums[pixel, start], _repeated(code, numbers, fold, width)
                        code.set(total, code.multiply_add(number, loaded[start], code.get(total)))
            write = code.add(code.multiply(y, grid.write_down), code.multiply(x, grid.write_right))
            target = code.at(out, code.add(write, places(kind)))
            at = {(y, x): y * grid.write_down + x * grid.write_right for y, x in pixels}
            for start, width in vectors:
                biases = None if bias is None else code.load(code.at(bias, start), width)
                for some in _together(pixels, outputs):
                    value = _apart(code, [code.get(sums[pixel, start]) for pixel in some], fold)
                    if biases is not None:
                        value = _added(code, [value, code.picked(biases, [*range(width)] * len(some))])
                    value = _activated(code, value, activation)
                    first = at[some[0]]
                    if [at[pixel] for pixel in some] == [*range(first, first + len(some) * width, width)]:
                        code.store(value, code.at(target, first + start))
                        continue
                    for number, pixel in enumerate(some):
                        own = code.picked(value, range(number * width, (number + 1) * width))
                        code.store(own, code.at(target, at[pixel] + start))


def _together(pixels: Sequence[tuple[int, int]], outputs: int) -> list[Sequence[tuple[int, int]]]:
    """The pixels in parts whose sums fill a vector, or nearly."""
    most = max(1, lanes() // outputs) if len(widths(outputs)) == 1 else 1
    parts = []
    while pixels:
        count = min(most, 1 << len(pixels).bit_length() - 1)
        parts.append(pixels[:count])
        pixels = pixels[count:]
    return parts


def _apart(code: Code, sums: Sequence[Any], fold: int) -> Any:
    """The sums of some pixels side by side, those of each pixel's `fold` inputs as one."""
    width = sums[0].type.count
    while len(sums) > 1:
        sums = [code.joined(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)]
    (whole,) = sums
    return _added(code, [code.picked(whole, range(each, whole.type.count, fold)) for each in range(fold)])


@contextmanager
def _starts(code: Code, count: int, length: int) -> Iterator[Any]:
    """Where each part of that length begins; the last overlaps the one before it rather than reach beyond `count`."""
    with code.loop(-(-count // length)) as part:
        yield code.smaller(code.multiply(part, length), count - length)


def _repeated(code: Code, numbers: Any, fold: int, width: int) -> Any:
    """The `fold` floats at a pointer, over and over: a, b, a, b, ..."""
    if fold == 1:
        return code.spread(code.scalar(numbers), width)
    return code.picked(code.load(numbers, fold), [*range(fold)] * width)


def _added(code: Code, values: Sequence[Any]) -> Any:
    return reduce(code.builder.fadd, values)


def _scatter(code: Code, of: Convolution, small: Any, weight: Any, bias: Any, out: Any, working: Any) -> None:
    """What `_up` does, for few channels C: each pixel of small is added to the k x k x C numbers that it tells of.

    weight is [n, k, k, C], so that one vector has several taps.
    """
    height, width, channels = of.large
    inputs, space, padded = of.small[2], _Padded.small(of), _Padded.large(of)
    patch, row = of.kernel**2 * channels, of.kernel * channels
    large, patches = working, code.at(working, padded.floats)
    biases = [] if bias is None else [code.scalar(code.at(bias, channel)) for channel in range(channels)]
    if len(biases) < 2:
        code.fill(large, padded.floats, *biases)
    else:
        with code.loop(padded.floats // channels) as pixel:
            for channel, scalar in enumerate(biases):
                code.store(scalar, code.at(large, code.add(code.multiply(pixel, channels), channel)))

    def tell(y: Any, x: Any, count: int) -> None:
        """Of so many pixels from (y, x) on."""
        read = code.add(code.multiply(y, space.row), code.multiply(x, inputs))
        grid, one = _Grid(1, count, 0, inputs, 0, patch), [(0, [(space.first, 0)])]
        _gather(code, grid, code.at(small, read), weight, None, patches, inputs, patch, 1, one, "")
        first = code.add(code.multiply(y, of.stride * padded.row), code.multiply(x, of.stride * channels))
        with code.loop(count) as pixel:
            corner = code.at(large, code.add(first, code.multiply(pixel, of.stride * channels)))
            told = code.at(patches, code.multiply(pixel, patch))
            for ky in range(of.kernel):
                for start, size in widths(row):
                    target, value = code.at(corner, ky * padded.row + start), code.at(told, ky * row + start)
                    code.store(_added(code, [code.load(target, size), code.load(value, size)]), target)

    count = _patches_at_once(of)
    whole, rest = of.small[1] // count, of.small[1] % count
    with code.loop(of.small[0]) as y:
        with code.loop(whole) as part:
            tell(y, code.multiply(part, count), count)
        if rest:
            tell(y, whole * count, rest)
    with code.loop(height) as y:
        source = code.at(large, code.add(code.multiply(y, padded.row), padded.first))
        target = code.at(out, code.multiply(y, width * channels))
        for at, size in code.along(width * channels):
            code.store(code.load(code.at(source, at), size), code.at(target, at))


def _weight_gradient(code: Code, of: Convolution, large: Any, small: Any, out: Any) -> None:
    """out[ky, kx, C, n] += sum over y and x of large[S y + ky, S x + kx, C] small[y, x, n]

    With a fold, out is [ky, kx, C / fold, n, fold].
    """
    height, width, outputs = of.small
    channels, space, padded = of.large[2], _Padded.small(of), _Padded.large(of)
    fold, parts = _fold(channels, outputs), widths(outputs)
    line = range(0, of.kernel * channels, fold)  # of a window
    for vectors in (parts[first : first + 2] for first in range(0, len(parts), 2)):
        # Rows at a time, whose sums stay in registers: a power of two, as channels mostly are, so that no part is left.
        most = 1 << (registers() // len(vectors)).bit_length() - 1
        lines, length = max(1, most // len(line)), _even(len(line), most)
        patterns: dict[tuple[int, ...], list[tuple[int, int]]] = {}  # rows that lie alike are one loop
        for ky in range(0, of.kernel, lines):
            for first in range(0, len(line), length):
                some = [
                    y * padded.row + c for y in range(min(lines, of.kernel - ky)) for c in line[first : first + length]
                ]
                place = (ky * len(line) + first) * outputs * fold
                pattern = tuple(row - some[0] for row in some)
                patterns.setdefault(pattern, []).append((ky * padded.row + some[0], place))
        for pattern, chunks in patterns.items():
            reads, writes = code.table([read for read, _ in chunks]), code.table([write for _, write in chunks])
            with code.loop(len(chunks)) as chunk:
                corner, target = code.at(large, reads(chunk)), code.at(out, writes(chunk))
                sums = {
                    (number, start): code.variable(
                        code.load(code.at(target, number * outputs * fold + start), size * fold)
                    )
                    for number in range(len(pattern))
                    for start, size in vectors
                }
                with code.loop(height) as y, code.loop(width) as x:
                    at = code.add(code.multiply(y, space.row), code.multiply(x, outputs))
                    gradients = code.at(small, code.add(at, space.first))
                    at = code.add(code.multiply(y, of.stride * padded.row), code.multiply(x, of.stride * channels))
                    pixel = code.at(corner, at)
                    loaded = {}
                    for start, size in vectors:
                        value = code.load(code.at(gradients, start), size)
                        loaded[start] = code.picked(value, [each // fold for each in range(size * fold)])
                    for number, distance in enumerate(pattern):
                        for start, size in vectors:
                            total, factor = sums[number, start], _repeated(code, code.at(pixel, distance), fold, size)
                            code.set(total, code.multiply_add(factor, loaded[start], code.get(total)))
                for (number, start), total in sums.items():
                    code.store(code.get(total), code.at(target, number * outputs * fold + start))


def _pad(code: Code, image: Any, out: Any, space: _Padded, after: Any = None, activation: str = "") -> None:
    """Copies an image into its zeros; with what came `after` the activation, a gradient as it is before that."""
    height, width, channels = space.size
    with code.loop(height) as y:
        row = code.multiply(y, width * channels)
        source, target = code.at(image, row), code.at(out, code.add(code.multiply(y, space.row), space.first))
        for at, size in code.along(width * channels):
            value = code.load(code.at(source, at), size)
            if activation:
                value = _through(code, value, code.load(code.at(after, code.add(row, at)), size), activation)
            code.store(value, code.at(target, at))


def _activate(code: Code, image: Any, floats: int, activation: str) -> None:
    if activation:
        for at, size in code.along(floats):
            place = code.at(image, at)
            code.store(_activated(code, code.load(place, size), activation), place)


def _sum(code: Code, image: Any, space: _Padded, out: Any) -> None:
    """out[channel] += sum of the image's pixels"""
    height, width, channels = space.size
    apart = next(count for count in (4, 2, 1) if width % count == 0)  # sums that need not wait for each other
    for start, size in widths(channels):
        total = code.variable(code.constant(0.0, size))  # of rows, so that no sum is long
        with code.loop(height) as y:
            row = [code.variable(code.constant(0.0, size)) for _ in range(apart)]
            with code.loop(width // apart) as x:
                at = code.add(code.multiply(y, space.row), code.multiply(x, apart * channels))
                pixel = code.at(image, code.add(at, space.first + start))
                for number, part in enumerate(row):
                    value = code.load(code.at(pixel, number * channels), size)
                    code.set(part, _added(code, [code.get(part), value]))
            along = _added(code, [code.get(part) for part in row])
            code.set(total, _added(code, [code.get(total), along]))
        target = code.at(out, start)
        code.store(_added(code, [code.load(target, size), code.get(total)]), target)


def _activated(code: Code, x: Any, activation: str) -> Any:
    """As torch has it, also of a NaN."""
    width = x.type.count
    if activation == "relu":
        return code.select(x, "<", 0.0, code.constant(0.0, width), x)
    if activation == "elu":
        return code.select(x, "<", 0.0, expm1(code, x), x)
    return x


def _through(code: Code, gradient: Any, after: Any, activation: str) -> Any:
    """The gradient before an activation, from that after it and from what came out, as torch has it."""
    if activation == "relu":
        return code.select(after, "<=", 0.0, code.constant(0.0, gradient.type.count), gradient)
    return code.select(after, "<=", 0.0, code.multiply_add(gradient, after, gradient), gradient)
