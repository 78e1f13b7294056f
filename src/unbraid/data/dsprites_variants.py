"""dSprites in colours, on noise and on a painting: what else varies is no factor."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unbraid.data import image_files
from unbraid.data.dsprites import dsprites
from unbraid.data.dsprites_drawing import SIDE
from unbraid.data.stored import Stored, shuffled
from unbraid.errors import UnbraidError
from unbraid.randomness import numpy_generator
from unbraid.types import Batches

if TYPE_CHECKING:
    import torch

Paint = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # sprites, bool [n, 64, 64] -> uint8 [n, 3, 64, 64]
_LARGEST_PAINTING = (350, 274)  # pixels across and down; Locatello 2019 shrinks it to fit


def color_dsprites(*, source: str = "drawn") -> "Painted":
    """Each sprite in a random colour, red, green and blue between 1/2 and 1 each, on black (Locatello 2019).

    uint8 [3, 64, 64]; factors and `source` as of `dsprites`. A training batch draws new colours each time; `images`
    gives the same for the same index.
    """

    def paint(sprites: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        colours = np.rint(255 * rng.uniform(0.5, 1, (len(sprites), 3, 1, 1))).astype(np.uint8)
        return sprites[:, None] * colours

    return Painted(dsprites(source=source), paint)


def noisy_dsprites(*, source: str = "drawn") -> "Painted":
    """White sprites on noise, every pixel and colour uniform between 0 and 1 (Locatello 2019); see `color_dsprites`."""

    def paint(sprites: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = rng.integers(0, 256, (len(sprites), 3, SIDE, SIDE), dtype=np.uint8)
        return np.where(sprites[:, None], np.uint8(255), noise)

    return Painted(dsprites(source=source), paint)


def scream_dsprites(*, painting: str = "", source: str = "drawn") -> "Painted":
    """Sprites that invert the colours of a random part of a painting, mixed half and half with a random colour.

    As in Locatello (2019), where it is The Scream by Munch: `painting` is the path of a picture of it (not shipped; any
    other does as well), shrunk to fit into 350 x 274 pixels. See `color_dsprites` for the rest. Raises UnbraidError
    where there is no such picture or it is too small.
    """
    path = Path(os.path.expanduser(painting))  # noqa: PTH111 - of an unknown user it stays as it is
    if not painting or not path.is_file():
        there = f'there is none at "{painting}"' if painting else "none is given"
        raise UnbraidError(f"painting=FILE must be a picture of The Scream, or any other, and {there}")
    try:
        scream = image_files.whole(path, _LARGEST_PAINTING)
    except UnbraidError as error:
        raise UnbraidError(f"{path} cannot be read as a picture: {error}") from None
    height, width = scream.shape[:2]
    if min(height, width) <= SIDE:
        raise UnbraidError(
            f"{path} is too small: shrunk to fit it has {width}x{height} pixels, and each side needs {SIDE + 1}"
        )

    def paint(sprites: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        top, left = rng.integers(0, (height - SIDE, width - SIDE), (len(sprites), 2)).T
        rows, columns = (start[:, None] + np.arange(SIDE) for start in (top, left))
        background = scream[rows[:, :, None], columns[:, None, :]] / 255  # [n, 64, 64, 3]
        background = (background + rng.uniform(0, 1, (len(sprites), 1, 1, 3))) / 2
        levels = np.where(sprites[..., None], 1 - background, background)
        return np.ascontiguousarray(np.moveaxis(np.rint(255 * levels).astype(np.uint8), 3, 1))

    return Painted(dsprites(source=source), paint)


@dataclass(frozen=True, eq=False)
class Painted:
    """Satisfies `unbraid.types.Dataset`: sprites painted when they are asked for."""

    sprites: Stored
    paint: Paint
    image_shape: tuple[int, int, int] = (3, SIDE, SIDE)
    binary: bool = False

    @property
    def factor_names(self) -> tuple[str, ...]:
        return self.sprites.factor_names

    @property
    def factor_sizes(self) -> tuple[int | None, ...]:
        return self.sprites.factor_sizes

    def __len__(self) -> int:
        return len(self.sprites)

    def factors(self, indices: np.ndarray) -> np.ndarray:
        return self.sprites.factors(indices)

    def indices(self, factors: np.ndarray) -> np.ndarray:
        return self.sprites.indices(factors)

    def images(self, indices: np.ndarray) -> np.ndarray:
        """Each by a generator of its own, so that an image is a function of its index."""
        sprites = self.sprites.images(indices)[:, 0] > 0
        images = np.empty((len(sprites), *self.image_shape), np.uint8)
        for image, sprite, index in zip(images, sprites, np.asarray(indices), strict=True):
            image[:] = self.paint(sprite[None], numpy_generator(0, "painted", int(index)))[0]
        return images

    def batches(self, batch_size: int, *, seed: int, device: "torch.device | str" = "cpu") -> Batches:
        import torch

        chosen, place = shuffled(len(self), batch_size, seed), torch.device(device)

        def batch(step: int) -> torch.Tensor:
            sprites = self.sprites.images(chosen(step))[:, 0] > 0
            painted = self.paint(sprites, numpy_generator(seed, "painted batch", step))
            return torch.from_numpy(painted).to(place).float() / 255

        return batch
