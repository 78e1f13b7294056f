"""Lines named where they end, in place of a legend."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Affine2D, ScaledTranslation

from unbraid.figures.style import SMALL, Look

_APART = 1.25 * SMALL  # points between the middles of two names
_AWAY = 9.0  # points between the frame and a name
_SAMPLE = 15.0  # points of a line that stand before its name where dashes tell lines apart: whole dashes of each kind


@dataclass(frozen=True)
class LineEnd:
    y: float
    text: str
    colour: str
    dashes: Any = "-"  # as matplotlib has them
    lines: int = 1  # that the name stands for


def name_line_ends(figure: Figure, axes: Axes, ends: Sequence[LineEnd], chosen: Look, *, at: float = 1) -> None:
    """Writes each name at the right of the axes, as near to its line's end as the other names allow.

    The lines end `at` a part of the width of the axes, by default at its right edge.

    Where some of the lines are dashed, a piece of its line stands before each name. To be called when the figure is
    complete but for such names. Where there is no room for all of them, the highest lines are named, and the last
    place says how many more there are.
    """
    if not ends:
        return
    points = figure.dpi / 72
    figure.draw_without_rendering()  # lays the axes out
    room = axes.get_window_extent().height / points
    places = max(1, int(room / _APART) + 1)
    ends = sorted(ends, key=lambda end: -end.y)
    if len(ends) > places:
        more = sum(end.lines for end in ends[places - 1 :])
        ends = [*ends[: places - 1], LineEnd(ends[-1].y, f"{more} more", chosen.muted, lines=more)]
    dashed = any(end.dashes != "-" for end in ends)
    starts = [_AWAY + (_SAMPLE + 3) * (dashed and end.lines == 1) for end in ends]
    names = [
        axes.annotate(
            end.text,
            (at, 0),
            (start, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=end.colour,
            size=SMALL,
            va="center",
            annotation_clip=False,
        )
        for end, start in zip(ends, starts, strict=True)
    ]
    figure.draw_without_rendering()  # again, since the names have made the axes narrower
    room = axes.get_window_extent().height / points
    wanted = np.array([_height(axes, end.y) * room for end in ends])
    at_corner = ScaledTranslation(at, 0, axes.transAxes)  # type: ignore[arg-type]
    # points from where the lines end, at the foot
    corner = Affine2D().scale(1 / 72) + figure.dpi_scale_trans + at_corner
    for name, end, start, old, new in zip(names, ends, starts, wanted, spread(wanted, _APART, room), strict=True):
        name.set_position((start, new))
        if start > _AWAY:
            place = ([_AWAY, _AWAY + _SAMPLE], [new, new])
            figure.add_artist(Line2D(*place, transform=corner, color=end.colour, linestyle=end.dashes))
        if abs(new - old) > _APART / 4:
            leader = {"arrowstyle": "-", "color": end.colour, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 0}
            axes.annotate(
                "",
                (at, old / room),
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
