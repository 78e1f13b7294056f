from pathlib import Path

import pytest

from unbraid.data.dsprites_cache import cache_file, cache_folder, drawn


@pytest.fixture(scope="session")
def dsprites_cache() -> Path:
    """The folder with the drawn dSprites: the user's own, where they are drawn now if they never were."""
    drawn(cache_file())
    return cache_folder()
