"""Small operators of a tape, those in a row as one kernel, with the same bits.

An operator on a few hundred numbers is over sooner than torch has found its code.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unbraid.kernels import torchs_functions
from unbraid.kernels.machine_code import GRAIN, Code, Kernel, Span, compiled, shares_of
from unbraid.kernels.pointwise import Loops, Nest, Pointwise, pieces_of, points
from unbraid.kernels.tape import Entry, Operator, Tape, kernel_entry
from unbraid.kernels.torchs_sums import Largest, Sum, are_torchs, sum_of
from unbraid.kernels.transformed import holds_floats, is_dense

_KERNELS = 1024  # that are kept
_MOST = 1 << 17  # numbers that one thread is through with before torch has woken others

_aten = torch.ops.aten
_SUMS = {_aten.sum.default, _aten.sum.dim_IntList}
_MEANS = {_aten.mean.default, _aten.mean.dim}


@dataclass(frozen=True)
class Through:
    """A function of numbers in a row: so many pieces, each of `size` numbers."""

    name: str
    pieces: int
    size: int

    def write(self, code: Code, pieces: Span, given: Any, made: Any) -> None:
        first = code.multiply(pieces.first, self.size)
        count = code.builder.sub(code.multiply(pieces.last, self.size), first)
        torchs_functions.through_array(code, self.name, code.at(given, first), code.at(made, first), count)


ByTensor = Through | Sum | Largest


class Whole(NamedTuple):
    """What is done to all numbers of a tensor before the next operator."""

    of: ByTensor
    given: Tensor
    made: Tensor

    @property
    def numbers(self) -> int:
        return self.given.numel()

    def code(self) -> tuple[ByTensor, list[Tensor]]:
        return self.of, [self.given, self.made]


Work = Pointwise | Whole


def fused(tape: Tape) -> list[Entry]:
    """Its program where kernels do such operators. What they need is kept by the tape."""
    program: list[Entry] = []
    works = [(entry, [] if entry.of is None else _works(entry.of)) for entry in tape.program]
    for are_known, run in groupby(works, lambda both: bool(both[1])):
        if not are_known:
            program += [entry for entry, _ in run]
            continue
        for parts in _together([work for _, own in run for work in own]):
            kernel, images, tensors = _kernel_of(parts)
            tape.kept.append((kernel, tensors))
            program.append(kernel_entry(kernel.bound(images, shares_of(images), tensors), tensors))
    return program


def _works(operator: Operator) -> list[Work]:
    """What it does; [] where torch is to do it."""
    func, args, kwargs, made = operator
    if func in _SUMS or func in _MEANS:
        return _summed(made, func in _MEANS, *args, **kwargs)
    if func is _aten.logsumexp.default:
        return _log_of_sum(made, *args, **kwargs)
    if torchs_functions.goes_through_arrays(name := torchs_functions.NAMES.get(func, "")):
        return _through(name, made, *args)
    return [*points(operator)]


def _through(name: str, made: Tensor, x: Tensor) -> list[Work]:
    alike = holds_floats(x) and holds_floats(made) and x.stride() == made.stride() and is_dense(x)
    if not alike or x.numel() == 0:
        return []
    pieces = pieces_of(x.numel()) if x.numel() > GRAIN else 1
    return _of_few(Whole(Through(name, pieces, x.numel() // pieces), x, made))


def _summed(
    made: Tensor, is_mean: bool, x: Tensor, axes: Sequence[int] = (), keepdim: bool = False, *, dtype: Any = None
) -> list[Work]:
    known = holds_floats(x) and holds_floats(made) and are_torchs()
    of = sum_of(x, axes or range(x.dim()), made) if known else None
    if of is None:
        return []
    sums = _of_few(Whole(of, x, made))
    return [*sums, Pointwise("div", [made, float(of.rows)], made)] if sums and is_mean else sums


def _of_few(work: Whole) -> list[Work]:
    """But where one thread would do what torch has several for."""
    return [] if work.of.pieces == 1 and work.numbers > _MOST else [work]


def _log_of_sum(made: Tensor, x: Tensor, axes: Sequence[int], keepdim: bool = False) -> list[Work]:
    """By the steps that torch takes."""
    if not holds_floats(x) or x.dim() == 0:
        return []
    less, kept = torch.empty_like(x), list(x.shape)
    for axis in axes:
        kept[axis] = 1
    largest = made.new_empty(kept)
    summed, most = _summed(made, False, less, axes, keepdim), sum_of(x, axes, largest)
    functions = all(map(torchs_functions.goes_through_arrays, ("exp", "log")))
    exponentials, logarithm = _through("exp", less, less), _through("log", made, made)
    if not (functions and summed and most is not None and exponentials and logarithm):
        return []
    first: list[Work] = [Whole(Largest(most), x, largest), Pointwise("sub", [x, largest], less)]
    return [*first, *exponentials, *summed, *logarithm, Pointwise("add", [made, largest.view(made.shape)], made)]


def _together(works: Sequence[Work]) -> Iterator[Sequence[Nest | Whole]]:
    """What these are, by kernel: small things in a row are one kernel's, and each large one is."""
    parts: list[Nest | Whole] = []
    for work in works:
        if isinstance(work, Whole):
            parts.append(work)
            continue
        last = parts[-1] if parts else None
        if not isinstance(last, Nest) or not last.takes(work):
            last = Nest(work.made.shape)
            parts.append(last)
        last.add(work)
    for is_large, run in groupby(parts, lambda part: part.numbers > GRAIN):
        if is_large:
            yield from ([part] for part in run)
        else:
            yield [*run]


def _kernel_of(parts: Sequence[Nest | Whole]) -> tuple[Kernel, int, list[Tensor]]:
    """A kernel, how many images it sees, and its tensors. Small parts are one thread's; of a large one, which comes
    alone, threads share the pieces."""
    codes, operands = zip(*(part.code() for part in parts), strict=True)
    images = codes[0].pieces if parts[0].numbers > GRAIN else 1
    kernel = _kernel(tuple(zip(codes, map(len, operands), strict=True)), images > 1)
    return kernel, images, [tensor for own in operands for tensor in own]


@lru_cache(_KERNELS)
def _kernel(codes: tuple[tuple[Loops | ByTensor, int], ...], is_shared: bool) -> Kernel:
    """Of each code, and of how many arrays it is."""

    def work(code: Code, images: Span, pointers: Sequence[Any]) -> None:
        for own, arrays in codes:
            pieces = images if is_shared else Span(code.index(own.pieces), code.index(0))
            code.apart(partial(_write, own), *pieces, *pointers[:arrays])
            pointers = pointers[arrays:]

    return compiled(sum(arrays for _, arrays in codes), work)


def _write(own: Loops | ByTensor, code: Code, last: Any, first: Any, *pointers: Any) -> None:
    own.write(code, Span(last, first), *pointers)
