"""A run folder as the page shows it: numbers, codes and nets, read and never written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unbraid import evaluate, export, runs
from unbraid.config import GIVEN_DATA, Config
from unbraid.errors import UnbraidError
from unbraid.evaluate import Encoded
from unbraid.report.datasets import Shown
from unbraid.runs import Run
from unbraid.types import Dataset

_SPAN = 3.0  # standard deviations of the prior that a slider reaches at least
_PERCENTILES = (1, 99)
_BARS = 40
_ROWS = 240  # of the log
_POINTS = 2_000  # enough to see where the codes lie; statistics that nobody has written yet take more
_POINTS_OF_STATISTICS = 10_000
_IMAGE_ERROR, _CODE_ERROR = 1 / 512, 5e-3  # that weights stored in 16 bits may cause: half a shade of grey
_ACTIVE_KL = 0.1  # nats, where only the log is known


@dataclass(frozen=True)
class Gathered:
    """One run on the page."""

    summary: dict[str, Any]  # what tables of runs need
    details: dict[str, Any]  # what showing this run needs
    nets: Mapping[str, bytes]  # "encoder" and "decoder" in ONNX; none before the first checkpoint


def gather(path: Path, name: str, shown: Shown | None) -> Gathered:
    """The run at `path` under a name for the page; `shown` is the data it was trained on, where they can be had."""
    config, facts, log, state = runs.read_config(path), runs.read_facts(path), runs.read_log(path), runs.state(path)
    run = _load(path, state, shown)
    size, factors = config.latent_dim, shown.dataset.factor_names if shown else ()
    latents = {**_unknown(size), **_of_log(log, size)}
    statistics = _of_statistics(path, size, factors) if state == "finished" else {}
    codes: dict[str, Any] = {"galleryCodes": [], "factorCodes": []}
    if run is not None and shown is not None:
        points = _POINTS if statistics else _POINTS_OF_STATISTICS
        encoded = evaluate.encode_sample(run, shown.dataset, points=points)
        if not (np.isfinite(encoded.mean).all() and np.isfinite(encoded.logvar).all()):
            raise UnbraidError(f"the encoder of {path} gives codes that are not finite, and the page cannot show them")
        latents |= _of_codes(encoded, shown.dataset)
        codes["galleryCodes"] = _codes(run, shown.dataset, shown.pictured)
        codes["factorCodes"] = [_codes(run, shown.dataset, moved.indices) for moved in shown.moved]
    latents |= statistics
    if run is None or not factors:  # there are no images to show it with
        latents["information"] = None
    active = latents["active"]
    unused = latents["variance"] or [-kl for kl in latents["kl"] or np.zeros(size)]  # the more the higher
    results = _results(path, log, sum(active))
    summary = {
        "name": name,
        "state": state,
        "settings": config.flat(),
        "latentDim": size,
        "imageShape": run.model.image_shape if run else shown.dataset.image_shape if shown else None,
        "results": results,
        "scores": _scores(path),
    }
    details = {
        **latents,
        **codes,
        "order": sorted(range(size), key=lambda latent: (not active[latent], unused[latent])),
        "log": _thinned(log),
        "line": _line(config, runs.steps_done(path), results, sum(active)),
        "facts": _facts(facts),
        "config": config.to_yaml(),
        "commands": _commands(config),
    }
    return Gathered(_plain(summary), _plain(details), {} if run is None else _nets(run, shown))


def _load(path: Path, state: str, shown: Shown | None) -> Run | None:
    if state != "finished" and not (path / runs.CHECKPOINT).is_file():
        return None
    return runs.load(path, "cpu", shown.dataset if shown else None)


# ---- what is known of each latent ----


def _unknown(size: int) -> dict[str, Any]:
    return {
        "variance": None,
        "kl": None,
        "follows": [""] * size,
        "information": None,
        "active": [True] * size,
        "histogram": None,
        "range": [[-_SPAN, _SPAN]] * size,
        "span": [[-_SPAN / 2, _SPAN / 2]] * size,
    }


def _of_log(log: Mapping[str, np.ndarray], size: int) -> dict[str, Any]:
    columns = [log.get(f"kl_{latent}", np.zeros(0)) for latent in range(size)]
    if not all(len(column) for column in columns):
        return {}
    kl = [float(column[-1]) for column in columns]
    return {"kl": kl, "active": [value > _ACTIVE_KL for value in kl]}


def _of_statistics(path: Path, size: int, factors: Sequence[str]) -> dict[str, Any]:
    """What training wrote at its end, of `factors` or, where the data are elsewhere, of those that it names itself.

    Nothing where it does not fit this run.
    """
    if not runs.has_statistics(path):
        return {}
    found = runs.read_statistics(path)
    try:
        variance, kl = (np.array(found[name], float) for name in ("posterior_variance", "kl_per_latent"))
        names = tuple(factors) or tuple(map(str, found.get("factor_names", ())))
        information = np.array(found["normalised_mutual_information"], float).reshape(size, len(names))
    except (KeyError, TypeError, ValueError, OverflowError):
        return {}
    if variance.shape != (size,) or kl.shape != (size,) or not np.isfinite(information).all():
        return {}
    return {
        "variance": variance.tolist(),
        "kl": kl.tolist(),
        "information": information.tolist(),
        "follows": evaluate.follows(information, names),
    }


def _of_codes(encoded: Encoded, dataset: Dataset) -> dict[str, Any]:
    information = evaluate.normalised_mutual_information(encoded.mean, encoded.factors, dataset.factor_sizes)
    information[~encoded.active] = 0.0  # as in `evaluate.statistics`
    low, high = np.percentile(encoded.mean, _PERCENTILES, axis=0)
    reach = np.ceil(2 * np.abs([low, high]).max(0)) / 2
    ends = np.maximum(reach, _SPAN)
    return {
        "variance": encoded.variance.tolist(),
        "kl": encoded.kl.tolist(),
        "follows": evaluate.follows(information, dataset.factor_names),
        "information": information.tolist(),
        "active": encoded.active.tolist(),
        "histogram": [
            np.histogram(column, _BARS, (-end, end))[0].tolist()
            for column, end in zip(encoded.mean.T, ends, strict=True)
        ],
        "range": [[-end, end] for end in ends.tolist()],
        "span": np.stack([low, high], 1).tolist(),
    }


def _codes(run: Run, dataset: Dataset, indices: np.ndarray) -> list[list[float]]:
    return run.encode(dataset.images(indices))[0].tolist()


# ---- results ----


def _results(path: Path, log: Mapping[str, np.ndarray], active: int) -> dict[str, float]:
    """Nats per image: of the trained run where they were measured, else the last row of the log."""
    found: dict[str, Any] = {name: log[name][-1] for name in ("elbo", "recon", "kl") if len(log.get(name, ()))}
    if runs.state(path) == "finished" and runs.has_statistics(path):
        measured = runs.read_statistics(path)
        found |= {"elbo": measured.get("elbo"), "recon": measured.get("reconstruction"), "kl": measured.get("kl")}
    found |= {"active_latents": active, "steps_done": runs.steps_done(path)}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def _scores(path: Path) -> dict[str, Any]:
    """{metric: {"score", "parts"}}"""
    metrics = runs.read_scores(path).get("metrics", {})
    return {name: {"score": each["score"], "parts": each["parts"]} for name, each in metrics.items()}


def _thinned(log: Mapping[str, np.ndarray]) -> dict[str, list[float]] | None:
    """At most so many rows, the first and the last among them, without the columns that tell the time."""
    columns = {name: values for name, values in log.items() if name not in ("seconds", "images_per_s")}
    if "recon" not in columns or not len(columns.get("step", ())):
        return None
    rows = len(columns["step"])
    kept = np.unique(np.linspace(0, rows - 1, min(rows, _ROWS)).round().astype(int))
    thinned = {name: [float(f"{value:.5g}") for value in values[kept]] for name, values in columns.items()}
    return thinned | {"step": [int(step) for step in columns["step"][kept]]}


# ---- words ----


def _line(config: Config, steps: int, results: Mapping[str, float], active: int) -> str:
    parts = [config.data, config.model, config.objective, f"{steps:,} steps"]
    if "elbo" in results:
        parts.append(f"ELBO {results['elbo']:,.1f} nats per image".replace("-", "−"))
    return "  ·  ".join([*parts, f"{active} of {config.latent_dim} latents in use"])


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = {
        "unbraid": "unbraid",
        "torch": "PyTorch",
        "python": "Python",
        "platform": "platform",
        "device": "device",
        "device_name": "processor",
        "threads": "threads",
        "n_data": "training images",
        "step": "steps",
    }
    found = [(shown, _text(facts[name])) for name, shown in names.items() if name in facts]
    if isinstance(facts.get("seconds"), int | float):
        found.append(("training time", f"{facts['seconds']:,.0f} s"))
    counts = facts.get("parameters")
    if isinstance(counts, dict):
        found += [(f"parameters of the {name}", _text(count)) for name, count in counts.items()]
    return found


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _commands(config: Config) -> str:
    if config.data == GIVEN_DATA:
        return "# trained on images passed in from Python: the same again with\nunbraid.train(data=..., **settings)"
    return "unbraid train --config config.yaml --out again\nunbraid report again --out report.html"


# ---- nets ----


def _nets(run: Run, shown: Shown | None) -> dict[str, bytes]:
    """Encoder and decoder in ONNX, each with its weights in 16 bits where that hardly shows, else in 32."""
    images = shown.dataset.images(shown.pictured) if shown else None
    small = export.onnx_models(run, half_precision=True)
    errors = export.differences(run, small, export.onnx_answers, images)
    wrong = {
        "encoder": errors["encoder"]["mean"] > _CODE_ERROR,
        "decoder": errors["decoder"]["x_hat"] > _IMAGE_ERROR,
    }
    whole = export.onnx_models(run) if any(wrong.values()) else {}
    return {half: whole[half] if wrong[half] else small[half] for half in small}


def _plain(value: Any) -> Any:
    """Ready for JSON, which knows neither NaN nor infinity."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value
