"""Figures of the scores of a study: how they are spread, what they follow, whether they agree, and who is best."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from unbraid import figures, pictures, runs, schedules
from unbraid.errors import UnbraidError
from unbraid.metrics import direction
from unbraid.study.results import Result, Results

_METHOD = ("data", "model", "objective")  # what is called a method where it varies; the objective where nothing does
_WITHIN = 3  # settings that a name of a column has room for


def headline_scores(results: Results) -> list[str]:
    """The scores that every finished run of the study has, without their parts."""
    found = [result.scores for result in results]
    names = [name for name in found[0] if "." not in name and all(name in each for each in found)] if found else []
    if not names:
        raise UnbraidError("the runs of this study have no score in common: name some in `scores:`")
    return names


def varied(results: Sequence[Result]) -> list[str]:
    """Settings that differ among the runs, but for the seed and what says which method a run is."""
    flat = [result.config.flat() for result in results]
    names = dict.fromkeys(name for each in flat for name in each)
    return [
        name
        for name in names
        if name not in (*_METHOD, "seed", *runs.FREE_SETTINGS) and len({repr(each.get(name)) for each in flat}) > 1
    ]


def methods(results: Results) -> dict[str, list[Result]]:
    telling = [name for name in _METHOD if len({result.setting(name) for result in results}) > 1] or ["objective"]
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(", ".join(str(result.setting(name)) for name in telling), []).append(result)
    return found


def number(value: Any) -> float | None:
    """A setting as a number, a schedule as the number it ends at; None for other text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and "(" in value:
        try:
            return float(schedules.parse(value)(10**12))
        except UnbraidError:
            return None
    return None


def named(result: Result, names: Sequence[str]) -> str:
    """ "beta 4, every pos_x:2", without the settings that say nothing in this run."""
    told = [f"{name} {_shown(result.setting(name))}" for name in names if result.setting(name) not in ("", None)]
    return ", ".join(told[:_WITHIN])


def _shown(value: Any) -> str:
    known = number(value)
    return str(value) if known is None else f"{known:g}"


def distributions(results: Results, theme: str) -> None:
    """For each score a figure: a column a setting, a dot a run."""
    for score in headline_scores(results):
        spread: dict[str, dict[str, list[float]]] = {}
        for method, members in methods(results).items():
            names = varied(members)
            for result in members:
                spread.setdefault(method, {}).setdefault(named(result, names), []).append(result.scores[score])
        figure = figures.score_distributions(spread, score=score, theme=theme)
        figures.save(figure, results.figure(f"distribution-{score}.png"))


def against(results: Results, theme: str) -> None:
    """For each score a figure, a panel a method: the score against the first number that varies there."""
    parameters: dict[str, tuple[str, list[str], list[Result]]] = {}
    for method, members in methods(results).items():
        names = varied(members)
        numeric = [name for name in names if all(number(result.setting(name)) is not None for result in members)]
        if numeric:
            parameters[method] = (numeric[0], [name for name in names if name != numeric[0]], members)
    if not parameters:
        raise UnbraidError("no setting with numbers varies within a method of this study")
    for score in headline_scores(results):
        panels = {
            method: (
                parameter,
                [(named(each, others), _value(each, parameter), each.scores[score]) for each in members],
            )
            for method, (parameter, others, members) in parameters.items()
        }
        figure = figures.score_against(panels, score=score, theme=theme)
        figures.save(figure, results.figure(f"against-{score}.png"))


def _value(result: Result, name: str) -> float:
    found = number(result.setting(name))
    return float("nan") if found is None else found


def correlation(results: Results, theme: str) -> None:
    """Spearman's rank correlation between the scores over all runs; a score of one value only is left out."""
    from scipy.stats import rankdata

    names = headline_scores(results)
    values = np.array([[result.scores[name] for name in names] for result in results])
    telling = np.flatnonzero(np.ptp(values, axis=0) > 0)
    if len(values) < 3 or len(telling) < 2:
        raise UnbraidError("a rank correlation takes three runs or more, and two scores that vary")
    matrix = np.corrcoef(rankdata(values[:, telling], axis=0).T)
    told = [names[n] for n in telling]
    title = f"rank correlation of the scores over {len(values)} runs"
    figure = figures.heat_map(matrix, told, told, high=1.0, title=title, theme=theme)
    figures.save(figure, results.figure("correlation.png"))


def best(results: Results, theme: str) -> None:
    """Traversals of the run that is best by each score; a run that is best by several is drawn once."""
    won: dict[Path, list[str]] = {}
    scores = {result.folder: result.scores for result in results}
    telling = [score for score in headline_scores(results) if direction(score)]
    if not telling:
        raise UnbraidError("no score of this study says which run is better: name another in `scores:`")
    for score in telling:
        folder = sorted(scores, key=lambda each: -direction(score) * scores[each][score])[0]
        won.setdefault(folder, []).append(score)
    for folder, names in won.items():
        told = ", ".join(f"{name} {scores[folder][name]:.3g}" for name in names)
        title = f"{folder.name.rpartition('-')[0]}: {told}"
        path = results.figure(f"best-{'-'.join(names)}"[:100] + ".png")
        pictures.draw_traversals(runs.load(folder), path, title=title, theme=theme)
