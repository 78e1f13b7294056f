"""Activations and their slopes, of vectors in code for the processor."""

from typing import Any

from unbraid.kernels.exponential import expm1
from unbraid.kernels.machine_code import Code


def activated(code: Code, x: Any, activation: str) -> Any:
    """As torch has it, also of a NaN."""
    width = x.type.count
    if activation == "relu":
        return code.select(x, "<", 0.0, code.constant(0.0, width), x)
    if activation == "elu":
        return code.select(x, "<", 0.0, expm1(code, x), x)
    return x


def through(code: Code, gradient: Any, after: Any, activation: str) -> Any:
    """The gradient before an activation, from that after it and from what came out, as torch has it."""
    if activation == "relu":
        return code.select(after, "<=", 0.0, code.constant(0.0, gradient.type.count), gradient)
    slope = code.total(after, code.constant(1.0, after.type.count))
    return code.select(after, ">", 0.0, gradient, code.builder.fmul(gradient, slope))
