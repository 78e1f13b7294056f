"""Lines named where they end, in place of a legend."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unbraid.figures.style import SMALL

_APART = 1.25 * SMALL  # points between the middles of two names
_AWAY = 9.0  # points between the frame and a name


@dataclass(frozen=True)
class LineEnd:
    y: float
    text: str
    colour: str


def name_line_ends(figure: Figure, axes: Axes, ends: Sequence[LineEnd]) -> None:
    """Writes each name at the right of the axes, as near to its line's end as the other names allow.

    To be called when the figure is complete but for such names. Where there is no room for all of them, the highest
    lines are named, and the last place says how many more there are.
    """
    if not ends:
        return
    points = figure.dpi / 72
    figure.draw_without_rendering()  # lays the axes out
    room = axes.get_window_extent().height / points
    places = max(1, int(room / _APART) + 1)
    ends = sorted(ends, key=lambda end: -end.y)
    if len(ends) > places:
        more = len(ends) - places + 1
        ends = [*ends[: places - 1], LineEnd(ends[-1].y, f"{more} more", ends[-1].colour)]
    names = [
        axes.annotate(
            end.text,
            (1, 0),
            (_AWAY, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=end.colour,
            size=SMALL,
            va="center",
            annotation_clip=False,
        )
        for end in ends
    ]
    figure.draw_without_rendering()  # again, since the names have made the axes narrower
    room = axes.get_window_extent().height / points
    wanted = np.array([_height(axes, end.y) * room for end in ends])
    for name, end, old, new in zip(names, ends, wanted, spread(wanted, _APART, room), strict=True):
        name.set_position((_AWAY, new))
        if abs(new - old) > _APART / 4:
            leader = {"arrowstyle": "-", "color": end.colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
            axes.annotate(
                "",
                (1, old / room),
                (_AWAY - 1.5, new - old),
                xycoords="axes fraction",
                textcoords="offset points",
                arrowprops=leader,
                annotation_clip=False,
            )


def _height(axes: Axes, y: float) -> float:
    """Where y stands between the bottom of the axes, 0, and their top, 1."""
    display = axes.transData.transform((1.0, y))
    return float(np.clip(axes.transAxes.inverted().transform(display)[1], 0, 1))


def spread(wanted: np.ndarray, apart: float, room: float) -> np.ndarray:
    """The places in [0, room], `apart` from one another, with the least sum of squared distances from those wanted.

    `wanted` falls, and so do the places. With the distances taken out this is isotonic regression: neighbours that
    would be out of order share their mean.
    """
    steps = apart * np.arange(len(wanted))[::-1]
    pools: list[tuple[float, int]] = []  # mean, number
    for value in wanted - steps:
        pool = (float(value), 1)
        while pools and pools[-1][0] < pool[0]:
            mean, number = pools.pop()
            pool = ((mean * number + pool[0] * pool[1]) / (number + pool[1]), number + pool[1])
        pools.append(pool)
    means = np.array(list(itertools.chain.from_iterable([mean] * number for mean, number in pools)))
    return np.clip(means, 0, max(room - steps[0], 0)) + steps
