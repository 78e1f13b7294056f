"""The table of metrics, and how arrays are scored by it."""

from collections.abc import Iterable
from typing import Any

from unbraid.errors import UnbraidError
from unbraid.metrics.mig import mig
from unbraid.metrics.result import Metric, Result
from unbraid.metrics.validate import check, obstacle, representation
from unbraid.randomness import numpy_generator
from unbraid.registry import lookup
from unbraid.types import Representation

__all__ = ["METRICS", "Metric", "Result", "results", "score"]

METRICS: dict[str, Metric] = {
    "mig": Metric(mig, "gap between the two latents that know most of each factor", "Chen 2018"),
}


def results(rep: Representation, metrics: Iterable[str] | None = None, seed: int = 0) -> dict[str, Result]:
    """The Result of each metric by name; `metrics=None` takes every default metric that applies to `rep`.

    Each metric draws from a generator of its own, named by `seed` and its name, so no score depends on which others
    are asked for. Raises UnbraidError for an unknown metric, or one that was asked for and cannot score `rep`.
    """
    check(rep)
    if metrics is None:
        metrics = [name for name, metric in METRICS.items() if metric.default and not obstacle(rep, name, metric)]
    chosen = {name: lookup(METRICS, name, "metric") for name in metrics}
    for name, metric in chosen.items():
        if reason := obstacle(rep, name, metric):
            raise UnbraidError(reason)
    return {name: metric.function(rep, numpy_generator(seed, name)) for name, metric in chosen.items()}


def score(
    codes: Any,
    factors: Any,
    metrics: Iterable[str] | None = None,
    seed: int = 0,
    test_codes: Any = None,
    test_factors: Any = None,
    logvar: Any = None,
) -> dict[str, float]:
    """Scores codes [N, L] against the factors [N, F] behind them: {"mig": ..., "dci_rf.completeness": ...}.

    A metric's headline stands under its name, its further values under "name.part". Whole-numbered factors are
    discrete, others continuous; `metrics=None` takes every metric that applies, save the slow ones. `logvar` [N, L]
    of q(z|x) is needed by mig_chen alone. All rows are used; where there are no test rows, metrics which train a
    classifier hold out a third. Raises UnbraidError where the arrays do not fit.
    """
    rep = representation(codes, factors, test_codes, test_factors, logvar)
    scores = {}
    for name, result in results(rep, metrics, seed).items():
        scores[name] = result.score
        scores.update({f"{name}.{part}": value for part, value in result.parts.items()})
    return scores
