"""Balls drawn by a kernel, as a net of a few thousand weights learns from them sooner than NumPy has drawn them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from unbraid.kernels.exponential import LEAST, exp
from unbraid.kernels.machine_code import AT_ONCE, Code, Kernel, Span, compiled, shares_of


def drawn(centres: Tensor, size: int, *, box: float, radius: float) -> Tensor:
    """float32 [N, 1, size, size] of balls at `centres` float32 [N, n_balls, 2]."""
    count, n_balls, _ = centres.shape
    images = torch.empty(count, 1, size, size)
    _kernel(n_balls, size, box, radius)(count, shares_of(count), [centres.contiguous(), images])
    return images


@lru_cache(16)
def _kernel(n_balls: int, size: int, box: float, radius: float) -> Kernel:
    scale = box / size / radius  # radii of a ball from one pixel to the next

    def work(code: Code, images: Span, arrays: Sequence[Any]) -> None:
        builder = code.builder
        with code.loop(*images) as image, code.loop(size) as y:
            centre = code.at(arrays[0], code.multiply(image, 2 * n_balls))
            row = code.at(arrays[1], code.multiply(code.add(code.multiply(image, size), y), size))

            def squared(first: Any, width: int, by: float, number: int) -> Any:
                """The distance of pixels along an axis, from the first on, from a centre, in radii, squared."""
                middle = code.spread(code.scalar(code.at(centre, number)), width)
                offset = code.multiply_add(middle, code.constant(-1 / radius, width), code.constant(scale / 2, width))
                apart = code.multiply_add(code.counted(first, width, by), code.constant(scale, width), offset)
                return builder.fmul(apart, apart)

            for x, width in code.along(size, at_once=AT_ONCE):
                light = code.constant(0.0, width)
                for ball in range(n_balls):
                    power = code.total(squared(x, width, 1.0, 2 * ball), squared(y, width, 0.0, 2 * ball + 1))
                    power = builder.fmul(power, power)
                    power = builder.fmul(power, power)
                    near = code.select(power, "<", -LEAST, exp(code, builder.fneg(power)), code.constant(0.0, width))
                    light = code.total(light, near)
                if n_balls > 1:  # one alone is never brighter than 1
                    light = code.select(light, ">", 1.0, code.constant(1.0, width), light)
                code.store(light, code.at(row, x))

    return compiled(2, work)
