from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from unbraid.errors import UnbraidError
from unbraid.figures import animate, animate_all
from unbraid.figures.style import LOOKS


def frames_of(path: Path) -> np.ndarray:
    """uint8 [T, H, W, 3]"""
    with Image.open(path) as gif:
        assert gif.format == "GIF"
        assert gif.info["loop"] == 0  # for ever
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)])


def enlarged(image: np.ndarray, scale: int) -> np.ndarray:
    """[C, H, W] -> [H * scale, W * scale, 3]"""
    planes = [np.kron(plane, np.ones((scale, scale), np.uint8)) for plane in image]
    return np.stack(planes * (3 // len(planes)), axis=-1)


def there_and_back(count: int) -> list[int]:
    return [*range(count), *range(count - 2, 0, -1)]


@pytest.mark.parametrize("scale", [1, 4])
def test_grey_frames_are_the_enlarged_images_there_and_back(tmp_path, noise, scale) -> None:
    images = noise(5, 1, 32, 20)
    animate(images, tmp_path / "z0.gif", scale=scale)
    frames = frames_of(tmp_path / "z0.gif")
    assert frames.shape == (8, 32 * scale, 20 * scale, 3)
    for frame, index in zip(frames, there_and_back(5), strict=True):
        assert np.array_equal(frame, enlarged(images[index], scale))


def test_few_colours_are_exact(tmp_path) -> None:
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    images = palette[rng.integers(0, 256, (3, 16, 16))].transpose(0, 3, 1, 2)
    animate(images, tmp_path / "z.gif")
    for frame, index in zip(frames_of(tmp_path / "z.gif"), there_and_back(3), strict=True):
        assert np.array_equal(frame, enlarged(images[index], 4))


def test_many_colours_are_near(tmp_path) -> None:
    ramp = np.linspace(0, 1, 32)
    image = np.stack([*np.meshgrid(ramp, ramp), np.full((32, 32), 0.3)])
    images = np.stack([np.roll(image, 3 * step, axis=2) for step in range(4)])
    animate(images, str(tmp_path / "z.gif"), scale=2)
    frames = frames_of(tmp_path / "z.gif").astype(int)
    assert len(frames) == 6
    for frame, index in zip(frames, there_and_back(4), strict=True):
        assert abs(frame - enlarged(np.round(images[index] * 255).astype(np.uint8), 2)).mean() < 6


@pytest.mark.parametrize(("count", "frames"), [(1, 1), (2, 2), (3, 4)])
def test_short_traversals(tmp_path, noise, count, frames) -> None:
    animate(noise(count, 1, 8, 8), tmp_path / "z.gif")
    with Image.open(tmp_path / "z.gif") as gif:
        assert gif.n_frames == frames


@pytest.mark.parametrize(("fps", "milliseconds"), [(12, 80), (15, 70), (10, 100), (50, 20), (0.5, 2000)])
def test_speed(tmp_path, noise, fps, milliseconds) -> None:
    animate(noise(3, 1, 8, 8), tmp_path / "z.gif", fps=fps)
    with Image.open(tmp_path / "z.gif") as gif:
        assert gif.info["duration"] == milliseconds


def test_a_latent_that_draws_nothing_keeps_its_time(tmp_path, noise) -> None:
    animate(np.repeat(noise(1, 1, 8, 8), 6, axis=0), tmp_path / "z.gif", fps=10)
    with Image.open(tmp_path / "z.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 1
        assert gif.info["duration"] == 1000


def test_equal_traversals_are_equal_files(tmp_path, noise) -> None:
    for name in ("a.gif", "b.gif"):
        animate_all(noise(2, 3, 3, 8, 8), ["z0", "z1"], tmp_path / name)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()


@pytest.mark.parametrize("theme", LOOKS)
def test_all_latents_move_in_step_below_their_labels(tmp_path, theme, noise, find_image) -> None:
    images = noise(5, 3, 1, 16, 16)
    path = tmp_path / "all.gif"
    animate_all(images, ["z0", "z1 → scale", "", "z3", "z4"], path, columns=2, scale=3, theme=theme)
    frames = frames_of(path)
    assert len(frames) == 4
    background = frames[0][0, 0]
    places = [find_image(frames[0], image, 3) for image in images[:, 0]]
    assert sorted(places, key=lambda place: (place[1], place[0])) == places
    assert [x for x, _ in places] == [places[0][0], places[1][0]] * 2 + [places[0][0]]
    for frame, step in zip(frames, there_and_back(3), strict=True):
        for latent, (x, y) in enumerate(places):
            assert np.array_equal(frame[y : y + 48, x : x + 48], enlarged(images[latent, step], 3))
            label = frame[y - 18 : y - 1, x : x + 48]
            assert (label != background).any() == (latent != 2)
    assert tuple(background / 255) == pytest.approx((1, 1, 1) if theme == "light" else (22 / 255,) * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "z.png"}, r'"z.png": let its name end in .gif'),
        ({"fps": 0}, "fps must be above 0 and at most 50, not 0"),
        ({"fps": 60}, "not 60"),
        ({"scale": 0}, "scale must be at least 1, not 0"),
        ({"images": np.full((2, 1, 4, 4), 2.0)}, r"\[0, 1\]"),
        ({"images": np.zeros((2, 4, 4))}, r"\[T, C, H, W\]"),
    ],
)
def test_refusals(tmp_path, options, message, noise) -> None:
    given = {"images": noise(2, 1, 4, 4), "path": "z.gif"} | options
    given["path"] = tmp_path / given["path"]
    with pytest.raises(UnbraidError, match=message):
        animate(**given)
    assert not list(tmp_path.iterdir())


def test_refusals_of_all(tmp_path, noise) -> None:
    with pytest.raises(UnbraidError, match="labels must be 2 names"):
        animate_all(noise(2, 2, 1, 4, 4), ["a"], tmp_path / "z.gif")
    with pytest.raises(UnbraidError, match="columns must be at least 1"):
        animate_all(noise(2, 2, 1, 4, 4), ["a", "b"], tmp_path / "z.gif", columns=0)
    assert not list(tmp_path.iterdir())
