"""Activations and their slopes, of vectors in code for the processor."""

from typing import Any

from unbraid.kernels.exponential import expm1
from unbraid.kernels.machine_code import AT_ONCE, Code

LONG = {"elu"}  # in operations: after a convolution, over its whole image, quicker by `activate` than tile by tile


def activated(code: Code, x: Any, activation: str) -> Any:
    """As torch has it, also of a NaN."""
    width = x.type.count
    if activation == "relu":
        return code.select(x, "<", 0.0, code.constant(0.0, width), x)
    if activation == "elu":
        # Not a choice of one of the two, which LLVM makes a masked store of where it is written back: twice as long.
        zero = code.constant(0.0, width)
        return code.total(expm1(code, code.select(x, ">", 0.0, zero, x)), code.select(x, "<", 0.0, zero, x))
    return x


def activate(code: Code, numbers: Any, count: int, activation: str) -> None:
    """The same for so many numbers in a row, where they lie."""
    for at, width in code.along(count, at_once=AT_ONCE):
        place = code.at(numbers, at)
        code.store(activated(code, code.load(place, width), activation), place)


def through(code: Code, gradient: Any, after: Any, activation: str) -> Any:
    """The gradient before an activation, from that after it and from what came out, as torch has it."""
    if activation == "relu":
        return code.select(after, "<=", 0.0, code.constant(0.0, gradient.type.count), gradient)
    slope = code.total(after, code.constant(1.0, after.type.count))
    return code.select(after, ">", 0.0, gradient, code.builder.fmul(gradient, slope))
