"""Times every metric at its published size against the straightforward way to compute it, in one process.

    python benchmarks/metric_speed.py [--metrics mig sap ...] [--seed 0] [--out benchmarks/results]

Both score the same deterministic codes of dSprites' factors: 10,000 points to fit and 5,000 to test, 10 latents. The
straightforward way is what a paper's reader would write with scikit-learn and loops over numpy, as the published
implementations do. Scores stand beside the times: they agree as far as the metric's own randomness allows (dci_hgb,
which has the plain way of dci_gbt, differs from it by its bins). Metrics that are timed again on the same day take the
place of their former results.
"""

import argparse
import datetime
import json
import os
import platform
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from unbraid.files import write_json
from unbraid.metrics import METRICS
from unbraid.randomness import numpy_generator
from unbraid.registry import lookup
from unbraid.types import Representation

SIZES = (3, 6, 40, 32, 32)  # shape, scale, orientation, x, y
LATENTS = 10

Plain = Callable[[Representation, np.random.Generator], float]


def representation(seed: int) -> Representation:
    """Codes as a fair VAE gives them: x and y in a latent each, the angle on a circle, leaks, three dead latents."""

    def encode(n: int, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = numpy_generator(seed, key)
        factors = np.stack([rng.integers(size, size=n) for size in SIZES], axis=1)
        shape, scale, angle, x, y = (2 * factors / (np.array(SIZES) - 1) - 1).T
        turn = np.pi * (angle + 1)
        clean = np.stack([x, y, scale + 0.3 * shape, np.sin(turn), np.cos(turn), (shape + np.sin(2 * turn)) / 2, shape])
        leaks = numpy_generator(seed, "leaks").normal(size=(5, 7))
        logvar = np.r_[np.full(7, -4.0), np.full(3, -0.01)] + 0.1 * rng.normal(size=(n, LATENTS))
        codes = np.zeros((n, LATENTS))
        codes[:, :7] = clean.T + 0.15 * np.stack([shape, scale, angle, x, y], axis=1) @ leaks
        noise = np.r_[np.full(7, 0.1), np.full(3, 0.02)] * rng.normal(size=(n, LATENTS))
        return codes + noise, factors, logvar

    codes, factors, logvar = encode(10_000, "fit")
    test_codes, test_factors, _ = encode(5_000, "test")
    return Representation(codes, factors, SIZES, test_codes, test_factors, logvar=logvar)


# --- the straightforward way ------------------------------------------------------------------------------------------


def binned(codes: np.ndarray, bins: int = 20) -> np.ndarray:
    return np.stack([np.digitize(c, np.histogram(c, bins)[1][:-1]) for c in codes.T], axis=1)


def discrete_information(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    from sklearn.metrics import mutual_info_score

    return np.array([[mutual_info_score(v, c) for v in factors.T] for c in codes.T])


def entropies(values: np.ndarray) -> np.ndarray:
    from sklearn.metrics import mutual_info_score

    return np.array([mutual_info_score(v, v) for v in values.T])


def mean_gap(information: np.ndarray, factors: np.ndarray) -> float:
    ordered = np.sort(information, axis=0)
    return float(np.mean((ordered[-1] - ordered[-2]) / entropies(factors)))


def matching(factors: np.ndarray, factor: int, value: int, size: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(np.flatnonzero(factors[:, factor] == value), size)


def plain_beta_vae(rep: Representation, rng: np.random.Generator) -> float:
    from sklearn.linear_model import LogisticRegression

    def differences(codes: np.ndarray, factors: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
        features, labels = [], []
        for _ in range(points):
            factor = int(rng.integers(len(SIZES)))
            first = rng.integers(len(codes), size=64)
            second = [matching(factors, factor, factors[i, factor], 1, rng)[0] for i in first]
            features.append(np.abs(codes[first] - codes[second]).mean(0))
            labels.append(factor)
        return np.array(features), np.array(labels)

    model = LogisticRegression(max_iter=1_000).fit(*differences(rep.codes, rep.factors, 10_000))
    return float(model.score(*differences(*tests(rep), 5_000)))


def plain_factor_vae(rep: Representation, rng: np.random.Generator) -> float:
    variance = rep.codes.var(0, ddof=1)
    active = variance >= 0.05**2

    def votes(codes: np.ndarray, factors: np.ndarray, points: int) -> np.ndarray:
        table = np.zeros((int(active.sum()), len(SIZES)))
        for _ in range(points):
            factor = int(rng.integers(len(SIZES)))
            rows = matching(factors, factor, rng.choice(factors[:, factor]), 64, rng)
            table[np.argmin(codes[rows][:, active].var(0, ddof=1) / variance[active]), factor] += 1
        return table

    fitted, tested = votes(rep.codes, rep.factors, 10_000), votes(*tests(rep), 5_000)
    return float(tested[np.arange(len(fitted)), fitted.argmax(1)].sum() / tested.sum())


def plain_mig(rep: Representation, rng: np.random.Generator) -> float:
    return mean_gap(discrete_information(binned(rep.codes), rep.factors), rep.factors)


def plain_mig_chen(rep: Representation, rng: np.random.Generator) -> float:
    from scipy.special import logsumexp

    assert rep.logvar is not None
    sd = np.exp(rep.logvar / 2)

    def entropy(mean: np.ndarray, sd: np.ndarray, samples: int = 10_000) -> float:
        chosen = rng.integers(len(mean), size=samples)
        z = mean[chosen] + sd[chosen] * rng.normal(size=samples)
        total = 0.0
        for part in np.array_split(z, 20):
            density = -0.5 * ((part[:, None] - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
            total -= float(np.sum(logsumexp(density, axis=1) - np.log(len(mean))))
        return total / samples

    information = np.empty((LATENTS, len(SIZES)))
    for j in range(LATENTS):
        whole = entropy(rep.codes[:, j], sd[:, j])
        for k, size in enumerate(SIZES):
            rows = [np.flatnonzero(rep.factors[:, k] == value) for value in range(size)]
            inside = sum(len(r) * entropy(rep.codes[r, j], sd[r, j]) for r in rows) / len(rep.codes)
            information[j, k] = whole - inside
    return mean_gap(information, rep.factors)


def plain_rmig(rep: Representation, rng: np.random.Generator) -> float:
    from scipy.stats import norm

    assert rep.logvar is not None
    edges = np.r_[-np.inf, np.linspace(-4, 4, 101)[1:-1], np.inf]
    information = np.empty((LATENTS, len(SIZES)))
    for j in range(LATENTS):
        mass = np.diff(norm.cdf(edges, rep.codes[:, [j]], np.exp(rep.logvar[:, [j]] / 2)), axis=1)
        for k, size in enumerate(SIZES):
            joint = np.stack([mass[rep.factors[:, k] == value].sum(0) for value in range(size)]) / len(mass)
            apart = joint.sum(1, keepdims=True) * joint.sum(0)
            information[j, k] = np.sum(joint * np.log(joint / apart, out=np.zeros_like(joint), where=joint > 0))
    return mean_gap(information, rep.factors)


def plain_mig_sup(rep: Representation, rng: np.random.Generator) -> float:
    ordered = np.sort(discrete_information(binned(rep.codes), rep.factors) / entropies(rep.factors), axis=1)
    return float((ordered[:, -1] - ordered[:, -2])[rep.codes.var(0) > 0.01].mean())


def plain_dcimig(rep: Representation, rng: np.random.Generator) -> float:
    best = np.zeros(len(SIZES))
    for row in discrete_information(binned(rep.codes), rep.factors):
        ordered = np.sort(row)
        best[row.argmax()] = max(best[row.argmax()], ordered[-1] - ordered[-2])
    return float(best.sum() / entropies(rep.factors).sum())


def plain_jemmig(rep: Representation, rng: np.random.Generator) -> float:
    codes, h_codes, h_factors = binned(rep.codes), entropies(binned(rep.codes)), entropies(rep.factors)
    information = discrete_information(codes, rep.factors)
    scores = []
    for k in range(len(SIZES)):
        second, first = np.argsort(information[:, k])[-2:]
        joint = h_codes[first] + h_factors[k] - information[first, k]
        scores.append(1 - (joint - information[first, k] + information[second, k]) / (h_factors[k] + np.log(20)))
    return float(np.mean(scores))


def plain_modularity(rep: Representation, rng: np.random.Generator) -> float:
    squares = discrete_information(binned(rep.codes), rep.factors) ** 2
    rest = squares.sum(1) - squares.max(1)
    return float(np.mean(1 - rest / squares.max(1) / (len(SIZES) - 1)))


def plain_irs(rep: Representation, rng: np.random.Generator) -> float:
    factors = binned(rep.factors)
    largest = np.abs(rep.codes - rep.codes.mean(0)).max(0)
    robust = np.empty((LATENTS, len(SIZES)))
    for j in range(LATENTS):
        for k in range(len(SIZES)):
            moved = []
            for value in np.unique(factors[:, k]):
                group = rep.codes[factors[:, k] == value, j]
                moved.append(np.percentile(np.abs(group - group.mean()), 99))
            robust[j, k] = 1 - np.mean(moved) / largest[j]
    return float(np.average(robust.max(1), weights=largest))


def plain_unsupervised(rep: Representation, rng: np.random.Generator) -> float:
    from scipy.linalg import sqrtm

    covariance = np.cov(rep.codes.T)
    score = 0.5 * (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1])
    root = np.sqrt(np.diag(np.diag(covariance)))
    sqrtm(root @ covariance @ root)
    discrete_information(binned(rep.codes), binned(rep.codes))
    return float(score)


def tests(rep: Representation) -> tuple[np.ndarray, np.ndarray]:
    assert rep.test_codes is not None and rep.test_factors is not None
    return rep.test_codes, rep.test_factors


def plain_sap(rep: Representation, rng: np.random.Generator) -> float:
    from sklearn.svm import LinearSVC

    codes, factors = tests(rep)
    score = np.empty((LATENTS, len(SIZES)))
    for j in range(LATENTS):
        for k in range(len(SIZES)):
            model = LinearSVC(C=0.01, class_weight="balanced").fit(rep.codes[:, [j]], rep.factors[:, k])
            score[j, k] = model.score(codes[:, [j]], factors[:, k])
    ordered = np.sort(score, axis=0)
    return float(np.mean(ordered[-1] - ordered[-2]))


def plain_dci(rep: Representation, models: list) -> float:
    from scipy.stats import entropy

    codes, factors = tests(rep)
    importance = np.empty((LATENTS, len(SIZES)))
    for k, model in enumerate(models):
        model.fit(rep.codes, rep.factors[:, k])
        importance[:, k] = model.feature_importances_
        model.score(rep.codes, rep.factors[:, k]), model.score(codes, factors[:, k])
    apart = 1 - entropy(importance.T + 1e-11, base=len(SIZES))
    return float(apart @ importance.sum(1) / importance.sum())


def plain_dci_gbt(rep: Representation, rng: np.random.Generator) -> float:
    from sklearn.ensemble import GradientBoostingClassifier

    return plain_dci(rep, [GradientBoostingClassifier(random_state=k) for k in range(len(SIZES))])


def plain_dci_rf(rep: Representation, rng: np.random.Generator) -> float:
    from sklearn.ensemble import RandomForestClassifier

    forests = [
        RandomForestClassifier(100, criterion="entropy", max_depth=10, n_jobs=-1, random_state=k)
        for k in range(len(SIZES))
    ]
    return plain_dci(rep, forests)


def plain_dci_lasso(rep: Representation, rng: np.random.Generator) -> float:
    from scipy.stats import entropy
    from sklearn.linear_model import Lasso
    from sklearn.preprocessing import StandardScaler

    codes, factors = StandardScaler().fit(rep.codes), StandardScaler().fit(rep.factors)
    x, y = codes.transform(rep.codes), factors.transform(rep.factors)
    test_x, test_y = codes.transform(tests(rep)[0]), factors.transform(tests(rep)[1])
    importance = np.empty((LATENTS, len(SIZES)))
    for k in range(len(SIZES)):
        model = Lasso(alpha=0.02).fit(x, y[:, k])
        importance[:, k] = np.abs(model.coef_)
        model.score(x, y[:, k]), model.score(test_x, test_y[:, k])
    apart = 1 - entropy(importance.T + 1e-11, base=len(SIZES))
    return float(apart @ importance.sum(1) / importance.sum())


def plain_explicitness(rep: Representation, rng: np.random.Generator) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(rep.codes)
    areas = []
    for k, size in enumerate(SIZES):
        model = LogisticRegression().fit(scaler.transform(rep.codes), rep.factors[:, k])
        for codes, factors in ((rep.codes, rep.factors), tests(rep)):
            area = roc_auc_score(np.eye(size)[factors[:, k]], model.predict_proba(scaler.transform(codes)))
        areas.append(area)
    return float(np.mean(areas))


def neighbour_information(rep: Representation) -> np.ndarray:
    from sklearn.feature_selection import mutual_info_classif
    from sklearn.preprocessing import StandardScaler

    codes = StandardScaler().fit_transform(rep.codes)
    rows = [mutual_info_classif(codes, v, n_neighbors=10, random_state=0) for v in rep.factors.T]
    information = np.stack(rows) / entropies(rep.factors)[:, None]
    spread = np.ptp(rep.codes, axis=0)
    return information[:, spread > spread.max() / 20]


def plain_infom(rep: Representation, rng: np.random.Generator) -> float:
    information = neighbour_information(rep)
    even = 1 / len(information)
    return float((np.mean(information.max(0) / information.sum(0)) - even) / (1 - even))


def plain_infoc(rep: Representation, rng: np.random.Generator) -> float:
    information = neighbour_information(rep)
    even = 1 / information.shape[1]
    return float((np.mean(information.max(1) / information.sum(1)) - even) / (1 - even))


def plain_infoe(rep: Representation, rng: np.random.Generator) -> float:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import StandardScaler

    codes = StandardScaler().fit_transform(rep.codes)
    scores = []
    for factor in rep.factors.T:
        seen, unseen = (
            log_loss(factor, LogisticRegression(C=np.inf, class_weight="balanced").fit(x, factor).predict_proba(x))
            for x in (codes, np.zeros_like(codes))
        )
        scores.append(1 - seen / unseen)
    return float(np.mean(scores))


PLAIN: dict[str, Plain] = {
    "beta_vae": plain_beta_vae,
    "factor_vae": plain_factor_vae,
    "mig": plain_mig,
    "mig_chen": plain_mig_chen,
    "rmig": plain_rmig,
    "mig_sup": plain_mig_sup,
    "dcimig": plain_dcimig,
    "jemmig": plain_jemmig,
    "modularity": plain_modularity,
    "irs": plain_irs,
    "unsupervised": plain_unsupervised,
    "sap": plain_sap,
    "dci_gbt": plain_dci_gbt,
    "dci_hgb": plain_dci_gbt,
    "dci_rf": plain_dci_rf,
    "dci_lasso": plain_dci_lasso,
    "explicitness": plain_explicitness,
    "infom": plain_infom,
    "infoc": plain_infoc,
    "infoe": plain_infoe,
}


# --- the race ---------------------------------------------------------------------------------------------------------


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """(what `function` returns, the seconds it took)"""
    start = time.perf_counter()
    value = function(*arguments)
    return value, time.perf_counter() - start


def warm_up(rep: Representation, names: list[str]) -> None:
    """Imports what the metrics import, and starts what they start, outside of the race."""
    assert rep.logvar is not None
    few = Representation(
        rep.codes[:400],
        rep.factors[:400] % 2,
        (2,) * 5,
        rep.codes[400:600],
        rep.factors[400:600] % 2,
        logvar=rep.logvar[:400],
    )
    for name in names:
        METRICS[name].function(few, numpy_generator(0, name))


def processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--metrics", nargs="+", default=list(METRICS), help="which metrics (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    names = [name for name in arguments.metrics if lookup(METRICS, name, "metric")]

    from joblib import cpu_count
    from threadpoolctl import threadpool_limits

    machine = f"{cpu_count()} cores {processor()}"
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{machine}{load}\n{'metric':14} {'ours':>9} {'plain':>9} {'ratio':>7}   {'score':>7} {'plain':>7}")
    rep = representation(arguments.seed)
    warm_up(rep, names)
    warnings.simplefilter("ignore")  # the straightforward way warns of early stops
    rows = {}
    for name in names:
        with threadpool_limits(1, "blas"):  # more only get in each other's way at these sizes
            result, seconds = timed(METRICS[name].function, rep, numpy_generator(arguments.seed, name))
            plain, plain_seconds = timed(PLAIN[name], rep, numpy_generator(arguments.seed, name))
        ratio = plain_seconds / seconds
        print(
            f"{name:14} {seconds:8.2f}s {plain_seconds:8.2f}s {ratio:6.1f}x   {result.score:7.4f} {plain:7.4f}",
            flush=True,
        )
        rows[name] = {
            "seconds": round(seconds, 4),
            "plain_seconds": round(plain_seconds, 4),
            "ratio": round(ratio, 2),
            "score": round(result.score, 6),
            "plain_score": round(plain, 6),
        }
    device = re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")
    path = arguments.out / f"{datetime.date.today().isoformat()}-{device}-metric_speed.json"
    if path.exists():
        rows = json.loads(path.read_text(encoding="utf-8"))["metrics"] | rows
    rows = {name: rows[name] for name in METRICS if name in rows}
    write_json(path, {"machine": machine, "shared": "with other work", "points": [10_000, 5_000], "metrics": rows})
    print(path)


if __name__ == "__main__":
    main()
