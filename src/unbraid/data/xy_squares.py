"""XYSquares: a red, a green and a blue square on a grid; images of other positions do not overlap."""

import numpy as np

from unbraid.data.drawn import Drawn
from unbraid.data.labels import Grid

_PLACES = 8  # along each side, as many as are pixels in the side of a square


def xy_squares() -> Drawn:
    """XYSquares (Michlo 2023): three squares of 8x8 pixels on an 8x8 grid, one a colour channel; 262,144 images.

    uint8 [3, 64, 64], 0 or 255; where squares meet their colours add. Factors in storage order, the last fastest: x and
    y of the red, the green and the blue square, x from the left, y from the top. A square that moves by one place
    changes as many pixels as one that moves by seven, so no reconstruction loss can tell which places are neighbours:
    what a VAE disentangles of the others it does not disentangle here.
    """
    names = ("x_red", "y_red", "x_green", "y_green", "x_blue", "y_blue")
    return Drawn(Grid(names, (_PLACES,) * 6), (3, 8 * _PLACES, 8 * _PLACES), _draw, binary=True)


def _draw(factors: np.ndarray) -> np.ndarray:
    place = np.arange(8 * _PLACES) // 8
    lit = factors.reshape(-1, 3, 2)[..., None] == place  # [n, 3, (x, y), 64]
    return (lit[:, :, 1, :, None] & lit[:, :, 0, None, :]) * np.uint8(255)
