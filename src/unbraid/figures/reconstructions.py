"""Originals above their reconstructions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unbraid.figures.checks import words
from unbraid.figures.images import CELL, fitting_scale, mosaic, pictures
from unbraid.figures.sheet import LINE, MARGIN, put, sheet, text_width, title_height, write
from unbraid.figures.style import look

_PER_ROW = 10
_NAMES = ("original", "reconstruction")


def reconstructions(
    originals: Any,
    reconstructed: Any,
    *,
    heat: bool = False,
    rows: Sequence[str] = (),
    title: str = "",
    theme: str = "light",
) -> Figure:
    """Images [N, C, H, W] in rows of ten, each above what the model made of it [N, C, H, W].

    `heat` shows grey values as colours; `rows` are words above each row of ten.
    """
    originals = pictures(originals, "originals", heat=heat)
    count, height, width = originals.shape[:3]
    reconstructed = pictures(reconstructed, "reconstructed", heat=heat, N=count, H=height, W=width)
    scale = fitting_scale(originals, CELL)
    starts = range(0, count, _PER_ROW)
    above = words(rows, "rows", len(starts)) if rows else [""] * len(starts)
    with look(theme) as chosen:
        pairs = [
            mosaic(np.stack([originals[i : i + _PER_ROW], reconstructed[i : i + _PER_ROW]]), scale, chosen)
            for i in starts
        ]
        left = MARGIN + round(max(map(text_width, _NAMES))) + MARGIN // 2
        head = LINE if rows else 0
        top, down = title_height(title), pairs[0].shape[0] + MARGIN + head
        figure, axes = sheet(left + pairs[0].shape[1] + MARGIN, top + down * len(pairs), title)
        for pair, name_above in zip(pairs, above, strict=True):
            write(axes, left, top + head / 2 - 4, name_above)
            top += head
            put(axes, pair, left, top)
            for row, name in enumerate(_NAMES):
                middle = top + (row + 0.5) * pair.shape[0] / 2
                write(axes, left - MARGIN // 2, middle, name, ha="right", color=chosen.muted)
            top += down - head
        return figure
