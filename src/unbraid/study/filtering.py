"""`beta>4 and objective==beta_vae`: comparisons of columns with values, read without evaluating anything."""

import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

from unbraid.errors import UnbraidError
from unbraid.study.table import Row, column

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_COMPARISON = re.compile(r"""\s*([\w.]+)\s*(==|!=|<=|>=|<|>|=)\s*("[^"]*"|'[^']*'|[^\s=<>!]+)\s*""")

_AND = re.compile(r"""\band\b(?=(?:[^"']|"[^"]*"|'[^']*')*$)""")  # where whole quotes follow, it is in none
_EQUALITY = (operator.eq, operator.ne)


def where(table: Sequence[Row], condition: str) -> list[Row]:
    """The rows for which all comparisons of `condition`, joined by `and`, hold; a row without the value is left out.

    Raises UnbraidError for anything else, and for a column that is not there.
    """
    if not table:
        return []
    tests = [_test(part, table) for part in _AND.split(condition)]
    return [row for row in table if all(test(row) for test in tests)]


def _test(text: str, table: Sequence[Row]) -> Callable[[Row], bool]:
    found = _COMPARISON.fullmatch(text)
    if found is None:
        raise UnbraidError(
            f'"{text.strip()}" is not a comparison: write name, one of {" ".join(list(_OPERATORS)[:6])}, and a value, '
            'joined by "and", such as "beta>4 and objective==beta_vae"'
        )
    name, compare, value = column(found[1], table[0]), _OPERATORS[found[2]], found[3].strip("\"'")
    number = _number(value)
    kinds = {type(row[name]) for row in table if row[name] is not None}
    if number is None and kinds and kinds <= {int, float}:
        raise UnbraidError(f'"{text.strip()}": {name} holds numbers, and {found[3]} is none')

    def test(row: Row) -> bool:
        there = row[name]
        if there is None:
            return False
        if isinstance(there, bool):
            return compare(str(there).lower(), value.lower())
        if isinstance(there, int | float) and number is not None:
            return compare(there, number)
        if (number is not None or kinds & {int, float}) and compare not in _EQUALITY:
            return False  # text, such as a schedule, has no order with a number
        return compare(str(there), value)

    return test


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
