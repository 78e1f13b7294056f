"""What ends the bouncing-balls study, after Hennigh 2016: 3 nets x 2 data sets x 3 betas."""

from pathlib import Path
from typing import Any

import numpy as np

from unbraid import evaluate, figures, files, pictures, runs, tables
from unbraid.config import Config
from unbraid.study.results import Results

_NETS = {"balls_fc": "fully connected", "balls_conv": "conv", "balls_all_conv": "all conv"}
_DATA = {1: "one ball", 2: "two balls"}
_SHOWN = 10


def _title(config: Config) -> str:
    net, data = _NETS.get(config.model, config.model), _data(config)
    return f"{net}, {data}, beta {config.options.get('beta')}"


def _data(config: Config) -> str:
    number = config.options.get("n_balls")
    return _DATA.get(number, f"{number} balls") if isinstance(number, int) else config.data


def draw_run(folder: Path, theme: str) -> None:
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
        title=_title(run.config),
        theme=theme,
    )
    figures.save(figure, run.figure("heat_map.png"))
    pictures.draw_reconstructions(run, dataset, theme=theme)
    pictures.draw_curves(run, theme=theme)


def draw_study(results: Results, theme: str) -> None:
    """Per net and data set the posterior deviations, per data set the reconstruction loss, and a table of both."""
    found = [(result, runs.read_statistics(result.folder)) for result in results]
    by_data: dict[str, dict[str, list[tuple[Any, dict[str, Any]]]]] = {}
    for result, statistics in found:
        nets = by_data.setdefault(_data(result.config), {})
        nets.setdefault(_NETS.get(result.config.model, result.config.model), []).append(
            (result.setting("beta"), statistics)
        )
    for data, nets in by_data.items():
        for net, each in nets.items():
            deviations = {f"β = {beta}": statistics["posterior_deviation"] for beta, statistics in each}
            figure = figures.posterior_deviation(deviations, title=f"{net}, {data}", theme=theme)
            figures.save(figure, results.figure(f"posterior_deviation-{_file(net)}-{_file(data)}.png"))
        records = [(net, beta, statistics) for net, each in nets.items() for beta, statistics in each]
        floors = [statistics["reconstruction_floor"] for _, _, statistics in records]
        floor = None if None in floors else float(np.mean(floors))  # no other likelihood than Bernoulli's has one
        figure = figures.reconstruction_against(
            [(net, beta, each["reconstruction"], each["reconstruction_sd"]) for net, beta, each in records],
            floor=floor,
            title=data,
            theme=theme,
        )
        figures.save(figure, results.figure(f"reconstruction-{_file(data)}.png"))
    columns = ["run", "reconstruction", "above floor", "KL", "ELBO", "active latents", "best of each coordinate"]
    rows = []
    for result, statistics in found:
        best = np.max(statistics["normalised_mutual_information"], axis=0)
        floor = statistics["reconstruction_floor"]
        above = None if floor is None else statistics["reconstruction"] - floor
        numbers = [
            "" if value is None else round(value, 2)
            for value in (statistics["reconstruction"], above, statistics["kl"], statistics["elbo"])
        ]
        coordinates = ", ".join(f"{n} {v:.2f}" for n, v in zip(statistics["factor_names"], best, strict=True))
        rows.append([result.folder.name, *numbers, statistics["active_latents"], coordinates])
    tables.show(columns, rows, "Nats per image; the floor is the entropy of the grey pixels, which no model goes below")
    files.write_table(results.out / "balls.csv", columns, rows)


def _file(title: str) -> str:
    return title.replace(" ", "_")
