"""A step of Adam along the gradients of many weights, by one kernel."""

import math
from collections.abc import Sequence
from functools import cache
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unbraid.kernels.machine_code import LINE, Code, Kernel, Span, compiled

_FEW = 1 << 14  # numbers that one thread steps sooner than another wakes


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

    @classmethod
    def at(cls, count: float, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float) -> "Numbers":
        """Of the step of that number, from 1 on."""
        root, length = math.sqrt(1 - beta2**count), -lr / (1 - beta1**count)
        return cls(1 - lr * weight_decay, 1 - beta1, beta2, 1 - beta2, eps, root, length)


_NUMBERS = Struct(f"{len(Numbers._fields)}f")


class AdamRows:
    """Weights, means and squares of gradients, of each three tensors of floats that lie alike in memory, without gaps.

    Whoever asks for a step keeps the gradients, which are to lie so too.
    """

    def __init__(self, tensors: Sequence[tuple[Tensor, Tensor, Tensor]]) -> None:
        counts = [weight.numel() for weight, *_ in tensors]
        shares = torch.get_num_threads() if sum(counts) > _FEW else 1
        # Four addresses, how many numbers are there, whose `Numbers` they take; of the gradient how far within it.
        self._places = np.empty((shares, len(tensors), 6), np.int64)
        for share in range(shares):
            for row, ((weight, mean, square), count) in enumerate(zip(tensors, counts, strict=True)):
                first, stop = (count * number // shares // LINE * LINE for number in (share, share + 1))
                stop = count if share + 1 == shares else stop
                addresses = (tensor.data_ptr() + 4 * first for tensor in (weight, mean, square))
                self._places[share, row] = 4 * first, *addresses, stop - first, 0
        self._within = self._places[..., 0].copy()
        self._are_alike = True
        self._numbers = np.empty((len(tensors), len(Numbers._fields)), np.float32)
        self._kept = tensors
        self._arrays = [torch.from_numpy(self._places), torch.from_numpy(self._numbers)]
        self._run = _kernel().bound(shares * len(tensors), shares, self._arrays)

    def turn_to(self, gradients: Sequence[int]) -> None:
        """Addresses of the gradients to step along from now on."""
        self._places[..., 0] = self._within + np.array(gradients, np.int64)

    def step(self, counts: Sequence[float], *options: float) -> None:
        """Along the gradients as they are now, which is the step of torch's fused kernel but for rounding.

        counts are the numbers of the step, one a weight; options those that `Numbers.at` takes beside it.
        """
        are_alike = counts.count(counts[0]) == len(counts)
        if are_alike != self._are_alike:
            self._are_alike = are_alike
            self._places[..., 5] = 0 if are_alike else range(len(counts))
        for row, count in enumerate(counts[:1] if are_alike else counts):
            _NUMBERS.pack_into(self._numbers.data, row * _NUMBERS.size, *Numbers.at(count, *options))
        self._run()


@cache
def _kernel() -> Kernel:
    def work(code: Code, rows: Span, arrays: Sequence[Any]) -> None:
        places, numbers = arrays
        with code.loop(*rows) as row:
            first = code.multiply(row, 6)
            *addresses, count, whose = (code.whole(places, code.add(first, number)) for number in range(6))
            tensors = [code.pointer(address) for address in addresses]
            own = code.at(numbers, code.multiply(whose, len(Numbers._fields)))
            scalars = Numbers(*(code.scalar(code.at(own, number)) for number in range(len(Numbers._fields))))
            for at, width in code.along(count):
                _step(code, tensors, scalars, at, width)

    return compiled(2, work)


def _step(code: Code, tensors: Sequence[Any], scalars: Numbers, at: Any, width: int) -> None:
    builder, own = code.builder, Numbers(*(code.spread(scalar, width) for scalar in scalars))
    places = [code.at(tensor, at) for tensor in tensors]
    gradient, weight, mean, square = (code.load(place, width) for place in places)
    mean = code.multiply_add(own.rate, builder.fsub(gradient, mean), mean)
    square = code.multiply_add(builder.fmul(own.rate_of_square, gradient), gradient, builder.fmul(square, own.beta))
    divisor = code.total(builder.fdiv(code.root(square), own.root), own.eps)
    weight = code.total(builder.fmul(weight, own.kept), builder.fdiv(builder.fmul(own.length, mean), divisor))
    for value, place in zip((weight, mean, square), places[1:], strict=True):
        code.store(value, place)
