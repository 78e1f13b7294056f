"""The course of a run: where its schedules stand at a step, and what it ends too early for."""

from collections.abc import Iterator

from unbraid import schedules
from unbraid.config import Config
from unbraid.objectives import OBJECTIVES
from unbraid.schedules import Schedule


def hyper(config: Config) -> dict[str, Schedule | float]:
    """The hyper-parameters of the objective, as schedules where they change."""
    return {name: schedules.resolve(value) for name, value in config.section("objective").items()}


def hyper_at(config: Config, step: int) -> dict[str, float]:
    return {name: schedules.at(value, step) for name, value in hyper(config).items()}


def closed(config: Config, step: int) -> list[int]:
    """The latents that the objective keeps closed at `step`; none where it does not open them in turn."""
    find = OBJECTIVES[config.objective].closed
    return [] if find is None else find(hyper_at(config, step), config.latent_dim)


def cut_short(config: Config) -> str | None:
    """What a run of this config does not get to, as a sentence: ends of schedules, latents. None where it does."""
    going = [f"{name}={schedule}, {schedule(config.steps):.4g} by then" for name, schedule in _unended(config)]
    shut = closed(config, config.steps - 1)
    told = [f"the {config.steps:,} steps end before " + "; ".join(going)] if going else []
    if shut:
        one = len(shut) == 1
        told.append(f"latent {shut[0]} never opens" if one else f"latents {shut[0]} to {shut[-1]} never open")
    advice = "take more steps or shorter schedules" if going else "let opened rise further, or take fewer latents"
    return f"{', and '.join(told)}: {advice}" if told else None


def _unended(config: Config) -> Iterator[tuple[str, Schedule]]:
    for name, schedule in {**hyper(config), "lr": schedules.resolve(config.lr)}.items():
        if isinstance(schedule, Schedule) and schedule.last > config.steps:
            if name == "opened" and schedule(config.steps) >= config.latent_dim:
                continue  # of latents, and there are no more
            yield name, schedule
