import numpy as np
import pytest

from unbraid.data import from_arrays
from unbraid.errors import UnbraidError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (12, 6, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (12, 3, 6, 8), dtype=np.uint8)
ALL = np.arange(12)


def test_layouts():
    assert from_arrays(GREY).image_shape == (1, 6, 8)
    assert np.array_equal(from_arrays(GREY).images(ALL)[:, 0], GREY)
    assert np.array_equal(from_arrays(COLOUR).images(ALL), COLOUR)
    assert np.array_equal(from_arrays(np.moveaxis(COLOUR, 1, 3)).images(ALL), COLOUR)
    assert from_arrays(np.ones((5, 3, 7, 3), np.uint8)).image_shape == (3, 7, 3)  # both would do: the second axis is C
    assert from_arrays(np.ones((5, 2, 7, 3), np.uint8)).image_shape == (3, 2, 7)
    for channels in (2, 4, 5):
        with pytest.raises(UnbraidError, match="no axis for channels"):
            from_arrays(np.zeros((2, 6, 8, channels), np.uint8))


def test_kinds_of_pixels():
    assert np.array_equal(from_arrays(COLOUR / 255).images(ALL), COLOUR)
    assert np.array_equal(from_arrays((COLOUR / 255).astype(np.float32)).images(ALL), COLOUR)
    masks = GREY > 100
    for kind in (masks, masks.astype(np.uint8), masks.astype(np.float16), masks * np.uint8(255)):
        dataset = from_arrays(kind)
        assert dataset.binary and np.array_equal(dataset.images(ALL)[:, 0], masks * 255)
    assert not from_arrays(GREY).binary


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((0, 8, 8), np.uint8), r"with something in it, not \[0, 8, 8\]"),
        (np.zeros((8, 8), np.uint8), r"must be an array .* not \[8, 8\]"),
        (np.zeros((2, 1, 1, 8, 8), np.uint8), "must be an array"),
        (np.zeros((9, 8, 3), np.uint8), r"one picture, .* \[1, 9, 8, 3\], and grey images 3 wide are \[9, 1, 8, 3\]"),
        (np.zeros((9, 8, 1)), r"one picture, .* \[1, 9, 8, 1\]"),
        (np.zeros((2, 8, 8), np.int64), "not int64"),
        (np.zeros((2, 8, 8), np.uint16), "not uint16"),
        (np.zeros((2, 8, 8), complex), "not complex128"),
        (np.zeros((2, 8, 8), np.longdouble), "not float128|not longdouble"),
        (np.full((2, 8, 8), 255.0), "between 0 and 1, and these run from 255 to 255"),
        (np.full((2, 8, 8), -0.1), "from -0.1"),
        (np.full((2, 8, 8), np.nan), "NaN"),
        (np.full((2, 8, 8), np.inf), "inf"),
    ],
)
def test_images_that_are_none(images, sentence):
    with pytest.raises(UnbraidError, match=sentence):
        from_arrays(images)


def test_without_factors():
    dataset = from_arrays(GREY)
    assert dataset.factor_names == () and dataset.factor_sizes == () and dataset.factors(ALL).shape == (12, 0)
    with pytest.raises(UnbraidError, match=r"no factors .* by index"):
        dataset.indices(np.zeros((1, 0)))


def test_a_grid_of_factors():
    factors = np.stack(np.unravel_index(RNG.permutation(12), (3, 4)), axis=1)
    dataset = from_arrays(GREY, factors, ["shape", "size"])
    assert dataset.factor_names == ("shape", "size") and dataset.factor_sizes == (3, 4)
    assert dataset.factors(ALL).dtype == np.int64 and np.array_equal(dataset.factors(ALL), factors)
    assert np.array_equal(dataset.indices(factors[::-1]), ALL[::-1])
    for absent in ([[3, 0]], [[0, 0.5]], [[np.nan, 0]]):
        with pytest.raises(UnbraidError, match=r"no images have shape .* by index"):
            dataset.indices(np.array(absent))


def test_factors_that_repeat_are_found_only_where_they_are_one_image():
    dataset = from_arrays(GREY, [[0, 1]] * 2 + [[1, k] for k in range(10)])
    assert dataset.indices([[1, 4]]).tolist() == [6]
    with pytest.raises(UnbraidError, match="2 images have factor_1 0, factor_2 1"):
        dataset.indices([[1, 4], [0, 1]])


def test_factors_in_half_precision():
    """No number of theirs reaches the least that is no index, and NumPy warns where it compares the two."""
    assert from_arrays(GREY, np.float16(ALL[:, None])).factor_sizes == (12,)


def test_continuous_factors():
    factors = np.stack([np.linspace(-1, 1, 12), ALL % 3], axis=1)
    dataset = from_arrays(GREY, factors)
    assert dataset.factor_sizes == (None, 3) and dataset.factors(ALL).dtype == np.float64
    assert np.array_equal(dataset.indices(factors), ALL)
    assert from_arrays(GREY, 70_000 * factors.round()).factor_sizes[0] is None  # too many values to be a list of kinds
    zero = from_arrays(GREY[:2], [[0.5], [0.0]])
    assert zero.indices(np.array([[-0.0]])).tolist() == [1]


@pytest.mark.parametrize(
    ("factors", "names", "sentence"),
    [
        (np.zeros((11, 2)), None, r"\[12, F\], one row for each image, not float64 \[11, 2\]"),
        (np.zeros(12), None, r"\[12, F\]"),
        (np.full((12, 1), "red"), None, r"\[12, F\]"),
        (np.full((12, 1), np.nan), None, "NaN"),
        (np.full((12, 1), -2), None, "factor_1 holds the whole number -2"),
        (np.zeros((12, 2)), ["x"], "must be 2 different names, not x"),
        (np.zeros((12, 2)), ["x", "x"], "2 different names"),
    ],
)
def test_factors_that_are_none(factors, names, sentence):
    with pytest.raises(UnbraidError, match=sentence):
        from_arrays(GREY, factors, names)
