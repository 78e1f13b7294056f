"""What a step on the CPU does to the memory of tensors, written down once and done again without Python in between.

A small net's step is a hundred operators of a few microseconds each: autograd, modules and new memory take longer than
the numbers do, and are the same in each step. So what is left to do are the operators and kernels themselves, each in
the memory where it wrote the first time.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode
from torch.utils._pytree import tree_leaves, tree_map_only

_MOST_COPIED = 1 << 19  # elements of what an operator makes that is not told here where to write
_MOST_BYTES = 1 << 28  # of memory that a tape keeps; where a step has more, Python is little of it

_MAKERS = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}  # memory, and nothing in it
_LIKE = {"ones_like", "zeros_like", "full_like", "new_ones", "new_zeros", "new_full"}  # read no number of a tensor
_BEYOND_MEMORY = {  # operators drawn by chance, of sizes that hang on numbers, or that tell Python a number
    torch.Tag.nondeterministic_seeded,
    torch.Tag.data_dependent_output,
    torch.Tag.dynamic_output_shape,
}


def _variants() -> dict[Any, tuple[Any, str]]:
    """Operator -> (the same that writes where it is told to, the name of where); those that losses and layers use."""
    pairs = {
        **{f"{name}.{kind}": f"{name}.out" for name in ("add", "sub", "mul", "div") for kind in ("Tensor", "Scalar")},
        **{
            f"{name}.{kind}": f"{name}.{kind}_out"
            for name in ("lt", "le", "gt", "ge", "eq", "ne")
            for kind in ("Tensor", "Scalar")
        },
        "mean.dim": "mean.out",
        "mean.default": "mean.dtype_out",
        "sum.default": "sum.out",
        "sum.dim_IntList": "sum.IntList_out",
        "rsub.Scalar": "rsub.Scalar_out",
        "pow.Tensor_Scalar": "pow.Tensor_Scalar_out",
        "where.self": "where.self_out",
    }
    for name in (
        *("abs", "neg", "sgn", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "sin", "cos", "tanh"),
        *("sigmoid", "softplus", "elu", "leaky_relu", "clamp", "maximum", "minimum", "amax", "amin", "logsumexp"),
        *("mm", "bmm", "addmm", "triu", "cat", "stack", "gather", "_log_softmax", "_log_softmax_backward_data"),
    ):
        pairs[f"{name}.default"] = f"{name}.out"
    for name in ("sigmoid", "tanh", "softplus", "elu", "leaky_relu", "threshold"):
        pairs[f"{name}_backward.default"] = f"{name}_backward.grad_input"
    found = {}
    for name, into in pairs.items():
        operator = _operator(into)
        (place,) = (argument.name for argument in operator._schema.arguments if argument.is_out)
        found[_operator(name)] = operator, place
    return found


def _operator(name: str) -> Any:
    packet, overload = name.split(".")
    return getattr(getattr(torch.ops.aten, packet), overload)


_VARIANTS = _variants()


Operator = tuple[Any, Sequence[Any], Mapping[str, Any], Any]  # torch's, its arguments, by name too, and its result


class Entry(NamedTuple):
    act: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    reads: frozenset[int]  # storages
    writes: frozenset[int]
    of: Operator | None = None  # what it stands for


def kernel_entry(call: Callable[[], Any], memory: Sequence[Tensor]) -> Entry:
    """Of a kernel that reads and writes this memory."""
    return Entry(call, (), {}, _storages(memory), _storages(memory))


class Tape(TorchDispatchMode):
    """Writes down, while it is on, what torch's operators and our kernels do; `replay` does it again.

    What they read then is what stands in the tensors that they were given, which are to be filled anew; what they make
    stands where it stood. So nothing may hang on a number that Python has seen. `refused` names what cannot be
    replayed, and is "" where all that was seen can. `program` is what is left to do; `kept` what it works on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused = ""
        self.program: list[Entry] = []
        self.kept: list[Any] = []
        self._bytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """torch would load its compiler, which takes a second, to keep it from compiling what follows: only where it is
        there already."""
        return "torch._dynamo" in sys.modules

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = func(*args, **kwargs)
        if not self.refused:
            self._write(func, *tree_map_only(Tensor, Tensor.detach, (args, kwargs, made)))  # without autograd's graph
        return made

    def kernel(self, call: Callable[[], Any], memory: Sequence[Tensor], *kept: Any) -> None:
        """Writes down what torch knows nothing of, and reads and writes this memory; `kept` is what else it needs."""
        if not self.refused:
            self.program.append(kernel_entry(call, memory))
            self.kept.append((memory, kept))

    def replay(self) -> None:
        for act, args, kwargs, *_ in self.program:
            act(*args, **kwargs)

    def leave_constants(self, handed_out: Sequence[Tensor]) -> None:
        """From now on replays no more what hangs on constants alone, for it stands where it stood; but for what is
        handed out, since others may write there."""
        writers = Counter(place for entry in self.program for place in entry.writes)
        fixed = {place for place, count in writers.items() if count == 1} - _storages(handed_out)
        constants, program = set[int](), []
        for entry in self.program:
            if entry.reads <= constants and entry.writes <= fixed:
                constants |= entry.writes
                self.kept.append(entry)
            else:
                program.append(entry)
        self.program = program

    def _write(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], made: Any) -> None:
        results = [result for result in (made if isinstance(made, tuple | list) else [made]) if result is not None]
        if not _BEYOND_MEMORY.isdisjoint(func.tags) or not all(_has_memory(result) for result in results):
            self._refuse(func)
            return
        name = func.overloadpacket.__name__
        reads = frozenset[int]() if name in _LIKE else _storages(tree_leaves((args, kwargs)))
        if func is torch.ops.aten.lift_fresh.default:  # a constant, which somebody may add to
            self._add(made.copy_, (made.clone(),), {}, frozenset(), results)
        elif written := _written(func, args, kwargs):
            if all(_is_written(result) for result in func._schema.returns):
                self._add(func, args, kwargs, reads, written)
            else:
                self._refuse(func)
        elif not all(_is_seen_anew(result, args) for result in results):
            self._bytes += sum(result.nbytes for result in results)
            if self._bytes > _MOST_BYTES:
                self._refuse(func)
            elif func in _VARIANTS:
                into, place = _VARIANTS[func]
                of = func, args, kwargs, made
                self._add(into, args, {**kwargs, place: made}, reads, results, of)
            elif name not in _MAKERS:
                if sum(result.numel() for result in results) <= _MOST_COPIED:
                    self._add(partial(_copied, func, made), args, kwargs, reads, results)
                else:
                    self._refuse(func)

    def _add(
        self,
        act: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        reads: frozenset[int],
        written: Iterable[Any],
        of: Operator | None = None,
    ) -> None:
        self.program.append(Entry(act, args, kwargs, reads, _storages(written), of))

    def _refuse(self, func: Any) -> None:
        self.refused = str(func)
        self.program, self.kept = [], []


