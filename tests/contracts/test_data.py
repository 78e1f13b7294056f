"""What every data set of the table promises."""

import subprocess
import sys
from functools import cache

import data_files
import numpy as np
import pytest
import torch

from unbraid.data import DATASETS, load
from unbraid.errors import UnbraidError
from unbraid.registry import parameters

pytestmark = pytest.mark.usefixtures("dsprites_cache")


@pytest.fixture(params=DATASETS)
def dataset(request, dsprites_cache, tmp_path_factory, monkeypatch):
    if request.param in data_files.WRITERS:
        folder = tmp_path_factory.getbasetemp() / "data-sets" / request.param
        if "dsprites" not in request.param:
            monkeypatch.setenv("UNBRAID_CACHE", str(folder.with_name("cache")))
        data_files.shrink(request.param, monkeypatch)
        return load(request.param, **written(request.param, folder))
    return load(request.param)


@cache
def written(name, folder):
    return data_files.options(name, folder)


def some(dataset, n=40):
    return np.random.default_rng(0).integers(len(dataset), size=n)


def test_images_are_bytes_of_the_declared_shape(dataset):
    images = dataset.images(some(dataset))
    assert images.dtype == np.uint8 and images.shape == (40, *dataset.image_shape)
    assert images.max() > 128 > images.min()
    assert dataset.binary == np.isin(images, (0, 255)).all()


def test_images_and_factors_depend_on_their_index_alone(dataset):
    indices = some(dataset)
    backwards = indices[::-1]
    assert np.array_equal(dataset.images(indices)[::-1], dataset.images(backwards))
    assert np.array_equal(dataset.factors(indices)[::-1], dataset.factors(backwards))
    assert np.array_equal(dataset.factors(indices[:1]), dataset.factors(indices)[:1])


def test_factors_are_indices_below_their_sizes_or_continuous(dataset):
    factors = dataset.factors(some(dataset))
    assert factors.shape == (40, len(dataset.factor_names)) and len(dataset.factor_sizes) == len(dataset.factor_names)
    continuous = None in dataset.factor_sizes
    assert factors.dtype == (np.float64 if continuous else np.int64)
    if not continuous:
        assert (factors >= 0).all() and (factors < dataset.factor_sizes).all()


def test_indices_invert_factors_or_say_why_not(dataset):
    indices = some(dataset)
    try:
        found = dataset.indices(dataset.factors(indices))
    except UnbraidError as error:
        assert "by index" in str(error)
    else:
        assert found.dtype == np.int64 and np.array_equal(found, indices)


def test_a_batch_is_a_function_of_seed_and_step(dataset):
    one, again, other = (dataset.batches(8, seed=seed) for seed in (3, 3, 4))
    batch = one(700)
    assert batch.shape == (8, *dataset.image_shape) and batch.dtype == torch.float32
    assert batch.min() >= 0 and batch.max() <= 1
    one(0), one(99_999)
    assert torch.equal(one(700), batch) and torch.equal(again(700), batch)
    assert not torch.equal(one(701), batch) and not torch.equal(other(700), batch)


def test_global_random_state_is_left_alone(dataset):
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    dataset.batches(8, seed=0)(5)
    dataset.images(some(dataset))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_a_batch_needs_at_least_one_image(dataset):
    with pytest.raises(UnbraidError, match="batch_size must be"):
        dataset.batches(0, seed=0)


@pytest.mark.parametrize("name", DATASETS)
def test_options_are_plain_and_described(name):
    assert all(
        type(option.default) in (bool, int, float, str) for option in parameters(DATASETS[name].function).values()
    )
    assert DATASETS[name].function.__doc__ and DATASETS[name].description


def test_load_refuses_what_it_does_not_know():
    with pytest.raises(UnbraidError, match='no data set or folder called "dsprite"; did you mean "dsprites"'):
        load("dsprite")
    with pytest.raises(UnbraidError, match='no option "n_ball"; did you mean "n_balls"'):
        load("balls", n_ball=2)
    for options in ({"n_balls": 2.0}, {"n_balls": True}, {"friction": "0.1"}, {"size": "32"}):
        with pytest.raises(UnbraidError, match="must be of type"):
            load("balls", **options)
    assert load("balls", friction=0).friction == 0


def test_importing_the_data_sets_is_light():
    heavy = "torch", "h5py", "rich", "filelock", "platformdirs", "PIL", "pyarrow", "pooch"
    script = f"import sys, unbraid.data; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "[]"
