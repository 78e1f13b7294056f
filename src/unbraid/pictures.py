"""Every picture of a run, from its data to files in its figures folder."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unbraid import evaluate, figures, randomness, runs
from unbraid.errors import UnbraidError, printable
from unbraid.metrics import METRICS, OF_A_RUN
from unbraid.progress import progress
from unbraid.runs import Run
from unbraid.types import Dataset

PRIOR_SPAN = 3.0  # of the published traversals, in standard deviations of the prior
_WIDEST_SPAN = 1_000  # far beyond any code, and what a decoder still makes numbers of
_PERCENTILES = (1, 99)  # of the data, where a traversal begins and ends unless told
_RECONSTRUCTED = 10
_ACROSS, _LONGEST = 4, 100  # factors on a line below an image, and characters of their names above all
_WORD = 10  # characters of a factor's word
_SHEET = 60
_STILLS, _FRAMES = 10, 25  # pictures in a strip, and in half a turn of an animation


def finish(
    run: Run, *, show: bool = False, theme: str = "light", start: int | None = None, span: float | None = None
) -> dict[str, Any]:
    """Writes the statistics and all figures of a trained run into its folder; returns the statistics.

    `start` is the index of the image that the traversals begin with, which are then labelled with the posterior
    variances of that image; by default it is the middle of the grid of factors (image 0 of data without one), and the
    labels are averages over the data. These variances order the latents in all figures, the most used first, but for
    the one that groups them by factor. Each latent moves from the first to the last percentile of its codes over the
    data, which is where the decoder knows what to draw; or from -`span` to `span`.
    """
    dataset = run.data
    if start is not None and not 0 <= start < len(dataset):
        raise UnbraidError(f"the image must be one from 0 to {len(dataset) - 1:,} of the data set, not {start:,}")
    if span is not None and not 0 < span <= _WIDEST_SPAN:
        raise UnbraidError(f"span must be a number above 0, at most {_WIDEST_SPAN:,}, not {span:g}")
    runs.read_scores(run.path)  # refuses a damaged file now rather than when all else is drawn
    encoded = evaluate.encode_sample(run, dataset, show=show)
    found = evaluate.statistics(run, dataset, encoded)
    index = _middle(dataset) if start is None else start
    image = dataset.images(np.array([index]))
    own = np.exp(run.encode(image)[1][0].double().numpy())
    found |= {"image": index, "image_posterior_variance": own.tolist()}
    runs.write_statistics(run.path, found)
    variance = encoded.variance if start is None else own
    tasks: list[Callable[[], None]] = [
        partial(_draw_traversals, run, image, variance, encoded, found, span, theme),
        partial(draw_reconstructions, run, dataset, theme=theme),
        *_animations(run, image, variance, encoded, span, theme),
        *_strips(run, image, variance, encoded, found, span, theme),
    ]
    if dataset.factor_names:
        tasks.append(partial(_draw_information, run, found, theme))
        tasks.append(partial(_draw_against, run, dataset, encoded, variance, theme))
    tasks.append(partial(_draw_variance, run, variance, "" if start is None else f"image {start}", theme))
    if run.log:  # of a run that was stopped before its first row there are no curves yet
        tasks.append(partial(draw_curves, run, theme=theme))
    with progress("figures", len(tasks), "pictures", show=show) as bar:
        for task in tasks:
            task()
            bar.advance()
    draw_scores(run, variance, theme=theme)
    return found


def _moves(encoded: evaluate.Encoded, span: float | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(values [L, count] that each latent takes, what stands above them [count])"""
    if span is not None:
        steps = np.linspace(-span, span, count)
        return np.tile(steps, (encoded.mean.shape[1], 1)), steps
    percentiles = np.linspace(*_PERCENTILES, count)
    return np.percentile(encoded.sample(), percentiles, axis=0).T, percentiles.round()


def _draw_traversals(
    run: Run,
    image: np.ndarray,
    variance: np.ndarray,
    encoded: evaluate.Encoded,
    statistics: dict[str, Any],
    span: float | None,
    theme: str,
) -> None:
    """Every latent moved from low to high, a row each, from the code of `image` [1, C, H, W]."""
    values, shown = _moves(encoded, span, _STILLS)
    figure = figures.traversals(
        run.traverse(image, values=values).numpy(),
        shown,
        variances=variance,
        kl=statistics["kl_per_latent"],
        follows=statistics["follows"],
        original=image[0],
        note="each latent set to " + ("these values" if span is not None else "these percentiles of its codes"),
        theme=theme,
    )
    figures.save(figure, run.figure("traversals.png"))


