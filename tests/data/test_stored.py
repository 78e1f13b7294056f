"""The fast path of stored images: shuffling by (seed, step), and bytes or bits into floats."""

import numpy as np
import pytest
import torch

from unbraid.data import from_arrays, pixels
from unbraid.data.pixels import Pixels
from unbraid.data.stored import shuffled
from unbraid.errors import UnbraidError

CPU = torch.device("cpu")


def test_an_epoch_draws_without_replacement_and_leaves_out_the_rest():
    order = shuffled(103, 10, seed=0)
    first, second = (np.concatenate([order(epoch * 10 + step) for step in range(10)]) for epoch in range(2))
    for epoch in (first, second):
        assert len(epoch) == len(set(epoch)) == 100 and set(epoch) <= set(range(103))
    assert not np.array_equal(first, second)
    left_out = {
        i
        for epoch in range(40)
        for i in set(range(103)) - {*np.concatenate([order(epoch * 10 + s) for s in range(10)])}
    }
    assert len(left_out) > 50  # not the same three every time


def test_the_order_is_a_function_of_seed_and_step():
    steps = [0, 57, 3, 120, 57, 9, 10]
    order = shuffled(100, 10, seed=5)
    for step in steps:
        assert np.array_equal(order(step), shuffled(100, 10, seed=5)(step))
    assert not np.array_equal(order(0), shuffled(100, 10, seed=6)(0))


def test_every_image_is_equally_likely_everywhere():
    firsts = [shuffled(10, 5, seed)(0)[0] for seed in range(2000)]
    counts = np.bincount(firsts, minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # chi-squared with 9 degrees of freedom, p = 0.001


@pytest.mark.parametrize("batch_size", [0, -1, 11])
def test_a_batch_larger_than_the_data_set_is_refused(batch_size):
    with pytest.raises(UnbraidError, match="the data set has one image, and a batch takes two or more: add images"):
        shuffled(1, 64, 0)
    with pytest.raises(UnbraidError, match=r"batch_size must be from 2 to 10, the number of images"):
        shuffled(10, batch_size, seed=0)


@pytest.fixture(params=["packed", "bytes"])
def stored(request):
    rng = np.random.default_rng(0)
    if request.param == "packed":
        rows = rng.integers(0, 256, (50, 24), dtype=np.uint8)
        expected = (rows[:, :, None] >> np.arange(7, -1, -1, dtype=np.uint8) & 1).reshape(50, 1, 12, 16) * 255
        return Pixels(rows, (1, 12, 16), packed=True), expected
    rows = rng.integers(0, 256, (50, 60), dtype=np.uint8)
    return Pixels(rows, (3, 4, 5)), rows.reshape(50, 3, 4, 5)


def test_images_and_floats_are_the_same_pixels(stored):
    held, expected = stored
    indices = np.array([49, 0, 7, 7], np.int32)
    images = held.images(indices)
    assert images.dtype == np.uint8 and np.array_equal(images, expected[indices])
    floats = held.floats(indices, CPU)
    assert floats.dtype == torch.float32
    np.testing.assert_array_equal(floats.numpy(), (expected[indices] / 255).astype(np.float32))


@pytest.mark.parametrize("room", [2**30, 0])
def test_the_way_of_accelerators_gives_the_same_floats(stored, monkeypatch, room):
    monkeypatch.setattr(pixels, "_RESIDENT", room)
    held, _ = stored
    indices = np.array([49, 0, 7, 7], np.int32)
    table = torch.from_numpy(pixels._BITS if held.packed else pixels._LEVELS)
    for _ in range(2):  # the second time from what stayed there
        assert torch.equal(held._floats_there(torch.from_numpy(indices), table, CPU), held.floats(indices, CPU))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_on_cuda_equal_those_on_the_cpu():
    images = np.random.default_rng(0).integers(0, 256, (100, 3, 8, 8), dtype=np.uint8)
    here, there = (from_arrays(images).batches(10, seed=0, device=device) for device in ("cpu", "cuda"))
    assert all(torch.equal(here(step), there(step).cpu()) for step in (0, 25))


def test_an_epoch_of_batches_shows_every_image_once():
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)
    batch = from_arrays(images).batches(5, seed=1)
    seen = torch.cat([batch(step) for step in range(4)]) * 255
    assert sorted(map(bytes, seen.round().byte().numpy())) == sorted(map(bytes, images))
