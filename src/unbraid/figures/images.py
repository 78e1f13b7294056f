"""Images as matplotlib and Pillow take them, and many of them on one picture."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb

from unbraid.errors import UnbraidError
from unbraid.figures.checks import check_shape
from unbraid.figures.style import Look

GAP = 6  # pixels between two pictures
CELL = 128  # pixels, about, that one picture takes where nothing presses
_ROUNDING = 1e-3


def pictures(images: Any, name: str, shape: str = "N C H W", *, heat: bool = False, **sizes: int) -> np.ndarray:
    """uint8 [..., H, W, 3] from grey or RGB images [..., C, H, W], uint8 or floats in [0, 1].

    `heat` shows grey values as colours from black over red to pale yellow, of even steps to the eye.
    """
    array = np.asarray(images)
    check_shape(array, name, shape, **sizes)
    channels = array.shape[-3]
    if channels not in ((1,) if heat else (1, 3)):
        raise UnbraidError(f"{name} must have 1 channel (grey){'' if heat else ' or 3 (RGB)'}, not {channels}")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype != np.uint8:
        if not np.issubdtype(array.dtype, np.floating):
            raise UnbraidError(f"{name} must be uint8 or floats in [0, 1], not {array.dtype}")
        low, high = float(array.min()), float(array.max())
        if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # so that nan fails too
            raise UnbraidError(f"{name} must lie in [0, 1], not in [{low:.4g}, {high:.4g}]: scale or clip them first")
        array = np.round(np.clip(array, 0, 1) * 255).astype(np.uint8)
    array = np.moveaxis(array, -3, -1)
    if heat:
        return _heat(array[..., 0])
    return np.broadcast_to(array, (*array.shape[:-1], 3)) if channels == 1 else array


def _heat(grey: np.ndarray) -> np.ndarray:
    return matplotlib.colormaps["inferno"](grey, bytes=True)[..., :3]


def heat_bar(width: int, height: int) -> np.ndarray:
    """The colours of `heat`, 1 at the top and 0 at the bottom: uint8 [height, width, 3]."""
    return _heat(np.linspace(255, 0, height).round().astype(np.uint8)[:, None].repeat(width, axis=1))


def enlarge(images: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel of [..., H, W, 3] as a square of scale x scale pixels."""
    return images.repeat(scale, axis=-3).repeat(scale, axis=-2)


def fitting_scale(images: np.ndarray, size: float) -> int:
    """The whole factor that brings images [..., H, W, 3] nearest to `size` pixels."""
    return max(1, round(size / max(images.shape[-3:-1])))


def rgb(colour: str) -> np.ndarray:
    return np.round(np.array(to_rgb(colour)) * 255).astype(np.uint8)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """How far two colours uint8 [3] stand out against each other: the contrast ratio of WCAG 2, from 1 to 21."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: np.ndarray) -> float:
    share = colour / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def mosaic(images: np.ndarray, scale: int, look: Look, *, gap: int = GAP) -> np.ndarray:
    """uint8 [H', W', 3]: images [R, K, H, W, 3] in R rows and K columns on the page's colour, each in a faint frame."""
    rows, columns = images.shape[:2]
    images = enlarge(images, scale)
    height, width = images.shape[2:4]
    framed = np.empty((rows, columns, height + gap, width + gap, 3), np.uint8)
    framed[...] = rgb(look.background)
    before = gap // 2
    framed[:, :, before - 1 : before + height + 1, before - 1 : before + width + 1] = rgb(look.faint)
    framed[:, :, before : before + height, before : before + width] = images
    return framed.transpose(0, 2, 1, 3, 4).reshape(rows * (height + gap), columns * (width + gap), 3)
