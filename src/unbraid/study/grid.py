"""From the axes of a study to its runs: each a config, a name to read and a hash to be found again by."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from unbraid import config as configs
from unbraid import runs
from unbraid.config import FITTED_LIKELIHOOD, GIVEN_DATA, Config
from unbraid.data import DATASETS
from unbraid.errors import UnbraidError
from unbraid.registry import check_options, parameters
from unbraid.study.file import Part, Setting, Study

_LONGEST_NAME = 90  # letters; some file systems end a name at 143


@dataclass(frozen=True)
class Cell:
    """One run of a study."""

    name: str  # of its folder where it has none yet: what sets it apart, and the first digits of its hash
    config: Config

    @cached_property
    def hash(self) -> str:
        return hash_of(self.config)


def hash_of(config: Config) -> str:
    """64 hexadecimal digits that name a run: of every setting but where it is computed and how often it is saved."""
    settings = {name: value for name, value in config.flat().items() if name not in runs.FREE_SETTINGS}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def cells(study: Study, source: str, over: Mapping[str, Any] | None = None) -> list[Cell]:
    """The runs of a study in the order of its file, seeds together, with the settings `over` its own.

    Raises UnbraidError with the line of the first setting that does not fit; two equal runs are one.
    """
    configs_found: dict[str, tuple[Config, dict[str, Any]]] = {}
    for part in study.parts:
        for settings in _combinations(part):
            for seed in study.seeds:
                values = {name: setting.value for name, setting in settings.items()} | {"seed": seed} | dict(over or {})
                config = _resolved(values, settings, part, source)
                configs_found.setdefault(hash_of(config), (config, values))
    _check_score_data(study, [config for config, _ in configs_found.values()], source)
    chosen = [values for _, values in configs_found.values()]
    telling = _telling(chosen)
    return [
        Cell(f"{_readable(config, values, telling) or study.name}-{digits[:8]}", config)
        for digits, (config, values) in configs_found.items()
    ]


def _telling(chosen: list[dict[str, Any]]) -> list[str]:
    """Settings that together tell the runs apart, the seed last; one that follows from those before it is left out."""
    names = [name for name in dict.fromkeys(itertools.chain.from_iterable(chosen)) if name != "seed"]
    telling: list[str] = []
    groups = 1
    for name in [*names, "seed"]:
        found = len({repr([values.get(each) for each in [*telling, name]]) for values in chosen})
        if found > groups:
            telling.append(name)
            groups = found
    return telling


def _combinations(part: Part) -> Iterator[dict[str, Setting]]:
    steps = [dict(zip(part.zip, values, strict=True)) for values in zip(*part.zip.values(), strict=True)] or [{}]
    for values in itertools.product(*part.grid.values()):
        for step in steps:
            yield {**part.base, **part.recipe, **dict(zip(part.grid, values, strict=True)), **step}


def _resolved(values: dict[str, Any], settings: Mapping[str, Setting], part: Part, source: str) -> Config:
    try:
        config = configs.resolve(values)
    except UnbraidError as error:
        mentioned = {name: re.search(rf"\b{re.escape(name)}\b", str(error)) for name in settings}
        places = {found.start(): settings[name].line for name, found in mentioned.items() if found}
        line = places[min(places)] if places else part.line  # a sentence begins with what it is about
        raise UnbraidError(f"{source}, line {line}: {error}") from None
    if config.data == GIVEN_DATA:
        line = settings["data"].line if "data" in settings else part.line
        raise UnbraidError(f"{source}, line {line}: a study needs data by name, not images passed in from Python")
    if config.likelihood == FITTED_LIKELIHOOD:
        line = settings["data"].line if "data" in settings else part.line
        raise UnbraidError(
            f"{source}, line {line}: a study names the likelihood of own images: add gaussian, or bernoulli where they "
            "are black and white"
        )
    return config


def _check_score_data(study: Study, chosen: list[Config], source: str) -> None:
    """Raises UnbraidError where a run's data cannot be told what `score_data` says."""
    for config in {config.data: config for config in chosen}.values():
        for name, setting in study.score_data.items():
            try:
                check_options([name], parameters(DATASETS[config.data].function), f"score_data: {config.data}")
                configs.resolve({**config.flat(), name: setting.value})
            except UnbraidError as error:
                raise UnbraidError(f"{source}, line {setting.line}: {error}") from None


def _readable(config: Config, values: Mapping[str, Any], telling: list[str]) -> str:
    """`beta_vae-beta_4-seed_0`: what sets this run apart, entries of tables without their section."""
    flat = config.flat()
    words = [
        str(flat[name]) if name in ("data", "model", "objective") else f"{name}_{_plain(flat[name])}"
        for name in telling
        if name in values
    ]
    return "-".join(re.sub(r"[^\w.]+", "_", word).strip("_") for word in words)[:_LONGEST_NAME]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
