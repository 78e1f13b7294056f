"""What a run is: one flat set of names and values, validated once, then frozen.

YAML keys, command-line flags and Python keywords are the same names. The general ones are the fields of `Config`; the
rest are the keyword-only parameters of the functions chosen from the tables: `beta` of `beta_vae`, `n_balls` of
`balls`.
"""

import dataclasses
import functools
import math
import numbers
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import yaml

from unbraid import data, files, schedules
from unbraid.data import DATASETS
from unbraid.errors import UnbraidError, is_plain
from unbraid.models import ARCHITECTURES
from unbraid.objectives import OBJECTIVES
from unbraid.optimizers import OPTIMIZERS
from unbraid.probability import LIKELIHOODS
from unbraid.registry import Parameter, lookup, parameters, suggest
from unbraid.types import Dataset

LOGGERS = ("tensorboard", "wandb", "mlflow", "trackio", "none")
Value = bool | int | float | str
FITTED_LIKELIHOOD = "auto"  # `likelihood` of a run until its images were looked at
_FOR_SHADES = {"likelihood": "gaussian", "sigma": 0.25}
GIVEN_DATA = "given"  # `data` of a run whose images were passed in as a Dataset rather than named

# section -> (what it is called in errors, {entry: function whose signature is the schema})
_TABLES: dict[str, tuple[str, dict[str, Callable[..., Any]]]] = {
    "data": ("data set", {name: entry.function for name, entry in DATASETS.items()}),
    "model": ("model", {name: entry.function for name, entry in ARCHITECTURES.items()}),
    "objective": ("objective", {name: entry.function for name, entry in OBJECTIVES.items()}),
    "likelihood": ("likelihood", {name: entry.nll for name, entry in LIKELIHOODS.items()}),
    "optimizer": ("optimizer", dict(OPTIMIZERS)),
}
_MOST_THREADS = 1024
LARGEST_FILE = 100_000  # bytes; a config is a page of text, and one of megabytes takes YAML minutes
_LONGEST_TEXT = 4_096  # characters, as of a path
_LARGEST_NUMBER = 10**12  # of steps, images, widths: beyond it arrays have no address


def _general(default: Value | None, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class Config:
    """A resolved run. Make one with `resolve`, which fills in defaults and refuses what does not fit."""

    data: str = _general("dsprites", "data set (see `unbraid data list`), or the path of images of your own")
    model: str = _general("burgess", "architecture (see `unbraid models`)")
    objective: str = _general("beta_vae", "training objective (see `unbraid objectives`)")
    likelihood: str = _general("auto", "of a pixel given the code: auto (fit to the data), " + ", ".join(LIKELIHOODS))
    latent_dim: int = _general(0, "number of latents L; 0 takes the architecture's own, mostly 10")
    steps: int = _general(10_000, "optimizer updates")
    batch_size: int = _general(64, "images per step B")
    optimizer: str = _general("adam", ", ".join(OPTIMIZERS))
    lr: float | str = _general(5e-4, "learning rate, or a schedule of it")
    aux_lr: float = _general(0.0, "learning rate of a second network; 0 takes the objective's published one")
    pair_changes: int = _general(
        0, "factors in which the images of a pair differ, of the objectives that take pairs; 0 draws their number"
    )
    clip: float = _general(0.0, "largest norm of the gradient; 0 leaves it alone")
    prune: float = _general(
        0.0,
        "at the end, close the latents whose KL, in the last row of the log, is below this many nats; 0 closes none",
    )
    seed: int = _general(0, "of initial weights, batches and noise")
    device: str = _general("auto", "auto, cpu, cuda, cuda:N or mps")
    threads: int = _general(
        1, "of the CPU; nets this small gain little from more, and their number decides the last bits"
    )
    log_every: int = _general(100, "steps between rows of the log")
    checkpoint_minutes: float = _general(5.0, "between checkpoints")
    logger: str = _general("tensorboard", ", ".join(LOGGERS) + "; log.csv is written in any case")
    options: Mapping[str, Value] = dataclasses.field(default_factory=dict)  # of the chosen table entries, all of them

    def section(self, name: str) -> dict[str, Value]:
        """The options that belong to one table: `config.section("objective") == {"beta": 4.0}`."""
        known = _parameters(name, getattr(self, name))
        return {key: self.options.get(key, parameter.default) for key, parameter in known.items()}

    def flat(self) -> dict[str, Value]:
        """Every name and value, in the order of a config file: each choice followed by its options."""
        flat: dict[str, Value] = {}
        for field in general_fields():
            flat[field.name] = getattr(self, field.name)
            if field.name in _TABLES:
                flat.update(self.section(field.name))
        return flat

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.flat(), sort_keys=False, allow_unicode=True)


