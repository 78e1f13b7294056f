"""TensorBoard: the numbers of log.csv, and reconstructions and traversals as the run goes on."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unbraid import randomness
from unbraid.types import Dataset

if TYPE_CHECKING:
    from unbraid.models.vae import VAE

_SHOWN = 10


class TensorBoard:
    """Event files in `folder`; opened at a step, what a killed run wrote beyond it is hidden."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder), purge_step=step + 1)

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()

    def flush(self) -> None:
        """Everything so far is on the disk when this returns: what a checkpoint covers must outlive a kill."""
        self.writer.flush()

    def scalars(self, row: Mapping[str, float]) -> None:
        step = int(row["step"])
        for name, value in row.items():
            if name != "step":
                tag = f"kl/{name.removeprefix('kl_')}" if name.startswith("kl_") else name
                self.writer.add_scalar(tag, value, step)

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
        self.writer.add_image("reconstructions", _grid(torch.cat([x, reconstructed])), step)
        self.writer.add_image("traversals", _grid(traversed), step)


def _grid(images: Tensor) -> Tensor:
    """[rows * 10, C, H, W] -> one picture [C, rows * H, 10 * W] in [0, 1]."""
    rows = images.clamp(0, 1).unflatten(0, (-1, _SHOWN))  # [R, 10, C, H, W]
    return rows.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2).cpu()
