"""The course of a run: where its schedules stand at a step."""

from unbraid import schedules
from unbraid.config import Config
from unbraid.objectives import OBJECTIVES


def hyper_at(config: Config, step: int) -> dict[str, float]:
    """The hyper-parameters of the objective at `step`."""
    values = {name: schedules.resolve(value) for name, value in config.section("objective").items()}
    return {name: value(step) if callable(value) else value for name, value in values.items()}


def closed(config: Config, step: int) -> list[int]:
    """The latents that the objective keeps closed at `step`; none where it does not open them in turn."""
    find = OBJECTIVES[config.objective].closed
    return [] if find is None else find(hyper_at(config, step), config.latent_dim)
