"""What a large dense layer does beside its library's products, with the images of a batch side by side, as columns."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from torch import Tensor

from unbraid.kernels.machine_code import Code, Kernel, Room, Span, compiled, lanes, shares_of
from unbraid.kernels.transformed import is_turned
from unbraid.models.activation_loops import activated, through
from unbraid.models.dense_loops import PANEL, Matrix, into, multiply, turned

_KERNELS = 64  # that are kept


def finish(sums: Tensor, bias: Tensor | None, activation: str) -> None:
    """Adds the bias [O] to sums [O, B], without gaps in memory, and does the activation, in their place."""
    if bias is not None or activation:
        outputs, images = sums.shape
        bias = None if bias is None else bias.contiguous()
        _finish(bias is not None, activation)(outputs, shares_of(outputs), [sums, bias, images])


@cache
def _finish(has_bias: bool, activation: str) -> Kernel:
    def work(code: Code, outputs: Span, arrays: Sequence[Any]) -> None:
        sums, bias, images = *arrays[:2], code.number(arrays[2])
        with code.loop(*outputs) as output:
            line = code.at(sums, code.multiply(output, images))
            for at, width in code.along(images):
                place = code.at(line, at)
                value = code.load(place, width)
                if has_bias:
                    value = code.total(value, code.spread(code.scalar(code.at(bias, output)), width))
                code.store(activated(code, value, activation), place)

    return compiled(3, work)


def gradient_before(gradient: Tensor, made: Tensor | None, activation: str) -> tuple[Tensor, Tensor]:
    """(gradient [O, B] before the activation, without gaps in memory, its sums over images [O]) of that after it and
    what the activation made."""
    outputs, images = gradient.shape
    by_images = is_turned(gradient)
    gradient = gradient if by_images else gradient.contiguous()
    found = gradient.new_empty(outputs, images) if by_images or activation else gradient
    sums = gradient.new_empty(outputs)
    made = None if made is None else made.contiguous()  # a hook may have saved it in another way
    run = _gradient_before(by_images, activation)
    run(outputs, shares_of(outputs), [gradient, made, found, sums, outputs, images])
    return found, sums


@cache
def _gradient_before(by_images: bool, activation: str) -> Kernel:
    def work(code: Code, outputs: Span, arrays: Sequence[Any]) -> None:
        gradient, made, found, sums = arrays[:4]
        of, images = map(code.number, arrays[4:])
        if by_images:
            to = Matrix(code.at(found, code.multiply(outputs.first, images)), images)
            turned(code, Matrix(code.at(gradient, outputs.first), of), images, code.builder.sub(*outputs), to)
            gradient = found
        with code.loop(*outputs) as output:
            first = code.multiply(output, images)
            totals = {width: code.variable(code.constant(0.0, width)) for width in (lanes(), 1)}
            for at, width in code.along(images):
                place = code.add(first, at)
                value = code.load(code.at(gradient, place), width)
                if activation:
                    value = through(code, value, code.load(code.at(made, place), width), activation)
                    code.store(value, code.at(found, place))
                code.set(totals[width], code.total(code.get(totals[width]), value))
            code.store(code.total(*(code.sum(code.get(total)) for total in totals.values())), code.at(sums, output))

    return compiled(6, work)


def in_rows(columns: Tensor) -> Tensor:
    """The same numbers of columns [O, B], without gaps in memory, as [B, O]."""
    outputs, images = columns.shape
    found = columns.new_empty(images, outputs)
    _in_rows()(outputs, shares_of(outputs), [columns, found, outputs, images])
    return found


@cache
def _in_rows() -> Kernel:
    def work(code: Code, outputs: Span, arrays: Sequence[Any]) -> None:
        columns, rows = arrays[:2]
        of, images = map(code.number, arrays[2:])
        source = Matrix(code.at(columns, code.multiply(outputs.first, images)), images)
        turned(code, source, code.builder.sub(*outputs), images, Matrix(code.at(rows, outputs.first), of))

    return compiled(4, work)


def gradient_of_weight(gradient: Tensor, x: Tensor) -> Tensor:
    """gradient [O, B], without gaps in memory, times x [B, I] -> [O, I]"""
    (images, inputs), outputs = x.shape, len(gradient)
    by_inputs = is_turned(x)
    x = x if by_inputs else x.contiguous()
    found = gradient.new_empty(outputs, inputs)
    run, space = _gradient_of_weight(1 << (images - 1).bit_length(), inputs, by_inputs)
    shares = shares_of(outputs)
    run(outputs, shares, [gradient, x, found, gradient.new_empty(shares * space), images])
    return found


@lru_cache(_KERNELS)
def _gradient_of_weight(most: int, inputs: int, by_inputs: bool) -> tuple[Kernel, int]:
    """(kernel over outputs, of so many images at most, floats of its working space a share); x lies as [I, B] where it
    is `by_inputs`."""
    room = Room()
    working = room.take(most * PANEL * lanes())

    def work(code: Code, outputs: Span, arrays: Sequence[Any]) -> None:
        gradient, x, found, space = arrays[:4]
        images = code.number(arrays[4])

        def panel(first: Any, count: int) -> Matrix:
            own = Matrix(code.at(space, working), count)  # side by side, for rows of x may share a place in the cache
            if by_inputs:
                turned(code, Matrix(code.at(x, code.multiply(first, images)), images), count, images, own)
            else:
                with code.loop(images) as image:
                    source = code.at(x, code.add(code.multiply(image, inputs), first))
                    code.copy(source, code.at(own.start, code.multiply(image, count)), count)
            return own

        multiply(code, outputs, inputs, images, Matrix(gradient, images), panel, into(code, found, inputs))

    return compiled(5, work, share_of_array={3: room.floats}), room.floats
