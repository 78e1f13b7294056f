"""One look for every figure: colours, type sizes, light and dark pages, and how a figure becomes a file."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from unbraid.errors import UnbraidError
from unbraid.files import replacing
from unbraid.registry import lookup

DPI = 192  # the pictures are laid out in whole pixels of this resolution, so that none is smeared
SMALL, BODY, TITLE = 7.0, 8.0, 10.0  # points, on a page about as wide as the text of a paper

DASHED = (0, (5, 1.5))
_DASHES = ("-", DASHED, (0, (1, 1.5)), (0, (3, 1.5, 1, 1.5)))
_MARKERS = "osD^vPX*hp"


@dataclass(frozen=True)
class Look:
    """The colours of one theme. Greys are neutral, so that grey pictures and their page share one palette in a GIF."""

    background: str
    ink: str
    muted: str
    faint: str
    sequential: tuple[str, ...]  # from nothing, which is the background, to much
    diverging: tuple[str, ...]  # from far below zero, which is the background, to far above
    colours: tuple[str, ...]  # told apart with any kind of colour vision; of the same hues in each theme

    def colour(self, index: int) -> str:
        """The colour of latent or series `index`."""
        return self.colours[index % len(self.colours)]

    def line(self, index: int) -> dict[str, Any]:
        """Colour and dashes of line `index`: the dashes change where the colours begin again."""
        return {"color": self.colour(index), "linestyle": _DASHES[index // len(self.colours) % len(_DASHES)]}

    def map(self, name: str) -> Colormap:
        """The colours called "sequential" or "diverging", without steps between; what is no number is faint."""
        return LinearSegmentedColormap.from_list(name, getattr(self, name)).with_extremes(bad=self.faint)

    def marker(self, index: int) -> str:
        return _MARKERS[index % len(_MARKERS)]


LOOKS = {
    "light": Look(
        background="#ffffff",
        ink="#1a1a1a",
        muted="#5f5f5f",
        faint="#d0d0d0",
        sequential=("#ffffff", "#a9cbe6", "#4b8ec4", "#0a3d75"),
        diverging=("#163f8f", "#7ea6dc", "#ffffff", "#e8a07a", "#93300c"),
        colours=(
            "#3648be",  # blue
            "#b46320",  # orange
            "#39a775",  # green
            "#8c2109",  # red
            "#9d64dd",  # violet
            "#14799c",  # cyan
            "#755b4f",  # brown
            "#a89501",  # lime
            "#d2228e",  # pink
            "#3b4766",  # slate
        ),
    ),
    "dark": Look(
        background="#161616",
        ink="#ececec",
        muted="#a6a6a6",
        faint="#484848",
        sequential=("#161616", "#214a6b", "#4b8ec4", "#d5ebfb"),
        diverging=("#a9cdff", "#3569b8", "#161616", "#a94e22", "#ffc39b"),
        colours=(
            "#367ad0",
            "#ebbb37",
            "#2ab787",
            "#b85e2e",
            "#aea2f8",
            "#5de0f7",
            "#ba933e",
            "#ceeaa9",
            "#ff8ab9",
            "#828796",
        ),
    ),
}

_SETTINGS = threading.RLock()  # matplotlib's settings belong to the process


@contextmanager
def look(theme: str) -> Iterator[Look]:
    """The theme called "light" or "dark"; inside the block matplotlib follows it, whatever the user's own settings."""
    chosen = lookup(LOOKS, theme, "theme")
    settings = {
        "figure.facecolor": chosen.background,
        "axes.facecolor": chosen.background,
        "axes.edgecolor": chosen.muted,
        "axes.labelcolor": chosen.ink,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "axes.titlesize": BODY,
        "axes.labelsize": BODY,
        "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
        "font.size": BODY,
        "legend.frameon": False,
        "legend.fontsize": BODY,
        "legend.handlelength": 1.6,
        "lines.linewidth": 1.3,
        "lines.solid_capstyle": "round",
        "text.color": chosen.ink,
        "text.parse_math": False,  # a dollar in a factor's name is a dollar
    }
    with _SETTINGS, matplotlib.style.context(["default", settings]):
        yield chosen


def decimal(value: float, decimals: int) -> str:
    """A number as print sets it: a real minus, and none before a zero."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def page(width: float, height: float) -> Figure:
    """An empty figure of so many inches, in no one's list of open figures."""
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def chart(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """A page of so many inches with one pair of axes, laid out when it is drawn."""
    figure = page(width, height)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
    axes = figure.subplots()
    if title:
        axes.set_title(title, fontsize=TITLE, fontweight="bold")
    return figure, axes


def dress(axes: Axes, chosen: Look, *, grid: Literal["x", "y", "both", ""] = "") -> None:
    """Ticks of this look, also those that matplotlib makes later, when it draws; a faint grid across "x" or "y"."""
    axes.tick_params(which="both", color=chosen.muted, labelcolor=chosen.muted, labelsize=SMALL, width=0.6)
    axes.tick_params(which="major", length=3)
    axes.tick_params(which="minor", length=1.5)
    if grid:
        axes.grid(axis=grid, color=chosen.faint, linewidth=0.4)
        axes.set_axisbelow(True)


# No dates and no names of tools: equal figures are equal files.
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}


def encoded(figure: Figure, *, file_format: str = "png", dpi: int = DPI) -> bytes:
    """The figure as a PNG, PDF or SVG file's bytes, a function of the figure alone."""
    metadata: Any = lookup(_METADATA, file_format, "picture format")
    settings = {"svg.hashsalt": "unbraid", "pdf.fonttype": 42}  # 42 embeds whole fonts, as journals ask
    stream = io.BytesIO()
    with _SETTINGS, matplotlib.style.context(["default", settings]):
        figure.savefig(stream, format=file_format, dpi=dpi, metadata=metadata)
    return stream.getvalue()


def save(figure: Figure, path: Path | str, *, dpi: int = DPI) -> None:
    """Writes the figure as its suffix says, .png, .pdf or .svg: whole or not at all."""
    path = Path(path)
    file_format = path.suffix.lower().removeprefix(".")
    if file_format not in _METADATA:
        raise UnbraidError(f'a figure cannot be saved as "{path.name}": let its name end in .png, .pdf or .svg')
    content = encoded(figure, file_format=file_format, dpi=dpi)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
