"""What the page shows of a data set: images to start from, and for each factor images in its order."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from unbraid import randomness
from unbraid.errors import UnbraidError, printable
from unbraid.types import Dataset

_GALLERY = 24
_LEVELS, _ALL_LEVELS = 8, 96  # images of one factor and of all, at most
_WORD = 60  # characters of a value, at most
_SAMPLE = 4_000  # images among which those of a factor are looked for, where it cannot be moved alone


@dataclass(frozen=True)
class Levels:
    """Images in the order of one factor."""

    name: str
    indices: np.ndarray  # [V]
    labels: list[str]  # [V] its values
    others: str  # a sentence: what the other factors do meanwhile


def gallery(dataset: Dataset) -> np.ndarray:
    """Indices [n] of images from all over the data set."""
    rng = randomness.numpy_generator(0, "gallery")
    return rng.choice(len(dataset), min(_GALLERY, len(dataset)), replace=False)


def levels(dataset: Dataset) -> list[Levels]:
    """For each factor images that move it alone, from the middle of the others, or else ones where it rises."""
    rng = randomness.numpy_generator(0, "levels")
    sample = rng.choice(len(dataset), min(_SAMPLE, len(dataset)), replace=False)
    known = dataset.factors(sample)
    count = max(2, min(_LEVELS, _ALL_LEVELS // max(1, len(dataset.factor_names))))
    found = []
    for factor, (name, size) in enumerate(zip(dataset.factor_names, dataset.factor_sizes, strict=True)):
        try:
            found.append(_moved_alone(dataset, factor, name, size, count))
        except UnbraidError:  # no such images, or not one of each
            order = np.argsort(known[:, factor], kind="stable")
            if size is not None:  # an image of each value
                order = np.unique(known[:, factor], return_index=True)[1]
            picked = order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)]
            labels = [_said(dataset, factor, value) for value in known[picked, factor]]
            found.append(Levels(name, sample[picked], labels, "The other factors are as they happen to be."))
    return found


def _moved_alone(dataset: Dataset, factor: int, name: str, size: int | None, count: int) -> Levels:
    if size is None or None in dataset.factor_sizes:
        raise UnbraidError(f"{name} is continuous, or another factor is")
    values = np.unique(np.linspace(0, size - 1, min(count, size)).round().astype(np.int64))
    rows = np.tile([(each or 1) // 2 for each in dataset.factor_sizes], (len(values), 1))
    rows[:, factor] = values
    labels = [_said(dataset, factor, value) for value in values]
    return Levels(name, dataset.indices(rows), labels, "The other factors stay in their middle.")


def _said(dataset: Dataset, factor: int, value: float) -> str:
    """A value of this factor: what its index stands for, where the data set knows."""
    levels: Mapping[str, Sequence[str]] = getattr(dataset, "levels", {})
    words = levels.get(dataset.factor_names[factor])
    if words:
        return printable(words[int(value)])[:_WORD]
    return f"{value:.3g}" if dataset.factor_sizes[factor] is None else str(int(value))


@dataclass(frozen=True)
class Shown:
    """A data set, and the images of it that the page shows."""

    dataset: Dataset
    pictured: np.ndarray  # indices of the gallery
    moved: list[Levels]

    @classmethod
    def of(cls, dataset: Dataset) -> "Shown":
        return cls(dataset, gallery(dataset), levels(dataset))

    def json(self) -> dict[str, Any]:
        names, rows = self.dataset.factor_names, self.dataset.factors(self.pictured)
        labels = [", ".join(f"{n} {_said(self.dataset, f, row[f])}" for f, n in enumerate(names)) for row in rows]
        return {
            "gallery": {"sprite": sprite(self.dataset.images(self.pictured)), "labels": labels},
            "factors": [
                {
                    "name": moved.name,
                    "labels": moved.labels,
                    "others": moved.others,
                    "sprite": sprite(self.dataset.images(moved.indices)),
                }
                for moved in self.moved
            ],
        }


def sprite(images: np.ndarray) -> str:
    """uint8 [N, C, H, W] side by side, as the address of a PNG that is the address itself."""
    n, channels, height, width = images.shape
    sheet = images.transpose(2, 0, 3, 1).reshape(height, n * width, channels)
    stream = io.BytesIO()
    Image.fromarray(sheet[..., 0] if channels == 1 else sheet).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
