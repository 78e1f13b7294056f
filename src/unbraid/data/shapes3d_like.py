"""An object in a coloured room, drawn by a ray-caster: the factors of 3D Shapes without its file."""

from collections.abc import Iterator
from functools import cache

import numpy as np

from unbraid.data.cache import kept
from unbraid.data.drawn import Drawn
from unbraid.data.labels import Grid
from unbraid.data.ray_casting import SHAPES, SIDE, layers
from unbraid.progress import progress

FACTOR_NAMES = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
FACTOR_SIZES = (10, 10, 10, 8, 4, 15)
_DRAWING = 1  # another number draws anew what lies in the cache
_SCALES = np.linspace(0.75, 1.25, 8)
_AZIMUTHS = np.radians(np.linspace(-30, 30, 15))


def shapes3d_like() -> Drawn:
    """A ray-cast room with one object, with the factors of 3D Shapes (Burgess & Kim 2018) but not its pictures.

    uint8 [3, 64, 64], every combination of six factors once, 480,000 images: hues of floor, wall and object (10 each,
    0 to 0.9 of the circle), scale of the object (8, from 0.75 to 1.25), its shape (cube, cylinder, sphere, capsule),
    and the camera's way round the room (15, from -30 to 30 degrees); the last factor changes fastest. Light, shadow and
    highlight of the 480 views are drawn once and kept in the cache folder; colours are put in when images are asked
    for. Scores on it are not scores on 3D Shapes.
    """
    views = _views()

    def draw(factors: np.ndarray) -> np.ndarray:
        floor, wall, thing, *view = factors.T
        colours = np.stack(
            [_COLOURS[floor], _COLOURS[wall], _COLOURS[thing], np.full((len(factors), 3), 255.0)], axis=2
        )
        sums = colours.astype(np.float32) @ views[np.ravel_multi_index(tuple(view), FACTOR_SIZES[3:])]
        # whole numbers below 2^24 up to here: exact, whatever multiplied them
        return np.minimum(np.rint(sums / np.float32(255)), 255).astype(np.uint8).reshape(-1, 3, SIDE, SIDE)

    return Drawn(Grid(FACTOR_NAMES, FACTOR_SIZES), (3, SIDE, SIDE), draw)


def _hues() -> np.ndarray:
    """[10, 3], whole levels from 0 to 255 of vivid colours round the circle."""
    position = (np.arange(10) / 10 * 6)[:, None]
    pure = np.clip(np.abs((position - [3, 2, 4]) * [1, -1, -1]) * [1, -1, -1] + [-1, 2, 2], 0, 1)
    return np.rint(255 * (0.08 + 0.90 * pure))


_COLOURS = _hues()


@cache
def _views() -> np.ndarray:
    """float32 [480, 4, 64 * 64], whole numbers from 0 to 255; see `layers`."""

    def drawn() -> Iterator[np.ndarray]:
        with progress("drawing the views", 480, "views") as bar:
            for scale, shape, orientation in np.ndindex(FACTOR_SIZES[3:]):
                yield layers(float(_SCALES[scale]), SHAPES[shape], float(_AZIMUTHS[orientation]))[None]
                bar.advance()

    views = kept("shapes3d_like", ["views", _DRAWING], drawn, stretch=False).pixels.rows[:]
    return views.reshape(len(views), 4, -1).astype(np.float32)