@functools.cache
def general_fields() -> tuple[dataclasses.Field, ...]:
    return tuple(field for field in dataclasses.fields(Config) if field.name != "options")


def table_parameters() -> Iterator[tuple[str, str, Parameter]]:
    """(section, entry, parameter) for every option of every table entry: what `--help` lists."""
    for section, (_, table) in _TABLES.items():
        for entry in table:
            for parameter in _parameters(section, entry).values():
                yield section, entry, parameter


@functools.cache
def _parameters(section: str, entry: str) -> Mapping[str, Parameter]:
    if (section, entry) in (("data", GIVEN_DATA), ("likelihood", FITTED_LIKELIHOOD)):
        return MappingProxyType({})
    kind, table = _TABLES[section]
    general = {field.name for field in general_fields()}
    found = {k: p for k, p in parameters(lookup(table, entry, kind)).items() if k not in general}
    defaults = OBJECTIVES[entry].defaults if section == "objective" else {}
    return MappingProxyType({k: dataclasses.replace(p, default=defaults.get(k, p.default)) for k, p in found.items()})


def resolve(values: Mapping[str, Any]) -> Config:
    """The frozen config of these names and values (numbers may be text, as flags and YAML bring them).

    A path as `data` becomes the data set that reads it, with that path; `likelihood` "auto" becomes that of the data
    set's published experiments, and stays for images of one's own until they are looked at (`fitted`). Raises
    UnbraidError for an unknown name, a value of the wrong type or range, or an option of another table entry.
    """
    values = _located(values)
    fields = {field.name: field for field in general_fields()}
    general = {}
    for name, field in fields.items():
        kind = type(field.default)
        general[name] = _value(name, kind, values.get(name, field.default), schedule=name == "lr")
    if general["likelihood"] == FITTED_LIKELIHOOD and general["data"] in DATASETS:
        general["likelihood"] = DATASETS[str(general["data"])].likelihood
    options: dict[str, Value] = {}
    for section in _TABLES:
        for name, parameter in _parameters(section, str(general[section])).items():
            value = values.get(name, parameter.default)
            options[name] = _value(name, parameter.type, value, schedule=section == "objective")
    for name in values:
        if name not in fields and name not in options:
            raise UnbraidError(_unknown(str(name), general, [*fields, *options]))
    if general["latent_dim"] == 0:
        general["latent_dim"] = parameters(ARCHITECTURES[str(general["model"])].function)["latent_dim"].default
    config = Config(**general, options=MappingProxyType(options))  # type: ignore[arg-type]
    _check_ranges(config)
    return config


def _located(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """`values` with a path as `data` taken apart; a table's name stays as it is."""
    name = values.get("data")
    if not isinstance(name, str) or name in DATASETS or name == GIVEN_DATA:
        return values
    entry, own = data.at(name)
    if twice := own.keys() & values.keys():
        raise UnbraidError(f"data={name} says the path already: drop {', '.join(twice)}")
    return {**values, "data": entry, **own}


def fitted(config: Config, dataset: Dataset) -> Config:
    """The config with a likelihood that fits the images of the data set where it was left "auto".

    Bernoulli for black and white ones; Gaussian for shades and colours, with a deviation at which a `beta` weighs about
    as much as it does beside the Bernoulli cross-entropy that published values are for.
    """
    if config.likelihood != FITTED_LIKELIHOOD:
        return config
    return resolve({**config.flat(), **({"likelihood": "bernoulli"} if dataset.binary else _FOR_SHADES)})


def _unknown(name: str, general: Mapping[str, Value], allowed: list[str]) -> str:
    owners = sorted({f"{section} {entry}" for section, entry, p in table_parameters() if p.name == name})
    if owners:
        chosen = ", ".join(f"{section} {general[section]}" for section in sorted({o.split()[0] for o in owners}))
        return (
            f'"{name}" is an option of {", ".join(owners)}, and this run has {chosen}: drop it or choose one of those'
        )
    near = suggest(name, {*allowed, *(p.name for _, _, p in table_parameters())})
    return f'there is no setting called "{name}"{near} (this run takes: {", ".join(sorted(allowed))})'


def _value(name: str, kind: type, value: Any, *, schedule: bool) -> Value:
    """`value` as `kind`; text of a number counts as the number (YAML 1.1 reads 1e-4 as text)."""
    if isinstance(value, schedules.Schedule):
        value = str(value)
    wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}[kind]

    def wrong() -> UnbraidError:
        return UnbraidError(f"{name} must be {wanted}{' or a schedule' if schedule else ''}, not {_shown(value)}")

    if kind is str:
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise UnbraidError(f"{name} holds bytes that are no text in this system's encoding: set PYTHONUTF8=1")
        if not isinstance(value, str):
            raise wrong()
        if len(value) > _LONGEST_TEXT or not is_plain(value):  # no path, device or name has control characters
            raise UnbraidError(
                f"{name} must be text of at most {_LONGEST_TEXT:,} characters and no control characters, "
                f"not {_shown(value)}"
            )
        return value
    if kind is bool:
        known = {"true": True, "false": False, "yes": True, "no": False}
        found = known.get(str(value).lower()) if isinstance(value, bool | str | np.bool_) else None
        if found is None:
            raise wrong()
        return found
    if isinstance(value, str) and schedule and "(" in value:
        return str(schedules.parse(value))
    if isinstance(value, bool) or not isinstance(value, numbers.Real | str):  # NumPy's numbers are Real
        raise wrong()
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise wrong() from None
    if not math.isfinite(number) or (kind is int and number != int(number)):
        raise wrong()
    if kind is float:
        return number
    try:
        return int(value)  # type: ignore[arg-type]  # exact where the float is not
    except ValueError:  # "1e4"
        return int(number)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python prints no integer of thousands of digits
        return "a number of thousands of digits"
    return text if len(text) <= 80 else text[:77] + "..."


