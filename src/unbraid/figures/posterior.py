"""How much of its prior each latent's posterior keeps: near 0 a latent in use, 1 one that says nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unbraid.errors import UnbraidError
from unbraid.figures.checks import numbers, words
from unbraid.figures.style import BODY, chart, dress, look


def posterior_deviation(deviations: Mapping[Any, Any], *, title: str = "", theme: str = "light") -> Figure:
    """The average posterior standard deviations [L] of one or more runs, each run's sorted, lowest first.

    `deviations` maps a run's name, such as "beta 0.5", to its numbers; the runs may differ in L.
    """
    if not deviations:
        raise UnbraidError("posterior_deviation() needs the deviations of at least one run")
    with look(theme) as chosen:
        figure, axes = chart(4.2, 2.8, title)
        for index, (name, values) in enumerate(deviations.items()):
            values = np.sort(numbers(values, f"the deviations of {name}", "L"))
            mark: dict[str, Any] = {
                "marker": chosen.marker(index),
                "markersize": 4,
                "markeredgecolor": chosen.background,
            }
            places = range(1, len(values) + 1)
            axes.plot(places, values, **chosen.line(index), **mark, label=str(name), clip_on=False)  # near 0, whole
        axes.axhline(1, color=chosen.muted, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        axes.set_ylim(bottom=0, top=max(1.05, axes.get_ylim()[1]))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("latents, in order")
        axes.set_ylabel("posterior standard deviation")
        dress(axes, chosen, grid="y")
        # A legend, for once: where the lines end they are all at the prior.
        figure.legend(loc="outside right upper")
        return figure


def posterior_variance(
    variances: Any,
    labels: Sequence[str] | None = None,
    *,
    ordered: bool = False,
    title: str = "",
    theme: str = "light",
) -> Figure:
    """The posterior variances [L] of one run as dots on lines from 1, the prior's; z0 at the top, or the lowest."""
    variances = numbers(variances, "variances", "L")
    count = len(variances)
    labels = [f"z{latent}" for latent in range(count)] if labels is None else words(labels, "labels", count)
    order = np.argsort(variances, kind="stable") if ordered else np.arange(count)
    with look(theme) as chosen:
        figure, axes = chart(4.2, 0.7 + 0.17 * count + 0.25 * bool(title), title)
        colours = [chosen.colour(latent) for latent in order]
        rows = np.arange(count)
        axes.hlines(rows, variances[order], 1, color=colours, linewidth=1.3)
        axes.scatter(variances[order], rows, s=18, c=colours, zorder=3, clip_on=False)
        axes.axvline(1, color=chosen.muted, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
        axes.set_yticks(rows, [labels[latent] for latent in order])
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_xlim(0, max(1.05, 1.05 * variances.max()))
        axes.set_xlabel("posterior variance (of the prior: 1)")
        dress(axes, chosen)
        axes.tick_params(axis="y", length=0, labelsize=BODY, labelcolor=chosen.ink)
        axes.spines["left"].set_visible(False)
        return figure
