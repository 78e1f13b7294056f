"""What a hyper-parameter costs in reconstruction."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from unbraid.errors import UnbraidError
from unbraid.figures.line_ends import LineEnd, name_line_ends
from unbraid.figures.style import SMALL, chart, dress, look


def reconstruction_against(
    records: Iterable[Sequence[Any]],
    *,
    parameter: str = "beta",
    floor: float | None = None,
    title: str = "",
    theme: str = "light",
) -> Figure:
    """Reconstruction loss in nats per image against a hyper-parameter, one mark and line per net.

    A record is (net, value of the parameter, loss) or (net, value, loss, standard deviation). The line goes through
    the means of records that share net and value, such as several seeds. `floor` is the least loss possible: with grey
    images and the Bernoulli likelihood the entropy of the images, not 0. The axis of the parameter is logarithmic
    where its values span a decade.
    """
    nets: dict[str, list[tuple[float, float, float]]] = {}
    for record in records:
        try:
            net, value, loss, *deviation = record
            numbers = (float(value), float(loss), float(deviation[0]) if deviation else 0.0)
        except (TypeError, ValueError):
            deviation, numbers = [], (np.nan, np.nan, np.nan)
        if len(deviation) > 1 or not np.isfinite(numbers).all() or numbers[2] < 0:
            raise UnbraidError(
                f"a record must be (net, {parameter}, loss) or (net, {parameter}, loss, deviation), not {record!r}"
            )
        nets.setdefault(str(net), []).append(numbers)
    if not nets:
        raise UnbraidError("reconstruction_against() needs at least one record")
    values = sorted({value for marks in nets.values() for value, _, _ in marks})
    with look(theme) as chosen:
        figure, axes = chart(4.2, 2.8, title)
        ends = []
        for index, (net, marks) in enumerate(nets.items()):
            x, y, deviation = np.array(sorted(marks)).T
            places = np.unique(x)
            means = np.array([y[x == place].mean() for place in places])
            colour = chosen.colour(index)
            axes.plot(places, means, color=colour, linewidth=1.0)
            axes.errorbar(
                x,
                y,
                deviation if deviation.any() else None,
                color=colour,
                linestyle="none",
                marker=chosen.marker(index),
                markersize=5,
                markeredgecolor=chosen.background,
                markeredgewidth=0.5,
                ecolor=colour,
                elinewidth=0.8,
                capsize=2,
                label=net,
            )
            ends.append(LineEnd(float(means[-1]), net, colour))
        if floor is not None:
            axes.axhline(floor, color=chosen.muted, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0)
            ends.append(LineEnd(floor, "least possible", chosen.muted))
        if values[0] > 0 and values[-1] >= 10 * values[0]:
            axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.set_xlabel(parameter)
        axes.set_ylabel("reconstruction, nats per image")
        dress(axes, chosen, grid="y")
        axes.tick_params(axis="x", labelsize=SMALL)
        name_line_ends(figure, axes, ends, chosen)
        return figure
