"""Operators on each number by itself, several in a row by one kernel, with the same bits as torch's.

Those are sums, products and quotients, which IEEE 754 rounds exactly. Of exponentials each library has its own, and of
roots too: MKL's are not exact.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unbraid.kernels.machine_code import Code, Kernel, Span, compiled, shares_of
from unbraid.kernels.tape import Entry, Tape, storage
from unbraid.kernels.transformed import holds_floats

_FEW = 1 << 15  # numbers that torch too has one thread for; it may flush denormals where others do not
_PARTS = 64  # of numbers in a row, where threads share them
_KERNELS = 1024  # that are kept
_LARGEST = torch.finfo(torch.float32).max

_aten = torch.ops.aten
_NAMES: dict[Any, str] = {
    **dict.fromkeys([_aten.add.Tensor, _aten.add.Scalar], "add"),
    **dict.fromkeys([_aten.sub.Tensor, _aten.sub.Scalar], "sub"),
    **dict.fromkeys([_aten.mul.Tensor, _aten.mul.Scalar], "mul"),
    **dict.fromkeys([_aten.div.Tensor, _aten.div.Scalar], "div"),
    _aten.rsub.Scalar: "rsub",
    _aten.neg.default: "neg",
    _aten.reciprocal.default: "reciprocal",
}
_POWERS = {1: "same", 2: "square", 3: "cube"}  # that torch copies, or takes as products
_EMITTED: dict[str, Callable[..., Any]] = {
    "add": lambda code, a, b: code.builder.fadd(a, b),
    "sub": lambda code, a, b: code.builder.fsub(a, b),
    "mul": lambda code, a, b: code.builder.fmul(a, b),
    "div": lambda code, a, b: code.builder.fdiv(a, b),
    "rsub": lambda code, a, b: code.builder.fsub(b, a),
    "neg": lambda code, a: code.builder.fneg(a),
    "same": lambda code, a: a,
    "reciprocal": lambda code, a: code.builder.fdiv(code.constant(1.0, a.type.count), a),
    "square": lambda code, a: code.builder.fmul(a, a),
    "cube": lambda code, a: code.builder.fmul(code.builder.fmul(a, a), a),
}


class Pointwise(NamedTuple):
    """An entry's operator of _EMITTED, the tensors and numbers that it takes, and the tensor that it fills."""

    entry: Entry
    name: str
    taken: Sequence[Tensor | float]
    made: Tensor


def fused(tape: Tape) -> list[Entry]:
    """Its program where kernels do such operators, those in a row together. What they need is kept by the tape."""
    program: list[Entry] = []
    points = [(entry, _point(entry)) for entry in tape.program]
    for are_known, run in groupby(points, lambda both: both[1] is not None):
        if not are_known:
            program += [entry for entry, _ in run]
            continue
        for nests in _together([point for _, point in run if point is not None]):
            entries = [point.entry for nest in nests for point in nest.points]
            if len(entries) == 1 and nests[0].numbers > _FEW:  # torch may do it, whose call takes less than the numbers
                program += entries
                continue
            call, kept = _bound(nests)
            reads = frozenset[int]().union(*(entry.reads for entry in entries))
            writes = frozenset[int]().union(*(entry.writes for entry in entries))
            program.append(Entry(call, (), {}, reads, writes))
            tape.kept.append(kept)
    return program


def _together(points: Sequence[Pointwise]) -> Iterator[Sequence["_Nest"]]:
    """Loops for these, by kernel: small ones in a row are one kernel's, and each large one is."""
    nests: list[_Nest] = []
    for point in points:
        if not nests or not nests[-1].takes(point):
            nests.append(_Nest(point.made.shape))
        nests[-1].add(point)
    small: list[_Nest] = []
    for nest in nests:
        if nest.numbers <= _FEW:
            small.append(nest)
            continue
        if small:
            yield small
        yield [nest]
        small = []
    if small:
        yield small


def _point(entry: Entry) -> Pointwise | None:
    """What an entry stands for, where it is one of these operators on floats in the CPU's memory."""
    if entry.of is None:
        return None
    func, args, kwargs, made = entry.of
    name = _NAMES.get(func)
    if func is _aten.pow.Tensor_Scalar:
        name, args = _POWERS.get(args[1]), args[:1]
    fits = len(args) <= 2 and all(key == "alpha" and value == 1 for key, value in kwargs.items())
    if name is None or not fits or made.numel() == 0 or not all(_is_known(name, value) for value in (*args, made)):
        return None
    return Pointwise(entry, name, args, made)


def _is_known(name: str, value: Any) -> bool:
    if isinstance(value, Tensor):
        return holds_floats(value)
    if type(value) not in (int, float) or not abs(value) <= _LARGEST or float(value) != value:
        return False
    # LLVM leaves out products with 1 and sums with 0, and with them that denormals are flushed.
    return value != 0 and not (name in ("mul", "div") and abs(value) == 1)


_View = tuple[int, tuple[int, ...]]  # an address and the floats from one number to the next along each axis


class _Nest:
    """Loops over one shape, all of whose operators are done for a number before the next."""

    def __init__(self, shape: torch.Size) -> None:
        self.shape, self.numbers = shape, math.prod(shape)
        self.points: list[Pointwise] = []
        self._read: dict[int, set[_View]] = {}  # by storage
        self._written: dict[int, _View] = {}

    def takes(self, point: Pointwise) -> bool:
        """Not one of another shape; nor one that reads what is written here at another place than its own number's, or
        writes where another number is read."""
        if point.made.shape != self.shape:
            return False
        made = self.view(point.made)
        there = storage(point.made)
        free = self._written.get(there, made) == made and self._read.get(there, {made}) == {made}
        return free and all(
            self._written.get(storage(each), self.view(each)) == self.view(each)
            for each in point.taken
            if isinstance(each, Tensor)
        )

    def add(self, point: Pointwise) -> None:
        for each in point.taken:
            if isinstance(each, Tensor):
                self._read.setdefault(storage(each), set()).add(self.view(each))
        self._written[storage(point.made)] = self.view(point.made)
        self.points.append(point)

    def view(self, tensor: Tensor) -> _View:
        return tensor.data_ptr(), tensor.expand(self.shape).stride()