def _check_ranges(config: Config) -> None:
    least = {"latent_dim": 1, "steps": 1, "batch_size": 2, "threads": 1, "log_every": 1, "seed": 0, "pair_changes": 0}
    for name, bound in least.items():
        if getattr(config, name) < bound:
            raise UnbraidError(f"{name} must be at least {bound}, not {getattr(config, name)}")
    lookup(dict.fromkeys(LOGGERS), config.logger, "logger")
    batch, fewest = config.batch_size, OBJECTIVES[config.objective].least_batch
    if batch < fewest:
        raise UnbraidError(f"batch_size must be at least {fewest} with {config.objective}, not {batch}")
    if config.threads > _MOST_THREADS:
        raise UnbraidError(f"threads must be at most {_MOST_THREADS}, not {config.threads}")
    for name, value in config.flat().items():
        if name != "seed" and type(value) is int and abs(value) > _LARGEST_NUMBER:
            raise UnbraidError(f"{name} must be at most {_LARGEST_NUMBER:,}, not {_shown(value)}")
    for name in ("aux_lr", "clip", "prune", "checkpoint_minutes"):
        if getattr(config, name) < 0:
            raise UnbraidError(f"{name} must not be negative, and {getattr(config, name)} is")
    for name in (*_parameters("objective", config.objective), *_parameters("likelihood", config.likelihood)):
        least_value = "above 0" if name == "sigma" else "at least 0"  # a deviation, and weights
        value = _least(config.options[name])
        if value < 0 or (value == 0 and name == "sigma"):
            raise UnbraidError(f"{name} must be {least_value}, not {value:g}")
    for name in ("adam_eps", "adagrad_start", "weight_decay"):
        if name in config.options and float(config.options[name]) < 0:
            raise UnbraidError(f"{name} must not be negative, and {config.options[name]} is")
    for name in ("adam_beta1", "adam_beta2", "rmsprop_decay", "momentum", "muon_momentum"):
        if name in config.options and not 0 <= float(config.options[name]) < 1:
            raise UnbraidError(f"{name} must be at least 0 and below 1, not {config.options[name]}")
    if isinstance(config.lr, float) and config.lr <= 0:
        raise UnbraidError(f"lr must be above 0, not {config.lr}")
    if _least(config.lr) < 0:
        raise UnbraidError(f"lr must never be negative, and {config.lr} goes down to {_least(config.lr):g}")


def _least(value: Value) -> float:
    """The smallest value of a number or a schedule."""
    found = schedules.resolve(value)
    return found.least if isinstance(found, schedules.Schedule) else found


class PlainLoader(yaml.SafeLoader):
    """Plain values only: an alias can unfold a page into gigabytes, a tag is a call, and no config needs either."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        if getattr(self.peek_event(), "tag", None) is not None:
            raise yaml.YAMLError("tags (!name) are not allowed")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        names = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for name, times in names.most_common(1):
            if times > 1:
                raise yaml.YAMLError(f"{name} occurs more than once")
        return node


def read(path: Path) -> dict[str, Any]:
    """The names and values in a YAML file, not yet resolved."""
    try:
        text = files.read_at_most(path, LARGEST_FILE, "a config").decode("utf-8")
        values = PlainLoader(text).get_single_data()
    except OSError as error:
        raise UnbraidError(f"cannot read the config {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError, ArithmeticError) as error:
        if isinstance(error, UnbraidError):
            raise
        raise UnbraidError(f"{path} is not a config in YAML: {' '.join(str(error).split())[:300]}") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UnbraidError(f"{path} must hold lines of the form `name: value`")
    return values
