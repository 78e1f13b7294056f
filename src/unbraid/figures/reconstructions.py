"""Originals above their reconstructions."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unbraid.figures.images import CELL, fitting_scale, mosaic, pictures
from unbraid.figures.sheet import MARGIN, put, sheet, text_width, title_height, write
from unbraid.figures.style import look

_PER_ROW = 10
_NAMES = ("original", "reconstruction")


def reconstructions(
    originals: Any, reconstructed: Any, *, heat: bool = False, title: str = "", theme: str = "light"
) -> Figure:
    """Images [N, C, H, W] in rows of ten, each above what the model made of it [N, C, H, W].

    `heat` shows grey values as colours.
    """
    originals = pictures(originals, "originals", heat=heat)
    count, height, width = originals.shape[:3]
    reconstructed = pictures(reconstructed, "reconstructed", heat=heat, N=count, H=height, W=width)
    scale = fitting_scale(originals, CELL)
    starts = range(0, count, _PER_ROW)
    with look(theme) as chosen:
        pairs = [
            mosaic(np.stack([originals[i : i + _PER_ROW], reconstructed[i : i + _PER_ROW]]), scale, chosen)
            for i in starts
        ]
        left = MARGIN + round(max(map(text_width, _NAMES))) + MARGIN // 2
        top, down = title_height(title), pairs[0].shape[0] + MARGIN
        figure, axes = sheet(left + pairs[0].shape[1] + MARGIN, top + down * len(pairs), title)
        for pair in pairs:
            put(axes, pair, left, top)
            for row, name in enumerate(_NAMES):
                middle = top + (row + 0.5) * pair.shape[0] / 2
                write(axes, left - MARGIN // 2, middle, name, ha="right", color=chosen.muted)
            top += down
        return figure
