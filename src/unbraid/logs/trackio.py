"""Trackio, local unless its own settings say otherwise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from unbraid.logs.logger import Logger, as_bytes
from unbraid.logs.service import identity, service


class Trackio(Logger):
    """A run of the project that bears the name of the study's folder; resumed, it is the same run."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.trackio = service("trackio")
        project, name, key = identity(folder)
        self.run = self.trackio.init(
            project=project, name=f"{name}-{key[:6]}", resume="allow", config=dict(settings), embed=False
        )

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        self.run.log(dict(values), step=step)

    def picture(self, name: str, picture: Tensor, step: int) -> None:
        self.run.log({name: self.trackio.Image(as_bytes(picture).numpy())}, step=step)

    def close(self, failed: bool) -> None:
        self.run.finish()
