import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from unbraid.data.dsprites_cache import cache_file, cache_folder, drawn

# The models of the tests are too small to share out among threads; and what a subprocess of a test trains must agree
# to the last bit with what the test itself trains. Set before PyTorch is first imported.
os.environ["OMP_NUM_THREADS"] = "1"

import torch

settings.register_profile("unbraid", deadline=None)  # of a test that must not hang on how fast a machine is
settings.load_profile("unbraid")

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # to test the kernels for a GPU without one; set before Triton is imported


@pytest.fixture(scope="session")
def dsprites_cache() -> Path:
    """The folder with the drawn dSprites: the user's own, where they are drawn now if they never were."""
    drawn(cache_file())
    return cache_folder()


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)
