import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from unbraid.errors import UnbraidError
from unbraid.figures import encoded, traversal_strip, traversals
from unbraid.figures.style import LOOKS

VALUES = [-3, -1.5, 0, 1.5, 3]


def heights(words, pattern: str) -> list[str]:
    """The words that match, from the top of the page to its foot."""
    found = [word for word in words if re.fullmatch(pattern, word.text)]
    return [word.text for word in sorted(found, key=lambda word: -word.box.y0)]


@pytest.mark.parametrize("theme", LOOKS)
@pytest.mark.parametrize(("channels", "size", "scale"), [(1, 32, 4), (3, 64, 2)])
def test_every_image_stands_crisp_in_the_place_of_its_latent_and_value(
    theme, channels, size, scale, noise, pixels_of, find_image
) -> None:
    images = noise(4, 5, channels, size, size)
    variances = [0.9, 0.01, 1.0, 0.5]
    picture = pixels_of(traversals(images, VALUES, variances=variances, theme=theme))
    places = np.array([[find_image(picture, image, scale) for image in row] for row in images])  # [L, T, 2]
    assert (np.diff(places[:, :, 0], axis=1) > size * scale).all()
    assert np.ptp(places[:, :, 0], axis=0).max() == 0
    assert np.ptp(places[:, :, 1], axis=1).max() == 0
    assert np.argsort(places[:, 0, 1]).tolist() == [1, 3, 0, 2]  # the most used latent first


def test_labels_follow_the_order_of_the_rows(words_of, noise) -> None:
    words = words_of(
        traversals(
            noise(4, 5, 1, 8, 8),
            VALUES,
            variances=[0.9, 0.012, 1.0, 0.5],
            kl=[0.1, 2.5, 0.0, 0.75],
            follows=["", "pos_x", "", "a$b$"],
            title="dSprites",
        )
    )
    assert heights(words, r"z\d") == ["z1", "z3", "z0", "z2"]
    lines = {word.text: word.box for word in words}
    assert heights(words, r"\d\.\d\d") == ["0.01", "2.50", "0.50", "0.75", "0.90", "0.10", "1.00", "0.00"]
    assert heights(words, "→ .*") == ["→ pos_x", "→ a$b$"]
    for left, right in (("z1", "0.01"), ("0.01", "2.50"), ("2.50", "→ pos_x"), ("z3", "0.50"), ("0.75", "→ a$b$")):
        assert lines[left].x1 < lines[right].x0
        assert abs(lines[left].y0 - lines[right].y0) < 12
    header = [word.text for word in words if lines["dSprites"].y0 > word.box.y0 > lines["z1"].y1]
    assert header == ["σ²", "KL, nats", "−3.0", "−1.5", "0.0", "1.5", "3.0"]


def test_a_latent_has_its_colour_wherever_it_stands(words_of, noise) -> None:
    images = noise(3, 2, 1, 8, 8)
    every = {w.text: w.color for w in words_of(traversals(images, [0, 1], variances=[0.3, 0.1, 0.2]))}
    some = {w.text: w.color for w in words_of(traversals(images, [0, 1], latents=[2, 14, 7]))}
    assert [every[f"z{i}"] for i in range(3)] == list(LOOKS["light"].colours[:3])
    assert [some[f"z{i}"] for i in (2, 14, 7)] == [LOOKS["light"].colours[i] for i in (2, 4, 7)]


def test_deviations_order_alike_and_ordering_can_be_left_out(words_of, noise) -> None:
    images = noise(3, 2, 1, 8, 8)
    words = words_of(traversals(images, [0, 1], deviations=[0.5, 0.1, 0.3]))
    assert heights(words, r"z\d") == ["z1", "z2", "z0"]
    assert "σ" in [word.text for word in words]
    assert heights(words_of(traversals(images, [0, 1], deviations=[3, 1, 2], ordered=False)), r"z\d") == [
        "z0",
        "z1",
        "z2",
    ]
    assert heights(words_of(traversals(images, [0, 1])), r"z\d") == ["z0", "z1", "z2"]


def test_equal_variances_keep_the_order_of_the_latents(words_of, noise) -> None:
    words = words_of(traversals(noise(4, 2, 1, 8, 8), [0, 1], variances=[1, 0.5, 1, 0.5]))
    assert heights(words, r"z\d") == ["z1", "z3", "z0", "z2"]


def test_the_start_stands_above_the_grid(noise, pixels_of, find_image) -> None:
    images, original = noise(2, 3, 1, 32, 32), noise(1, 32, 32, seed=1)
    picture = pixels_of(traversals(images, [-1, 0, 1], original=original))
    x, y = find_image(picture, original, 4)
    grid_x, grid_y = find_image(picture, images[0, 0], 4)
    assert x == grid_x
    assert y + 128 < grid_y


