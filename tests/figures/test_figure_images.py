import numpy as np
import pytest

from unbraid.errors import UnbraidError
from unbraid.figures.images import contrast, fitting_scale, heat_bar, mosaic, pictures, rgb
from unbraid.figures.style import LOOKS


def test_floats_become_the_nearest_of_256_steps() -> None:
    shown = pictures(np.array([0.0, 0.1, 0.5, 1.0, 1.0004]).reshape(1, 1, 1, 5), "images")
    assert shown.shape == (1, 1, 5, 3)
    assert shown[0, 0].tolist() == [[v] * 3 for v in (0, 26, 128, 255, 255)]  # 25.5 and 127.5 go to the even number


def test_bytes_and_their_shares_look_alike(noise) -> None:
    images = noise(4, 3, 5, 6)
    assert np.array_equal(pictures(images, "images"), images.transpose(0, 2, 3, 1))
    assert np.array_equal(pictures(images / np.float32(255), "images"), images.transpose(0, 2, 3, 1))


def test_booleans_are_black_and_white() -> None:
    assert pictures(np.array([[[[True, False]]]]), "images")[0, 0, :, 0].tolist() == [255, 0]


def test_heat_gets_lighter_with_the_value() -> None:
    shown = pictures(np.arange(256, dtype=np.uint8).reshape(1, 1, 1, 256), "images", heat=True)[0, 0]
    assert (np.diff([contrast(colour, np.zeros(3)) for colour in shown]) > 0).all()
    assert shown[0].max() < 10 and shown[128, 0] > shown[128, 2] > shown[128, 1] and shown[255].min() > 150
    bar = heat_bar(4, 256)
    assert np.array_equal(bar[:, 0], shown[::-1])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 1, 4)), r"images must have the shape \[N, C, H, W\], not \[2, 1, 4\]"),
        (np.zeros((0, 1, 4, 4)), r"\[N, C, H, W\], not \[0, 1, 4, 4\]"),
        (np.zeros((2, 4, 4, 4)), r"1 channel \(grey\) or 3 \(RGB\), not 4"),
        (np.zeros((2, 4, 4, 1)), "not 4"),
        (np.full((1, 1, 2, 2), 1.5), r"\[0, 1\], not in \[1.5, 1.5\]"),
        (np.full((1, 1, 2, 2), -0.5), r"not in \[-0.5, -0.5\]"),
        (np.full((1, 1, 2, 2), np.nan), r"not in \[nan, nan\]"),
        (np.zeros((1, 1, 2, 2), np.int64), r"uint8 or floats in \[0, 1\], not int64"),
        (np.full((1, 1, 2, 2), "a"), "uint8 or floats"),
    ],
)
def test_refusals(images: np.ndarray, message: str) -> None:
    with pytest.raises(UnbraidError, match=message):
        pictures(images, "images")


def test_heat_refuses_colour() -> None:
    with pytest.raises(UnbraidError, match=r"1 channel \(grey\), not 3"):
        pictures(np.zeros((1, 3, 2, 2)), "images", heat=True)


def test_a_known_size_is_named() -> None:
    with pytest.raises(UnbraidError, match=r"\[L, T, C, H, W\] with L = 3, not \[2, 1, 1, 4, 4\]"):
        pictures(np.zeros((2, 1, 1, 4, 4)), "images", "L T C H W", L=3)


@pytest.mark.parametrize(("size", "scale"), [(32, 4), (64, 2), (28, 5), (96, 1), (500, 1), (1, 128)])
def test_images_grow_by_whole_factors(size: int, scale: int) -> None:
    assert fitting_scale(np.zeros((size, max(1, size // 2), 3)), 128) == scale


@pytest.mark.parametrize("chosen", LOOKS.values(), ids=LOOKS)
def test_mosaic_holds_every_image_in_its_place_and_a_frame_around_it(chosen, noise) -> None:
    images = noise(2, 3, 4, 5, 3)
    picture = mosaic(images, 3, chosen, gap=6)
    assert picture.shape == (2 * (12 + 6), 3 * (15 + 6), 3)
    rest = np.ones(picture.shape[:2], bool)
    for row in range(2):
        for column in range(3):
            y, x = row * 18 + 3, column * 21 + 3
            for dy in range(12):
                for dx in range(15):
                    assert np.array_equal(picture[y + dy, x + dx], images[row, column, dy // 3, dx // 3])
            frame = np.zeros_like(rest)
            frame[y - 1 : y + 13, x - 1 : x + 16] = True
            frame[y : y + 12, x : x + 15] = False
            assert (picture[frame] == rgb(chosen.faint)).all()
            rest[y - 1 : y + 13, x - 1 : x + 16] = False
    assert (picture[rest] == rgb(chosen.background)).all()


def test_contrast_of_known_colours() -> None:
    black, white = rgb("black"), rgb("white")
    assert contrast(black, white) == pytest.approx(21)
    assert contrast(white, white) == pytest.approx(1)
    assert contrast(rgb("#767676"), white) == pytest.approx(
        4.54, abs=0.005
    )  # the lightest grey that WCAG 2 calls legible
