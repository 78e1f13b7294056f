"""How the terms of the loss, and each latent's part of them, went in training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from unbraid.errors import UnbraidError
from unbraid.figures.line_ends import LineEnd, name_line_ends
from unbraid.figures.style import DASHED, TITLE, Look, dress, look, page

_POINTS = 500  # of a curve: more would be finer than print
_NAMES = {"recon": "recon", "elbo": "−ELBO", "kl": "KL", "capacity": "C"}


def training_curves(table: Mapping[str, Any], *, title: str = "", theme: str = "light") -> Figure:
    """Curves against `step` from the columns of a run's log, in nats per image.

    One panel shows `recon` and the negative `elbo`, one the total `kl` beside the `capacity` C where there is one, one
    the KL of each latent, `kl_0`, `kl_1`, ..., where those that end near 0 share one name. A total or an ELBO that is
    not in the table is made from the others. Rows where a column is nan are passed over, and a long log is drawn by
    the means of up to 500 equal blocks of rows. Of a single row there are marks in the middle, named beside them.
    """
    columns = _columns(table)
    latents = sorted((name for name in columns if _is_latent(name)), key=lambda name: int(name[3:]))
    panels: dict[str, list[str]] = {
        "Reconstruction and negative ELBO": [name for name in ("recon", "elbo") if name in columns],
        "Total KL": [name for name in ("kl", "capacity") if name in columns],
        "KL of each latent": latents,
    }
    panels = {name: curves for name, curves in panels.items() if curves}
    if not panels:
        raise UnbraidError(f"there is nothing to draw: recon, kl, kl_0, ... are not among {', '.join(table)}")
    with look(theme) as chosen:
        figure, axes = _panels(list(panels), bool(latents), title)
        ends = []
        for (name, curves), panel in zip(panels.items(), axes, strict=True):
            panel.set_title(name)
            dress(panel, chosen, grid="y")
            ends.append(_draw(panel, {curve: columns[curve] for curve in curves}, columns["step"], chosen))
        for panel, names in zip(axes, ends, strict=True):
            name_line_ends(figure, panel, names, chosen, at=0.5 if np.ptp(columns["step"]) == 0 else 1)
        return figure


def _is_latent(name: str) -> bool:
    return name.startswith("kl_") and name[3:].isdecimal()


def _columns(table: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if "step" not in table:
        raise UnbraidError(f'training curves need the column "step", which is not among {", ".join(table) or "none"}')
    wanted = [name for name in table if name in ("step", *_NAMES) or _is_latent(name)]
    columns = {name: np.asarray(table[name], dtype=np.float64) for name in wanted}
    if columns["step"].ndim != 1 or columns["step"].size == 0:
        raise UnbraidError("training curves need at least one row; this log has none")
    for name, column in columns.items():
        if column.shape != columns["step"].shape:
            raise UnbraidError(
                f"column {name} must be as long as step, {columns['step'].size}, not {list(column.shape)}"
            )
    latents = [column for name, column in columns.items() if _is_latent(name)]
    if "kl" not in columns and latents:
        columns["kl"] = np.sum(latents, axis=0)
    if "elbo" not in columns and "recon" in columns and "kl" in columns:
        columns["elbo"] = -(columns["recon"] + columns["kl"])
    if "elbo" in columns:
        columns["elbo"] = -columns["elbo"]  # as it is drawn: beside the reconstruction, on one scale
    return columns


def _panels(names: list[str], latents: bool, title: str) -> tuple[Figure, list[Axes]]:
    """Small panels side by side, and the latents' panel, the last, below them in the full width."""
    upper = names[:-1] if latents else names
    rows = ([upper] if upper else []) + ([[names[-1]] * max(len(upper), 1)] if latents else [])
    ratios = [1.0] * bool(upper) + [1.4] * latents
    figure = page(6.8, 2.1 * sum(ratios) + 0.3 * bool(title))
    figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.08)
    if title:
        figure.suptitle(title, x=0.012, ha="left", fontsize=TITLE, fontweight="bold")
    axes: dict[str, Axes] = figure.subplot_mosaic(rows, height_ratios=ratios)  # type: ignore[arg-type]
    return figure, [axes[name] for name in names]


def _draw(axes: Axes, curves: Mapping[str, np.ndarray], steps: np.ndarray, chosen: Look) -> list[LineEnd]:
    ends: list[LineEnd] = []
    values: list[np.ndarray] = []
    for name, column in curves.items():
        known = np.isfinite(column)
        if not known.any():
            continue
        x, y = _thinned(steps[known]), _thinned(column[known])
        if _is_latent(name):
            line, label = chosen.line(int(name[3:])), f"z{name[3:]}"
        else:
            second = name in ("elbo", "capacity")
            line = {"color": chosen.muted if second else chosen.ink, "linestyle": DASHED if second else "-"}
            label = _NAMES[name]
        # not clipped: the frame stands where the lines begin and end, and would halve what lies on it
        mark = "o" if len(x) == 1 else ""
        axes.plot(x, y, **line, label=label, marker=mark, markersize=3, clip_on=False, zorder=3)
        ends.append(LineEnd(float(y[-1]), label, line["color"], "-" if mark else line["linestyle"]))
        values.append(y)
    _scale(axes, steps, np.concatenate(values or [np.zeros(1)]), "recon" in curves)
    low = [end for end in ends if abs(end.y) < 0.015 * axes.get_ylim()[1]]
    if all(map(_is_latent, curves)) and len(low) > 2:
        near = LineEnd(0, f"{len(low)} near 0", chosen.muted, lines=len(low))
        ends = [end for end in ends if end not in low] + [near]
    return ends


def _scale(axes: Axes, steps: np.ndarray, values: np.ndarray, may_be_log: bool) -> None:
    first, last = float(steps.min()), float(steps.max())
    axes.set_xlabel("step")
    if first == last:
        axes.set_xlim(first - 1, first + 1)
        axes.xaxis.set_major_locator(FixedLocator([first]))
    else:
        axes.set_xlim(0 if 0 < first < 0.05 * last else first, last)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / 1000:g}k" if step >= 1000 else f"{step:g}"))
    axes.set_ylabel("nats")
    if may_be_log and values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if values.max() < 1000 * values.min() else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    elif values.min() >= 0:
        axes.set_ylim(0, 1.05 * max(float(values.max()), 1e-9))


def _thinned(values: np.ndarray) -> np.ndarray:
    return np.array([block.mean() for block in np.array_split(values, min(_POINTS, len(values)))])
