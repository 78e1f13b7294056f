"""Exponentials and logarithms by torch's own code, called from a kernel: those of other libraries have other bits.

torch has some from MKL, which goes through arrays, and some from SLEEF, which takes a vector; both lie in its library.
Which of them it uses for what is found by trial.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from llvmlite import binding, ir
from torch import Tensor

from unbraid.kernels.machine_code import FLOAT, INDEX, INT, VOID, Code, Index, Span, compiled, declared, lanes, of_torch

_ACCURATE = 0x140102  # MKL's mode that torch asks for: all digits, denormals kept, and no complaint
_OF_ARRAYS = {"exp": "vmsExp", "log": "vmsLn", "tanh": "vmsTanh"}
OF_VECTORS = {"expm1": "Sleef_expm1f{}_u10", "log1p": "Sleef_log1pf{}_u10"}
NAMES = {getattr(torch.ops.aten, name).default: name for name in (*_OF_ARRAYS, *OF_VECTORS)}
_TRIED = 4099  # numbers of each kind


@cache
def goes_through_arrays(name: str) -> bool:
    """Whether `through_array` is torch's function of this name, to the last bit."""

    def work(code: Code, images: Span, arrays: Sequence[Any]) -> None:
        given, made = arrays
        through_array(code, name, given, made, _TRIED)

    is_there = name in _OF_ARRAYS and of_torch(_OF_ARRAYS[name]) is not None
    return is_there and _is_torchs(name, work)


@cache
def takes_vectors(name: str) -> bool:
    """Whether `of_vector` is torch's function of this name, to the last bit."""

    def work(code: Code, images: Span, arrays: Sequence[Any]) -> None:
        given, made = arrays
        for at, width in code.along(_TRIED):
            code.store(of_vector(code, code.load(code.at(given, at), width), name), code.at(made, at))

    is_there = name in OF_VECTORS and of_torch(OF_VECTORS[name].format(lanes())) is not None
    return is_there and _is_torchs(name, work)


def through_array(code: Code, name: str, given: Any, made: Any, count: Index) -> None:
    """Fills so many numbers of an array with the function of those of another."""
    kinds = [INT, given.type, made.type, INDEX]
    function = _of_torch(code, _OF_ARRAYS[name], VOID, kinds)
    short = code.builder.trunc(code.index(count), INT)
    code.builder.call(function, [short, given, made, ir.Constant(INDEX, _ACCURATE)])


def of_vector(code: Code, vector: Any, name: str) -> Any:
    kind, width = ir.VectorType(FLOAT, lanes()), vector.type.count
    function = _of_torch(code, OF_VECTORS[name].format(lanes()), kind, [kind])
    whole = code.picked(vector, [number % width for number in range(lanes())])
    return code.picked(code.builder.call(function, [whole]), range(width))


def _of_torch(code: Code, symbol: str, result: Any, arguments: Sequence[Any]) -> Any:
    """A function that is there, where LLVM finds it."""
    binding.add_symbol(symbol, of_torch(symbol))
    return declared(code.builder.module, symbol, result, arguments)


def _is_torchs(name: str, work: Callable[..., None]) -> bool:
    kernel, function = compiled(2, work), getattr(torch, name)
    return all(torch.equal(*(_bits(each) for each in (_made(kernel, x), function(x)))) for x in _numbers())


def _made(kernel: Any, x: Tensor) -> Tensor:
    made = torch.empty_like(x)
    kernel(1, 1, [x, made])
    return made


def _numbers() -> list[Tensor]:
    """Of some sizes, and such as any bits are."""
    generator = torch.Generator().manual_seed(0)
    sizes = [scale * torch.randn(_TRIED, generator=generator) for scale in (1e-3, 1.0, 30.0)]
    bits = torch.randint(-(2**31), 2**31, (_TRIED,), generator=generator).to(torch.int32)
    return [*sizes, bits.view(torch.float32)]


def _bits(x: Tensor) -> Tensor:
    """Of all NaNs the same."""
    return torch.where(x.isnan(), torch.nan, x).view(torch.int32)
