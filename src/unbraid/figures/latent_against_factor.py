"""What a latent's code does while a factor changes, after the maps and tuning curves of Burgess et al. 2018."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unbraid.errors import UnbraidError, printable
from unbraid.figures.checks import numbers, words
from unbraid.figures.sheet import text_width
from unbraid.figures.style import DPI, SMALL, TITLE, Look, decimal, dress, look, page
from unbraid.registry import lookup

_BINS = 20  # of a continuous factor
_FEW = 8  # values of a factor that are marked one by one
_SHORT = 2  # characters that stand in the middle below their tick, also at an end
_STILL = 0.05  # standard deviation of the codes of a latent that does nothing
_APART = 14  # pixels between two values that are named
_LONGEST = 40  # characters of a value's name: more have no room
_REACH = 1.1  # of the largest code: how far the axis goes, so that a mark there is whole

_WIDTH, _HEIGHT, _GAP = 1.1, 0.66, 0.13  # inches, of a panel and between two
_LEFT, _RIGHT, _TOP, _FOOT = 0.45, 0.18, 0.35, 0.32  # inches, around them
_TICKS = 0.3  # inches, for the numbers beside the first lines
_NOTE = 0.17  # inches, for a line of words above it all


def latent_against_factor(
    codes: Any,
    factors: Any,
    factor_names: Sequence[str],
    factor_sizes: Sequence[int | None],
    *,
    levels: Mapping[str, Sequence[str]] | None = None,
    latents: Sequence[int] | None = None,
    variances: Any = None,
    position: tuple[str, str] | None = None,
    title: str = "",
    theme: str = "light",
) -> Figure:
    """For each latent a row: the mean of its codes [N, L] ± their standard deviation against each factor [N, F].

    A disentangled latent has flat lines under every factor but one, and a narrow band under that one. The factors are
    value indices, and `levels` has for some of them what each value stands for; a continuous one, of size None, is cut
    into 20 bins of equal width. `latents` are those shown, in this order; by default those whose codes have a standard
    deviation of at least 0.05, or all where none does, those of the lowest posterior `variances` [L] first or, without
    these, those that vary most. `position` names the factors of x (to the right) and y (downwards): in their stead
    stands a map of the mean code at every position. One range of codes serves the whole figure.
    """
    codes = numbers(codes, "codes", "N L")
    table = numbers(factors, "factors", "N F", N=len(codes))
    names = words(factor_names, "factor_names", table.shape[1])
    if len(factor_sizes) != len(names):
        raise UnbraidError(f"factor_sizes must be {len(names)} sizes, one for each factor, not {len(factor_sizes)}")
    levels = levels or {}
    known = {
        name: _factor(name, column, size, levels.get(name))
        for name, column, size in zip(names, table.T, factor_sizes, strict=True)
    }
    if position is not None:
        x, y = (lookup(known, name, "factor") for name in position)
        known = {"position": _positions(x, y)} | {name: f for name, f in known.items() if name not in position}
    if variances is not None:
        variances = numbers(variances, "variances", "L", L=codes.shape[1])
    shown = _shown(codes, latents, variances)
    left_out = 0 if latents is not None else codes.shape[1] - len(shown)
    curves = {name: [factor.describe(codes[:, latent]) for latent in shown] for name, factor in known.items()}
    limit = max(float(np.nanmax(np.abs(mean) + deviation)) for rows in curves.values() for mean, deviation in rows)
    limit = limit or 1.0
    with look(theme) as chosen:
        note = f"without {left_out} latent{'s' * (left_out > 1)} whose codes hardly vary" if left_out else ""
        figure, panels = _panels(known, len(shown), title, note, chosen)
        for name, factor in known.items():
            column = panels[name]
            for axes, latent, (mean, deviation) in zip(column, shown, curves[name], strict=True):
                if factor.across:
                    _draw_map(axes, mean.reshape(-1, factor.across), limit, chosen)
                else:
                    _draw_line(axes, factor, mean, deviation, limit, chosen.colour(latent), chosen)
            if not factor.across:  # named once, in the last row: what fits takes long to find out
                _name_values(column[-1], factor, curves[name][-1][0])
                for axes in column[:-1]:
                    axes.set_xticks(column[-1].get_xticks())
        _name(figure, panels, known, shown, limit, chosen)
        return figure


@dataclass(frozen=True)
class _Factor:
    bins: np.ndarray  # [N] int64: which value, which bin of a continuous factor, or which place on a map
    values: np.ndarray  # [V] where they stand on the axis
    names: Sequence[str] = ()  # [V] what they stand for; () of a map
    across: int = 0  # places in a row of the map; 0 where this is no map

    def describe(self, code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation [V] of a code [N] at each value; nan at one that does not occur."""
        count = np.bincount(self.bins, minlength=len(self.values)).astype(np.float64)
        count[count == 0] = np.nan
        mean = np.bincount(self.bins, code, len(self.values)) / count
        square = np.bincount(self.bins, (code - mean[self.bins]) ** 2, len(self.values)) / count
        return mean, np.sqrt(square)


