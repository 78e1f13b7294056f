"""dSprites: three shapes in six scales, forty orientations and 32 x 32 positions, 737,280 images of 64 x 64 pixels."""

from pathlib import Path

import numpy as np

from unbraid.data import dsprites_cache, dsprites_file
from unbraid.data.dsprites_drawing import FACTOR_NAMES, FACTOR_SIZES
from unbraid.data.labels import Grid, Listed
from unbraid.data.pixels import Pixels
from unbraid.data.restriction import kept
from unbraid.data.stored import Stored


def dsprites(*, source: str = "drawn", every: str = "", without: str = "") -> Stored:
    """dSprites (Matthey 2017), every combination of five factors once; the sixth, colour, has one value and is omitted.

    Pixels are 0 or 255, uint8 [1, 64, 64]. Factors in storage order, the last fastest: shape (square, ellipse, heart),
    scale (0.5 to 1), orientation (0 to 2 pi inclusive, so 0 and 39 look the same), pos_x (from the left), pos_y (from
    the top). `source="drawn"` is our own drawing, made once and kept in the cache folder; a path reads the published
    file, .npz or .hdf5, instead. `every` and `without` leave images out, to study how dense the data must be, and
    combinations that were never seen: see `restriction.kept`; factors keep their values and sizes. Raises UnbraidError
    where the cache cannot be written or the file is not dSprites.
    """
    pixels, grid = _pixels(source), Grid(FACTOR_NAMES, FACTOR_SIZES)
    rows = kept(FACTOR_NAMES, FACTOR_SIZES, every=every, without=without)
    if rows is None:
        return Stored(pixels, grid, binary=True)
    return Stored(pixels, Listed(FACTOR_NAMES, FACTOR_SIZES, grid.factors(rows)), binary=True, kept=rows)


def dsprites_noshape(*, source: str = "drawn") -> Stored:
    """dSprites where the shape is not among the factors: a nuisance that varies, as in Locatello (2019).

    All 737,280 images, factors scale, orientation, pos_x, pos_y. Each combination of these is three images, so
    `indices` refuses them.
    """
    pixels = _pixels(source)
    factors = Grid(FACTOR_NAMES, FACTOR_SIZES).factors(np.arange(len(pixels)))
    return Stored(pixels, Listed(FACTOR_NAMES[1:], FACTOR_SIZES[1:], factors[:, 1:]), binary=True)


def _pixels(source: str) -> Pixels:
    if source == "drawn":
        return dsprites_cache.drawn(dsprites_cache.cache_file())
    return dsprites_file.read(Path(source).expanduser(), FACTOR_SIZES)
