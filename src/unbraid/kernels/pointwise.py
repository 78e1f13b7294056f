"""Operators on each number by itself, several in a row in one loop, with the same bits as torch's.

Those are sums, products and quotients, which IEEE 754 rounds exactly, and exponentials and logarithms of torch's own.
Roots stay torch's operators: MKL's are not exact.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unbraid.kernels import torchs_functions
from unbraid.kernels.machine_code import GRAIN, Code, Span
from unbraid.kernels.tape import Operator, storage
from unbraid.kernels.transformed import holds_floats

_PIECES = 64  # at most, of numbers in a row, where threads share them
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
    **{name: partial(torchs_functions.of_vector, name=name) for name in torchs_functions.OF_VECTORS},
}


class Pointwise(NamedTuple):
    """An operator of _EMITTED, the tensors and numbers that it takes, and the tensor that it fills."""

    name: str
    taken: Sequence[Tensor | float]
    made: Tensor


def points(operator: Operator) -> list[Pointwise]:
    """What it does to each number, where it is one of these on floats in the CPU's memory."""
    func, args, kwargs, made = operator
    if func is _aten.cat.default:
        return _copies(made, *args, **kwargs)
    name = _NAMES.get(func)
    if func is _aten.pow.Tensor_Scalar:
        name, args = _POWERS.get(args[1]), args[:1]
    elif torchs_functions.takes_vectors(of_torch := torchs_functions.NAMES.get(func, "")):
        name = of_torch
    fits = len(args) <= 2 and all(key == "alpha" and value == 1 for key, value in kwargs.items())
    if name is None or not fits or made.numel() == 0 or not all(_is_known(name, value) for value in (*args, made)):
        return []
    return [Pointwise(name, args, made)]


def _copies(made: Tensor, tensors: Sequence[Tensor], axis: int = 0) -> list[Pointwise]:
    """Of tensors side by side."""
    if not all(each.dim() == made.dim() and each.numel() and holds_floats(each) for each in (*tensors, made)):
        return []
    places = made.split([each.shape[axis] for each in tensors], axis)
    return [Pointwise("same", [each], place) for each, place in zip(tensors, places, strict=True)]


def _is_known(name: str, value: Any) -> bool:
    if isinstance(value, Tensor):
        return holds_floats(value)
    if type(value) not in (int, float) or not abs(value) <= _LARGEST or float(value) != value:
        return False
    value = _rounded(value)
    # LLVM leaves out products with 1 and sums with 0, and with them that denormals are flushed.
    return value != 0 and not (name in ("mul", "div") and abs(value) == 1)


def _rounded(value: float) -> float:
    """The nearest float32."""
    return torch.tensor(value, dtype=torch.float32).item()


def pieces_of(numbers: int) -> int:
    """Into how many pieces of one size threads part so many numbers in a row."""
    return next(count for count in range(_PIECES, 0, -1) if numbers % count == 0)


_View = tuple[int, tuple[int, ...]]  # an address and the floats from one number to the next along each axis


class Nest:
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

    def code(self) -> "tuple[Loops, list[Tensor]]":
        """The loops, and the tensors that are their operands."""
        operands: dict[_View, Tensor] = {}
        operators = []
        for name, taken, made in self.points:
            for each in (*taken, made):
                if isinstance(each, Tensor):
                    operands.setdefault(self.view(each), each)
            numbers = {view: number for number, view in enumerate(operands)}
            given = tuple(numbers[self.view(each)] if isinstance(each, Tensor) else float(each).hex() for each in taken)
            operators.append((name, given, numbers[self.view(made)]))
        first = self.points[0].made.stride()
        order = sorted((axis for axis, size in enumerate(self.shape) if size > 1), key=lambda axis: -first[axis])
        axes: list[tuple[int, tuple[int, ...]]] = []  # size, stride of each operand
        for axis in order:
            size, strides = self.shape[axis], tuple(view[1][axis] for view in operands)
            if axes and all(outer == inner * size for outer, inner in zip(axes[-1][1], strides, strict=True)):
                axes[-1] = axes[-1][0] * size, strides
            else:
                axes.append((size, strides))
        if self.numbers > GRAIN and len(axes) == 1:  # of fewer one thread may flush denormals where others do not
            ((whole, strides),) = axes
            pieces = pieces_of(whole)
            size = whole // pieces
            axes = [(pieces, tuple(size * stride for stride in strides)), (size, strides)]
        axes = axes or [(1, (0,) * len(operands))]
        sizes, along = zip(*axes, strict=True)
        return Loops(sizes, tuple(zip(*along, strict=True)), tuple(operators)), [*operands.values()]


@dataclass(frozen=True)
class Loops:
    """A nest as its code knows it: no addresses, so that one kernel serves all that are alike."""

    sizes: tuple[int, ...]  # of axes, the innermost last
    strides: tuple[tuple[int, ...], ...]  # of each operand along each axis
    operators: tuple[tuple[str, tuple[int | str, ...], int], ...]  # name, operands by number or floats, operand made

    @property
    def pieces(self) -> int:
        return self.sizes[0] if len(self.sizes) > 1 else 1

    def write(self, code: Code, pieces: Span, *pointers: Any) -> None:
        _write_axis(code, self, 0, pieces, pointers)


def _write_axis(code: Code, nest: Loops, axis: int, pieces: Span, pointers: Sequence[Any]) -> None:
    """The loop over this axis and those within; the pointers are where those around it have come to."""
    steps = [strides[axis] for strides in nest.strides]
    if axis + 1 < len(nest.sizes):
        with code.loop(*(pieces if axis == 0 else (nest.sizes[axis],))) as index:
            _write_axis(code, nest, axis + 1, pieces, _moved(code, pointers, index, steps))
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
                if isinstance(each, str):  # not a float, for 2.0 is the same as 2 to whoever compares nests
                    given.append(code.constant(float.fromhex(each), width))
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
