"""A step of Adam along the gradients of many weights, by one kernel."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unbraid.kernels.machine_code import Code, Kernel, Span, compiled, lanes

_FEW = 1 << 14  # numbers that one thread steps sooner than another wakes
_LINE = 16  # floats of a line of the cache, where no two threads should write


class Numbers(NamedTuple):
    """Of a step of a weight: mean += rate (gradient - mean); square = beta square + rate_of_square gradient^2;
    weight = kept weight + length mean / (sqrt(square) / root + eps)."""

    kept: float
    rate: float
    beta: float
    rate_of_square: float
    eps: float
    root: float
    length: float


class AdamRows:
    """Weights, gradients, means and squares, of each four tensors of floats that lie alike in memory, without gaps.

    Gradients are to be kept by whoever asks for a step.
    """

    def __init__(self, tensors: Sequence[tuple[Tensor, Tensor, Tensor, Tensor]]) -> None:
        counts = [weight.numel() for weight, *_ in tensors]
        shares = torch.get_num_threads() if sum(counts) > _FEW else 1
        places = np.empty((shares, len(tensors), 5), np.int64)  # four addresses, and how many numbers are there
        for share in range(shares):
            for row, (four, count) in enumerate(zip(tensors, counts, strict=True)):
                first, stop = (count * number // shares // _LINE * _LINE for number in (share, share + 1))
                stop = count if share + 1 == shares else stop
                places[share, row] = *(tensor.data_ptr() + 4 * first for tensor in four), stop - first
        self._numbers = np.empty((shares, len(tensors), len(Numbers._fields)), np.float32)
        arrays = [torch.from_numpy(places), torch.from_numpy(self._numbers)]
        self._run = _kernel().bound(shares * len(tensors), shares, arrays)
        self._kept = (
            arrays,
            [(weight, mean, square) for weight, _, mean, square in tensors],
        )  # not gradients

    def step(self, numbers: Sequence[float] | Sequence[Sequence[float]]) -> None:
        """Along the gradients as they are now, which is the step of torch's fused kernel but for rounding.

        numbers: `Numbers`, of each weight or the same of all.
        """
        self._numbers[:] = numbers
        self._run()


@cache
def _kernel() -> Kernel:
    def work(code: Code, rows: Span, arrays: Sequence[Any]) -> None:
        places, numbers = arrays
        with code.loop(*rows) as row:
            first, own = code.multiply(row, 5), code.at(numbers, code.multiply(row, len(Numbers._fields)))
            *addresses, count = (code.whole(places, code.add(first, number)) for number in range(5))
            tensors = [code.pointer(address) for address in addresses]
            scalars = Numbers(*(code.scalar(code.at(own, number)) for number in range(len(Numbers._fields))))
            vectors = code.divide(count, lanes())
            with code.loop(vectors) as vector:
                _step(code, tensors, scalars, code.multiply(vector, lanes()), lanes())
            with code.loop(count, code.multiply(vectors, lanes())) as at:
                _step(code, tensors, scalars, at, 1)

    return compiled(2, work)


def _step(code: Code, tensors: Sequence[Any], scalars: Numbers, at: Any, width: int) -> None:
    builder, own = code.builder, Numbers(*(code.spread(scalar, width) for scalar in scalars))
    places = [code.at(tensor, at) for tensor in tensors]
    weight, gradient, mean, square = (code.load(place, width) for place in places)
    mean = code.multiply_add(own.rate, builder.fsub(gradient, mean), mean)
    square = code.multiply_add(builder.fmul(own.rate_of_square, gradient), gradient, builder.fmul(square, own.beta))
    divisor = code.total(builder.fdiv(code.root(square), own.root), own.eps)
    weight = code.total(builder.fmul(weight, own.kept), builder.fdiv(builder.fmul(own.length, mean), divisor))
    for value, place in zip((weight, mean, square), (places[0], *places[2:]), strict=True):
        code.store(value, place)
