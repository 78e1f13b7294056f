"""Sums over axes in the order in which torch adds on a CPU, and so with its bits.

It adds up sixteen rows, sixteen of such sums and so on, four levels of them, so that no sum is long; and does that for
four sums beside each other, be they four columns or four parts of one. A column is a vector wide where numbers lie side
by side. That is what torch 2.13 does; whether the torch at hand does is found by trial.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from unbraid.kernels.machine_code import GRAIN, Code, Index, Span, compiled

_TOGETHER = 16  # rows, or sums of them, that make one sum of the next level
_LEVELS = 4
_MOST_ROWS = 1 << 19  # of more, more than sixteen make a sum
_BESIDE = 4
_LANES = 8  # of the vectors that torch sums by, though it may know wider ones
_TRIED: Sequence[tuple[tuple[int, ...], tuple[int, ...]]] = (  # shapes and axes
    *(((1100,), (0,)), ((6,), (0,)), ((300, 91), (0,)), ((5, 37), (1,))),
    *(((70, 7), (0,)), ((4600, 7), (0,)), ((3, 30, 7), (1,)), ((2, 3, 300), (0, 1))),
)

Load = Callable[[Index, int], Any]  # (row, column) -> what stands there: a number, or as many as a vector has
Axis = tuple[int, int, int]  # size, and the step from one to the next in what is summed and in the sums


@dataclass(frozen=True)
class Sum:
    """Of `rows` numbers, each `step` floats from the next, for all across, an axis or more, outermost first."""

    rows: int
    step: int
    across: tuple[Axis, ...]

    @property
    def pieces(self) -> int:
        """Of the outermost axis, where there is one around columns that are summed together."""
        return self.across[0][0] if len(self.across) > 1 else 1

    @property
    def is_of_vectors(self) -> bool:
        """Whether columns lie side by side, as many as a vector has."""
        size, step, _ = self.across[-1]
        return step == 1 and size >= _LANES

    def write(self, code: Code, pieces: Span, given: Any, made: Any) -> None:
        def written(axis: Axis, given: Any, made: Any) -> None:
            size, step, step_made = axis
            if self.step == 1 and self.rows >= _LANES:
                with code.loop(size) as index:
                    column = code.at(given, code.multiply(index, step))
                    code.store(_of_row(code, column, self.rows), code.at(made, code.multiply(index, step_made)))
            elif self.is_of_vectors:
                self._write_columns(code, given, made, axis, [(_LANES, _BESIDE), (_LANES, 1), (1, 1)])
            elif self.step >= step:
                self._write_columns(code, given, made, axis, [(1, _BESIDE), (1, 1)])
            else:
                self._write_columns(code, given, made, axis, [(1, 1)])

        self.each(code, pieces, given, made, written)

    def each(self, code: Code, pieces: Span, given: Any, made: Any, write: Callable[[Axis, Any, Any], None]) -> None:
        """Has `write` do the innermost axis across, wherever those around it have come to."""
        *around, axis = self.across
        with ExitStack() as loops:
            for number, (size, step, step_made) in enumerate(around):
                index = loops.enter_context(code.loop(*(pieces if number == 0 else (size,))))
                given, made = code.at(given, code.multiply(index, step)), code.at(made, code.multiply(index, step_made))
            write(axis, given, made)

    def _write_columns(
        self, code: Code, given: Any, made: Any, across: Axis, passes: Sequence[tuple[int, int]]
    ) -> None:
        """passes: how wide a column is and how many are summed beside each other, as long as so many are left."""
        size, step, step_made = across
        done = 0
        for width, beside in passes:
            groups = (size - done) // (width * beside)
            if groups:
                with code.loop(groups) as group:
                    first = code.add(done, code.multiply(group, width * beside))
                    place = code.at(given, code.multiply(first, step))

                    def load(row: Index, column: int, place: Any = place, width: int = width) -> Any:
                        distance = code.add(code.multiply(row, self.step), column * width * step)
                        return code.load(code.at(place, distance), width)

                    summed = _beside if beside > 1 else _alone
                    for number, total in enumerate(summed(code, load, self.rows, width)):
                        column = code.add(first, number * width)
                        code.store(total, code.at(made, code.multiply(column, step_made)))
            done += groups * width * beside


@dataclass(frozen=True)
class Largest:
    """The largest of the numbers of each sum, but 0 where that is infinite: what torch's logsumexp takes off them."""

    of: Sum

    @property
    def pieces(self) -> int:
        return self.of.pieces

    def write(self, code: Code, pieces: Span, given: Any, made: Any) -> None:
        def written(axis: Axis, given: Any, made: Any) -> None:
            size, step, step_made = axis
            if step == step_made == 1:
                for column, width in code.along(size):
                    self._write_column(code, code.at(given, column), code.at(made, column), width)
            else:
                with code.loop(size) as index:
                    places = code.at(given, code.multiply(index, step)), code.at(made, code.multiply(index, step_made))
                    self._write_column(code, *places, 1)

        self.of.each(code, pieces, given, made, written)

    def _write_column(self, code: Code, given: Any, made: Any, width: int) -> None:
        largest = code.variable(code.load(given, width))
        with code.loop(self.of.rows, 1) as row:
            value, so_far = code.load(code.at(given, code.multiply(row, self.of.step)), width), code.get(largest)
            code.set(largest, code.builder.select(code.builder.fcmp_ordered(">", value, so_far), value, so_far))
        found, nothing = code.get(largest), code.constant(0.0, width)
        for infinite in (math.inf, -math.inf):
            found = code.select(found, "==", infinite, nothing, found)
        code.store(found, made)


