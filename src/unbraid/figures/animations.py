"""Traversals that move: GIFs that run forwards and back for ever."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from unbraid.errors import UnbraidError
from unbraid.figures.checks import words
from unbraid.figures.images import GAP, enlarge, mosaic, pictures, rgb
from unbraid.figures.style import Look, look
from unbraid.files import replacing

_LETTERS = 13  # pixels


def animate(images: Any, path: Path | str, *, fps: float = 12.0, scale: int = 4) -> None:
    """Writes a GIF of one traversal [T, C, H, W], each pixel `scale` wide and high.

    It shows 2T - 2 frames, to the last image and back, and begins again. A viewer counts hundredths of a second, so
    that 12 frames per second become 12.5. Neighbours that are equal share one longer frame. Grey is exact, and so is
    colour up to 256 colours in all; beyond, the nearest of 256.
    """
    frames = enlarge(pictures(images, "images", "T C H W"), _checked(scale, "scale"))
    _write(frames, Path(path), fps)


def animate_all(
    images: Any,
    labels: Sequence[str],
    path: Path | str,
    *,
    fps: float = 12.0,
    scale: int = 2,
    columns: int = 5,
    theme: str = "light",
) -> None:
    """Writes one GIF in which every latent's traversal [L, T, C, H, W] moves below its label [L]."""
    images = pictures(images, "images", "L T C H W")
    latents, steps = images.shape[:2]
    labels = words(labels, "labels", latents)
    columns = min(_checked(columns, "columns"), latents)
    with look(theme) as chosen:
        tiles = [[mosaic(image[None, None], _checked(scale, "scale"), chosen) for image in row] for row in images]
        captions = [_caption(label, chosen) for label in labels]
    height, width = tiles[0][0].shape[:2]
    head = captions[0].shape[0]
    across = max(width, *(caption.shape[1] for caption in captions)) + GAP
    down = head + height + GAP
    rows = math.ceil(latents / columns)
    frames = np.empty((steps, GAP + rows * down, GAP + columns * across, 3), np.uint8)
    frames[...] = rgb(chosen.background)
    for latent, (row, caption) in enumerate(zip(tiles, captions, strict=True)):
        y, x = GAP + latent // columns * down, GAP + latent % columns * across
        frames[:, y : y + head, x : x + caption.shape[1]] = caption
        frames[:, y + head : y + head + height, x : x + width] = row
    _write(frames, Path(path), fps)


def _checked(value: int, name: str) -> int:
    if value < 1:
        raise UnbraidError(f"{name} must be at least 1, not {value}")
    return value


def _caption(text: str, chosen: Look) -> np.ndarray:
    """uint8 [H, W, 3]: one line of text on the page's colour, all of one height."""
    from matplotlib.font_manager import FontProperties, findfont  # a font with Greek letters and arrows, everywhere

    font = ImageFont.truetype(findfont(FontProperties(family="DejaVu Sans")), _LETTERS)
    picture = Image.new("RGB", (math.ceil(font.getlength(text)) + GAP, round(1.5 * _LETTERS)), chosen.background)
    ImageDraw.Draw(picture).text((GAP // 2, 0.75 * _LETTERS), text, fill=chosen.ink, font=font, anchor="lm")
    return np.asarray(picture)


def _write(frames: np.ndarray, path: Path, fps: float) -> None:
    """Frames [T, H, W, 3] there and back, with one palette, so that nothing still flickers."""
    if path.suffix.lower() != ".gif":
        raise UnbraidError(f'an animation cannot be saved as "{path.name}": let its name end in .gif')
    if not 0 < fps <= 50:  # browsers slow down what is faster
        raise UnbraidError(f"fps must be above 0 and at most 50, not {fps:g}")
    indexed = _indexed(frames)
    turn = [*indexed, *indexed[-2:0:-1]]
    with replacing(path) as temporary:
        turn[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=turn[1:],
            duration=round(100 / fps) * 10,  # milliseconds
            loop=0,  # for ever
        )


def _indexed(frames: np.ndarray) -> list[Image.Image]:
    packed = frames.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)  # [T, H, W]
    seen = np.zeros(1 << 24, np.bool_)
    seen[packed] = True
    colours = np.flatnonzero(seen)
    if len(colours) > 256:
        column = frames.reshape(-1, frames.shape[2], 3)
        palette = Image.fromarray(column).quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        return [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    table = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8).tobytes()
    images = [Image.fromarray(frame) for frame in np.searchsorted(colours, packed).astype(np.uint8)]
    for image in images:
        image.putpalette(table)
    return images
