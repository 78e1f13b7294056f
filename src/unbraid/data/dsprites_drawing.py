"""dSprites (Matthey 2017) drawn again: every picture from its factors, as the published ones were rasterised.

The originals are polygons filled by a graphics card: vertices snapped to 1/256 of a pixel, a pixel lit when its centre
lies inside. Snapped vertices are whole numbers of 1/256 pixel, so which centres lie inside is decided here in exact
arithmetic, and no vertex comes nearer than 1e-7 of a step to the border between two snaps: every machine draws the
same bits. The 254 published pictures that were at hand are met exactly; over the whole set the number of lit pixels,
128,328,864, is 2 more than the published mean implies.
"""

import numpy as np

SHAPES = ("square", "ellipse", "heart")
FACTOR_NAMES = ("shape", "scale", "orientation", "pos_x", "pos_y")
FACTOR_SIZES = (3, 6, 40, 32, 32)
SIDE = 64  # pixels


def _outlines() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[2, V] per shape: vertices (right, down) about the centre, in pixels at scale 1."""
    square = np.array([[-9.6, 9.6, 9.6, -9.6], [-9.6, -9.6, 9.6, 9.6]])
    t = 2 * np.pi * np.arange(100) / 100
    ellipse = np.stack([9.6 * 1.33 * np.cos(t), 9.6 / 1.33 * np.sin(t)])
    t = 2 * np.pi * np.arange(150) / 150
    curve = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    heart = np.stack([9.6 * np.sin(t) ** 3, -1.44 - 19.2 / 29 * curve])
    return square, ellipse, heart


_OUTLINES = _outlines()
_CENTRES = 16 + 32 * (np.arange(32) / 31)  # of the objects, in pixels from the left or the top
_ROWS = 256.0 * np.arange(SIDE - 1, -1, -1) + 128  # heights of the rows' centres, top row first, in 1/256 pixel
_LEFT = np.packbits(np.arange(SIDE) < np.arange(SIDE + 1)[:, None], axis=1).view(np.uint64)[:, 0]  # [n]: n leftmost lit


def _snapped(pixels: np.ndarray) -> np.ndarray:
    return np.floor(256 * pixels + 0.5)


def draw(shape: int, scale: int, orientation: int) -> np.ndarray:
    """uint8 [32, 32, 512]: the object at every (pos_x, pos_y), eight pixels a byte, rows from the top, left pixel high.

    A row's pixels change between in and out at every edge of the polygon that the row's centre line crosses: the word
    of the row is the XOR, over its crossings, of all pixels whose centres lie left of the crossing. Where a centre lies
    on an edge, left and bottom edges count as in, right and top edges as out.
    """
    right, down = _OUTLINES[shape]
    size, angle = 0.5 + 0.1 * scale, 2 * np.pi * orientation / 39
    x = _snapped(_CENTRES[:, None] + size * (np.cos(angle) * right + np.sin(angle) * down))  # [pos_x, V]
    y = _snapped(SIDE - (_CENTRES[:, None] + size * (np.cos(angle) * down - np.sin(angle) * right)))  # [pos_y, V], up
    run, rise = np.roll(x, -1, axis=1) - x, np.roll(y, -1, axis=1) - y

    under = y[:, None] <= _ROWS[:, None]  # [pos_y, row, V]
    pos_y, row, edge = np.nonzero(under != np.roll(under, -1, axis=2))  # K crossings, those of one row together
    rise, height = rise[pos_y, edge], _ROWS[row] - y[pos_y, edge]
    # Numerator and denominator are whole and below 2^53, so this one division cannot round across a whole number.
    crossing = ((x[:, edge] - 128) * rise + run[:, edge] * height) / (256 * rise)  # [pos_x, K], in pixel centres
    left = _LEFT[np.ceil(crossing).astype(np.intp)]

    line = SIDE * pos_y + row
    first = np.flatnonzero(np.diff(line, prepend=-1))
    words = np.zeros((32, 32 * SIDE), np.uint64)
    words[:, line[first]] = np.bitwise_xor.reduceat(left, first, axis=1)
    return words.view(np.uint8).reshape(32, 32, SIDE * SIDE // 8)
