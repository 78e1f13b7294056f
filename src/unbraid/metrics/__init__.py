"""The table of metrics, and how arrays are scored by it."""

import sys
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from unbraid.errors import UnbraidError
from unbraid.metrics.beta_vae import beta_vae
from unbraid.metrics.dci_gbt import dci_gbt
from unbraid.metrics.dci_hgb import dci_hgb
from unbraid.metrics.dci_lasso import dci_lasso
from unbraid.metrics.dci_rf import dci_rf
from unbraid.metrics.dcimig import dcimig
from unbraid.metrics.explicitness import explicitness
from unbraid.metrics.factor_vae import factor_vae
from unbraid.metrics.infoc import infoc
from unbraid.metrics.infoe import infoe
from unbraid.metrics.infom import infom
from unbraid.metrics.irs import irs
from unbraid.metrics.jemmig import jemmig
from unbraid.metrics.mig import mig
from unbraid.metrics.mig_chen import mig_chen
from unbraid.metrics.mig_sup import mig_sup
from unbraid.metrics.modularity import modularity
from unbraid.metrics.result import Metric, Result
from unbraid.metrics.rmig import rmig
from unbraid.metrics.sap import sap
from unbraid.metrics.unsupervised import unsupervised
from unbraid.metrics.validate import (
    Options,
    check,
    check_seed,
    hardly_shared,
    names_of,
    obstacle,
    options_of,
    representation,
)
from unbraid.progress import progress
from unbraid.randomness import numpy_generator
from unbraid.registry import lookup
from unbraid.types import Representation

__all__ = ["METRICS", "Metric", "Result", "choose", "results", "score"]

METRICS: dict[str, Metric] = {
    "beta_vae": Metric(
        beta_vae, "a linear classifier names the factor that pairs share", "Higgins 2017", "discrete", min_factors=2
    ),
    "factor_vae": Metric(
        factor_vae, "the latent that varies least names the held factor", "Kim & Mnih 2018", "discrete", min_factors=2
    ),
    "mig": Metric(mig, "gap between the two latents that know most of each factor", "Chen 2018"),
    "mig_chen": Metric(mig_chen, "the same gap for z as the encoder distributes it", "Chen 2018", "posterior"),
    "rmig": Metric(rmig, "the same gap for q(z|x) cut into bins", "Do & Tran 2020", "discrete"),
    "mig_sup": Metric(mig_sup, "gap between the two factors that each latent knows best", "Li 2020", min_factors=2),
    "dcimig": Metric(
        dcimig, "share of the factors' entropy in latents of their own", "Sepliarskaia 2019", min_factors=2
    ),
    "jemmig": Metric(jemmig, "the gap, less what a latent knows besides its factor", "Do & Tran 2020"),
    "modularity": Metric(
        modularity, "how little each latent knows of other factors", "Ridgeway & Mozer 2018", min_factors=2
    ),
    "sap": Metric(sap, "gap between the two latents that predict each factor best", "Kumar 2018"),
    "dci_gbt": Metric(
        dci_gbt,
        "how few factors each latent matters for, to boosted trees",
        "Locatello 2019",
        "discrete",
        min_factors=2,
        default=False,
    ),
    "dci_hgb": Metric(
        dci_hgb,
        "the same to boosted trees that split between bins, several times faster",
        "Locatello 2019",
        "discrete",
        min_factors=2,
    ),
    "dci_rf": Metric(
        dci_rf, "how few factors each latent matters for, to a random forest", "Hsu 2024", "discrete", min_factors=2
    ),
    "dci_lasso": Metric(
        dci_lasso,
        "how few factors each latent matters for, to a sparse line",
        "Eastwood & Williams 2018",
        min_factors=2,
    ),
    "explicitness": Metric(
        explicitness, "area under the ROC curve of a linear classifier", "Ridgeway & Mozer 2018", "discrete"
    ),
    "infom": Metric(infom, "share of a latent's information on its best factor", "Hsu 2023", "discrete", min_factors=2),
    "infoc": Metric(infoc, "share of a factor's information in its best latent", "Hsu 2023", "discrete"),
    "infoe": Metric(infoe, "share of the factors' entropy a linear classifier can use", "Hsu 2023", "discrete"),
    "irs": Metric(irs, "how still a latent stands while its factor is held", "Suter 2019"),
    "unsupervised": Metric(
        unsupervised, "Gaussian total correlation of the latents", "Locatello 2019", higher_is_better=False
    ),
}


