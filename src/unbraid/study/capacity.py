"""What ends the study of controlled capacity, after Burgess 2018 and the published run of it."""

from pathlib import Path

import numpy as np

from unbraid import pictures, runs, tables
from unbraid.study.results import Results

_PUBLISHED = ("1.00", "1.00", "0.02", "0.05", "1.00", "0.03", "1.00", "0.01", "0.02", "0.99")
_IMAGE = [[1, 2, 5, 0, 0]]  # shape, scale, orientation, pos_x, pos_y of the image that is traversed


def draw_run(folder: Path, theme: str) -> None:
    run = runs.load(folder)
    start = int(run.data.indices(np.array(_IMAGE))[0])
    pictures.finish(run, start=start, span=pictures.PRIOR_SPAN, theme=theme)


def draw_study(results: Results, theme: str) -> None:
    """Prints the latents of each run, and the posterior variances of the traversed image beside the published ones."""
    for result in results:
        statistics = runs.read_statistics(result.folder)
        tables.show_latents(statistics)
        print("\nposterior variances of the image that is traversed, beside the published ones")  # noqa: T201
        ours = [f"{variance:.2f}" for variance in statistics["image_posterior_variance"]]
        names = [f"z{latent}" for latent in range(len(ours))]
        tables.show(["", *names], [["ours", *ours], ["published", *_PUBLISHED]])
        tables.show_folder(result.folder)
