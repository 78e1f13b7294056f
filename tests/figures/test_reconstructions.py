import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.figures import reconstructions
from unbraid.figures.style import LOOKS


@pytest.mark.parametrize("theme", LOOKS)
def test_each_original_stands_above_its_reconstruction_ten_in_a_row(theme, noise, pixels_of, find_image) -> None:
    originals, made = noise(12, 3, 32, 32), noise(12, 3, 32, 32, seed=1)
    picture = pixels_of(reconstructions(originals, made, theme=theme))
    above = [find_image(picture, image, 4) for image in originals]
    below = [find_image(picture, image, 4) for image in made]
    assert [x for x, _ in above] == [x for x, _ in below]
    assert all(128 < b[1] - a[1] < 140 for a, b in zip(above, below, strict=True))
    assert sorted(above, key=lambda place: (place[1], place[0])) == above
    assert [y for _, y in above].count(above[0][1]) == 10
    assert above[10][0] == above[0][0]
    assert above[10][1] > below[0][1] + 128


def test_every_row_is_named(noise, words_of) -> None:
    figure = reconstructions(noise(12, 1, 16, 16), noise(12, 1, 16, 16), title="After 100 steps")
    names = [word.text for word in words_of(figure)]
    assert names == ["After 100 steps", "original", "reconstruction", "original", "reconstruction"]


def test_a_row_of_ten_may_have_words_above_it(noise, words_of) -> None:
    figure = reconstructions(noise(12, 1, 16, 16), noise(12, 1, 16, 16), rows=["seen", "not seen"])
    names = [word.text for word in words_of(figure)]
    assert names == ["seen", "original", "reconstruction", "not seen", "original", "reconstruction"]
    with pytest.raises(UnbraidError, match="rows must be 2 names"):
        reconstructions(noise(12, 1, 16, 16), noise(12, 1, 16, 16), rows=["seen"])


def test_grey_and_float_may_meet(noise) -> None:
    originals = noise(2, 1, 16, 16)
    reconstructions(originals, originals / np.float32(255), heat=True)


def test_refusals(noise) -> None:
    with pytest.raises(UnbraidError, match=r"reconstructed must have .* N = 2, H = 8, W = 8"):
        reconstructions(noise(2, 1, 8, 8), noise(3, 1, 8, 8))
    with pytest.raises(UnbraidError, match="originals must have"):
        reconstructions(noise(2, 8, 8), noise(2, 1, 8, 8))
