"""The experiments that run from one command each: their cells, and the figures that end them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unbraid import evaluate, figures, files, pictures, runs, tables
from unbraid.registry import lookup
from unbraid.study import Cell, Outcome, run_study


@dataclass(frozen=True)
class Preset:
    """`finish(run folder, theme)` ends each run in its own process; `conclude(study folder, theme)` compares them."""

    description: str
    cells: list[Cell]
    finish: Callable[[Path, str], None]
    conclude: Callable[[Path, str], None]


def run(
    name: str, out: Path, settings: Mapping[str, Any], *, jobs: int | None = None, theme: str = "light"
) -> list[Outcome]:
    """Runs the study `name` into `out` with these settings over its own; returns the runs that failed."""
    preset = lookup(PRESETS, name, "study")
    cells = [Cell(cell.name, {**cell.settings, **settings}) for cell in preset.cells]
    outcomes = run_study(cells, out, preset.finish, jobs=jobs, theme=theme)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        why = "why (the figures of the whole study wait for these runs)"
        tables.show(["failed run", why], [(outcome.name, outcome.error) for outcome in failed])
    else:
        preset.conclude(out, theme)
    tables.show_folder(out)
    return failed


# ---- bouncing balls, after Hennigh 2016: 3 nets x 2 data sets x 3 betas ----

_NETS: dict[str, dict[str, Any]] = {
    "fully_connected": {"model": "balls_fc", "latent_dim": 10, "lr": 5e-5},
    "conv": {"model": "balls_conv", "latent_dim": 32, "lr": 1e-3},
    "all_conv": {"model": "balls_all_conv", "latent_dim": 16, "lr": 1e-3},
}
_DATA = {"one_ball": 1, "two_balls": 2}
_BETAS = (0.1, 0.5, 1.0)
_SHOWN = 10


def _balls_name(net: str, data: str, beta: float) -> str:
    return f"{net}-{data}-beta_{beta}"


def _balls_cells() -> list[Cell]:
    """The slowest net first, so that no long run is left over at the end."""
    common = {"data": "balls", "objective": "beta_vae", "batch_size": 128, "steps": 100_000}
    return [
        Cell(_balls_name(net, data, beta), {**common, **own, "n_balls": n_balls, "beta": beta})
        for net, own in _NETS.items()
        for data, n_balls in _DATA.items()
        for beta in _BETAS
    ]


def _finish_balls(folder: Path, theme: str) -> None:
    """Ten latents, the most used first, each moved from -3 to 3 in five pictures from the code of one image."""
    run = runs.load(folder)
    dataset = run.data
    encoded = evaluate.encode_sample(run, dataset)
    statistics = evaluate.statistics(run, dataset, encoded)
    image = dataset.images(np.array([0]))
    latents = np.argsort(encoded.deviation, kind="stable")[:_SHOWN]
    values = np.linspace(-pictures.PRIOR_SPAN, pictures.PRIOR_SPAN, 5)
    figure = figures.traversals(
        run.traverse(image, latents.tolist(), values).numpy(),
        values,
        latents=latents.tolist(),
        deviations=encoded.deviation[latents],
        follows=[statistics["follows"][latent] for latent in latents],
        original=image[0],
        heat=True,
        title=_readable(folder.name),
        theme=theme,
    )
    figures.save(figure, run.figure("heat_map.png"))
    pictures.draw_reconstructions(run, dataset, theme=theme)
    pictures.draw_curves(run, theme=theme)


def _conclude_balls(out: Path, theme: str) -> None:
    found = {cell.name: runs.read_statistics(out / cell.name) for cell in PRESETS["balls"].cells}
    for data in _DATA:
        for net in _NETS:
            deviations = {f"β = {beta}": found[_balls_name(net, data, beta)]["posterior_deviation"] for beta in _BETAS}
            figure = figures.posterior_deviation(deviations, title=_readable(f"{net}-{data}"), theme=theme)
            figures.save(figure, out / runs.FIGURES / f"posterior_deviation-{net}-{data}.png")
        records = [(net, beta, found[_balls_name(net, data, beta)]) for net in _NETS for beta in _BETAS]
        floor = float(np.mean([statistics["reconstruction_floor"] for _, _, statistics in records]))
        figure = figures.reconstruction_against(
            [(_readable(net), beta, each["reconstruction"], each["reconstruction_sd"]) for net, beta, each in records],
            floor=floor,
            title=_readable(data),
            theme=theme,
        )
        figures.save(figure, out / runs.FIGURES / f"reconstruction-{data}.png")
    columns = ["run", "reconstruction", "above floor", "KL", "ELBO", "active latents", "best of each coordinate"]
    rows = []
    for name, each in found.items():
        best = np.max(each["normalised_mutual_information"], axis=0)
        above = each["reconstruction"] - each["reconstruction_floor"]
        numbers = [round(value, 2) for value in (each["reconstruction"], above, each["kl"], each["elbo"])]
        coordinates = ", ".join(f"{n} {v:.2f}" for n, v in zip(each["factor_names"], best, strict=True))
        rows.append([name, *numbers, each["active_latents"], coordinates])
    tables.show(columns, rows, "Nats per image; the floor is the entropy of the grey pixels, which no model goes below")
    files.write_table(out / "table.csv", columns, rows)


def _readable(name: str) -> str:
    return name.replace("-", ", ").replace("_", " ")


# ---- dSprites with controlled capacity, after Burgess 2018 ----

_CAPACITY = Cell(
    "gamma_100-capacity_20",
    {
        "data": "dsprites",
        "model": "burgess",
        "objective": "annealed_vae",
        "gamma": 100.0,
        "capacity": "linear(0, 20, steps=100000)",
        "latent_dim": 10,
        "lr": 5e-4,
        "batch_size": 64,
        "steps": 100_000,
    },
)
_CAPACITY_PUBLISHED = ("1.00", "1.00", "0.02", "0.05", "1.00", "0.03", "1.00", "0.01", "0.02", "0.99")
_CAPACITY_IMAGE = [[1, 2, 5, 0, 0]]  # shape, scale, orientation, pos_x, pos_y of the image that is traversed


def _finish_capacity(folder: Path, theme: str) -> None:
    run = runs.load(folder)
    start = int(run.data.indices(np.array(_CAPACITY_IMAGE))[0])
    pictures.finish(run, start=start, span=pictures.PRIOR_SPAN, theme=theme)


def _conclude_capacity(out: Path, theme: str) -> None:
    statistics = runs.read_statistics(out / _CAPACITY.name)
    tables.show_latents(statistics)
    print("\nposterior variances of the image that is traversed, beside the published ones")  # noqa: T201
    ours = [f"{variance:.2f}" for variance in statistics["image_posterior_variance"]]
    names = [f"z{latent}" for latent in range(len(ours))]
    tables.show(["", *names], [["ours", *ours], ["published", *_CAPACITY_PUBLISHED]])
    tables.show_folder(out / _CAPACITY.name)


PRESETS: dict[str, Preset] = {
    "balls": Preset(
        "bouncing balls: 3 nets x 1 or 2 balls x beta 0.1, 0.5, 1 (Hennigh 2016)",
        _balls_cells(),
        _finish_balls,
        _conclude_balls,
    ),
    "dsprites-capacity": Preset(
        "dSprites with capacity rising from 0 to 20 nats, gamma 100 (Burgess 2018)",
        [_CAPACITY],
        _finish_capacity,
        _conclude_capacity,
    ),
}