def draw_traversals(run: Run, path: Path, *, points: int = 2_000, title: str = "", theme: str = "light") -> None:
    """Every latent moved over the percentiles of its codes, from the middle image of the data, as a file at `path`."""
    dataset = run.data
    encoded = evaluate.encode_sample(run, dataset, points=points)
    image = dataset.images(np.array([_middle(dataset)]))
    values, shown = _moves(encoded, None, _STILLS)
    figure = figures.traversals(
        run.traverse(image, values=values).numpy(),
        shown,
        variances=encoded.variance,
        kl=encoded.kl,
        original=image[0],
        note="each latent set to these percentiles of its codes",
        title=title,
        theme=theme,
    )
    figures.save(figure, path)


def draw_reconstructions(run: Run, dataset: Dataset, *, theme: str = "light") -> None:
    rng = randomness.numpy_generator(run.config.seed, "shown")
    originals = dataset.images(rng.choice(len(dataset), min(_RECONSTRUCTED, len(dataset)), replace=False))
    made = run.reconstruct(originals).numpy()
    figures.save(figures.reconstructions(originals, made, theme=theme), run.figure("reconstructions.png"))


def draw_curves(run: Run, *, theme: str = "light") -> None:
    figures.save(figures.training_curves(run.log, theme=theme), run.figure("training_curves.png"))


def draw_scores(run: Run, variance: np.ndarray | None = None, *, theme: str = "light") -> None:
    """Every matrix behind the scores of the run whose rows are latents and columns factors, as a heat map.

    The latents are ordered by posterior `variance`, by default that of the run's statistics, and stand by number where
    it has none yet. Pictures of scores that the run does not have any more are removed: it was trained on, or others
    made way for them.
    """
    scores = runs.read_scores(run.path)
    names = _scored_by(scores, run.data.factor_names)
    count = run.model.latent_dim
    variance = _known_variance(run) if variance is None else variance
    order = list(range(count)) if variance is None else np.argsort(variance, kind="stable").tolist()
    ordered = "" if variance is None else ", the most used latent first"
    drawn = set()
    of_factors = {name: found for name, found in scores.get("metrics", {}).items() if name not in OF_A_RUN}
    for metric, found in of_factors.items():
        for kind, rows in found["matrices"].items():
            matrix = np.array(rows, float)
            name = f"{metric}_{kind}"  # a file's words become the name of a file
            if matrix.shape == (count, len(names)) and name.isidentifier() and len(name) < 100:
                title = f"{metric}: {kind.replace('_', ' ')}{ordered}"
                latents = [f"z{latent}" for latent in order]
                unit = "nats" if kind in ("mutual_information", "joint_entropy") else ""
                figure = figures.heat_map(
                    matrix[order], latents, names, unit=unit, row_latents=order, title=title, theme=theme
                )
                path = run.figure(f"score-{metric}-{kind}.png")
                figures.save(figure, path)
                drawn.add(path)
    for path in set(run.figure("").glob("score-*-*.png")) - drawn:
        if path.name.split("-")[1] in METRICS and path.is_file():  # one of ours
            path.unlink(missing_ok=True)


def _scored_by(scores: Mapping[str, Any], names: Sequence[str]) -> Sequence[str]:
    """The factors that are the columns of the scores' matrices: all of `names`, or those that they were taken by."""
    data = scores.get("data")
    chosen = data.get(runs.BY_FACTORS) if isinstance(data, dict) else None
    return chosen if isinstance(chosen, list) and all(name in names for name in chosen) else names


def _known_variance(run: Run) -> np.ndarray | None:
    """The posterior variances [L] in the statistics of the run; None where it has none that fit."""
    try:
        if not runs.has_statistics(run.path):
            return None
        variance = np.array(runs.read_statistics(run.path)["posterior_variance"], float)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return variance if variance.shape == (run.model.latent_dim,) else None


def _draw_variance(run: Run, variance: np.ndarray, title: str, theme: str) -> None:
    figure = figures.posterior_variance(variance, ordered=True, title=title, theme=theme)
    figures.save(figure, run.figure("posterior_variance.png"))


