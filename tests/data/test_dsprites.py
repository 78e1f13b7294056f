"""The drawn dSprites against published pictures, a checksum of the whole set and a second, slow rasteriser.

real_samples.npz holds 254 pictures of the published set (Matthey, Higgins, Hassabis, Lerchner 2017; Apache-2.0).
"""

import hashlib
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from unbraid.data import load
from unbraid.data.dsprites_cache import SHA256
from unbraid.errors import UnbraidError

WHOLE_SET = "2c612e5234d21c2b576c375ebe1faa1b363ab97d340164c5d2dcf27f35dd5eb6"  # of 737,280 x 4,096 bytes, 0 or 1
PUBLISHED_MEAN = 0.042494423521889584  # of all pixels, as others measured it on the published file


@pytest.fixture(scope="module")
def dsprites(dsprites_cache):
    return load("dsprites")


def test_the_whole_set_has_the_known_checksum_and_nearly_the_published_mean(dsprites):
    unpacked, packed, lit = hashlib.sha256(), hashlib.sha256(), 0
    for start in range(0, len(dsprites), 4096):
        images = dsprites.images(np.arange(start, start + 4096)) // 255
        unpacked.update(images)
        packed.update(np.packbits(images))
        lit += np.count_nonzero(images)
    assert unpacked.hexdigest() == WHOLE_SET
    assert packed.hexdigest() == SHA256
    assert abs(lit - PUBLISHED_MEAN * 737_280 * 4096) < 2.5


def test_254_published_pictures_are_met_exactly(dsprites):
    with np.load(Path(__file__).with_name("real_samples.npz"), allow_pickle=False) as real:
        images, factors = real["images"], real["factors"]
    drawn = dsprites.images(dsprites.indices(factors))
    assert len(images) == 254 and np.array_equal(np.packbits(drawn.reshape(254, -1), axis=1), images)


def vertices(shape, size, angle, centre_x, centre_y):
    """Window coordinates, y upwards, of the outline, in whole 1/256 pixels."""
    if shape == 0:
        outline = [(-9.6, -9.6), (9.6, -9.6), (9.6, 9.6), (-9.6, 9.6)]
    elif shape == 1:
        turns = [2 * math.pi * k / 100 for k in range(100)]
        outline = [(12.768 * math.cos(t), 9.6 / 1.33 * math.sin(t)) for t in turns]
    else:
        outline = []
        for k in range(150):
            t = 2 * math.pi * k / 150
            up = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
            outline.append((9.6 * math.sin(t) ** 3, -1.44 - 19.2 / 29 * up))
    for p, q in outline:
        x = centre_x + size * (math.cos(angle) * p + math.sin(angle) * q)
        y = centre_y + size * (-math.sin(angle) * p + math.cos(angle) * q)
        yield math.floor(256 * x + 0.5), math.floor(256 * (64 - y) + 0.5)


def inside(polygon, x, y):
    """Even-odd rule in exact arithmetic."""
    crossings = 0
    for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        if (ay <= y) != (by <= y) and x < ax + Fraction((y - ay) * (bx - ax), by - ay):
            crossings += 1
    return crossings % 2 == 1


@pytest.mark.parametrize(
    "cell",
    [
        (0, 0, 0, 0, 0),
        (0, 5, 13, 31, 0),
        (0, 3, 20, 7, 31),
        (1, 0, 39, 15, 16),
        (1, 5, 7, 0, 31),
        (2, 2, 5, 3, 9),
        (2, 5, 30, 31, 31),
        (2, 4, 19, 16, 1),
    ],
)
def test_a_slow_rasteriser_draws_the_same(dsprites, cell):
    shape, scale, orientation, pos_x, pos_y = cell
    polygon = list(
        vertices(shape, 0.5 + 0.1 * scale, 2 * math.pi * orientation / 39, 16 + 32 * pos_x / 31, 16 + 32 * pos_y / 31)
    )
    slow = [[inside(polygon, 256 * c + 128, 256 * (63 - r) + 128) for c in range(64)] for r in range(64)]
    assert np.array_equal(dsprites.images(dsprites.indices(np.array([cell])))[0, 0] > 0, slow)


def test_factors_mean_what_their_names_say(dsprites):
    def lit(*cell):
        return np.argwhere(dsprites.images(dsprites.indices(np.array([cell])))[0, 0])  # (row, column) each

    assert dsprites.factor_names == ("shape", "scale", "orientation", "pos_x", "pos_y")
    assert dsprites.factor_sizes == (3, 6, 40, 32, 32) and len(dsprites) == 737_280
    np.testing.assert_allclose(lit(1, 2, 0, 31, 0).mean(axis=0), [15.5, 47.5], atol=0.5)  # right, top
    assert [len(lit(0, scale, 7, 8, 8)) for scale in range(6)] == pytest.approx(
        [(19.2 * size) ** 2 for size in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)], rel=0.05
    )
    assert np.array_equal(lit(2, 5, 0, 4, 4), lit(2, 5, 39, 4, 4))  # a full turn
    long, short = np.ptp(lit(1, 5, 0, 8, 8), axis=0)[::-1]
    assert long == pytest.approx(25, abs=1) and short == pytest.approx(13.4, abs=1)


def test_cells_off_the_grid_are_refused(dsprites):
    with pytest.raises(UnbraidError, match="orientation must be a whole number from 0 to 39, not 40"):
        dsprites.indices(np.array([[0, 0, 40, 0, 0]]))
    with pytest.raises(UnbraidError, match=r"scale must be a whole number .* not 0.5"):
        dsprites.indices(np.array([[0, 0.5, 0, 0, 0]]))
    with pytest.raises(UnbraidError, match=r"\[N, 5\]"):
        dsprites.indices(np.array([0, 0, 0, 0, 0]))


def test_noshape_hides_the_shape_and_keeps_all_images(dsprites):
    noshape = load("dsprites_noshape")
    indices = np.array([0, 245_760, 491_520, 737_279])
    assert np.array_equal(noshape.images(indices), dsprites.images(indices))
    assert np.array_equal(noshape.factors(indices), dsprites.factors(indices)[:, 1:])
    with pytest.raises(UnbraidError, match="3 images have scale 0, orientation 0, pos_x 0, pos_y 0"):
        noshape.indices(np.zeros((1, 4), int))
