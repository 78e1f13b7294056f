"""TensorBoard: the curves that everyone knows how to open."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from unbraid.logs.logger import Logger


class TensorBoard(Logger):
    """Event files in `folder`; opened at a step, what a killed run wrote beyond it is hidden."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder), purge_step=step + 1)

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, name: str, picture: Tensor, step: int) -> None:
        self.writer.add_image(name, picture, step)

    def flush(self) -> None:
        self.writer.flush()

    def close(self, failed: bool) -> None:
        self.writer.close()
