"""What ends the study of controlled capacity, after Burgess 2018 and the published run of it."""

from itertools import zip_longest
from pathlib import Path

import numpy as np

from unbraid import pictures, runs, tables
from unbraid.errors import UnbraidError
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
        if "image_posterior_variance" not in statistics:
            raise UnbraidError(f"{result.folder.name} has no image that is traversed: set run_figures: capacity")
        tables.show_latents(statistics)
        print("\nposterior variances of the image that is traversed, beside the published ones")  # noqa: T201
        ours = [f"{variance:.2f}" for variance in statistics["image_posterior_variance"]]
        latents = zip_longest(["ours", *ours], ["published", *_PUBLISHED], fillvalue="")  # the published ones are ten
        rows = list(zip(*latents, strict=True))
        tables.show(["", *(f"z{latent}" for latent in range(len(rows[0]) - 1))], rows)
        tables.show_folder(result.folder)
