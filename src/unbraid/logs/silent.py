"""No logger: log.csv has the numbers all the same."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from unbraid.logs.logger import Logger
from unbraid.types import Dataset

if TYPE_CHECKING:
    from unbraid.models.vae import VAE


class Silent(Logger):
    def numbers(self, values: Mapping[str, float], step: int) -> None: ...

    def picture(self, name: str, picture: Tensor, step: int) -> None: ...

    def images(self, model: "VAE", dataset: Dataset, mean: Callable[[Tensor], Tensor], step: int, seed: int) -> None:
        """Nor are any made."""

    def close(self, failed: bool) -> None: ...
