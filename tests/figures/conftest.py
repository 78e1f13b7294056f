"""What a reader sees on a figure: its words, where they stand, and its pixels."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from unbraid.figures.style import encoded


@dataclass(frozen=True)
class Word:
    text: str
    box: Bbox  # pixels from the lower left corner of the page
    color: str


def _tick_labels(axis: Axis) -> list[Text]:
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    labels = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=False)  # none where they are switched off
    return [label for place, label in labels if low - slack <= place <= high + slack]


def _texts(axes: Axes) -> list[Text]:
    found = [*axes.texts, axes.title, getattr(axes, "_left_title"), axes.xaxis.label, axes.yaxis.label]  # noqa: B009
    return found + (_tick_labels(axes.xaxis) + _tick_labels(axes.yaxis) if axes.axison else [])


def visible_words(figure: Figure) -> list[Word]:
    figure.draw_without_rendering()
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    texts += [text for axes in figure.axes for text in _texts(axes)]
    shown = [text for text in texts if text.get_visible() and text.get_text().strip()]
    return [Word(text.get_text(), Text.get_window_extent(text), str(text.get_color())) for text in shown]


@pytest.fixture
def words_of() -> Callable[[Figure], list[Word]]:
    """All words of a figure, from top to bottom and from left to right."""

    def find(figure: Figure) -> list[Word]:
        return sorted(visible_words(figure), key=lambda word: (-round(word.box.y0 / 8), word.box.x0))

    return find


@pytest.fixture
def pixels_of() -> Callable[..., np.ndarray]:
    """uint8 [H, W, 3]: the figure as it is saved."""

    def draw(figure: Figure, **options: int) -> np.ndarray:
        with Image.open(io.BytesIO(encoded(figure, **options))) as image:
            picture = np.asarray(image.convert("RGBA"))
        assert (picture[..., 3] == 255).all()  # the page is opaque
        return picture[..., :3]

    return draw


def find_in(picture: np.ndarray, part: np.ndarray) -> list[tuple[int, int]]:
    """The (x, y) of every place where `part` [h, w, 3] stands in `picture` [H, W, 3], pixel for pixel."""
    height, width = part.shape[:2]
    down, across = picture.shape[0] - height + 1, picture.shape[1] - width + 1
    corners = (picture[:down, :across] == part[0, 0]) & (picture[height - 1 :, width - 1 :] == part[-1, -1])
    places = []
    for y, x in np.argwhere(corners.all(-1)):
        if np.array_equal(picture[y : y + height, x : x + width], part):
            places.append((int(x), int(y)))
    return places


@pytest.fixture
def find_image() -> Callable[..., tuple[int, int]]:
    """The only (x, y) where an image [C, H, W] of uint8 stands in a picture, each pixel a square of `scale`."""

    def find(picture: np.ndarray, image: np.ndarray, scale: int) -> tuple[int, int]:
        grey_or_rgb = np.repeat(image, 3 // len(image), axis=0)
        part = np.stack([np.kron(plane, np.ones((scale, scale), np.uint8)) for plane in grey_or_rgb], axis=-1)
        (place,) = find_in(picture, part)
        return place

    return find


@pytest.fixture
def noise() -> Callable[..., np.ndarray]:
    """uint8 images of random pixels: no two are alike, and none looks like a page."""

    def make(*shape: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    return make
