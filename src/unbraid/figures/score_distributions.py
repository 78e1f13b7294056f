"""How a score is spread over seeds, methods and their settings."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unbraid.errors import UnbraidError
from unbraid.figures.checks import numbers
from unbraid.figures.style import SMALL, chart, dress, look

_STEP = 0.3  # inches between two settings
_APART = 0.8  # settings' widths between two methods


def score_distributions(
    methods: Mapping[str, Mapping[str, Any]], *, score: str = "score", title: str = "", theme: str = "light"
) -> Figure:
    """A dot a run: {method: {setting: scores [N]}}, a column per setting, its median a bar, methods side by side."""
    columns = [(method, setting, values) for method, each in methods.items() for setting, values in each.items()]
    if not columns:
        raise UnbraidError("score_distributions() needs the scores of at least one run")
    colours = {method: index for index, method in enumerate(methods)}
    with look(theme) as chosen:
        places, at, before = [], 0.0, columns[0][0]
        for method, _, _ in columns:
            at += _APART if method != before else 0.0
            places.append(at)
            at, before = at + 1, method
        longest = max(len(setting) for _, setting, _ in columns)
        width = max(2.6, 0.9 + _STEP * (places[-1] + 1))
        figure, axes = chart(width, 2.9 + 0.05 * longest, title)
        for (method, setting, values), place in zip(columns, places, strict=True):
            values = numbers(values, f"the scores of {method} {setting}", "N")
            colour = chosen.colour(colours[method])
            # aside by rank rather than at random: the same runs are the same picture
            order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
            aside = 0.16 * ((order * 0.618) % 1 - 0.5) * (len(values) > 1)
            axes.scatter(place + aside, values, s=9, color=colour, alpha=0.75, linewidths=0, clip_on=False, zorder=3)
            axes.hlines(np.median(values), place - 0.32, place + 0.32, color=colour, linewidth=1.4)
        axes.set_xticks(places, [setting for _, setting, _ in columns], rotation=90)
        axes.set_xlim(places[0] - 0.7, places[-1] + 0.7)
        axes.set_ylabel(score)
        dress(axes, chosen, grid="y")
        axes.tick_params(axis="x", length=0, labelsize=SMALL)
        for method, index in colours.items():
            own = [place for (name, _, _), place in zip(columns, places, strict=True) if name == method]
            axes.plot([], [], "o", markersize=3, color=chosen.colour(index), label=method)
            if len(methods) > 1:
                axes.axvspan(own[0] - 0.5, own[-1] + 0.5, color=chosen.faint, alpha=0.12, linewidth=0)
        if len(methods) > 1:
            figure.legend(
                loc="outside lower center", ncols=max(1, min(len(methods), round(width / 1.1))), fontsize=SMALL
            )
        return figure
