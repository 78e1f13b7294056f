"""Matrices as coloured cells with their numbers in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from unbraid.errors import UnbraidError
from unbraid.figures.checks import numbers, words
from unbraid.figures.images import CELL, GAP, contrast, rgb
from unbraid.figures.sheet import LINE, MARGIN, put, put_scale, sheet, text_width, title_height, write
from unbraid.figures.style import SMALL, Look, decimal, look

_GAP = 2  # pixels between two cells
_PAD = 20  # pixels between words and what they name
_CELL = (96, 60)  # pixels, of a cell with a number in it
_BARE = 28  # pixels, of a cell without
_MOST_NUMBERS = 600  # cells: more are to be seen, not read
_WIDEST_NAME = 170  # pixels of a column's name before it is turned


def heat_map(
    matrix: Any,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    unit: str = "",
    high: float | None = None,
    row_latents: Sequence[int] | None = None,
    title: str = "",
    theme: str = "light",
) -> Figure:
    """A matrix [R, K] with names for its rows [R] and columns [K], and the scale of its colours with its unit.

    The colours go from the page's, 0, to the darkest (on a dark page the brightest), `high` or the largest entry; a
    matrix with negative entries has two ranges of colours, from -high to high. Where the rows are latents, the numbers
    of these, `row_latents` [R], give their names their colours. Large matrices go without numbers.
    """
    matrix = numbers(matrix, "matrix", "R K")
    rows = words(rows, "rows", matrix.shape[0])
    columns = words(columns, "columns", matrix.shape[1])
    if row_latents is not None and len(row_latents) != len(rows):
        raise UnbraidError(f"row_latents must be {len(rows)} numbers, one for each row, not {list(row_latents)}")
    signed = bool(matrix.min() < 0)
    top = float(np.abs(matrix).max()) if high is None else float(high)
    if high is not None and not 0 < high < np.inf:
        raise UnbraidError(f"high must be a positive number, not {high}")
    top = top or 1.0
    whole = bool((matrix == matrix.round()).all())
    decimals = 0 if whole else 2 if top < 100 else 1
    low = -top if signed else 0.0
    annotated = matrix.size <= _MOST_NUMBERS
    with look(theme) as chosen:
        colours = chosen.map("diverging" if signed else "sequential")
        cells = colours((matrix - low) / (top - low), bytes=True)[..., :3]  # [R, K, 3]
        width, height = _CELL if annotated else (_BARE, _BARE)
        widest = round(max(text_width(name) for name in columns))
        turned = widest + _PAD > max(width, _WIDEST_NAME if annotated else 0)
        if not turned:
            width = max(width, widest + _PAD)
        left = MARGIN + round(max(text_width(name) for name in rows)) + _PAD
        top_of_cells = title_height(title) + (widest + _PAD if turned else LINE + GAP)
        grid = _tiles(cells, width, height, chosen)
        bar = _bar(colours, min(grid.shape[0] - _GAP, 3 * CELL))
        right = left + grid.shape[1] + MARGIN
        scale = ["0" if value == 0 else decimal(value, decimals) for value in ((top, 0, low) if signed else (top, low))]
        scale_width = max(bar.shape[1] + GAP + max(map(text_width, scale)), text_width(unit, size=SMALL))
        figure, axes = sheet(right + round(scale_width) + MARGIN, top_of_cells + grid.shape[0] + MARGIN, title)
        put(axes, grid, left, top_of_cells)
        put_scale(axes, bar, right, top_of_cells, scale, chosen.muted)
        write(axes, right, top_of_cells - GAP - LINE / 2, unit, size=SMALL, color=chosen.muted)
        for column, name in enumerate(columns):
            x = left + (column + 0.5) * width
            if turned:
                axes.text(x, top_of_cells - _PAD / 2, name, rotation=90, ha="center", va="bottom")
            else:
                write(axes, x, top_of_cells - GAP - LINE / 2, name, ha="center")
        for row, name in enumerate(rows):
            y = top_of_cells + (row + 0.5) * height
            colour = chosen.ink if row_latents is None else chosen.colour(row_latents[row])
            weight = "normal" if row_latents is None else "bold"
            write(axes, left - _PAD / 2, y, name, ha="right", color=colour, weight=weight)
            for column in range(len(columns) if annotated else 0):
                text = decimal(matrix[row, column], decimals)
                shade = _legible_on(cells[row, column], chosen)
                write(axes, left + (column + 0.5) * width, y, text, ha="center", size=SMALL, color=shade)
        return figure


def _tiles(cells: np.ndarray, width: int, height: int, chosen: Look) -> np.ndarray:
    """Cells [R, K, 3] as rectangles of width x height pixels with the page between them."""
    picture = cells.repeat(height, axis=0).repeat(width, axis=1)
    for start in range(_GAP):
        picture[height - 1 - start :: height] = rgb(chosen.background)
        picture[:, width - 1 - start :: width] = rgb(chosen.background)
    return picture


def _bar(colours: Colormap, height: int) -> np.ndarray:
    shades = colours(np.linspace(1, 0, height), bytes=True)[:, None, :3]
    return shades.repeat(3 * GAP, axis=1)


def _legible_on(cell: np.ndarray, chosen: Look) -> str:
    """The ink or the page's colour, whichever stands out more against the cell."""
    return max((chosen.ink, chosen.background), key=lambda colour: contrast(rgb(colour), cell))