class _Loops(NamedTuple):
    """A nest as its code knows it: no addresses, so that one kernel serves all that are alike."""

    sizes: tuple[int, ...]  # of axes, the innermost last
    strides: tuple[tuple[int, ...], ...]  # of each operand along each axis
    operators: tuple[tuple[str, tuple[int | float, ...], int], ...]  # name, operands by number or floats, operand made


def _loops(nest: _Nest, are_shared: bool) -> tuple[_Loops, list[Tensor]]:
    """The loops, and the tensors that are their operands."""
    operands: dict[_View, Tensor] = {}
    operators = []
    for _, name, taken, made in nest.points:
        for each in (*taken, made):
            if isinstance(each, Tensor):
                operands.setdefault(nest.view(each), each)
        numbers = {view: number for number, view in enumerate(operands)}
        given = tuple(numbers[nest.view(each)] if isinstance(each, Tensor) else float(each) for each in taken)
        operators.append((name, given, numbers[nest.view(made)]))
    first = nest.points[0].made.stride()
    order = sorted((axis for axis, size in enumerate(nest.shape) if size > 1), key=lambda axis: -first[axis])
    axes: list[tuple[int, tuple[int, ...]]] = []  # size, stride of each operand
    for axis in order:
        size, strides = nest.shape[axis], tuple(view[1][axis] for view in operands)
        if axes and all(outer == inner * size for outer, inner in zip(axes[-1][1], strides, strict=True)):
            axes[-1] = axes[-1][0] * size, strides
        else:
            axes.append((size, strides))
    if are_shared and len(axes) == 1 and axes[0][0] % _PARTS == 0:
        size, strides = axes[0][0] // _PARTS, axes[0][1]
        axes = [(_PARTS, tuple(size * stride for stride in strides)), (size, strides)]
    axes = axes or [(1, (0,) * len(operands))]
    sizes, along = zip(*axes, strict=True)
    return _Loops(sizes, tuple(zip(*along, strict=True)), tuple(operators)), [*operands.values()]


def _bound(nests: Sequence[_Nest]) -> tuple[Callable[[], None], Sequence[Any]]:
    """Small ones on one thread; of a large one, which comes alone, threads share the outermost axis."""
    are_shared = nests[0].numbers > _FEW
    found = [_loops(nest, are_shared) for nest in nests]
    tensors = [tensor for _, operands in found for tensor in operands]
    sizes = found[0][0].sizes
    are_shared = are_shared and len(sizes) > 1
    kernel = _kernel(tuple(loops for loops, _ in found), are_shared)
    images = sizes[0] if are_shared else 1
    return kernel.bound(images, shares_of(images), tensors), (kernel, tensors)


@lru_cache(_KERNELS)
def _kernel(nests: tuple[_Loops, ...], are_shared: bool) -> Kernel:
    def work(code: Code, images: Span, arrays: Sequence[Any]) -> None:
        for nest in nests:
            own, arrays = arrays[: len(nest.strides)], arrays[len(nest.strides) :]
            span = images if are_shared else Span(code.index(nest.sizes[0]), code.index(0))
            code.apart(partial(_write, nest), *span, *own)

    return compiled(sum(len(nest.strides) for nest in nests), work)


def _write(nest: _Loops, code: Code, last: Any, first: Any, *pointers: Any) -> None:
    _write_axis(code, nest, 0, Span(last, first), pointers)


def _write_axis(code: Code, nest: _Loops, axis: int, outermost: Span, pointers: Sequence[Any]) -> None:
    """The loop over this axis and those within; the pointers are where those around it have come to."""
    steps = [strides[axis] for strides in nest.strides]
    if axis + 1 < len(nest.sizes):
        with code.loop(*(outermost if axis == 0 else (nest.sizes[axis],))) as index:
            _write_axis(code, nest, axis + 1, outermost, _moved(code, pointers, index, steps))
        return
    filled = {made for *_, made in nest.operators}
    fixed = {
        number: code.scalar(pointer)
        for number, (pointer, step) in enumerate(zip(pointers, steps, strict=True))
        if step == 0 and number not in filled
    }
    for at, width in _numbers(code, nest.sizes[axis], by_vectors=all(step in (0, 1) for step in steps)):
        places = _moved(code, pointers, at, steps)
        values = {number: code.spread(scalar, width) for number, scalar in fixed.items()}
        for name, taken, made in nest.operators:
            given = []
            for each in taken:
                if isinstance(each, float):
                    given.append(code.constant(each, width))
                    continue
                if each not in values:
                    values[each] = code.load(places[each], width)
                given.append(values[each])
            values[made] = _EMITTED[name](code, *given)
            code.store(values[made], places[made])


def _moved(code: Code, pointers: Sequence[Any], index: Any, steps: Sequence[int]) -> list[Any]:
    return [code.at(pointer, code.multiply(index, step)) for pointer, step in zip(pointers, steps, strict=True)]


def _numbers(code: Code, count: int, by_vectors: bool) -> Iterator[tuple[Any, int]]:
    """(place, width) of so many numbers; what is written in this loop is run for each."""
    if by_vectors:
        yield from code.along(count)
    else:
        with code.loop(count) as at:
            yield at, 1
