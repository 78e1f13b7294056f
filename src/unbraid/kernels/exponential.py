"""The exponential of vectors of floats in a kernel, without a table or a call."""

import math
from typing import Any

from unbraid.kernels.machine_code import Code

# p in exp(r) = 1 + r + r^2 p(r) up to ln(2) / 2: of degree 4 the nearest, to 1.3e-8 of expm1(r), a tenth of a float's
_SERIES = (1.38825167e-3, 8.36654752e-3, 4.16672006e-2, 1.66665435e-1, 4.99999970e-1)
_LN2 = math.log(2)  # as one float; for that exp(-20) is wrong by another half of its last digit, exp(-87) by two
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

    x = code.select(x, "<", LEAST, constant(LEAST), x)  # a NaN stays one
    power, whole = code.power_of_two(x, 1 / _LN2)
    rest = code.multiply_add(whole, constant(-_LN2), x)
    square = builder.fmul(rest, rest)
    # Two halves at the same time, for a chain of five would be waited for.
    high = code.multiply_add(constant(_SERIES[0]), rest, constant(_SERIES[1]))
    middle = code.multiply_add(constant(_SERIES[2]), rest, constant(_SERIES[3]))
    series = code.multiply_add(code.multiply_add(high, square, middle), rest, constant(_SERIES[4]))
    return power, code.multiply_add(series, square, rest)
