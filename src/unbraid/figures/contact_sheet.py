"""Many images at a glance."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from unbraid.errors import UnbraidError
from unbraid.figures.checks import words
from unbraid.figures.images import CELL, GAP, fitting_scale, mosaic, pictures
from unbraid.figures.sheet import LINE, MARGIN, put, sheet, text_width, title_height, write
from unbraid.figures.style import SMALL, look


def contact_sheet(
    images: Any,
    labels: Sequence[str] | None = None,
    *,
    columns: int = 10,
    title: str = "",
    theme: str = "light",
) -> Figure:
    """Images [N, C, H, W] in rows, each above its label, which may have several lines."""
    images = pictures(images, "images")
    count = len(images)
    captions = [label.split("\n") for label in words(labels, "labels", count)] if labels is not None else [[]] * count
    if columns < 1:
        raise UnbraidError(f"columns must be at least 1, not {columns}")
    columns = min(columns, count)
    scale = fitting_scale(images, CELL)
    line_height = round(0.8 * LINE)
    with look(theme) as chosen:
        tiles = [mosaic(image[None, None], scale, chosen) for image in images]
        height, width = tiles[0].shape[:2]
        widest = max((text_width(line, size=SMALL) for caption in captions for line in caption), default=0.0)
        across = max(width, round(widest) + MARGIN)
        below = max(map(len, captions)) * line_height
        down = height + below + (2 * GAP if below else 0)
        top = title_height(title)
        figure, axes = sheet(2 * MARGIN + columns * across, top + -(-count // columns) * down + MARGIN, title)
        for index, (tile, caption) in enumerate(zip(tiles, captions, strict=True)):
            row, column = divmod(index, columns)
            x, y = MARGIN + column * across, top + row * down
            put(axes, tile, x + (across - width) // 2, y)
            for number, line in enumerate(caption):
                middle = y + height + (number + 0.5) * line_height
                write(axes, x + across / 2, middle, line, ha="center", size=SMALL, color=chosen.muted)
        return figure