def test_heat_shows_colours_beside_their_scale(words_of, pixels_of) -> None:
    images = np.zeros((2, 2, 1, 16, 16), np.uint8)
    images[0, 0] = 255
    figure = traversals(images, [0, 1], deviations=[0.1, 1.0], heat=True)
    assert [word.text for word in words_of(figure) if word.text in "01" and word.box.x0 > 400] == ["1", "0"]
    picture = pixels_of(figure)
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert {(0, 0, 3), (252, 254, 164)} <= colours  # the ends of the map
    assert len(colours) > 300  # and the scale between


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (np.linspace(-3, 3, 7), ["−3", "−2", "−1", "0", "1", "2", "3"]),
        (np.linspace(-3, 3, 4), ["−3", "−1", "1", "3"]),
        (np.linspace(-3, 3, 10)[:3], ["−3.0", "−2.3", "−1.7"]),
        ([-0.02, 0.01, 0.04], ["−0.02", "0.01", "0.04"]),
    ],
)
def test_values_have_as_few_decimals_as_tell_them_apart(values, names, words_of, noise) -> None:
    words = words_of(traversal_strip(noise(len(values), 1, 8, 8), values))
    assert [word.text for word in words] == names


def test_a_strip_is_one_row_with_its_label(noise, words_of, pixels_of, find_image) -> None:
    images = noise(3, 1, 32, 32)
    figure = traversal_strip(images, [-1, 0, 1], label="z3 → scale")
    assert [word.text for word in words_of(figure)] == ["−1", "0", "1", "z3 → scale"]
    places = [find_image(pixels_of(figure), image, 4) for image in images]
    assert places == sorted(places)
    assert len({y for _, y in places}) == 1


def test_a_strip_says_what_its_values_are(noise, words_of) -> None:
    figure = traversal_strip(noise(2, 1, 8, 8), [1, 99], label="z3", heading="percentile")
    assert [word.text for word in words_of(figure)] == ["percentile", "1", "99", "z3"]  # from the top left corner


def test_a_strip_says_what_traversals_say_of_its_latent(noise, words_of) -> None:
    def said(**options) -> list[str]:
        words = words_of(traversal_strip(noise(1, 1, 8, 8), [50], label="z3", heading="percentile", **options))
        return [word.text for word in words]

    values = {"variance": 0.0051, "kl": 2.345, "follows": "size"}
    assert said(**values) == ["σ²", "KL, nats", "percentile", "50", "z3", "0.0051", "2.35", "→ size"]
    assert said(variance=0.5) == ["σ²", "percentile", "50", "z3", "0.50"]
    assert said(follows="a$b$") == ["percentile", "50", "z3", "→ a$b$"]


def test_a_page_of_many_pictures_stays_a_page(noise) -> None:
    width, height = traversals(noise(20, 20, 3, 64, 64), range(20), variances=np.ones(20)).get_size_inches()
    assert width < 10
    assert height < 11


def test_vector_files_hold_the_enlarged_pixels(noise) -> None:
    images = noise(2, 2, 3, 32, 32)
    svg = encoded(traversals(images, [0, 1]), file_format="svg").decode()
    pictures = [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r"base64,([^\"]+)\"", svg)]
    (picture,) = (np.asarray(picture.convert("RGB")) for picture in pictures)
    assert picture.shape == (2 * (128 + 6), 2 * (128 + 6), 3)
    assert np.array_equal(picture[3:131:4, 3:131:4], images[0, 0].transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": [0, 1, 2]}, r"values must have the shape \[T\] with T = 2"),
        ({"variances": [1, 2]}, r"variances must have the shape \[L\] with L = 3"),
        ({"deviations": [[1, 2, 3]]}, "deviations must have"),
        ({"variances": [1, 2, 3], "deviations": [1, 2, 3]}, "not both"),
        ({"variances": [1, 2, np.nan]}, "variances must be finite"),
        ({"kl": [1]}, r"kl must have the shape \[L\]"),
        ({"follows": ["a"]}, "follows must be 3 names"),
        ({"latents": [1, 2]}, "latents must be 3 numbers"),
        ({"latents": [1, 2, -3]}, "latents must be 3 numbers"),
        ({"original": np.zeros((1, 8, 9))}, r"original must have the shape \[C, H, W\] with H = 8, W = 8"),
        ({"theme": "sepia"}, "no theme"),
        ({"images": np.zeros((3, 2, 8, 8))}, r"images must have the shape \[L, T, C, H, W\]"),
    ],
)
def test_refusals(options, message) -> None:
    with pytest.raises(UnbraidError, match=message):
        traversals(**{"images": np.zeros((3, 2, 1, 8, 8)), "values": [0, 1]} | options)
