"""A page of pictures and words, placed by the pixel: x to the right and y downwards from the top left corner."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from unbraid.figures.style import BODY, DPI, SMALL, TITLE, page

MARGIN = 24
LINE = round(BODY * 1.5 * DPI / 72)  # the height of a line of text


def sheet(width: int, height: int, title: str = "") -> tuple[Figure, Axes]:
    """An empty page of so many pixels, or as wide as its title, which stands in the first `title_height` of it."""
    width = max(width, 2 * MARGIN + round(text_width(title, size=TITLE, weight="bold")))
    figure = page(width / DPI, height / DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_autoscale_on(False)
    if title:
        write(axes, MARGIN, MARGIN + LINE / 2, title, size=TITLE, weight="bold")
    return figure, axes


def title_height(title: str) -> int:
    """Pixels above the content: the margin, and the title where there is one."""
    return MARGIN + (round(1.6 * LINE) if title else 0)


def put(axes: Axes, picture: np.ndarray, x: int, y: int) -> None:
    """Shows uint8 [H, W, 3] with its top left corner at (x, y), pixel for pixel."""
    height, width = picture.shape[:2]
    axes.imshow(picture, extent=(x, x + width, y + height, y), interpolation="none", aspect="auto")


def write(axes: Axes, x: float, y: float, text: str, **properties: Any) -> None:
    """Text at x, its line's middle at y."""
    axes.text(x, y, text, **{"va": "center_baseline", **properties})


def put_scale(axes: Axes, bar: np.ndarray, x: int, y: int, names: Sequence[str], colour: str) -> None:
    """A standing bar of colours at (x, y), with names at its right from its top to its foot."""
    put(axes, bar, x, y)
    height, width = bar.shape[:2]
    for name, middle in zip(names, np.linspace(LINE / 3, height - LINE / 3, len(names)), strict=True):
        write(axes, x + width + 6, y + middle, name, size=SMALL, color=colour)


def text_width(text: str, *, size: float = BODY, weight: str = "normal") -> float:
    """Pixels that one line of text takes; call it inside the look that it will be written in."""
    if not text.strip():
        return 0.0
    path = TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight))
    return float(path.get_extents().x1) * DPI / 72
