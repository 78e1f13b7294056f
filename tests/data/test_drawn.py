"""Data sets that are drawn: squares, the ray-cast room, and painted sprites, against what geometry says."""

import sys
from pathlib import Path

import data_files
import numpy as np
import pytest

from unbraid.data import load
from unbraid.data.ray_casting import SHAPES, layers
from unbraid.errors import UnbraidError

RNG = np.random.default_rng(0)


class TestXYSquares:
    def test_against_a_loop(self) -> None:
        dataset = load("xy_squares")
        assert len(dataset) == 8**6 and dataset.factor_sizes == (8,) * 6
        for index in (0, 1, 8, 12345, 8**6 - 1):
            expected = np.zeros((3, 64, 64), np.uint8)
            for channel, (x, y) in enumerate(dataset.factors([index])[0].reshape(3, 2)):
                expected[channel, 8 * y : 8 * y + 8, 8 * x : 8 * x + 8] = 255
            assert np.array_equal(dataset.images([index])[0], expected)

    def test_a_place_is_as_far_from_its_neighbour_as_from_any_other(self) -> None:
        dataset = load("xy_squares")
        images = dataset.images(dataset.indices([[x, 0, 3, 3, 3, 3] for x in range(8)])).astype(int)
        distances = np.abs(images[:, None] - images[None]).sum((2, 3, 4))
        assert set(distances[~np.eye(8, dtype=bool)]) == {2 * 64 * 255}


class TestRoom:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_each_pixel_is_shared_out(self, shape: str) -> None:
        """Brightness is between ambient and full light, so coverage is all there."""
        floor, wall, thing, _ = layers(1.0, shape, 0.3).astype(float) / 255
        assert ((floor + wall + thing) <= 1.01).all() and ((floor + wall + thing) >= 0.41).all()
        assert wall[0].min() > 0.4 and floor[0].max() == 0  # walls above, the floor below
        assert floor[-1].min() > 0.4 and wall[-1].max() == 0
        assert thing[32, 32] > 0.4 and thing[:, 0].max() == thing[:, -1].max() == 0

    @pytest.mark.parametrize("shape", SHAPES)
    def test_a_larger_object_covers_more(self, shape: str) -> None:
        covered = [(layers(scale, shape, 0.1)[2] > 0).sum() for scale in (0.75, 0.9, 1.05, 1.25)]
        assert covered == sorted(covered) and covered[-1] > 2 * covered[0]
        assert covered[-1] / covered[0] == pytest.approx((1.25 / 0.75) ** 2, rel=0.25)  # an area

    def test_a_sphere_is_a_disc_where_its_projection_is(self) -> None:
        thing = layers(1.0, "sphere", 0.0)[2] > 60  # half covered, in the shade
        rows, columns = np.nonzero(thing)
        assert columns.mean() == pytest.approx(31.5, abs=0.3)
        assert np.ptp(columns) == pytest.approx(np.ptp(rows), abs=2)
        assert thing.sum() == pytest.approx(np.pi * ((np.ptp(columns) + 1) / 2) ** 2, rel=0.08)

    def test_round_objects_look_the_same_from_every_side(self) -> None:
        for shape in ("cylinder", "sphere", "capsule"):
            assert np.abs(layers(1.0, shape, 0.0)[2].astype(int) - layers(1.0, shape, 0.5)[2]).max() <= 1
        assert np.abs(layers(1.0, "cube", 0.0)[2].astype(int) - layers(1.0, "cube", 0.5)[2]).max() > 50

    def test_the_corner_of_the_room_moves_with_the_camera(self) -> None:
        left, right = (layers(0.75, "sphere", sign * 0.5)[1].astype(int) for sign in (-1, 1))
        assert np.abs(left - right).max() > 20

    def test_the_object_throws_a_shadow_on_the_floor(self) -> None:
        with_it, floor_only = layers(1.0, "sphere", 0.0)[0].astype(float), layers(1e-3, "sphere", 0.0)[0].astype(float)
        beside = (layers(1.0, "sphere", 0.0)[2] == 0) & (floor_only > 0)
        assert (with_it[beside] <= floor_only[beside] + 1).all()
        assert (with_it[beside] < 0.7 * floor_only[beside]).sum() > 30