def _draw_information(run: Run, statistics: dict[str, Any], theme: str) -> None:
    matrix = np.array(statistics["normalised_mutual_information"])
    title = "mutual information, latents grouped by factor"
    figure = figures.mutual_information(matrix, statistics["factor_names"], normalised=True, title=title, theme=theme)
    figures.save(figure, run.figure("mutual_information.png"))


def _draw_against(run: Run, dataset: Dataset, encoded: evaluate.Encoded, variance: np.ndarray, theme: str) -> None:
    figure = figures.latent_against_factor(
        encoded.mean,
        encoded.factors,
        dataset.factor_names,
        dataset.factor_sizes,
        levels=_levels(dataset),
        variances=variance,
        title="mean code ± sd, the most used latent first",
        theme=theme,
    )
    figures.save(figure, run.figure("latents_against_factors.png"))


def _animations(
    run: Run, image: np.ndarray, variance: np.ndarray, encoded: evaluate.Encoded, span: float | None, theme: str
) -> list[Callable[[], None]]:
    """One GIF with all latents, the most used first, and for each one of its own."""
    moved = run.traverse(image, values=_moves(encoded, span, _FRAMES)[0]).numpy()  # [L, T, C, H, W]
    order = np.argsort(variance, kind="stable")
    labels = [f"z{latent}  σ² {variance[latent]:.2f}" for latent in order]
    together = partial(figures.animate_all, moved[order], labels, run.figure("traversals.gif"), theme=theme)
    alone = [partial(figures.animate, moved[n], run.figure(f"z{n}.gif")) for n in range(len(moved))]
    return [together, *alone]


def _strips(
    run: Run,
    image: np.ndarray,
    variance: np.ndarray,
    encoded: evaluate.Encoded,
    statistics: dict[str, Any],
    span: float | None,
    theme: str,
) -> list[Callable[[], None]]:
    """For each latent what `_draw_traversals` shows and says of it, alone."""
    values, shown = _moves(encoded, span, _STILLS)
    moved = run.traverse(image, values=values).numpy()
    heading = "percentile" if span is None else ""

    def strip(latent: int) -> None:
        figure = figures.traversal_strip(
            moved[latent],
            shown,
            label=f"z{latent}",
            heading=heading,
            variance=variance[latent],
            kl=statistics["kl_per_latent"][latent],
            follows=statistics["follows"][latent],
            theme=theme,
        )
        figures.save(figure, run.figure(f"z{latent}.png"))

    return [partial(strip, latent) for latent in range(len(moved))]


def _middle(dataset: Dataset) -> int:
    """The index of the image in the middle of the grid of factors; 0 where there is not one such image."""
    middle = [size // 2 for size in dataset.factor_sizes if size is not None]
    try:
        return int(dataset.indices(np.array([middle]))[0])
    except UnbraidError:
        return 0


def _levels(dataset: Dataset) -> Mapping[str, Sequence[str]]:
    """What the value indices of some factors stand for, where a data set knows it."""
    levels: Mapping[str, Sequence[str]] = getattr(dataset, "levels", {})
    return levels


def _cell(value: float, words: Sequence[str]) -> str:
    return printable(words[int(value)])[:_WORD] if words else f"{value:.4g}"


def _lines(cells: list[str]) -> list[str]:
    return [" ".join(cells[start : start + _ACROSS]) for start in range(0, len(cells), _ACROSS)]


def contact_sheet(dataset: Dataset, path: Path, *, theme: str = "light") -> Path:
    """A sheet of images drawn from all over the data set, above their factors."""
    rng = randomness.numpy_generator(0, "contact sheet")
    indices = np.sort(rng.choice(len(dataset), min(_SHEET, len(dataset)), replace=False, shuffle=False))
    rows = dataset.factors(indices)
    levels = _levels(dataset)
    known = [levels.get(name, ()) for name in dataset.factor_names]
    cells = [[_cell(value, words) for value, words in zip(row, known, strict=True)] for row in rows]
    labels = ["\n".join(_lines(each)) for each in cells] if rows.shape[1] else None
    title = textwrap.shorten(", ".join(dataset.factor_names), _LONGEST, placeholder=" ...")
    figures.save(figures.contact_sheet(dataset.images(indices), labels, title=title, theme=theme), path)
    return path
