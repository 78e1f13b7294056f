"""The exponential of vectors of floats in a kernel, without a table or a call."""

import math
from typing import Any

from unbraid.kernels.machine_code import Code

_SERIES = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2)  # Taylor's; an error of 6e-9 up to ln(2) / 2
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # whose sum is ln(2); the first times an exponent is exact
LEAST = -87.0  # e to this is still a normal float


def exp(code: Code, x: Any) -> Any:
    """Of x <= 0; e^-87 below that."""
    power, more = _parts(code, x)
    return code.multiply_add(power, more, power)


def expm1(code: Code, x: Any) -> Any:
    """exp(x) - 1 of x <= 0, exact near 0 too."""
    power, more = _parts(code, x)
    return code.multiply_add(power, more, code.builder.fsub(power, code.constant(1.0, x.type.count)))


def _parts(code: Code, x: Any) -> tuple[Any, Any]:
    """(power, more) with exp(x) = power (1 + more): of x = whole ln(2) + rest they are 2^whole and expm1(rest)."""
    width, builder = x.type.count, code.builder

    def constant(value: float) -> Any:
        return code.constant(value, width)

    x = code.select(x, ">", LEAST, x, constant(LEAST))  # also a NaN
    whole = code.rounded(builder.fmul(x, constant(1 / math.log(2))))
    rest = code.multiply_add(whole, constant(-_LN2_HIGH), x)
    rest = code.multiply_add(whole, constant(-_LN2_LOW), rest)
    series = constant(_SERIES[0])
    for factor in _SERIES[1:]:
        series = code.multiply_add(series, rest, constant(factor))
    return code.power_of_two(whole), code.multiply_add(builder.fmul(series, rest), rest, rest)
