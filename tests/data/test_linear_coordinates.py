"""Linear coordinates of images: independent, of mean 0 and variance 1, a function of the data alone."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from unbraid.data import load
from unbraid.data.arrays import from_arrays
from unbraid.data.linear_coordinates import linear_coordinates


def test_they_follow_the_coordinates_of_a_ball_without_a_fold():
    balls = load("balls")
    indices = np.arange(1000) * 131
    x = torch.from_numpy(balls.images(indices)) / 255
    found = linear_coordinates(balls, 2)(x).numpy()
    assert np.abs(found.mean(0)).max() < 0.1 and np.abs(found.std(0) - 1).max() < 0.1
    rank = np.abs([[spearmanr(code, factor)[0] for factor in balls.factors(indices).T] for code in found.T])
    order = rank[0].argmax()
    assert rank[0, order] > 0.8 and rank[1, 1 - order] > 0.8
    assert rank[0, 1 - order] < 0.2 and rank[1, order] < 0.2


def test_two_independent_sources_mixed_in_the_pixels_come_apart():
    rng = np.random.default_rng(0)
    sources = rng.uniform(-1, 1, (3000, 2))
    mixing = rng.standard_normal((2, 12))
    images = np.rint(127.5 + 20 * sources @ mixing).clip(0, 255).astype(np.uint8).reshape(-1, 3, 2, 2)
    data = from_arrays(images)
    found = linear_coordinates(data, 2)(torch.from_numpy(data.images(np.arange(3000))) / 255).numpy()
    r = np.abs(np.corrcoef(found.T, sources.T)[:2, 2:])
    assert r.max(axis=1).min() > 0.99 and np.sort(r, axis=1)[:, 0].max() < 0.1


@pytest.mark.filterwarnings("error")
def test_images_that_do_not_differ_have_coordinates_0():
    data = from_arrays(np.full((20, 1, 32, 32), 7, np.uint8))
    assert not linear_coordinates(data, 2)(torch.full((3, 1, 32, 32), 7 / 255)).abs().max() > 1e-3


def test_the_same_twice():
    balls = load("balls")
    x = balls.batches(8, seed=1)(0)
    assert torch.equal(linear_coordinates(balls, 2)(x), linear_coordinates(balls, 2)(x))