def _factor(name: str, column: np.ndarray, size: int | None, levels: Sequence[str] | None) -> _Factor:
    if size is None:
        low, high = column.min(), column.max()
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
        bins = np.clip(np.searchsorted(edges, column, "right") - 1, 0, _BINS - 1)
        middles = (edges[1:] + edges[:-1]) / 2
        return _Factor(bins, middles, [_number(middle) for middle in middles])
    bins = column.astype(np.int64)
    if (bins != column).any() or bins.min() < 0 or bins.max() >= size:
        raise UnbraidError(f"factor {name} must be value indices from 0 to {size - 1}, or its size None (continuous)")
    if levels is not None and len(levels) != size:
        raise UnbraidError(f"levels of {name} must be {size} words, one for each value, not {len(levels)}")
    names = map(str, range(size)) if levels is None else (printable(str(word)[:_LONGEST]) for word in levels)
    return _Factor(bins, np.arange(size), list(names))


def _number(value: float) -> str:
    return (f"{value:.0f}" if 100 <= abs(value) < 100_000 else f"{value:.2g}").replace("-", "−")


def _positions(x: _Factor, y: _Factor) -> _Factor:
    across = len(x.values)
    return _Factor(y.bins * across + x.bins, np.arange(across * len(y.values)), across=across)


def _shown(codes: np.ndarray, latents: Sequence[int] | None, variances: np.ndarray | None) -> list[int]:
    count = codes.shape[1]
    if latents is None:
        deviations = codes.std(axis=0)
        order = np.argsort(-deviations if variances is None else variances, kind="stable").tolist()
        latents = [latent for latent in order if deviations[latent] >= _STILL] or order
    if len(latents) == 0 or not all(0 <= latent < count for latent in latents):
        raise UnbraidError(f"latents must be numbers from 0 to {count - 1}, not {list(latents)}")
    return list(latents)


def _panels(
    known: Mapping[str, _Factor], rows: int, title: str, note: str, chosen: Look
) -> tuple[Figure, dict[str, list[Axes]]]:
    """Axes for every factor and row, with room for numbers before the first lines; maps are square."""
    lefts, left, numbered = {}, _LEFT, False
    for name, factor in known.items():
        left += 0 if factor.across or numbered else _TICKS
        numbered = numbered or not factor.across
        lefts[name] = left
        left += _GAP + (_HEIGHT if factor.across else _WIDTH)
    head = 0.3 * bool(title)
    top = _TOP + head + _NOTE * bool(note)
    words = max(text_width(title, size=TITLE, weight="bold"), text_width(note, size=SMALL)) / DPI + 0.24
    width, height = max(left - _GAP + _RIGHT, words), top + (_HEIGHT + _GAP) * rows - _GAP + _FOOT
    figure = page(width, height)
    if title:
        figure.text(0.12 / width, 1 - 0.12 / height, title, va="top", fontsize=TITLE, fontweight="bold")
    if note:
        figure.text(0.12 / width, 1 - (0.12 + head) / height, note, va="top", fontsize=SMALL, color=chosen.muted)

    def panel(name: str, row: int) -> Axes:
        bottom = height - top - _HEIGHT - (_HEIGHT + _GAP) * row
        across = _HEIGHT if known[name].across else _WIDTH
        return figure.add_axes((lefts[name] / width, bottom / height, across / width, _HEIGHT / height))

    return figure, {name: [panel(name, row) for row in range(rows)] for name in known}


def _draw_line(
    axes: Axes, factor: _Factor, mean: np.ndarray, deviation: np.ndarray, limit: float, colour: str, chosen: Look
) -> None:
    axes.axhline(0, color=chosen.faint, linewidth=0.5, zorder=0)
    occurs = np.isfinite(mean)  # a gap would part the line, and leave nothing of one whose every other value is a gap
    x, mean, deviation = factor.values[occurs], mean[occurs], deviation[occurs]
    if len(x) <= _FEW:
        axes.errorbar(x, mean, deviation, color=colour, linewidth=0.8, marker="o", markersize=3, elinewidth=0.8)
    else:
        axes.fill_between(x, mean - deviation, mean + deviation, color=colour, alpha=0.25, linewidth=0)
        axes.plot(x, mean, color=colour)
    pad = 0.06 * (x[-1] - x[0]) or 0.5
    axes.set_xlim(x[0] - pad, x[-1] + pad)
    axes.set_ylim(-_REACH * limit, _REACH * limit)
    step = _round_step(limit)
    axes.set_yticks([-step, 0, step], [f"−{step:g}", "0", f"{step:g}"])
    dress(axes, chosen)


