"""Arrays become a Representation here, or are refused with one sentence."""

from typing import Any

import numpy as np

from unbraid.errors import UnbraidError
from unbraid.metrics.result import Metric
from unbraid.types import Representation

_FEWEST_ROWS = 3  # two to fit on and one to test with


def _table(value: Any, name: str, columns: str) -> np.ndarray:
    try:
        array = np.asarray(value)
        numbers = array.astype(np.float64)
    except (TypeError, ValueError):
        raise UnbraidError(f"{name} must be an array of numbers, not {type(value).__name__}") from None
    if np.iscomplexobj(array):
        raise UnbraidError(f"{name} must be real numbers, not {array.dtype}")
    if numbers.ndim != 2:
        raise UnbraidError(f"{name} must have shape [N, {columns}], not {list(numbers.shape)}")
    if not np.isfinite(numbers).all():
        raise UnbraidError(f"{name} holds NaN or infinity in row {int(np.argmin(np.isfinite(numbers).all(1)))}")
    return numbers


def _rows_match(first: np.ndarray, second: np.ndarray, names: str) -> None:
    if len(first) != len(second):
        raise UnbraidError(f"{names} must have one row per point each, not {len(first)} and {len(second)} rows")


def _columns_match(first: np.ndarray, second: np.ndarray, names: str) -> None:
    if first.shape[1] != second.shape[1]:
        raise UnbraidError(f"{names} must have the same columns, not {first.shape[1]} and {second.shape[1]}")


def representation(
    codes: Any, factors: Any, test_codes: Any = None, test_factors: Any = None, logvar: Any = None
) -> Representation:
    """A checked Representation of a sample: codes [N, L] and factors [N, F], anything numpy can read.

    A factor is discrete where all its values (test rows included) are whole numbers, and its values become the
    indices 0, 1, ... in rising order; it is continuous otherwise. Raises UnbraidError where an array does not fit.
    """
    if (test_codes is None) != (test_factors is None):
        raise UnbraidError("test_codes and test_factors belong together: give both or neither")
    codes, factors = _table(codes, "codes", "L"), _table(factors, "factors", "F")
    _rows_match(codes, factors, "codes and factors")
    everything = factors
    if test_codes is not None:
        test_codes, test_factors = _table(test_codes, "test_codes", "L"), _table(test_factors, "test_factors", "F")
        _rows_match(test_codes, test_factors, "test_codes and test_factors")
        _columns_match(codes, test_codes, "codes and test_codes")
        _columns_match(factors, test_factors, "factors and test_factors")
        everything = np.concatenate([factors, test_factors])

    sizes: list[int | None] = []
    indexed = everything.copy()
    for column, values in enumerate(everything.T):
        if (values == np.rint(values)).all():
            taken, indexed[:, column] = np.unique(values, return_inverse=True)
            sizes.append(len(taken))
        else:
            sizes.append(None)
    if None not in sizes:
        indexed = indexed.astype(np.int64)
    rep = Representation(
        codes,
        indexed[: len(factors)],
        tuple(sizes),
        test_codes,
        None if test_codes is None else indexed[len(factors) :],
        logvar=None if logvar is None else _table(logvar, "logvar", "L"),
    )
    check(rep)
    return rep


def check(rep: Representation) -> None:
    """Raises UnbraidError where no metric could score `rep`. Constant latents are legal, constant factors are not."""
    codes, factors = _table(rep.codes, "codes", "L"), _table(rep.factors, "factors", "F")
    _rows_match(codes, factors, "codes and factors")
    if len(codes) < _FEWEST_ROWS:
        raise UnbraidError(f"{len(codes)} row(s) cannot be scored: give at least {_FEWEST_ROWS}, better some thousands")
    if codes.shape[1] < 2:
        raise UnbraidError(f"codes has {codes.shape[1]} latent(s): a metric of disentanglement compares at least 2")
    if factors.shape[1] < 1 or factors.shape[1] != len(rep.factor_sizes):
        sizes = len(rep.factor_sizes)
        raise UnbraidError(f"factors has {factors.shape[1]} column(s) and {sizes} sizes: give one size for each column")
    constant = np.flatnonzero(factors.min(0) == factors.max(0))
    if len(constant):
        raise UnbraidError(f"factor {constant[0]} is constant, so nothing can be learned of it: leave its column out")
    if rep.logvar is not None and rep.logvar.shape != rep.codes.shape:
        raise UnbraidError(f"logvar must have the shape of codes {list(codes.shape)}, not {list(rep.logvar.shape)}")


def obstacle(rep: Representation, name: str, metric: Metric) -> str | None:
    """Why `metric` cannot score `rep`, as a sentence; None where it can."""
    continuous = [column for column, size in enumerate(rep.factor_sizes) if size is None]
    if metric.needs != "any" and continuous:
        return f"{name} needs discrete factors, and factor {continuous[0]} is not made of whole numbers: bin it first"
    if metric.needs == "posterior" and rep.logvar is None:
        return f"{name} needs the log-variances of q(z|x) beside its means: give logvar"
    if len(rep.factor_sizes) < metric.min_factors:
        return f"{name} compares factors: give at least {metric.min_factors}, not {len(rep.factor_sizes)}"
    return None
