"""Loggers: add one by writing its file, its line in the table and its name in `config.LOGGERS`."""

from collections.abc import Callable
from pathlib import Path

from unbraid import runs
from unbraid.config import Config
from unbraid.logs.logger import Logger
from unbraid.logs.mlflow import MLflow
from unbraid.logs.service import check_installed
from unbraid.logs.silent import Silent
from unbraid.logs.tensorboard import TensorBoard
from unbraid.logs.trackio import Trackio
from unbraid.logs.weights_and_biases import WeightsAndBiases

__all__ = ["LOGGERS", "Logger", "TensorBoard", "check_installed", "logger"]

LOGGERS: dict[str, Callable[[Path, int, Config], Logger]] = {
    "tensorboard": lambda folder, step, config: TensorBoard(folder / runs.TENSORBOARD, step),
    "wandb": lambda folder, step, config: WeightsAndBiases(folder, config.flat()),
    "mlflow": lambda folder, step, config: MLflow(folder, config.flat()),
    "trackio": lambda folder, step, config: Trackio(folder, config.flat()),
    "none": lambda folder, step, config: Silent(),
}


def logger(folder: Path, step: int, config: Config) -> Logger:
    """The logger that `config` names, of the run in `folder` that stands at `step`."""
    return LOGGERS[config.logger](folder, step, config)