def running() -> Tape | None:
    """The tape that is on and sees what is done right now."""
    mode = _get_current_dispatch_mode()
    return mode if isinstance(mode, Tape) else None


def storage(tensor: Tensor) -> int:
    """Where the memory begins that it and its views lie in."""
    return tensor.untyped_storage().data_ptr()


def _storages(values: Iterable[Any]) -> frozenset[int]:
    return frozenset(storage(value) for value in values if _has_memory(value))


def _has_memory(result: Any) -> bool:
    return isinstance(result, Tensor) and result.layout is torch.strided and not result._is_zerotensor()


def _written(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The arguments that it writes to."""
    named = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)} | {**kwargs}
    written = [argument.name for argument in func._schema.arguments if _is_written(argument)]
    return tree_leaves([named[name] for name in written if name in named])


def _is_written(argument: Any) -> bool:
    return argument.alias_info is not None and argument.alias_info.is_write


def _is_seen_anew(result: Tensor, args: Sequence[Any]) -> bool:
    """Whether it lies in the memory of a tensor that was given."""
    return storage(result) in _storages(args)


def _copied(func: Any, places: Any, *args: Any, **kwargs: Any) -> None:
    """For operators that are not told where to write."""
    made = func(*args, **kwargs)
    several = isinstance(made, tuple | list)
    for place, result in zip(places if several else [places], made if several else [made], strict=True):
        if result is not None:
            place.copy_(result)