class TestShapes3DLike:
    def test_hues_change_their_part_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        views = np.repeat(layers(1.0, "cube", 0.2)[None], 480, axis=0)  # one view will do
        module = sys.modules["unbraid.data.shapes3d_like"]
        monkeypatch.setattr(module, "_views", lambda: views.reshape(480, 4, -1).astype(np.float32))
        dataset = load("shapes3d_like")
        assert len(dataset) == 480_000
        floor, wall, thing, _ = views[0] > 0
        base, *others = dataset.images(
            dataset.indices([[0, 3, 6, 0, 0, 0], [5, 3, 6, 0, 0, 0], [0, 8, 6, 0, 0, 0], [0, 3, 1, 0, 0, 0]])
        ).astype(int)
        for other, part in zip(others, (floor, wall, thing), strict=True):
            changed = (base != other).any(0)
            assert (changed <= part).all() and changed.sum() > 0.9 * part.sum()

    def test_a_pixel_by_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = sys.modules["unbraid.data.shapes3d_like"]
        views = np.zeros((480, 4, 64 * 64), np.float32)
        views[:, :, 7] = 100, 50, 25, 10
        monkeypatch.setattr(module, "_views", lambda: views)
        colours = module._COLOURS
        expected = np.rint((100 * colours[2] + 50 * colours[4] + 25 * colours[9] + 10 * 255) / 255)
        dataset = load("shapes3d_like")
        found = dataset.images(dataset.indices([[2, 4, 9, 7, 3, 14]]))[0].reshape(3, -1)
        assert np.array_equal(found[:, 7], expected) and found[:, 8].max() == 0

    def test_ten_hues_go_round_the_circle(self) -> None:
        colours = sys.modules["unbraid.data.shapes3d_like"]._COLOURS
        assert colours[0].argmax() == 0 and colours[0, 1] == colours[0, 2]  # red
        assert colours[5].argmin() == 0 and colours[5, 1] == colours[5, 2]  # cyan, opposite
        steps = np.abs(np.diff(np.vstack([colours, colours[:1]]), axis=0)).sum(1)
        assert np.ptp(steps) <= 4

    @pytest.mark.slow
    def test_every_view_is_another(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path))
        dataset = load("shapes3d_like")
        images = dataset.images(np.arange(480))
        assert len(np.unique(images.reshape(480, -1), axis=0)) == 480


@pytest.mark.usefixtures("dsprites_cache")
class TestPainted:
    def test_colours_are_bright_and_one_a_sprite(self) -> None:
        indices = RNG.integers(0, 737280, 30)
        sprites = load("dsprites").images(indices)[:, 0] > 0
        for image, sprite in zip(load("color_dsprites").images(indices), sprites, strict=True):
            assert image[:, ~sprite].max() == 0
            assert (image[:, sprite].min(1) == image[:, sprite].max(1)).all() and image[:, sprite].min() >= 127

    def test_noise_is_uniform_and_the_sprite_white(self) -> None:
        indices = RNG.integers(0, 737280, 30)
        sprites = load("dsprites").images(indices)[:, 0] > 0
        images = np.moveaxis(load("noisy_dsprites").images(indices), 1, 3)
        assert (images[sprites] == 255).all()
        counts = np.bincount(images[~sprites].ravel(), minlength=256)
        expected = counts.sum() / 256
        assert ((counts - expected) ** 2 / expected).sum() < 340  # chi-squared, 255 degrees of freedom, p = 0.0003

    def test_the_sprite_inverts_the_painting(self, tmp_path: Path) -> None:
        painting = data_files.painting(tmp_path)
        indices = RNG.integers(0, 737280, 5)
        sprites = load("dsprites").images(indices)[:, 0] > 0
        dataset = load("scream_dsprites", painting=str(tmp_path / "scream.png"))
        windows = np.lib.stride_tricks.sliding_window_view(painting, (64, 64), (0, 1))  # [137, 87, 3, 64, 64]
        for image, sprite in zip(dataset.images(indices).astype(float), sprites, strict=True):
            upright = np.where(sprite, 255 - image, image)
            # half a window of the painting and half one colour: twice the picture less the window is that colour
            flat = (2 * upright[:, ::8, ::8] - windows[..., ::8, ::8]).std((3, 4)).max(2)
            assert np.isclose(flat.min(), 0, atol=1) and (flat < 5).sum() == 1

    def test_batches_draw_anew_each_epoch(self) -> None:
        dataset = load("color_dsprites")
        batches = dataset.batches(4, seed=0)
        assert set(batches(0).amax((1, 2, 3)).tolist()) != set(batches(1).amax((1, 2, 3)).tolist())

    def test_paintings_that_are_none(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(b"junk")
        with pytest.raises(UnbraidError, match="cannot be read as a picture"):
            load("scream_dsprites", painting=str(tmp_path / "x.png"))
        with pytest.raises(UnbraidError, match="and none is given"):
            load("scream_dsprites")
        with pytest.raises(UnbraidError, match=r'there is none at ".*y\.png"'):
            load("scream_dsprites", painting=str(tmp_path / "y.png"))
        data_files.pictures(tmp_path, 1)
        with pytest.raises(UnbraidError, match="has 12x12 pixels, and each side needs 65"):
            load("scream_dsprites", painting=str(tmp_path / "000.png"))
