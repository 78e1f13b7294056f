"""Schedules: step -> value. Learning rates and hyper-parameters alike; in YAML and on flags written as their call."""

import ast
import inspect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

from unbraid.errors import UnbraidError
from unbraid.registry import lookup


@dataclass(frozen=True)
class Schedule:
    """A function of the step that remembers how it is written, so that a config can hold and print it."""

    text: str
    function: Callable[[int], float]
    least: float  # of all its values
    last: int  # the step from which on its value stays

    def __call__(self, step: int) -> float:
        return self.function(step)

    def __str__(self) -> str:
        return self.text


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _progress(step: int, steps: int, after: int) -> float:
    return min(max((step - after) / steps, 0.0), 1.0)


def _ramp(name: str, start: float, end: float, steps: int, after: int, shape: Callable[[float], float]) -> Schedule:
    if not (steps >= 1 and after >= 0 and steps % 1 == after % 1 == 0):
        raise UnbraidError(
            f"{name}(): steps must be a whole number of at least 1 and after a whole number of at least 0, "
            f"not {steps} and {after}"
        )
    delay = f", after={int(after)}" if after else ""
    text = f"{name}({_number(start)}, {_number(end)}, steps={int(steps)}{delay})"
    last = int(after + steps) if start != end else 0
    return Schedule(text, lambda step: shape(_progress(step, int(steps), int(after))), min(start, end), last)


def constant(value: float) -> Schedule:
    return Schedule(f"constant({_number(value)})", lambda step: float(value), value, 0)


def linear(start: float, end: float, steps: int, after: int = 0) -> Schedule:
    """start -> end in a straight line over `steps` steps, from step `after` on; end from then on."""
    return _ramp("linear", start, end, steps, after, lambda t: start + (end - start) * t)


def cosine(start: float, end: float, steps: int, after: int = 0) -> Schedule:
    """start -> end along half a cosine over `steps` steps, from step `after` on; end from then on."""
    return _ramp("cosine", start, end, steps, after, lambda t: end + (start - end) * 0.5 * (1 + math.cos(math.pi * t)))


def exponential(start: float, end: float, steps: int, after: int = 0) -> Schedule:
    """start -> end by equal factors over `steps` steps; both must be positive."""
    if start <= 0 or end <= 0:
        raise UnbraidError(f"exponential(): start and end must be positive, not {start:g} and {end:g}")
    return _ramp("exponential", start, end, steps, after, lambda t: start * (end / start) ** t)


def piecewise(*points: float) -> Schedule:
    """Straight lines through (step, value) pairs given in turn: piecewise(0, 0, 500, 1e-3, 5000, 0)."""
    steps, values = points[0::2], points[1::2]
    if len(points) < 4 or len(points) % 2 or any(a >= b for a, b in itertools.pairwise(steps)):
        raise UnbraidError(f"piecewise() takes step, value, step, value, ... with rising steps, not {points}")

    def value(step: int) -> float:
        if step <= steps[0]:
            return float(values[0])
        for a, b, start, end in zip(steps, steps[1:], values, values[1:], strict=False):
            if step <= b:
                return start + (end - start) * (step - a) / (b - a)
        return float(values[-1])

    moving = [math.ceil(b) for b, start, end in zip(steps[1:], values, values[1:], strict=False) if start != end]
    return Schedule(f"piecewise({', '.join(map(_number, points))})", value, min(values), max(moving, default=0))


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "exponential": exponential,
    "piecewise": piecewise,
}

_LONGEST = 1_000  # characters: no honest schedule is longer, and the parser below must not be fed megabytes


def _literal(node: ast.expr) -> float:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return sign * value


def parse(text: str) -> Schedule:
    """A schedule from its written call, such as "linear(0, 25, steps=100000)"; only numbers are read, nothing runs."""
    wrong = UnbraidError(
        f'"{text[:80]}" is neither a number nor a schedule: write a number, or a call such as '
        f'"linear(0, 25, steps=100000)" of {", ".join(SCHEDULES)}'
    )
    if len(text) > _LONGEST:
        raise wrong
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError
        arguments = [_literal(node) for node in call.args]
        keywords = {str(word.arg): _literal(word.value) for word in call.keywords}
        if len(keywords) < len(call.keywords):  # a name twice: Python itself would refuse to compile the call
            raise ValueError
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        raise wrong from None
    make = lookup(SCHEDULES, call.func.id, "schedule")
    try:
        return make(*arguments, **keywords)
    except TypeError:
        asked = ", ".join(str(each).partition(":")[0] for each in inspect.signature(make).parameters.values())
        raise UnbraidError(f'the schedule "{text}" does not fit {call.func.id}({asked})') from None


def resolve(value: float | int | str | Schedule) -> Schedule | float:
    """A number as it is, a schedule or its text as a schedule."""
    return parse(value) if isinstance(value, str) else value


def at(value: Schedule | float, step: int) -> float:
    """What a resolved value is at `step`."""
    return value(step) if callable(value) else value
