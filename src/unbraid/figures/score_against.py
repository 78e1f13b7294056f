"""A score against a hyper-parameter, over seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from unbraid.errors import UnbraidError
from unbraid.figures.style import BODY, SMALL, TITLE, Look, dress, look, page

_PER_ROW = 3
_PANEL = (2.3, 2.1)  # inches

Records = Sequence[tuple[str, float, float]]  # (line, value of the parameter, score)


def score_against(
    panels: Mapping[str, tuple[str, Records]], *, score: str = "score", title: str = "", theme: str = "light"
) -> Figure:
    """{panel: (parameter, records)}: each record a dot, a line through the medians, a band from the least to the best.

    A record is (line, value, score), such as ("beta 4", 0.25, 0.31); runs that share line and value differ in their
    seeds. An axis is logarithmic where its values span a decade.
    """
    if not panels or not all(records for _, records in panels.values()):
        raise UnbraidError("score_against() needs at least one record in each panel")
    columns = min(len(panels), _PER_ROW)
    rows = -(-len(panels) // columns)
    lines = list(dict.fromkeys(str(line) for _, records in panels.values() for line, _, _ in records))
    with look(theme) as chosen:
        longest = 0.055 * max(map(len, lines)) + 0.5  # inches of a line's name in the legend
        width = max(0.7 + columns * _PANEL[0], longest + 0.3)
        figure = page(width, 0.5 + rows * _PANEL[1] + 0.12 * (len(lines) if len(lines) > 3 else 0))
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
        if title:
            figure.suptitle(title, x=0.02, ha="left", fontsize=TITLE, fontweight="bold")
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for number, (name, (parameter, records)) in enumerate(panels.items()):
            axes = grid[number // columns][number % columns]
            _panel(axes, records, lines, chosen, number if len(lines) == 1 else 0)
            if name:
                axes.set_title(name, fontsize=BODY)
            axes.set_xlabel(parameter)
            if number % columns == 0:
                axes.set_ylabel(score)
        for empty in list(grid.flat)[len(panels) :]:
            empty.set_axis_off()
        if len(lines) > 1:
            handles = [
                grid[0][0].plot(
                    [], [], color=chosen.colour(n), marker=chosen.marker(n), markersize=3, label=line or "–"
                )[0]
                for n, line in enumerate(lines)
            ]
            across = max(1, min(len(lines), int(width / longest)))
            figure.legend(handles=handles, loc="outside lower center", ncols=across, fontsize=SMALL)
        return figure


def _panel(axes: Axes, records: Records, lines: Sequence[str], chosen: Look, first_colour: int) -> None:
    values = _checked(records)
    for number, line in enumerate(lines):
        own = np.array([pair for (name, *_), pair in zip(records, values, strict=True) if str(name) == line])
        if not len(own):
            continue
        places = np.unique(own[:, 0])
        at = [own[own[:, 0] == place, 1] for place in places]
        colour = chosen.colour(number + first_colour)
        axes.plot(places, [np.median(each) for each in at], color=colour, linewidth=1.1)
        axes.fill_between(places, [min(e) for e in at], [max(e) for e in at], color=colour, alpha=0.15, linewidth=0)
        axes.scatter(own[:, 0], own[:, 1], s=9, marker=chosen.marker(number), color=colour, linewidths=0, zorder=3)
    ticks = np.unique(values[:, 0])
    if ticks[0] > 0 and ticks[-1] >= 10 * ticks[0]:
        axes.set_xscale("log")
    if len(ticks) <= 8:
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    dress(axes, chosen, grid="y")
    axes.tick_params(axis="x", labelsize=SMALL)


def _checked(records: Records) -> np.ndarray:
    """[N, 2] values and scores, all finite."""
    try:
        found = np.array([(float(value), float(score)) for _, value, score in records])
    except (TypeError, ValueError):
        found = np.array([[np.nan, np.nan]])
    if not np.isfinite(found).all():
        raise UnbraidError("a record must be (line, value, score) with finite numbers")
    return found
