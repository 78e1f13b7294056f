"""What each latent draws while the others stand still."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unbraid.errors import UnbraidError
from unbraid.figures.checks import numbers, words
from unbraid.figures.images import CELL, GAP, fitting_scale, heat_bar, mosaic, pictures
from unbraid.figures.sheet import LINE, MARGIN, put, put_scale, sheet, text_width, title_height, write
from unbraid.figures.style import SMALL, Look, decimal, look

_KL = "KL, nats"
_WIDEST, _HIGHEST = 1400, 1900  # pixels, about, of a grid of many pictures


def traversals(
    images: Any,
    values: Any,
    *,
    latents: Sequence[int] | None = None,
    variances: Any = None,
    deviations: Any = None,
    kl: Any = None,
    follows: Sequence[str] | None = None,
    original: Any = None,
    note: str = "",
    ordered: bool = True,
    heat: bool = False,
    title: str = "",
    theme: str = "light",
) -> Figure:
    """One row per latent: the decoded images [L, T, C, H, W] while it takes the `values` [T] and the others stand.

    The rows are named z0, z1, ..., or after the numbers of their `latents` where these are some of a model's. Beside
    them stands the posterior variance σ² or the posterior standard deviation σ [L], and they are ordered by it, lowest
    (the most used latent) first; without either, or with `ordered=False`, they stand as they are given. `kl` [L], in
    nats, and the factor that each latent `follows` ("" for none) add columns; `original` [C, H, W] is the image that
    the traversals start from. `heat` shows grey values as colours, beside their scale.
    """
    images = pictures(images, "images", "L T C H W", heat=heat)
    rows, steps, height, width = images.shape[:4]
    values = numbers(values, "values", "T", T=steps)
    named = list(range(rows)) if latents is None else [int(latent) for latent in latents]
    if len(named) != rows or min(named) < 0:
        raise UnbraidError(f"latents must be {rows} numbers, one for each row of images, not {named}")
    if variances is not None and deviations is not None:
        raise UnbraidError("traversals() takes the variances or the deviations of the posterior, not both")
    if original is not None:
        original = pictures(original, "original", "C H W", heat=heat, H=height, W=width)
    table: list[tuple[str, np.ndarray]] = []
    if variances is not None:
        table.append(("σ²", numbers(variances, "variances", "L", L=rows)))
    if deviations is not None:
        table.append(("σ", numbers(deviations, "deviations", "L", L=rows)))
    order = np.argsort(table[0][1], kind="stable") if table and ordered else np.arange(rows)
    if kl is not None:
        table.append((_KL, numbers(kl, "kl", "L", L=rows)))
    factors = None if follows is None else words(follows, "follows", rows)
    with look(theme) as chosen:
        columns = [_Column([f"z{named[i]}" for i in order], colours=[chosen.colour(named[i]) for i in order])]
        for name, column in table:
            digits = [_decimals(value) if name != _KL else 2 for value in column]
            columns.append(_Column([decimal(column[i], digits[i]) for i in order], name, "right"))
        if factors and any(factors):
            columns.append(_Column([f"→ {factors[i]}" if factors[i] else "" for i in order]))
        return _figure(images[order], values, columns, original, note, heat, title, chosen)


def _decimals(spread: float) -> int:
    """Two, or four where those would be 0: 0.0012 is much narrower than 0.0098."""
    return 2 if spread >= 0.01 or spread < 0.0001 else 4


def traversal_strip(
    images: Any,
    values: Any,
    *,
    label: str = "",
    heading: str = "",
    variance: float | None = None,
    kl: float | None = None,
    follows: str = "",
    heat: bool = False,
    title: str = "",
    theme: str = "light",
) -> Figure:
    """One latent alone: its images [T, C, H, W] under the `values` [T] it takes, beside the label.

    After the label stand the posterior `variance`, the `kl` in nats and the factor that the latent `follows`, where
    they are given, as in `traversals`. The `heading` stands beside the values, and says what these are.
    """
    images = pictures(images, "images", "T C H W", heat=heat)
    values = numbers(values, "values", "T", T=len(images))
    with look(theme) as chosen:
        columns = [_Column([label])] if label else []
        if variance is not None:
            columns.append(_Column([decimal(variance, _decimals(variance))], "σ²", "right"))
        if kl is not None:
            columns.append(_Column([decimal(kl, 2)], _KL, "right"))
        if follows:
            columns.append(_Column([f"→ {follows}"]))
        if heading:
            columns.append(_Column([""], heading))
        return _figure(images[None], values, columns, None, "", heat, title, chosen)


@dataclass(frozen=True)
class _Column:
    """One column of the table beside the grid: a cell for each row, and a heading."""

    cells: list[str]
    heading: str = ""
    side: str = "left"
    colours: list[str] | None = None

    def width(self) -> int:
        weight = "bold" if self.colours else "normal"
        return round(max(text_width(self.heading, size=SMALL), *(text_width(c, weight=weight) for c in self.cells)))

    def write(self, axes: Axes, left: int, top: int, row_height: int, chosen: Look) -> None:
        x = left + self.width() if self.side == "right" else left
        write(axes, x, top - LINE / 2, self.heading, ha=self.side, size=SMALL, color=chosen.muted)
        for row, cell in enumerate(self.cells):
            emphasis = {"color": self.colours[row], "weight": "bold"} if self.colours else {}
            write(axes, x, top + (row + 0.5) * row_height, cell, ha=self.side, **emphasis)


def _figure(
    images: np.ndarray,
    values: np.ndarray,
    columns: list[_Column],
    original: np.ndarray | None,
    note: str,
    heat: bool,
    title: str,
    chosen: Look,
) -> Figure:
    """The grid of images [R, T, H, W, 3] below its values, between its table and its scale."""
    rows, steps = images.shape[:2]
    scale = fitting_scale(images, min(CELL, _WIDEST / steps, _HIGHEST / rows))
    grid = mosaic(images, scale, chosen)
    across, down = grid.shape[1] // steps, grid.shape[0] // rows
    *lefts, left = np.cumsum([MARGIN, *(column.width() + MARGIN for column in columns)]).tolist()
    top = title_height(title) + (0 if original is None else down + GAP) + LINE
    bar = heat_bar(GAP * 3, min(grid.shape[0] - GAP, 3 * CELL))
    bar_width = bar.shape[1] + 2 * MARGIN if heat else 0
    figure, axes = sheet(left + grid.shape[1] + bar_width + MARGIN, top + grid.shape[0] + MARGIN, title)
    if original is not None:
        put(axes, mosaic(original[None, None], scale, chosen), left, title_height(title))
        lines = ["the image they start from", *([note] if note else [])]
        first = title_height(title) + (down - (len(lines) - 1) * LINE) / 2
        for number, line in enumerate(lines):
            write(axes, left + across + GAP, first + number * LINE, line, color=chosen.muted)
    put(axes, grid, left, top)
    for step, text in enumerate(_value_names(values)):
        write(axes, left + (step + 0.5) * across, top - LINE / 2, text, ha="center", size=SMALL, color=chosen.muted)
    for column, x in zip(columns, lefts, strict=True):
        column.write(axes, x, top, down, chosen)
    if heat:
        put_scale(axes, bar, left + grid.shape[1] + MARGIN // 2, top + GAP // 2, ("1", "0"), chosen.muted)
    return figure


def _value_names(values: np.ndarray) -> list[str]:
    """Whole numbers as such, others with as few decimals as tell them apart."""
    decimals = 0 if np.array_equal(values, values.round()) else 1
    if len(np.unique(values.round(decimals))) < len(np.unique(values)):
        decimals = 2
    return [decimal(value, decimals) for value in values]
