"""The figures that a study file can ask for, by name: of each run when it is trained, and of the study at its end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unbraid import pictures, runs
from unbraid.study import balls, capacity, concepts, scores
from unbraid.study.results import Results


@dataclass(frozen=True)
class OfARun:
    function: Callable[[Path, str], None]  # (run folder, theme)
    description: str


@dataclass(frozen=True)
class OfAStudy:
    function: Callable[[Results, str], None]  # (finished runs, theme)
    description: str


def _every_figure(folder: Path, theme: str) -> None:
    pictures.finish(runs.load(folder), theme=theme)


OF_A_RUN: dict[str, OfARun] = {
    "all": OfARun(_every_figure, "every figure of `unbraid figures`"),
    "balls": OfARun(balls.draw_run, "ten latents from -3 to 3 as heat maps, reconstructions, curves"),
    "capacity": OfARun(capacity.draw_run, "every figure, from the published image and span"),
}
OF_A_STUDY: dict[str, OfAStudy] = {
    "distributions": OfAStudy(scores.distributions, "each score by method and setting, a dot a run"),
    "against": OfAStudy(scores.against, "each score against the hyper-parameter of each method, over seeds"),
    "correlation": OfAStudy(scores.correlation, "rank correlation between the scores"),
    "best": OfAStudy(scores.best, "traversals of the best run by each score"),
    "continuity": OfAStudy(concepts.continuity, "each score against the share of the images seen in training"),
    "zero_shot": OfAStudy(concepts.zero_shot, "combinations never seen: reconstructions, and what their codes tell"),
    "balls": OfAStudy(balls.draw_study, "posterior deviations and reconstruction loss by net and beta"),
    "capacity": OfAStudy(capacity.draw_study, "posterior variances beside the published ones"),
}