def _name_values(axes: Axes, factor: _Factor, mean: np.ndarray) -> None:
    """Below the axis what few values stand for, all that there are; where they do not fit, those of the two ends."""
    occurs = np.isfinite(mean)
    x = factor.values[occurs]
    names = [name for name, there in zip(factor.names, occurs, strict=True) if there]
    low, high = axes.get_xlim()
    scale = _WIDTH * DPI / (high - low)  # pixels
    if len(x) == 1:
        axes.set_xticks(x, [_fitting(names[0], _WIDTH * DPI)])
        return
    if len(x) > _FEW or not _fit(scale * x, [_width(name) for name in names]):
        room = scale * (x[-1] - x[0]) - _APART
        first, last = _width(names[0]), _width(names[-1])
        names = [
            _fitting(names[0], max(room / 2, room - last)),
            _fitting(names[-1], max(room / 2, room - first)),
        ]
        x = x[[0, -1]]
    axes.set_xticks(x, names)
    labels = axes.get_xticklabels()
    for label, side in ((labels[0], "left"), (labels[-1], "right")):
        if len(label.get_text()) > _SHORT:  # a long one stays within its panel
            label.set(horizontalalignment=side)


def _fit(places: np.ndarray, widths: list[float]) -> bool:
    """Whether names of these widths, the outer ones flush with the ends and the others in the middle, stand apart."""
    shares = np.array([0, *[0.5] * (len(widths) - 2), 1])
    starts = places - shares * widths
    return bool((starts[1:] - (starts + widths)[:-1] >= _APART).all())


def _fitting(text: str, room: float) -> str:
    """The text, or as much of it as there is room for in pixels."""
    if _width(text) <= room:
        return text
    fits, too_long = 0, len(text)  # characters; a width takes milliseconds to measure
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if _width(f"{text[:middle].rstrip()}…") <= room:
            fits = middle
        else:
            too_long = middle
    return f"{text[:fits].rstrip()}…"


@lru_cache(maxsize=4096)
def _width(text: str) -> float:
    return text_width(text, size=SMALL)


def _round_step(limit: float) -> float:
    """The largest of ..., 0.1, 0.2, 0.5, 1, 2, 5, ... below the limit."""
    power = 10.0 ** np.floor(np.log10(limit))
    return float(max(step * power for step in (0.5, 1, 2, 5) if step * power < limit))


def _draw_map(axes: Axes, picture: np.ndarray, limit: float, chosen: Look) -> None:
    axes.imshow(picture, cmap=chosen.map("diverging"), vmin=-limit, vmax=limit, interpolation="none", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(visible=True, color=chosen.faint)


def _name(
    figure: Figure,
    panels: Mapping[str, list[Axes]],
    known: Mapping[str, _Factor],
    shown: list[int],
    limit: float,
    chosen: Look,
) -> None:
    """Words and numbers, at the edges of the grid only."""
    numbered = next((name for name in panels if not known[name].across), None)
    for name, column in panels.items():
        column[0].set_title(name, loc="center")
        for axes in column:
            axes.tick_params(labelbottom=axes is column[-1], labelleft=name == numbered)
        if known[name].across:
            _put_scale(figure, column[-1], limit, chosen)
    width, _ = figure.get_size_inches()
    for axes, latent in zip(next(iter(panels.values())), shown, strict=True):
        middle = axes.get_position().y0 + axes.get_position().height / 2
        colour = chosen.colour(latent)
        figure.text(0.12 / width, middle, f"z{latent}", va="center", color=colour, fontweight="bold")


def _put_scale(figure: Figure, above: Axes, limit: float, chosen: Look) -> None:
    """A lying bar of the maps' colours below the last of them."""
    _, height = figure.get_size_inches()
    box = above.get_position()
    axes = figure.add_axes((box.x0, box.y0 - 0.12 / height, box.width, 0.06 / height))
    axes.imshow(
        np.linspace(-1, 1, 201)[None], cmap=chosen.map("diverging"), aspect="auto", extent=(-limit, limit, 0, 1)
    )
    axes.spines[:].set_visible(False)
    axes.set_yticks([])
    axes.set_xticks([-limit, limit], [decimal(-limit, 1), decimal(limit, 1)])
    dress(axes, chosen)
    axes.tick_params(length=0, labelsize=SMALL)