def direction(score: str) -> int:
    """1 where a higher score is better, -1 where a lower one is, 0 where neither is.

    Neither is of `kl`: the least is that of a model that tells nothing of the image.
    """
    if score in METRICS:
        return 1 if METRICS[score].higher_is_better else -1
    return -1 if score in ("reconstruction", "recon", "loss") else 0


OF_A_RUN = {  # scores that arrays do not have: evaluate.py takes them
    "reconstruction": "what the decoder misses, nats per image; lower is better (of runs alone)",
    "kl": "what the latents tell, nats per image: KL of q(z|x) to the prior (of runs alone)",
}

# Names one may expect in the table, and where to find them.
_ELSEWHERE = {
    "dci": "dci depends on what predicts the factors: ask for dci_gbt, dci_hgb, dci_rf or dci_lasso",
    "udr": "udr compares runs of several seeds: see `unbraid select STUDY`, or unbraid.metrics.udr.udr for arrays",
    **{name: f"{name} needs a trained run: see `unbraid score RUN`" for name in OF_A_RUN},
}


def choose(
    metrics: Iterable[str] | None, factor_sizes: tuple[int | None, ...], *, posterior: bool
) -> dict[str, Metric]:
    """The lines of METRICS that `metrics` names; for None every default one that can score such factors.

    Raises UnbraidError for an unknown metric, or one that was asked for and cannot.
    """
    if metrics is None:
        return {n: m for n, m in METRICS.items() if m.default and not obstacle(n, m, factor_sizes, posterior)}
    chosen = {}
    for name in names_of(metrics):
        if name in _ELSEWHERE:
            raise UnbraidError(_ELSEWHERE[name])
        chosen[name] = lookup(METRICS, name, "metric")
        if reason := obstacle(name, chosen[name], factor_sizes, posterior):
            raise UnbraidError(reason)
    return chosen


def results(
    rep: Representation,
    metrics: Iterable[str] | Options | None = None,
    seed: int = 0,
    *,
    factor_names: Sequence[str] = (),
    classes_known: bool = False,
    show: bool = False,
) -> dict[str, Result]:
    """The Result of each metric by name; `metrics=None` takes every default metric that applies to `rep`.

    Where `metrics` maps names to options, such as {"mig": {"bins": 50}}, these take the place of its protocol.

    Each metric draws from a generator of its own, named by `seed` and its name, so no score depends on which others
    are asked for. Unless its `classes_known` are what they are, a factor that can hardly be one of classes is told of:
    by a warning, or in plain words where progress is shown. Raises UnbraidError for an unknown metric, one that was
    asked for and cannot score `rep`, an option that is not its own or out of range, or a seed that is no whole number
    from 0.
    """
    check(rep)
    check_seed(seed)
    chosen = choose(metrics, rep.factor_sizes, posterior=rep.logvar is not None)
    options = options_of(metrics, chosen)
    doubt = None if classes_known else hardly_shared(rep, factor_names)
    if doubt and show:
        print(doubt, file=sys.stderr)  # noqa: T201
    elif doubt:
        warnings.warn(doubt, stacklevel=3)
    found = {}
    with progress("score", len(chosen), "metrics", show=show) as bar:
        for name, metric in chosen.items():
            found[name] = metric.function(rep, numpy_generator(seed, name), **options.get(name, {}))
            bar.advance(status=name)
    return found


def score(
    codes: Any,
    factors: Any,
    metrics: Iterable[str] | Options | None = None,
    seed: int = 0,
    test_codes: Any = None,
    test_factors: Any = None,
    logvar: Any = None,
) -> dict[str, float]:
    """Scores codes [N, L] against the factors [N, F] behind them: {"mig": ..., "dci_rf.completeness": ...}.

    A metric's headline stands under its name, its further values under "name.part". Whole-numbered factors are
    discrete, others continuous; `metrics=None` takes every metric that applies, save the slow ones. A mapping of names
    to options, such as {"mig": {"bins": 50}, "sap": {}}, scores by other than the published protocols: `unbraid
    metrics` lists the options. `logvar` [N, L] of q(z|x) is needed by mig_chen, and used by rmig. All rows are used;
    where there are no test rows, metrics which train a classifier hold out a third. Raises UnbraidError where the
    arrays or options do not fit.
    """
    rep = representation(codes, factors, test_codes, test_factors, logvar)
    scores = {}
    for name, result in results(rep, metrics, seed).items():
        scores[name] = result.score
        scores.update({f"{name}.{part}": value for part, value in result.parts.items()})
    return scores
