"""Bouncing balls against a simulation one ball at a time, and against what physics says."""

import itertools
import math
import sys

import numpy as np
import pytest
import torch
from kernel_cases import needs_kernels

from unbraid.data import load
from unbraid.data.balls import _light
from unbraid.errors import UnbraidError
from unbraid.randomness import numpy_generator


def slow_simulation(positions, velocities, frames, gravity=0.0, friction=0.0):
    """Lists of (x, y) in, a list of frames out: the protocol read aloud, one ball and one coordinate at a time."""
    x, v = [list(p) for p in positions], [list(u) for u in velocities]
    seen = []
    for _ in range(frames):
        seen.append([list(p) for p in x])
        for _half in range(2):
            for ball in range(len(x)):
                for axis in range(2):
                    x[ball][axis] += v[ball][axis] / 2
            for ball in range(len(x)):
                if x[ball][1] + 1.2 < 10:
                    v[ball][1] += gravity
                v[ball] = [u - friction * u for u in v[ball]]
            for ball in range(len(x)):
                for axis in range(2):
                    if x[ball][axis] < 1.2:
                        v[ball][axis] = abs(v[ball][axis])
                    if x[ball][axis] > 8.8:
                        v[ball][axis] = -abs(v[ball][axis])
            for a in range(len(x)):
                for b in range(a):
                    distance = math.dist(x[a], x[b])
                    normal = [(p - q) / distance for p, q in zip(x[a], x[b], strict=True)]
                    along_a, along_b = (sum(n * u for n, u in zip(normal, v[k], strict=True)) for k in (a, b))
                    if distance < 2.4 and along_a < along_b:
                        for axis in range(2):  # equal masses exchange their velocities along the normal
                            v[a][axis] += (along_b - along_a) * normal[axis]
                            v[b][axis] += (along_a - along_b) * normal[axis]
    return np.array(seen)


@pytest.mark.parametrize(
    ("n_balls", "options"), [(1, {}), (2, {}), (3, {}), (5, {}), (2, {"gravity": 0.003, "friction": 0.005})]
)
def test_a_slow_simulation_goes_the_same_way(n_balls, options):
    balls = load("balls", n_balls=n_balls, **options)
    collided = False
    for seed in range(4):
        positions, velocities = balls._start(numpy_generator(seed))
        fast = balls._simulate([numpy_generator(seed)], 100)[0]
        slow = slow_simulation(positions, velocities, 100, **options)
        # balls are mirrors that magnify: a difference of one rounding grows with every collision
        np.testing.assert_allclose(fast, slow, atol=1e-7)
        collided |= any(math.dist(*pair) < 2.6 for frame in slow for pair in itertools.combinations(frame, 2))
    assert collided or n_balls == 1


def test_equal_balls_that_meet_head_on_exchange_their_velocities():
    x = np.array([[4.0, 5.0], [6.0, 5.0]])[:, :, None]
    v = np.array([[0.3, 0.1], [-0.2, -0.05]])[:, :, None]
    load("balls", n_balls=2)._accelerate(x, v)
    np.testing.assert_allclose(v[:, :, 0], [[-0.2, 0.1], [0.3, -0.05]], atol=1e-15)  # along x; y is tangential
    load("balls", n_balls=2)._accelerate(x, v)
    np.testing.assert_allclose(v[:, :, 0], [[-0.2, 0.1], [0.3, -0.05]], atol=1e-15)  # parting balls do not collide


def test_walls_turn_a_ball_back_but_never_out():
    x = np.array([[1.0, 5.0], [9.0, 0.5]])[:, :, None]
    v = np.array([[-0.3, 0.1], [0.2, 0.4]])[:, :, None]
    load("balls", n_balls=2)._accelerate(x, v)
    assert v[:, :, 0].tolist() == [[0.3, 0.1], [-0.2, 0.4]]


@pytest.mark.parametrize("n_balls", [1, 2, 3, 5])
def test_collisions_conserve_energy_and_momentum(n_balls):
    balls = load("balls", n_balls=n_balls)
    rng = np.random.default_rng(0)
    x, v = rng.uniform(2, 8, (n_balls, 2, 500)), rng.standard_normal((n_balls, 2, 500))
    before = v.copy()
    balls._accelerate(x, v)
    np.testing.assert_allclose((v**2).sum(axis=(0, 1)), (before**2).sum(axis=(0, 1)))
    np.testing.assert_allclose(v.sum(axis=0), before.sum(axis=0), atol=1e-12)
    assert n_balls == 1 or not np.allclose(v, before)


@pytest.mark.parametrize("n_balls", [1, 2, 3])
def test_balls_stay_in_the_box_apart_and_at_their_speed(n_balls):
    balls = load("balls", n_balls=n_balls)
    centres = balls.factors(np.arange(128 * 300)).reshape(300, 128, n_balls, 2)
    assert centres[:, 0].min() >= 2 and centres[:, 0].max() <= 8.8
    assert centres.min() > 1.2 - 0.5 and centres.max() < 8.8 + 0.5  # beyond a wall by less than a frame's way
    for i, j in itertools.combinations(range(n_balls), 2):
        distance = np.linalg.norm(centres[:, :, i] - centres[:, :, j], axis=-1)
        assert distance[:, 0].min() >= 2.4 and distance.min() > 2.4 - 0.5
    ways = np.sqrt((np.diff(centres, axis=1) ** 2).sum(axis=(2, 3)))
    assert ways.max() == pytest.approx(0.5, abs=1e-9)  # joint norm per frame; less only where a half step turned back
    assert np.mean(np.isclose(ways, 0.5)) > 0.8


