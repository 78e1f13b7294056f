"""The figures that a study file can ask for, by name: of each run when it is trained, and of the study at its end."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unbraid import pictures, runs
from unbraid.study import balls, capacity
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
    "balls": OfAStudy(balls.draw_study, "posterior deviations and reconstruction loss by net and beta"),
    "capacity": OfAStudy(capacity.draw_study, "posterior variances beside the published ones"),
}
