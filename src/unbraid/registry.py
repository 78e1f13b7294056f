"""Look-up in the tables (data sets, architectures, objectives, metrics) and the schema their signatures declare."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from unbraid.errors import UnbraidError

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Parameter:
    """A keyword-only parameter of a table's function: one key of the config, one flag of the command line."""

    name: str
    type: type
    default: Any


def suggest(name: str, allowed: Iterable[str]) -> str:
    """'; did you mean "x"?' where one of the allowed names is near, else nothing."""
    near = difflib.get_close_matches(name, list(allowed), n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def lookup(table: Mapping[str, Entry], name: str, kind: str) -> Entry:
    """The entry called `name`; raises UnbraidError with the nearest and all allowed names."""
    if name in table:
        return table[name]
    allowed = ", ".join(sorted(table))
    raise UnbraidError(f'there is no {kind} called "{name}"{suggest(str(name), table)} (allowed: {allowed})')


def parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The keyword-only parameters of `function` by name: its signature is its schema.

    Every one needs a default, whose type is the parameter's type (rule 1 of the design).
    """
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            continue
        if parameter.default is inspect.Parameter.empty:
            raise TypeError(f"{function.__qualname__}: keyword-only parameter {name} has no default")
        found[name] = Parameter(name, type(parameter.default), parameter.default)
    return found


def check_options(options: Iterable[str], allowed: Mapping[str, Parameter], owner: str) -> None:
    """Raises UnbraidError for the first option that `owner` does not have, with the nearest and all that it has."""
    for option in options:
        if option not in allowed:
            raise UnbraidError(
                f'{owner} has no option "{option}"{suggest(option, allowed)} (allowed: {", ".join(allowed) or "none"})'
            )