def test_starts_are_uniform_where_a_ball_fits():
    first = load("balls").factors(np.arange(0, 128 * 2000, 128))
    for axis in range(2):
        counts = np.histogram(first[:, axis], bins=10, range=(2, 8.8))[0]
        assert ((counts - 200) ** 2 / 200).sum() < 27.9  # chi-squared with 9 degrees of freedom, p = 0.001


def test_friction_stops_and_gravity_sinks():
    def late(**options):
        return load("balls", **options).factors(np.arange(128 * 50)).reshape(50, 128, 2)[:, -20:]

    assert np.ptp(late(friction=0.1), axis=1).max() < 1e-3 < np.ptp(late(), axis=1).max()
    assert late(gravity=0.01, friction=0.02)[..., 1].mean() > 8 > late()[..., 1].mean()  # y points down


@pytest.mark.parametrize(("n_balls", "size"), [(1, 32), (2, 32), (2, 20)])
def test_images_show_the_factors(n_balls, size):
    balls = load("balls", n_balls=n_balls, size=size)
    indices = np.array([0, 127, 128, 5000, 2**20 - 1])
    images, centres = balls.images(indices), balls.factors(indices).reshape(-1, n_balls, 2)
    for image, frame in zip(images, centres, strict=True):
        for row, column in itertools.product(range(size), repeat=2):
            pixel = (column + 0.5) * 10 / size, (row + 0.5) * 10 / size
            light = sum(math.exp(-((math.dist(pixel, centre) / 1.2) ** 8)) for centre in frame)
            assert image[0, row, column] == pytest.approx(255 * min(light, 1), abs=0.51)


def test_the_way_of_accelerators_gives_the_same_light():
    balls = load("balls", n_balls=3, size=20)
    centres = balls.factors(np.arange(50)).reshape(50, 3, 2).astype(np.float32)
    light = _light(torch, torch.from_numpy(balls._pixels), torch.from_numpy(centres))
    assert light.dtype == torch.float32 and light.shape == (50, 1, 20, 20)
    np.testing.assert_allclose(light.numpy(), _light(np, balls._pixels, centres), rtol=1e-5, atol=1e-7)


@needs_kernels
@pytest.mark.parametrize(("n_balls", "size"), [(1, 4), (1, 32), (2, 21), (5, 64)])
def test_a_kernel_gives_the_same_light(n_balls, size):
    from unbraid.data.balls_kernel import drawn

    balls = load("balls", n_balls=n_balls, size=size)
    centres = balls.factors(np.arange(100, 130)).reshape(30, n_balls, 2).astype(np.float32)
    light = drawn(torch.from_numpy(centres), size, box=10, radius=1.2)
    assert light.dtype == torch.float32 and light.shape == (30, 1, size, size)
    np.testing.assert_allclose(light.numpy(), _light(np, balls._pixels, centres), rtol=1e-4, atol=5e-6)
    assert light.min() == 0 and light.max() <= 1


def test_a_batch_is_consecutive_frames_of_one_simulation():
    balls = load("balls", n_balls=2)
    batch, short = balls.batches(128, seed=1)(7), balls.batches(32, seed=1)(7)
    assert torch.equal(batch[:32], short)
    steps = (batch[1:] - batch[:-1]).abs().sum(dim=(1, 2, 3))
    jump = (batch[0] - balls.batches(128, seed=1)(8)[0]).abs().sum()
    assert steps.min() > 0 and steps.max() < jump


def test_shuffled_batches_are_the_same_images_dealt_otherwise():
    plain = load("balls", n_balls=2).batches(32, seed=3)
    dealt = load("balls", n_balls=2, shuffled=True).batches(32, seed=3)
    block = range(sys.modules["unbraid.data.balls"]._SIMULATED_AT_ONCE)
    rows = {image.numpy().tobytes() for step in block for image in plain(step)}
    assert rows == {image.numpy().tobytes() for step in block for image in dealt(step)}
    first = [{image.numpy().tobytes() for image in plain(step)} for step in range(32)]
    of = [next(n for n, images in enumerate(first) if image.numpy().tobytes() in images) for image in dealt(0)]
    assert of == list(range(32))  # a frame of each simulation


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_blocks_and_order_of_access_change_no_bit(monkeypatch, at_once):
    balls = load("balls", n_balls=2)
    expected = [balls.batches(16, seed=9)(step) for step in (0, 5, 300, 70_000)]
    monkeypatch.setattr(sys.modules["unbraid.data.balls"], "_SIMULATED_AT_ONCE", at_once)
    stream = balls.batches(16, seed=9)
    found = [stream(step) for step in (70_000, 300, 5, 0)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_the_indexed_frames_are_not_those_of_a_training_stream():
    balls = load("balls")
    indexed = torch.from_numpy(balls.images(np.array([0]))) / 255
    firsts = torch.cat([balls.batches(1, seed=seed)(0) for seed in range(3)])
    assert (firsts - indexed).abs().amax(dim=(1, 2, 3)).min() > 0.1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_balls": 6}, "n_balls must be from 1 to 5"),
        ({"n_balls": 0}, "n_balls must be from 1 to 5"),
        ({"size": 3}, "size must be from 4 to 512"),
        ({"friction": 1.0}, r"friction must be in \[0, 1\)"),
        ({"friction": math.nan}, "friction must be"),
        ({"gravity": -0.1}, "gravity in"),
    ],
)
def test_impossible_requests_are_refused(options, sentence):
    with pytest.raises(UnbraidError, match=sentence):
        load("balls", **options)


def test_continuous_positions_cannot_be_looked_up_and_indices_end():
    balls = load("balls")
    with pytest.raises(UnbraidError, match="continuous"):
        balls.indices(np.zeros((1, 2)))
    for index in (-1, len(balls)):
        with pytest.raises(IndexError):
            balls.images(np.array([index]))
