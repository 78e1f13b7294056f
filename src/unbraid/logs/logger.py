"""What every logger is told: the numbers of log.csv, and reconstructions and traversals as the run goes on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from unbraid import randomness
from unbraid.types import Dataset

if TYPE_CHECKING:
    from unbraid.models.vae import VAE

_SHOWN = 10


class Logger(ABC):
    """Opened at a step of a run and closed at its end; several may be open in one process."""

    @abstractmethod
    def numbers(self, values: Mapping[str, float], step: int) -> None: ...

    @abstractmethod
    def picture(self, name: str, picture: Tensor, step: int) -> None:
        """`picture` is [C, H, W] in [0, 1]."""

    def flush(self) -> None:  # noqa: B027 - most keep nothing back
        """Everything so far is safe when this returns: what a checkpoint covers must outlive a kill."""

    @abstractmethod
    def close(self, failed: bool) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(kind is not None)

    def scalars(self, row: Mapping[str, float]) -> None:
        """A row of the log; the KL of the latents goes under "kl/"."""
        names = {name: f"kl/{name.removeprefix('kl_')}" if name.startswith("kl_") else name for name in row}
        self.numbers({names[name]: value for name, value in row.items() if name != "step"}, int(row["step"]))

    def images(self, model: "VAE", dataset: Dataset, mean: Callable[[Tensor], Tensor], step: int, seed: int) -> None:
        """Ten originals over their reconstructions; one image with every latent moved from -3 to 3, a row each."""
        indices = randomness.numpy_generator(seed, "shown").integers(len(dataset), size=_SHOWN)
        device = next(model.parameters()).device
        x = torch.from_numpy(dataset.images(indices)).to(device).float() / 255
        with torch.no_grad():
            code, _ = model.encode(x)
            reconstructed = mean(model.decode(code))
            size = code.shape[1]
            codes = code[:1].repeat(size, _SHOWN, 1)
            codes[torch.arange(size), :, torch.arange(size)] = torch.linspace(-3, 3, _SHOWN, device=device)
            traversed = mean(model.decode(codes.flatten(0, 1)))
        self.picture("reconstructions", _grid(torch.cat([x, reconstructed])), step)
        self.picture("traversals", _grid(traversed), step)


def _grid(images: Tensor) -> Tensor:
    """[rows * 10, C, H, W] -> one picture [C, rows * H, 10 * W] in [0, 1]."""
    rows = images.clamp(0, 1).unflatten(0, (-1, _SHOWN))  # [R, 10, C, H, W]
    return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2).cpu()


def as_bytes(picture: Tensor) -> Tensor:
    """[C, H, W] in [0, 1] -> uint8 [H, W, 3], as most services take it."""
    return (255 * picture).round().byte().expand(3, -1, -1).permute(1, 2, 0)
