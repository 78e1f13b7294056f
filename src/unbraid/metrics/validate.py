"""Arrays become a Representation here, or are refused with one sentence."""

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np

from unbraid.errors import UnbraidError
from unbraid.metrics.result import Metric
from unbraid.registry import Parameter, check_options, parameters
from unbraid.types import Representation

Options = Mapping[str, Mapping[str, Any]]  # metric -> option -> value

_FEWEST_ROWS = 3  # two to fit on and one to test with
_LARGEST = 1e12  # far beyond any code, and what the solvers behind some metrics still end at
_ROWS_A_VALUE = 10  # on average; with fewer, classes are hardly told from chance
_FEW_VALUES = 20  # up to these a factor is taken to be made of classes, however few the rows
_ENDS = {"bins": (2, 10_000), "batch": (2, math.inf), "quantile": (0, 1), "limit": (0.1, math.inf)}  # of options
_INDICES = 1_000  # whole numbers from 0 to below this are value indices as they are


def _table(value: Any, name: str, columns: str) -> np.ndarray:
    """float64 [N, `columns`], finite and not beyond 1e12."""
    kind = type(value).__name__
    if hasattr(value, "detach"):  # a tensor that records gradients, or lives on another device
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
        kind += f" of {array.dtype}"
        if np.iscomplexobj(array):
            raise TypeError
        numbers = array.astype(np.float64, copy=False)
    except (TypeError, ValueError, RuntimeError):
        raise UnbraidError(f"{name} must be an array of real numbers, not {kind}") from None
    if numbers.ndim != 2:
        raise UnbraidError(f"{name} must have shape [N, {columns}], not {list(numbers.shape)}")
    finite = np.isfinite(numbers).all(axis=1)
    if not finite.all():
        raise UnbraidError(f"{name} holds NaN or infinity in row {int(np.argmin(finite))}: leave such rows out")
    small = (np.abs(numbers) <= _LARGEST).all(axis=1)
    if not small.all():
        raise UnbraidError(f"{name} holds a number beyond {_LARGEST:g} in row {int(np.argmin(small))}: rescale it")
    return numbers


def _match(first: np.ndarray, second: np.ndarray, names: str, axis: int) -> None:
    if first.shape[axis] != second.shape[axis]:
        kind = ("rows", "columns")[axis]
        raise UnbraidError(f"{names} must have equally many {kind}, not {first.shape[axis]} and {second.shape[axis]}")


def check(rep: Representation) -> None:
    """Raises UnbraidError where no metric could score `rep`. Constant latents are legal, constant factors are not."""
    codes, factors = _table(rep.codes, "codes", "L"), _table(rep.factors, "factors", "F")
    _match(codes, factors, "codes and factors", axis=0)
    if len(codes) < _FEWEST_ROWS:
        raise UnbraidError(f"{len(codes)} row(s) cannot be scored: give at least {_FEWEST_ROWS}, better some thousands")
    if codes.shape[1] < 2:
        raise UnbraidError(f"codes has {codes.shape[1]} latent(s): a metric of disentanglement compares at least 2")
    if factors.shape[1] < 1:
        raise UnbraidError("factors has no columns: give at least 1 factor")
    if factors.shape[1] != len(rep.factor_sizes):
        raise UnbraidError(f"factors has {factors.shape[1]} column(s) but {len(rep.factor_sizes)} sizes: give one each")
    for column, (values, size) in enumerate(zip(factors.T, rep.factor_sizes, strict=True)):
        low, high = values.min(), values.max()
        if low == high:
            raise UnbraidError(f"factor {column} is constant, so nothing can be learned of it: leave its column out")
        if size is not None and (low < 0 or high >= size or (values != np.rint(values)).any()):
            raise UnbraidError(f"factor {column} must hold indices from 0 to {size - 1}, not {low:g} to {high:g}")
    if (rep.test_codes is None) != (rep.test_factors is None):
        raise UnbraidError("test_codes and test_factors belong together: give both or neither")
    if rep.test_codes is not None:
        test_codes, test_factors = (
            _table(rep.test_codes, "test_codes", "L"),
            _table(rep.test_factors, "test_factors", "F"),
        )
        _match(test_codes, test_factors, "test_codes and test_factors", axis=0)
        _match(codes, test_codes, "codes and test_codes", axis=1)
        _match(factors, test_factors, "factors and test_factors", axis=1)
        if not len(test_codes):
            raise UnbraidError("test_codes has no rows: give some, or leave the test arrays out")
    if rep.logvar is not None and _table(rep.logvar, "logvar", "L").shape != codes.shape:
        raise UnbraidError(f"logvar must have the shape of codes {list(codes.shape)}, not {list(rep.logvar.shape)}")