def sum_of(x: Tensor, axes: Sequence[int], made: Tensor) -> Sum | None:
    """What torch does to sum x over these axes into `made`; None where it is none of these sums."""
    axes = [axis % x.dim() for axis in axes] if x.dim() else []
    if made.dim() < x.dim():  # without the axes that are no more
        steps = iter(made.stride())
        strides = [0 if axis in axes else next(steps) for axis in range(x.dim())]
    else:
        strides = [0 if axis in axes else step for axis, step in enumerate(made.stride())]
    sizes = [(size, x.stride(axis), strides[axis]) for axis, size in enumerate(x.shape) if size > 1]
    if x.numel() == 0 or any(step == 0 for _, step, _ in sizes):
        return None
    inner = _coalesced(sorted((each for each in sizes if each[2] == 0), key=lambda each: each[1]))
    outer = _coalesced(sorted((each for each in sizes if each[2] != 0), key=lambda each: each[2]))
    if len(inner) != 1:  # torch adds what it has of one to what it has of the next
        return None
    ((rows, step, _),) = inner
    if rows > _MOST_ROWS:
        return None
    found = Sum(rows, step, tuple(reversed(outer)) or ((1, 0, 0),))
    if x.numel() >= GRAIN:
        whole_columns = len(outer) > 1 and outer[-1][0] >= torch.get_num_threads()  # in each thread
        if not outer or not (found.is_of_vectors or step == 1 or whole_columns):
            return None
    return found


def _coalesced(axes: Sequence[Axis]) -> list[Axis]:
    """The axes, innermost first, with those as one that one loop goes through."""
    found: list[Axis] = []
    for size, step, step_made in axes:
        within, least, least_made = found[-1] if found else (0, 0, 0)
        if found and (within * least, within * least_made) == (step, step_made):
            found[-1] = within * size, least, least_made
        else:
            found.append((size, step, step_made))
    return found


@cache
def are_torchs() -> bool:
    """Whether these sums have the bits of torch's here."""
    return all(_is_torchs(*tried) for tried in _TRIED)


def _is_torchs(shape: tuple[int, ...], axes: tuple[int, ...]) -> bool:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    sums = x.sum(axes)
    made = torch.empty_like(sums)
    of = sum_of(x, axes, made)
    assert of is not None

    def work(code: Code, images: Span, arrays: Sequence[Any]) -> None:
        given, sums = arrays
        of.write(code, Span(code.index(of.pieces), code.index(0)), given, sums)

    compiled(2, work)(1, 1, [x, made])
    return torch.equal(made, sums)


def _of_row(code: Code, row: Any, count: int) -> Any:
    """The sum of numbers side by side."""
    vectors = count // _LANES
    (total,) = _alone(code, lambda at, _: code.load(code.at(row, code.multiply(at, _LANES)), _LANES), vectors, _LANES)
    left = [code.load(code.at(row, at), 1) for at in range(vectors * _LANES, count)]
    return code.total(code.constant(0.0, 1), *left, *(code.picked(total, [lane]) for lane in range(_LANES)))


def _alone(code: Code, load: Load, rows: int, width: int) -> list[Any]:
    """The sum of a column, four parts of which are summed beside each other: every fourth row."""

    def part(row: Index, number: int) -> Any:
        return load(code.add(code.multiply(row, _BESIDE), number), 0)

    parts = _beside(code, part, rows // _BESIDE, width)
    left = [load(code.index(row), 0) for row in range(rows // _BESIDE * _BESIDE, rows)]
    return [code.total(parts[0], *left, *parts[1:])]


def _beside(code: Code, load: Load, rows: int, width: int) -> list[Any]:
    """The sums of four columns."""

    def block(level: int, first: Index) -> list[Any]:
        """Of so many rows as one sum of this level has."""
        if level == 0:
            return [load(first, column) for column in range(_BESIDE)]
        return added(level - 1, first, _TOGETHER)

    def added(level: int, first: Index, blocks: int) -> list[Any]:
        sums = [code.variable(code.constant(0.0, width)) for _ in range(_BESIDE)]
        if blocks:
            with code.loop(blocks) as number:
                more = block(level, code.add(first, code.multiply(number, _TOGETHER**level)))
                for total, each in zip(sums, more, strict=True):
                    code.set(total, code.total(code.get(total), each))
        return [code.get(total) for total in sums]

    done, levels = 0, []
    for level in reversed(range(_LEVELS)):
        blocks = (rows - done) // _TOGETHER**level
        levels.append(added(level, done, blocks))
        done += blocks * _TOGETHER**level
    return [code.total(*reversed(own)) for own in zip(*levels, strict=True)]
