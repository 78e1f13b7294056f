"""What a step on the CPU does to the memory of tensors, written down once and done again without Python in between.

A small net's step is a hundred operators of a few microseconds each: autograd, modules and new memory take longer than
the numbers do, and are the same in each step. So what is left to do are the operators and kernels themselves, each in
the memory where it wrote the first time.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode

_MOST_COPIED = 1 << 19  # elements of what an operator makes that cannot write where it is told to
_MAKERS = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")  # memory, and nothing in it
_OF_A_MAKER = {"dtype", "layout", "device", "pin_memory"}  # known where there is a tensor to write to


class Tape(TorchDispatchMode):
    """Writes down, while it is on, what torch's operators and our kernels do; `replay` does it again.

    What they read then is what stands in the tensors that they were given, which are to be filled anew; what they make
    stands where it stood. So nothing may hang on a number that Python has seen: `refused` names what cannot be
    replayed, and is "" where all can.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused = ""
        self._program: list[tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]] = []
        self._kept: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        if not self.refused:
            self._write(func, args, kwargs, made)
        return made

    def kernel(self, call: Callable[[], Any], *kept: Any) -> None:
        """Writes down what torch knows nothing of; `kept` is what it works on."""
        self._program.append((call, (), {}))
        self._kept.append(kept)

    def replay(self) -> None:
        with torch.no_grad():
            for act, args, kwargs in self._program:
                act(*args, **kwargs)

    def _write(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], made: Any) -> None:
        if func.overloadpacket.__name__ in _MAKERS:
            return
        if func is torch.ops.aten.lift_fresh.default:  # a constant, which somebody may add to
            self._program.append((made.copy_, (made.clone(),), {}))
            return
        results = list(made) if isinstance(made, tuple | list) else [made]
        if not _is_of_memory_alone(func) or not all(isinstance(result, Tensor) for result in results):
            self.refused = str(func)
        elif any(_is_written(argument) for argument in func._schema.arguments):
            self._program.append((func, args, kwargs))
        elif not all(_is_seen_anew(result, args) for result in results):
            variant = _that_writes(func)
            if variant is not None:
                into, places, allowed = variant
                kept = {name: value for name, value in kwargs.items() if name in allowed}
                self._program.append((into, args, kept | dict(zip(places, results, strict=True))))
            elif sum(result.numel() for result in results) <= _MOST_COPIED:
                self._program.append((partial(_copied, func, results), args, kwargs))
            else:
                self.refused = str(func)


def running() -> Tape | None:
    """The tape that is on and sees what is done right now."""
    mode = _get_current_dispatch_mode()
    return mode if isinstance(mode, Tape) else None


def _is_of_memory_alone(func: Any) -> bool:
    """Neither drawn by chance, nor of a size that hangs on numbers, nor told to Python."""
    others = {torch.Tag.nondeterministic_seeded, torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
    return others.isdisjoint(func.tags)


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write


def _is_seen_anew(result: Tensor, args: Sequence[Any]) -> bool:
    """Whether it lies in the memory of a tensor that was given."""
    there = result.untyped_storage().data_ptr()
    return any(isinstance(given, Tensor) and given.untyped_storage().data_ptr() == there for given in args)


@cache
def _that_writes(func: Any) -> tuple[Any, tuple[str, ...], frozenset[str]] | None:
    """(the same operator that writes where it is told to, what its results are called there, its other arguments); None
    where it only copies there what it has made."""
    given = {argument.name: str(argument.type) for argument in func._schema.arguments}
    found = []
    for overload in func.overloadpacket.overloads():
        into = getattr(func.overloadpacket, overload)
        places = tuple(argument.name for argument in into._schema.arguments if argument.is_out)
        others = {argument.name: str(argument.type) for argument in into._schema.arguments if not argument.is_out}
        if not places or torch.Tag.generated in into.tags:
            continue
        is_whole = given.keys() - others.keys() <= _OF_A_MAKER
        is_in_order = [*others] == [name for name in given if name in others]
        if is_whole and is_in_order and all(_fits(given[name], kind) for name, kind in others.items()):
            found.append((sum(given[name] != kind for name, kind in others.items()), (into, places, frozenset(others))))
    return min(found, key=lambda each: each[0])[1] if found else None


def _fits(given: str, wanted: str) -> bool:
    return given == wanted or (given, wanted) == ("number", "Tensor")  # which torch sees as a tensor of its own


def _copied(func: Any, places: Sequence[Tensor], *args: Any, **kwargs: Any) -> None:
    made = func(*args, **kwargs)
    for place, result in zip(places, made if isinstance(made, tuple | list) else [made], strict=True):
        place.copy_(result)