def representation(
    codes: Any, factors: Any, test_codes: Any = None, test_factors: Any = None, logvar: Any = None
) -> Representation:
    """A checked Representation of a sample: codes [N, L] and factors [N, F], anything numpy can read.

    A factor is discrete where all its values (test rows included) are whole numbers, and continuous otherwise. Whole
    numbers from 0 to 999 stay as they are: a value that a small sample lacks leaves its gap, which the metrics that cut
    or correlate factors must see. Others become 0, 1, ... in rising order. Raises UnbraidError where an array does not
    fit.
    """
    codes, factors = _table(codes, "codes", "L"), _table(factors, "factors", "F")
    test_codes = None if test_codes is None else _table(test_codes, "test_codes", "L")
    test_factors = None if test_factors is None else _table(test_factors, "test_factors", "F")
    logvar = None if logvar is None else _table(logvar, "logvar", "L")
    check(Representation(codes, factors, (None,) * factors.shape[1], test_codes, test_factors, logvar=logvar))

    everything = factors.copy() if test_factors is None else np.concatenate([factors, test_factors])
    sizes: list[int | None] = []
    for values in everything.T:
        if (values != np.rint(values)).any():
            sizes.append(None)
            continue
        if values.min() < 0 or values.max() >= _INDICES:
            values[:] = np.unique(values, return_inverse=True)[1]
        sizes.append(int(values.max()) + 1)
    if None not in sizes:
        everything = everything.astype(np.int64)
    factors, tested = np.split(everything, [len(factors)])
    return Representation(
        codes, factors, tuple(sizes), test_codes, None if test_factors is None else tested, logvar=logvar
    )


def hardly_shared(rep: Representation, names: Sequence[str] = ()) -> str | None:
    """The first discrete factor whose values hardly any rows share, and what to do, as a sentence; None without one.

    A measurement that was rounded, or a number of the image, is made of whole numbers as classes are. Each of its
    values is then a class of its own, and of those any code seems to tell something.
    """
    for column, (values, size) in enumerate(zip(rep.factors.T, rep.factor_sizes, strict=True)):
        if size is None:
            continue
        found = len(np.unique(values))
        if found > _FEW_VALUES and len(values) < _ROWS_A_VALUE * found:
            name = names[column] if names else column
            return (
                f"factor {name} counts as {found:,} classes, as it is made of whole numbers, and has {len(values):,} "
                "rows: divide a measurement so that it has fractions, leave out what only numbers the images, and of "
                "true classes score more rows"
            )
    return None


def check_seed(seed: Any) -> None:
    """Raises UnbraidError unless `seed` is a whole number from 0."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UnbraidError(f"seed must be a whole number from 0, not {seed!r}")


def names_of(metrics: Any) -> list[str]:
    """One name or several as a list; raises UnbraidError for anything else."""
    names = [metrics] if isinstance(metrics, str) or not isinstance(metrics, Iterable) else list(metrics)
    for name in names:
        if not isinstance(name, str):
            raise UnbraidError(f'metrics must be names, such as ["mig", "infoe"], not {name!r}')
    return names


def options_of(metrics: Any, chosen: Mapping[str, Metric]) -> Options:
    """The options that `metrics` gives to the `chosen`; {} where it is no mapping. A bad one raises UnbraidError."""
    if not isinstance(metrics, Mapping):
        return {}
    for name, options in metrics.items():
        if not isinstance(options, Mapping):
            raise UnbraidError(f'{name} must have its options in a mapping, such as {{"bins": 50}}, not {options!r}')
        known = parameters(chosen[name].function)
        check_options(options, known, name)
        for option, value in options.items():
            _check_option(f"{name}: {option}", value, known[option])
    return metrics


def _check_option(name: str, value: Any, known: Parameter) -> None:
    whole = known.type is int
    least, most = _ENDS.get(known.name, (int(whole), math.inf))
    is_number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not is_number or not least <= value <= most or math.isinf(value):
        end = f"{least} to {most}" if math.isfinite(most) else f"{least} up"
        raise UnbraidError(f"{name} must be a {'whole ' * whole}number from {end}, not {value!r}")


def obstacle(name: str, metric: Metric, factor_sizes: tuple[int | None, ...], posterior: bool) -> str | None:
    """Why `metric` cannot score such factors, with or without variances of q(z|x), as a sentence; None where it can."""
    continuous = [column for column, size in enumerate(factor_sizes) if size is None]
    if metric.needs != "any" and continuous:
        return f"{name} needs discrete factors, and factor {continuous[0]} is not made of whole numbers: bin it first"
    if metric.needs == "posterior" and not posterior:
        return f"{name} needs the log-variances of q(z|x) beside its means: give logvar"
    if len(factor_sizes) < metric.min_factors:
        return f"{name} compares factors: give at least {metric.min_factors}, not {len(factor_sizes)}"
    return None
