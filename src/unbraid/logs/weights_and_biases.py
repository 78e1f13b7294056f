"""Weights & Biases; where it logs to and whether it does so offline is told by its own settings (WANDB_MODE, ...)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from unbraid.logs.logger import Logger, as_bytes
from unbraid.logs.service import identity, service


class WeightsAndBiases(Logger):
    """A run of the project that bears the name of the study's folder; resumed, it is the same run."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.wandb = service("wandb")
        project, name, key = identity(folder)
        self.run = self.wandb.init(
            project=project,
            name=name,
            id=key,
            resume="allow",
            config=dict(settings),
            dir=str(folder),
            reinit="create_new",  # members of a stack log side by side
        )
        self.run.define_metric("*", step_metric="step")  # its own counter cannot go back to a checkpoint

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        self.run.log({**values, "step": step})

    def picture(self, name: str, picture: Tensor, step: int) -> None:
        self.run.log({name: self.wandb.Image(as_bytes(picture).numpy()), "step": step})

    def close(self, failed: bool) -> None:
        self.run.finish(exit_code=int(failed))
