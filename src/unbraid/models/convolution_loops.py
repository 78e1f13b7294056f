"""The loops of convolutions over one image, in code for the processor: sums over taps and pixels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from unbraid.kernels.machine_code import Code, lanes, registers, widths
from unbraid.models.activation_loops import activated, through
from unbraid.models.convolution_sizes import Convolution, Padded, Size, fold_of, pixels_at_once, sums_at_once

_SHORT = 8  # pixels in a row; of more LLVM does some at once, and leaves sums in memory where registers are 16

_TAPS = 4  # side by side, whose weights mostly stay in registers beside the sums


def down(code: Code, of: Convolution, large: Any, weight: Any, bias: Any, out: Any, activation: str) -> None:
    """out[y, x, n] = bias[n] + sum over taps and C of large[S y + ky, S x + kx, C] weight[ky, kx, C, n]"""
    height, width, outputs = of.small
    inputs, row = of.large[2], Padded.large(of).row
    taps = [
        [_Tap(ky * row + kx * inputs, (ky * of.kernel + kx) * inputs * outputs) for kx in range(of.kernel)]
        for ky in range(of.kernel)
    ]
    there = _Grid(height, width, of.stride * row, of.stride * inputs, width * outputs, outputs)
    classes = [_Class(0, taps)]
    _gather(code, there, large, weight, bias, out, inputs, outputs, fold_of(inputs, outputs), classes, activation)


def up(code: Code, of: Convolution, small: Any, weight: Any, bias: Any, out: Any, activation: str) -> None:
    """out[y, x, C] = bias[C] + sum over the windows that the pixel lies in and n of small[window, n] weight[tap, n, C]

    Pixels fall into S x S classes that lie in the same taps of their windows.
    """
    _, width, outputs = of.large
    inputs, row, step = of.small[2], Padded.small(of).row, of.stride * outputs
    classes = _classes_up(of, inputs * outputs)
    there = _Grid(of.large[0] // of.stride, width // of.stride, row, inputs, step * width, step)
    _gather(code, there, small, weight, bias, out, inputs, outputs, fold_of(inputs, outputs), classes, activation)


def _classes_up(of: Convolution, weights_of_tap: int) -> "list[_Class]":
    """By what remains of y and x over the stride."""
    (_, width, outputs), inputs, space = of.large, of.small[2], Padded.small(of)
    classes = []
    for ry in range(of.stride):
        for rx in range(of.stride):
            taps = []
            for ky in range(of.kernel):
                if (y := of.window(ry, ky)) is not None:
                    known = [(kx, x) for kx in range(of.kernel) if (x := of.window(rx, kx)) is not None]
                    read = space.first + y * space.row
                    row = [_Tap(read + x * inputs, (ky * of.kernel + kx) * weights_of_tap) for kx, x in known]
                    taps += [row] if row else []
            classes.append(_Class((ry * width + rx) * outputs, taps))
    return classes


class _Tap(NamedTuple):
    """Where it reads, and where its weights [inputs / fold, outputs, fold] lie: of one channel in a gradient."""

    read: int
    weight: int


class _Class(NamedTuple):
    """Pixels that have the same taps, in rows, and where the first of them is written."""

    write: int
    taps: Sequence[Sequence[_Tap]]


_Pattern = tuple[_Tap, ...]  # taps that are gone through together, seen from the first of them


def _together(taps: Sequence[Sequence[_Tap]], most: int) -> dict[_Pattern, list[_Tap]]:
    """Taps in parts of rows, at most so many in each: the first ones of all parts that have a pattern."""
    found: dict[_Pattern, list[_Tap]] = {}
    for row in taps:
        length = _even(len(row), most)
        for part in (row[start : start + length] for start in range(0, len(row), length)):
            first = part[0]
            pattern = tuple(_Tap(tap.read - first.read, tap.weight - first.weight) for tap in part)
            found.setdefault(pattern, []).append(first)
    return found


def _add_products(
    code: Code,
    source: Any,
    taps: Sequence[_Tap],
    pixels: Sequence[int],
    vectors: Sequence[tuple[int, int]],
    fold: int,
    term: Callable[[_Tap, int, int], tuple[Any, Any]],
) -> None:
    """What each pixel reads by each tap, times a factor, is added to a sum: `term(tap, pixel, start of vector)` is
    (sum, factor). A number is read once for all of them; pixels are known by where their own windows begin."""
    readers: dict[int, list[tuple[_Tap, int]]] = {}
    for pixel in pixels:
        for tap in taps:
            readers.setdefault(pixel + tap.read, []).append((tap, pixel))
    for distance, some in sorted(readers.items()):
        for start, width in vectors:
            number = _repeated(code, code.at(source, distance), fold, width)
            for tap, pixel in some:
                total, factor = term(tap, pixel, start)
                code.set(total, code.multiply_add(factor, number, code.get(total)))


def _tables(code: Code, taps: Sequence[Sequence[_Tap]]) -> tuple[Callable[[Any], Any], ...]:
    """Where the taps of each class begin and the last one's end; where each tap reads; where its weights are."""
    ends = [sum(map(len, taps[:number])) for number in range(len(taps) + 1)]
    every = [tap for some in taps for tap in some]
    return code.table(ends), code.table([tap.read for tap in every]), code.table([tap.weight for tap in every])


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
    classes: Sequence[_Class],
    activation: str,
) -> None:
    """For every class and every pixel of the grid: out = bias + sums over the taps.

    The sums of a tile stay in registers, each of the `fold` inputs with its own; in the end they are one. Where they
    are one vector a pixel, taps side by side are gone through together: a number that is read serves all of them.
    """
    parts = widths(outputs)
    rows, columns = grid.tile(sums_at_once(outputs))
    tile = [(y, x) for y in range(rows) for x in range(columns)]
    pixels = [y * grid.read_down + x * grid.read_right for y, x in tile]  # by where they read
    at = {pixel: y * grid.write_down + x * grid.write_right for pixel, (y, x) in zip(pixels, tile, strict=True)}

    def gather_alike(
        vectors: Sequence[tuple[int, int]], taps: Sequence[Mapping[_Pattern, Sequence[_Tap]]], places: Sequence[int]
    ) -> None:
        """For classes with the same patterns of taps, and some of the channels that are made."""
        patterns, writes = [*taps[0]], code.table(places)
        tables = [_tables(code, [own[pattern] for own in taps]) for pattern in patterns]
        with (
            code.loop(len(taps)) as kind,
            _starts(code, grid.height, rows) as y,
            _starts(code, grid.width, columns) as x,
        ):
            read = code.add(code.multiply(y, grid.read_down), code.multiply(x, grid.read_right))
            sums = {
                (pixel, start): code.variable(code.constant(0.0, width * fold))
                for start, width in vectors
                for pixel in pixels
            }
            for pattern, (bounds, reads, weights) in zip(patterns, tables, strict=True):
                with (
                    code.loop(bounds(code.add(kind, 1)), bounds(kind)) as part,
                    code.loop(inputs // fold, unrolled=True) as channel,
                ):
                    taken = code.at(source, code.add(code.add(read, reads(part)), code.multiply(channel, fold)))
                    factors = code.at(weight, code.add(weights(part), code.multiply(channel, outputs * fold)))
                    loaded = {
                        (tap, start): code.load(code.at(factors, tap.weight + start), width * fold)
                        for tap in pattern
                        for start, width in vectors
                    }

                    def term(tap: _Tap, pixel: int, start: int, loaded: Any = loaded) -> tuple[Any, Any]:
                        return sums[pixel, start], loaded[tap, start]

                    _add_products(code, taken, pattern, pixels, vectors, fold, term)
            write = code.add(code.multiply(y, grid.write_down), code.multiply(x, grid.write_right))
            target = code.at(out, code.add(write, writes(kind)))
            for start, width in vectors:
                biases = None if bias is None else code.load(code.at(bias, start), width)
                for some in _vectorfuls(pixels, outputs):
                    value = _summed_up(code, [code.get(sums[pixel, start]) for pixel in some], fold)
                    if biases is not None:
                        value = code.total(value, code.picked(biases, [*range(width)] * len(some)))
                    value = activated(code, value, activation)
                    first = at[some[0]]
                    if [at[pixel] for pixel in some] == [*range(first, first + len(some) * width, width)]:
                        code.store(value, code.at(target, first + start))
                        continue
                    for place, pixel in enumerate(some):
                        own = code.picked(value, range(place * width, (place + 1) * width))
                        code.store(own, code.at(target, at[pixel] + start))

    for vectors in (parts[first : first + 2] for first in range(0, len(parts), 2)):
        alike: dict[tuple[_Pattern, ...], list[tuple[int, dict[_Pattern, list[_Tap]]]]] = {}
        for each in classes:
            taps = _together(each.taps, _TAPS if len(vectors) == 1 else 1)
            alike.setdefault((*taps,), []).append((each.write, taps))
        for same in alike.values():
            gather_alike(vectors, [taps for _, taps in same], [write for write, _ in same])


def _vectorfuls(pixels: Sequence[int], outputs: int) -> list[Sequence[int]]:
    """The pixels in parts whose sums fill a vector, or nearly."""
    most = max(1, lanes() // outputs) if len(widths(outputs)) == 1 else 1
    parts = []
    while pixels:
        count = min(most, 1 << len(pixels).bit_length() - 1)  # a power of two, for they are joined in pairs
        parts.append(pixels[:count])
        pixels = pixels[count:]
    return parts


def _summed_up(code: Code, sums: Sequence[Any], fold: int) -> Any:
    """The sums of some pixels side by side, those of each pixel's `fold` inputs as one."""
    whole = _side_by_side(code, sums)
    return code.total(*(code.picked(whole, range(each, whole.type.count, fold)) for each in range(fold)))


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


def dots(code: Code, of: Convolution, small: Any, weight: Any, bias: Any, out: Any, activation: str) -> None:
    """out as `up` makes it, for few channels C, which would leave a vector empty: here it holds what one window sums.

    weight is [ky, kx, C, n], each row of it as often as pixels lie side by side in a vector (`pixels_at_once`).
    """
    height, width, channels = of.large
    inputs, row, columns, pixels = of.small[2], Padded.small(of).row, width // of.stride, pixels_at_once(of)
    parts, classes = widths(inputs * pixels), _classes_up(of, channels * inputs * pixels)
    sizes = {size for _, size in parts}
    count = 1 << (min(columns, lanes() // len(sizes)) // pixels).bit_length() - 1  # vectors, a power of two
    bounds, reads, weights = _tables(code, [[tap for row in each.taps for tap in row] for each in classes])

    def sums_of(kind: Any, read: Any, channel: int) -> Any:
        """Of `count * pixels` pixels in a row, as one vector."""
        sums = {(size, number): code.variable(code.constant(0.0, size)) for size in sizes for number in range(count)}
        with code.loop(bounds(code.add(kind, 1)), bounds(kind), unrolled=True) as tap:
            source = code.at(small, code.add(read, reads(tap)))
            factors = code.at(weight, code.add(weights(tap), channel * inputs * pixels))
            for start, size in parts:
                factor = code.load(code.at(factors, start), size)
                for number in range(count):
                    value = code.load(code.at(source, number * inputs * pixels + start), size)
                    total = sums[size, number]
                    code.set(total, code.multiply_add(value, factor, code.get(total)))
        return code.total(
            *(
                _sums_in(code, [code.get(sums[size, number]) for number in range(count)], size // pixels)
                for size in sizes
            )
        )

    with (
        code.loop(of.stride) as ry,
        code.loop(height // of.stride) as y,
        _starts(code, columns, count * pixels) as x,
    ):
        read = code.add(code.multiply(y, row), code.multiply(x, inputs))
        found = []
        for rx in range(of.stride):
            for channel in range(channels):
                value = sums_of(code.add(code.multiply(ry, of.stride), rx), read, channel)
                if bias is not None:
                    value = code.total(value, code.spread(code.scalar(code.at(bias, channel)), value.type.count))
                found.append(activated(code, value, activation))
        line = code.multiply(code.add(code.multiply(y, of.stride), ry), width * channels)
        target = code.at(out, code.add(line, code.multiply(x, len(found))))
        if len(found) in (1, 2, 4, 8):
            code.store(_interleaved(code, found), target)
        else:
            for place, value in enumerate(found):
                for number in range(count * pixels):
                    code.store(code.picked(value, [number]), code.at(target, number * len(found) + place))


def _sums_in(code: Code, vectors: Sequence[Any], size: int) -> Any:
    """The sums of every `size` numbers side by side, of all vectors, as one."""
    while size > 1:
        if len(vectors) > 1:
            width = 2 * vectors[0].type.count
            vectors = [
                code.total(*(code.joined(*pair, range(first, width, 2)) for first in (0, 1)))
                for pair in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        else:
            width = vectors[0].type.count
            vectors = [code.total(*(code.picked(vectors[0], range(first, width, 2)) for first in (0, 1)))]
        size //= 2
    return _side_by_side(code, vectors)


def _side_by_side(code: Code, vectors: Sequence[Any]) -> Any:
    """One vector of some alike, a power of two of them."""
    while len(vectors) > 1:
        vectors = [code.joined(*pair) for pair in zip(vectors[::2], vectors[1::2], strict=True)]
    return vectors[0]


def _interleaved(code: Code, vectors: Sequence[Any]) -> Any:
    """The first numbers of all vectors, a power of two of those, then the second ones, and so on."""
    while len(vectors) > 1:
        half, width = len(vectors) // 2, vectors[0].type.count
        places = [place for number in range(width) for place in (number, width + number)]
        vectors = [code.joined(*pair, places) for pair in zip(vectors[:half], vectors[half:], strict=True)]
    return vectors[0]


def weight_gradient(code: Code, of: Convolution, large: Any, small: Any, out: Any) -> None:
    """out[ky, kx, C, n] += sum over y and x of large[S y + ky, S x + kx, C] small[y, x, n]

    With a fold, out is [ky, kx, C / fold, n, fold].
    """
    height, width, outputs = of.small
    channels, space, padded = of.large[2], Padded.small(of), Padded.large(of)
    fold, parts = fold_of(channels, outputs), widths(outputs)
    for vectors in (parts[first : first + 2] for first in range(0, len(parts), 2)):
        most, line = registers() // len(vectors), of.kernel * channels // fold
        # Pixels gone through together, where the sums of a window's whole row stay in registers: what one reads mostly
        # serves the next.
        at_once = 2 if len(vectors) == 1 and width % 2 == 0 and line < most else 1
        step = of.stride * channels
        pixels = [number * step for number in range(at_once)]
        boxes = [
            [
                _Tap(
                    ky * padded.row + kx * channels + c * fold, ((ky * of.kernel + kx) * channels + c * fold) * outputs
                )
                for ky, kx, c in each
            ]
            for each in _boxes(of.kernel, channels // fold, most + 1 - at_once)
        ]
        for pattern, chunks in _together(boxes, most).items():  # those that lie alike are one loop
            reads, writes = code.table([row.read for row in chunks]), code.table([row.weight for row in chunks])
            with code.loop(len(chunks)) as chunk:
                corner, target = code.at(large, reads(chunk)), code.at(out, writes(chunk))
                sums = {
                    (row, start): code.variable(code.load(code.at(target, row.weight + start), size * fold))
                    for row in pattern
                    for start, size in vectors
                }
                count = width // at_once
                few = at_once == 1 and count <= _SHORT
                with code.loop(height) as y, code.loop(count, unrolled=few or lanes() > 8) as x:
                    at = code.add(code.multiply(y, space.row), code.multiply(x, at_once * outputs))
                    gradients = code.at(small, code.add(at, space.first))
                    at = code.add(code.multiply(y, of.stride * padded.row), code.multiply(x, at_once * step))
                    first = code.at(corner, at)
                    loaded = {}
                    for number, pixel in enumerate(pixels):
                        for start, size in vectors:
                            value = code.load(code.at(gradients, number * outputs + start), size)
                            loaded[pixel, start] = code.picked(value, [each // fold for each in range(size * fold)])

                    def term(
                        row: _Tap, pixel: int, start: int, sums: Any = sums, loaded: Any = loaded
                    ) -> tuple[Any, Any]:
                        return sums[row, start], loaded[pixel, start]

                    _add_products(code, first, pattern, pixels, vectors, fold, term)
                for (row, start), total in sums.items():
                    code.store(code.get(total), code.at(target, row.weight + start))


def _boxes(kernel: int, channels: int, most: int) -> Iterator[list[tuple[int, int, int]]]:
    """All (ky, kx, channel) in boxes of at most so many, as even as can be: channels first, of which 8, 16, 32 are cut
    into powers of two, then columns, then rows."""
    deep = _even(channels, 1 << most.bit_length() - 1)
    wide = _even(kernel, max(1, most // deep))
    high = _even(kernel, max(1, most // (wide * deep)))
    for ky, kx, c in product(range(0, kernel, high), range(0, kernel, wide), range(0, channels, deep)):
        rows, columns, depth = (
            range(first, min(first + length, stop))
            for first, length, stop in ((ky, high, kernel), (kx, wide, kernel), (c, deep, channels))
        )
        yield [*product(rows, columns, depth)]


def pad(
    code: Code, image: Any, out: Any, space: Padded, after: Any = None, activation: str = "", planes: bool = False
) -> None:
    """Copies an image, or its planes, into its zeros; with what came `after` the activation, a gradient as it is before
    that."""
    height, width, channels = space.size
    if planes:
        with code.loop(channels) as channel, code.loop(height) as y:
            row = code.multiply(code.add(code.multiply(channel, height), y), width)
            source = code.at(image, row)
            target = code.at(out, code.add(code.add(code.multiply(y, space.row), space.first), channel))
            for at, size in code.along(width):
                value = code.load(code.at(source, at), size)
                if activation:
                    value = through(code, value, code.load(code.at(after, code.add(row, at)), size), activation)
                for number in range(size):
                    to = code.multiply(code.add(at, number), channels)
                    code.store(code.picked(value, [number]), code.at(target, to))
        return
    with code.loop(height) as y:
        row = code.multiply(y, width * channels)
        source, target = code.at(image, row), code.at(out, code.add(code.multiply(y, space.row), space.first))
        for at, size in code.along(width * channels):
            value = code.load(code.at(source, at), size)
            if activation:
                value = through(code, value, code.load(code.at(after, code.add(row, at)), size), activation)
            code.store(value, code.at(target, at))


def to_planes(code: Code, image: Any, out: Any, size: Size) -> None:
    """[height, width, channels] -> [channels, height, width]"""
    height, width, channels = size
    with code.loop(channels) as channel, code.loop(height * width) as pixel:
        number = code.scalar(code.at(image, code.add(code.multiply(pixel, channels), channel)))
        code.store(number, code.at(out, code.add(code.multiply(channel, height * width), pixel)))


def sum_of_pixels(code: Code, image: Any, space: Padded, out: Any) -> None:
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
                    code.set(part, code.total(code.get(part), value))
            along = code.total(*map(code.get, row))
            code.set(total, code.total(code.get(total), along))
        target = code.at(out, start)
        code.store(code.total(code.load(target, size), code.get(total)), target)
