"""Choosing among the runs of a study without labels, and how far that choice can be trusted."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unbraid import evaluate, runs
from unbraid.config import Config
from unbraid.errors import UnbraidError, printable
from unbraid.metrics import METRICS
from unbraid.metrics.udr import udr
from unbraid.progress import progress

_POINTS = 1_000  # images, the same for every run


@dataclass(frozen=True)
class Ranking:
    """A row per run, best first by `udr_lasso`; a value is None where it is not known."""

    runs: list[str]
    active_latents: list[int]  # of each run: agreeing on few is easy, on one most of all
    unsupervised: Mapping[str, list[float | None]]  # criterion -> value of each run
    supervised: Mapping[str, list[float | None]]  # metric -> score of each run, from scores.json
    agreement: Mapping[str, Mapping[str, float | None]]  # criterion -> metric -> Spearman correlation over the runs


def rank(study: Path, *, seed: int = 0, show: bool = False) -> Ranking:
    """Ranks the finished runs below `study` by how well runs of other seeds agree with them (UDR, Duan 2020).

    Runs that a study has set aside do not count, nor those whose state cannot be read. Runs are compared within groups
    of equal settings but for the seed; a run alone in its group has no UDR. Copies, runs of equal settings and seed,
    count once, for they agree whatever they learned. Beside it stand the ELBO (higher is better) and the negative
    Gaussian total correlation and mean pairwise information of the codes: of runs on different data these do not
    compare, while UDR does, for a group shares its data. Raises UnbraidError where there are not two finished runs.
    """
    folders = _without_copies([folder for folder in runs.find(study) if _is_finished(folder, show)], show)
    if len(folders) < 2:
        raise UnbraidError(
            f"{study} holds {len(folders)} finished run(s) of different settings or seeds: ranking compares at least 2"
        )
    groups: dict[str, list[int]] = {}
    codes, kls, active = [], [], []
    values: dict[str, list[float | None]] = {}
    with progress("encode", len(folders), "runs", show=show) as bar:
        for number, folder in enumerate(folders):
            run = runs.load(folder)
            dataset = run.data
            groups.setdefault(_settings(run.config, but=("seed",)), []).append(number)
            encoded = evaluate.encode_sample(run, dataset, points=_POINTS, seed=seed)
            codes.append(encoded.mean)
            kls.append(encoded.kl)
            active.append(int(encoded.active.sum()))
            losses, _ = evaluate.fresh_losses(run, dataset, seed=seed)
            values.setdefault("elbo", []).append(-float(losses.mean() + encoded.kl.sum()))
            tc, mi = evaluate.dependence(encoded.mean)
            values.setdefault("-gaussian_tc", []).append(-tc)
            values.setdefault("-mean_mi", []).append(-mi)
            bar.advance()
    for kind in ("lasso", "spearman"):
        column: list[float | None] = [None] * len(folders)
        for members in groups.values():
            if len(members) > 1:
                scores = udr([codes[n] for n in members], [kls[n] for n in members], kind=kind).scores
                for n, value in zip(members, scores, strict=True):
                    column[n] = float(value)
        values[f"udr_{kind}"] = column
    scored = [runs.read_scores(folder).get("metrics", {}) for folder in folders]
    names = [name for name in METRICS if any(name in each for each in scored) and name != "unsupervised"]
    supervised = {name: [each.get(name, {}).get("score") for each in scored] for name in names}
    ordered = {name: values[name] for name in ("udr_lasso", "udr_spearman", "elbo", "-gaussian_tc", "-mean_mi")}
    agreement = {
        criterion: {name: _correlation(column, supervised[name]) for name in names}
        for criterion, column in ordered.items()
    }
    best = [value if value is not None else -np.inf for value in values["udr_lasso"]]
    order = sorted(range(len(folders)), key=lambda n: -best[n])
    return Ranking(
        [str(folders[n].relative_to(study)) for n in order],
        [active[n] for n in order],
        {name: [column[n] for n in order] for name, column in ordered.items()},
        {name: [column[n] for n in order] for name, column in supervised.items()},
        agreement,
    )


def _is_finished(folder: Path, show: bool) -> bool:
    """Nor is a run finished whose files do not tell, which says so and stops no ranking of the others."""
    try:
        return runs.state(folder) == "finished"
    except UnbraidError as error:
        if show:
            print(f"left out: {error}", file=sys.stderr)  # noqa: T201
        return False


def _without_copies(folders: list[Path], show: bool) -> list[Path]:
    first: dict[str, Path] = {}
    for folder in folders:
        same = first.setdefault(_settings(runs.read_config(folder)), folder)
        if show and same != folder:
            said = printable(f"left out: {folder} has the settings and the seed of {same}")
            print(said, file=sys.stderr)  # noqa: T201
    return list(first.values())


def _settings(config: Config, but: tuple[str, ...] = ()) -> str:
    return repr({name: v for name, v in config.flat().items() if name not in (*but, *runs.FREE_SETTINGS)})


def _correlation(first: list[float | None], second: list[float | None]) -> float | None:
    """Spearman correlation over the runs that have both; None for fewer than three, or where one does not vary."""
    from scipy.stats import rankdata

    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    if len(pairs) < 3:
        return None
    ranks = rankdata(np.array(pairs), axis=0)
    if (ranks.std(0) == 0).any():
        return None
    return float(np.corrcoef(ranks.T)[0, 1])
