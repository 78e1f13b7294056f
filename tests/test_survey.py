import numpy as np
import pytest

from unbraid import survey
from unbraid.data import from_arrays

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(3, 250, (50, 6, 6), dtype=np.uint8)


def test_of_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.concatenate([IMAGES, IMAGES[:3], IMAGES[:1]])
    monkeypatch.setattr(survey, "_AT_ONCE", 200)
    found = survey.survey(from_arrays(images, np.arange(54)[:, None]))
    assert (found.low, found.high, found.duplicates) == (images.min(), images.max(), 4)
    assert found.mean == pytest.approx(images.mean()) and found.deviation == pytest.approx(images.std())
    assert found.factors[:, 0].tolist() == found.indices.tolist() == list(range(54))


def test_of_an_even_sample_of_a_large_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "_MOST", 5)
    found = survey.survey(from_arrays(IMAGES))
    assert found.indices.tolist() == [0, 10, 20, 30, 40] and found.duplicates == 0
    assert found.mean == pytest.approx(IMAGES[::10].mean())
