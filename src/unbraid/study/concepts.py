"""Figures of the first beta-VAE paper: how dense the data must be, and what is made of combinations never seen."""

from dataclasses import dataclass

import numpy as np
import torch

from unbraid import config as configs
from unbraid import figures, randomness, runs
from unbraid.data.restriction import kept
from unbraid.errors import UnbraidError
from unbraid.study.results import Result, Results
from unbraid.study.scores import headline_scores, named, number, varied
from unbraid.types import Dataset

Record = tuple[str, float, float]  # line, value, score

_SHOWN = 10
_POINTS = 2_000  # images of each kind


def continuity(results: Results, theme: str) -> None:
    """For each score a figure: the score against the share of the images that training saw, a line a setting."""
    chosen = [result for result in results if not result.setting("without")]
    if len({result.setting("every") for result in chosen}) < 2:
        raise UnbraidError("data continuity compares runs of several values of `every`")
    whole = len(runs.load_data(_whole(chosen[0])))
    names = [name for name in varied(chosen) if name != "every"]
    shares = [runs.read_facts(result.folder)["n_data"] / whole for result in chosen]
    for score in headline_scores(results):
        records = [
            (named(result, names), share, result.scores[score]) for result, share in zip(chosen, shares, strict=True)
        ]
        panels = {"": ("share of the images seen in training", records)}
        figure = figures.score_against(panels, score=score, theme=theme)
        figures.save(figure, results.figure(f"continuity-{score}.png"))


def _whole(result: Result) -> configs.Config:
    """The run's config with all of the data."""
    return configs.resolve({**result.config.flat(), "every": "", "without": ""})


@dataclass(frozen=True)
class Kind:
    """Images of one kind, what a run makes of them, and how well."""

    originals: np.ndarray  # [10, C, H, W]
    reconstructed: np.ndarray  # [10, C, H, W] from the mean codes
    nats: float  # per image, of all
    codes: np.ndarray  # [N, L]
    factors: np.ndarray  # [N, F]


def zero_shot(results: Results, theme: str) -> None:
    """Reconstructions of seen and never seen combinations of factors; how much worse they are read and redrawn.

    Each run that left combinations out draws ten of either kind. Over all of them stand the reconstruction in nats per
    image, and the share of each factor's variance that a linear map from the codes, fitted to seen images, explains in
    other seen ones and in those never seen.
    """
    chosen = [result for result in results if result.setting("without")]
    if not chosen:
        raise UnbraidError("zero-shot inference takes runs that leave combinations out: see `without`")
    names = varied(chosen)
    nats: list[Record] = []
    explained: dict[str, tuple[str, list[Record]]] = {}
    for result in chosen:
        dataset = runs.load_data(_whole(result))
        fitted, seen, unseen = _kinds(result, dataset)
        figure = figures.reconstructions(
            np.concatenate([seen.originals, unseen.originals]),
            np.concatenate([seen.reconstructed, unseen.reconstructed]),
            rows=[f"seen in training: {seen.nats:.1f} nats", f"never seen: {unseen.nats:.1f} nats"],
            title=f"{named(result, names) or results.name}, seed {result.config.seed}",
            theme=theme,
        )
        figures.save(figure, results.figure(f"zero_shot-{result.folder.name}.png"))
        beta = number(result.setting("beta")) or 0.0
        for kind, group in (("seen", seen), ("never seen", unseen)):
            nats.append((kind, beta, group.nats))
            for factor, share in zip(dataset.factor_names, _explained(fitted, group), strict=True):
                if np.isfinite(share):
                    explained.setdefault(factor, ("beta", []))[1].append((kind, beta, share))
    figure = figures.score_against({"": ("beta", nats)}, score="reconstruction, nats per image", theme=theme)
    figures.save(figure, results.figure("zero_shot-reconstruction.png"))
    figure = figures.score_against(explained, score="explained variance", theme=theme)
    figures.save(figure, results.figure("zero_shot-codes.png"))


def _kinds(result: Result, dataset: Dataset) -> tuple[Kind, Kind, Kind]:
    """Seen images to fit on, other seen images, and images of the combinations that were left out."""
    sizes = tuple(size or 1 for size in dataset.factor_sizes)
    every, without = str(result.setting("every")), str(result.setting("without"))

    def rows(without: str) -> np.ndarray:
        found = kept(dataset.factor_names, sizes, every=every, without=without)
        return np.arange(len(dataset)) if found is None else found

    rng = randomness.numpy_generator(0, "zero shot")
    known, unknown = (rng.permutation(each) for each in (rows(without), np.setdiff1d(rows(""), rows(without))))
    run = runs.load(result.folder)
    half = len(known) // 2
    fitted, seen, unseen = (_kind(run, dataset, each[:_POINTS]) for each in (known[:half], known[half:], unknown))
    return fitted, seen, unseen


def _kind(run: runs.Run, dataset: Dataset, rows: np.ndarray) -> Kind:
    images = dataset.images(rows)
    codes, _ = run.encode(images)
    made = run.decode(codes)
    pixels = torch.from_numpy(images).double() / 255
    squeezed = made.double().clamp(1e-6, 1 - 1e-6)
    nats = torch.nn.functional.binary_cross_entropy(squeezed, pixels, reduction="sum") / len(rows)
    return Kind(images[:_SHOWN], made[:_SHOWN].numpy(), float(nats), codes.double().numpy(), dataset.factors(rows))


def _explained(fitted: Kind, other: Kind) -> np.ndarray:
    """[F] 1 - (squared error of the linear map) / (variance of the factor); nan for a factor that does not vary."""
    codes, others = (np.column_stack([kind.codes, np.ones(len(kind.codes))]) for kind in (fitted, other))
    weights = np.linalg.lstsq(codes, fitted.factors.astype(float), rcond=None)[0]
    error = np.square(other.factors - others @ weights).mean(0)
    variance = other.factors.var(0)
    return 1 - np.divide(error, variance, out=np.full(len(variance), np.nan), where=variance > 0)
