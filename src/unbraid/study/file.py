"""A study as one YAML file: a base, axes, seeds, what is scored and what is drawn. An error names the line."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from unbraid import files
from unbraid.config import LARGEST_FILE, PlainLoader
from unbraid.errors import UnbraidError
from unbraid.evaluate import SCORES
from unbraid.registry import lookup, suggest
from unbraid.study.drawings import OF_A_RUN, OF_A_STUDY
from unbraid.study.presets import PRESETS

KeyPath = tuple[str | int, ...]

_OF_A_PART = ("base", "recipes", "grid", "zip")
_KEYS = ("description", *_OF_A_PART, "parts", "seeds", "scores", "points", "score_data", "run_figures", "figures")
_MOST_RUNS = 100_000


@dataclass(frozen=True)
class Setting:
    """A value that a study gives to a setting, and the line that it stands on."""

    value: Any
    line: int


@dataclass(frozen=True)
class Part:
    """Runs that share `base`: every combination of the `grid` axes with each step of the `zip` axes."""

    base: Mapping[str, Setting]
    recipe: Mapping[str, Setting]  # of the recipe that the study is run by: over the base
    grid: Mapping[str, list[Setting]]
    zip: Mapping[str, list[Setting]]  # axes of equal length that go in step
    line: int

    def __len__(self) -> int:
        size = len(next(iter(self.zip.values()))) if self.zip else 1
        for axis in self.grid.values():
            size *= len(axis)
        return size


@dataclass(frozen=True)
class Study:
    """What a study file says, checked but for the settings themselves, which `grid.cells` resolves."""

    name: str
    text: str
    description: str
    parts: tuple[Part, ...]
    seeds: tuple[int, ...]
    scores: tuple[str, ...]  # names of metrics, or "reconstruction" and "kl"
    points: int  # images that are encoded for scores; 0 is every one
    score_data: Mapping[str, Setting]  # settings of the data on which scores are taken, where other than in training
    run_figures: str  # a name of OF_A_RUN, "" for none
    figures: tuple[str, ...]  # names of OF_A_STUDY

    def __len__(self) -> int:
        return len(self.seeds) * sum(map(len, self.parts))


def read(path: Path, recipe: str = "") -> Study:
    """The study in a file, by one of its recipes where named; raises UnbraidError with the line that does not fit."""
    try:
        text = files.read_at_most(path, LARGEST_FILE, "a study").decode("utf-8")
    except OSError as error:
        raise UnbraidError(f"cannot read the study {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnbraidError(f"{path} is not a study in YAML: it is not text in UTF-8") from None
    return parse(text, path.stem, str(path), recipe)


def find(name: str) -> Path:
    """The file of a study: a path, or the name of one that comes with the package."""
    path = Path(name)
    return path if path.suffix in (".yaml", ".yml") or path.is_file() else lookup(PRESETS, name, "study")


def with_seeds(study: Study, number: int | None = None, first: int | None = None) -> Study:
    """The study with `number` seeds from `first` on; None leaves either as it is."""
    if number is None and first is None:
        return study
    if number is not None and not 1 <= number <= _MOST_RUNS:
        raise UnbraidError(f"seeds must be from 1 to {_MOST_RUNS:,}, not {number}")
    if first is not None and first < 0:
        raise UnbraidError(f"seed must be at least 0, not {first}")
    begin = study.seeds[0] if first is None else first
    found = dataclasses.replace(study, seeds=tuple(range(begin, begin + (number or len(study.seeds)))))
    if len(found) > _MOST_RUNS:
        raise UnbraidError(_too_many(found))
    return found


def _too_many(study: Study) -> str:
    return f"these are {len(study):,} runs, and a study holds at most {_MOST_RUNS:,}: split it"


def parse(text: str, name: str, source: str, recipe: str = "") -> Study:
    """The study in `text`; `source` is what errors call it. By a recipe it is a study of its own, NAME-RECIPE."""
    return _Reader(text, source, recipe).study(f"{name}-{recipe}" if recipe else name)


class _Reader:
    """Plain values of a document beside the line of each."""

    def __init__(self, text: str, source: str, recipe: str = "") -> None:
        self.text, self.source, self.recipe = text, source, recipe
        self.recipes: set[str] = set()  # of the whole study and of its parts
        try:
            loader = PlainLoader(text)
            node = loader.get_single_node()
            self.values: Any = loader.construct_document(node) if node is not None else None
            self.lines = dict(_lines(node, ())) if node is not None else {}
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f", line {mark.line + 1}" if mark else ""
            what = " ".join(str(getattr(error, "problem", None) or error).split())[:300]
            raise UnbraidError(f"{source}{where}: not a study in YAML: {what}") from None

    def refuse(self, path: KeyPath, sentence: str) -> NoReturn:
        raise UnbraidError(f"{self.source}, line {self.line(path)}: {sentence}")

    def line(self, path: KeyPath) -> int:
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)

    def study(self, name: str) -> Study:
        if not isinstance(self.values, dict) or not self.values:
            self.refuse((), f"a study must hold lines of the form `name: value` ({', '.join(_KEYS)})")
        self.keys((), self.values, _KEYS)
        whole = self.part((), self.values)
        listed = self.values.get("parts")
        if listed is None:
            parts = [whole]
        elif isinstance(listed, list) and listed and all(isinstance(part, dict) for part in listed):
            parts = [self.below(whole, ("parts", n), part) for n, part in enumerate(listed)]
        else:
            self.refuse(("parts",), f"parts must be a list of which each holds one of {', '.join(_OF_A_PART)}")
        if self.recipe and self.recipe not in self.recipes:
            known = f"allowed: {', '.join(sorted(self.recipes))}" if self.recipes else "it has none: leave it out"
            near = suggest(self.recipe, self.recipes)
            raise UnbraidError(f'{self.source} has no recipe called "{self.recipe}"{near} ({known})')
        for part in parts:
            for axis in part.recipe.keys() & {**part.grid, **part.zip}.keys():
                raise UnbraidError(
                    f"{self.source}, line {part.recipe[axis].line}: {axis} is an axis, and a recipe cannot set it"
                )
        study = Study(
            name=name,
            text=self.text,
            description=self.typed("description", str, ""),
            parts=tuple(parts),
            seeds=self.seeds(),
            scores=tuple(self.names("scores", SCORES, "metric")),
            points=self.typed("points", int, 0),
            score_data=self.settings(("score_data",), self.values.get("score_data")),
            run_figures=self.typed("run_figures", str, ""),
            figures=tuple(self.names("figures", OF_A_STUDY, "figure of a study")),
        )
        if study.points < 0:
            self.refuse(("points",), f"points must be at least 0, not {study.points}")
        if study.run_figures:
            self.known(("run_figures",), OF_A_RUN, study.run_figures, "set of figures of a run")
        if len(study) > _MOST_RUNS:
            self.refuse((), _too_many(study))
        return study

    def keys(self, path: KeyPath, values: Mapping[Any, Any], allowed: tuple[str, ...]) -> None:
        for key in values:
            if key not in allowed:
                near = suggest(str(key), allowed)
                self.refuse((*path, key), f'there is no "{key}" here{near} (allowed: {", ".join(allowed)})')

    def below(self, whole: Part, path: KeyPath, values: Mapping[str, Any]) -> Part:
        """A part of the list, over the base and the axes of the whole study."""
        self.keys(path, values, _OF_A_PART)
        own = self.part(path, values)
        for name in own.zip.keys() & whole.zip.keys():
            self.refuse((*path, "zip", name), f"{name} is an axis of the whole study already")
        if own.zip and whole.zip:
            self.refuse((*path, "zip"), "the whole study has zip axes, and a part can have none beside them")
        return Part(
            {**whole.base, **own.base},
            {**whole.recipe, **own.recipe},
            {**whole.grid, **own.grid},
            own.zip or whole.zip,
            own.line,
        )

    def part(self, path: KeyPath, values: Mapping[str, Any]) -> Part:
        base = self.settings((*path, "base"), values.get("base"))
        recipe = self.recipe_settings((*path, "recipes"), values.get("recipes"))
        grid, zipped = (self.axes((*path, kind), values.get(kind)) for kind in ("grid", "zip"))
        for name in grid.keys() & zipped.keys():
            self.refuse((*path, "zip", name), f"{name} is an axis of the grid already")
        lengths = {name: len(axis) for name, axis in zipped.items()}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            self.refuse((*path, "zip"), f"zip axes go in step, and these differ in length: {said}")
        return Part(base, recipe, grid, zipped, self.line(path))

    def recipe_settings(self, path: KeyPath, values: Any) -> dict[str, Setting]:
        """Of the chosen recipe; every recipe is checked."""
        if values is None:
            return {}
        if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
            self.refuse(path, "recipes must hold lines of the form `name: {setting: value}`")
        found = {name: self.settings((*path, name), settings) for name, settings in values.items()}
        self.recipes |= found.keys()
        return found.get(self.recipe, {})

    def settings(self, path: KeyPath, values: Any) -> dict[str, Setting]:
        if values is None:
            return {}
        if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
            self.refuse(path, f"{path[-1]} must hold lines of the form `name: value`")
        for name, value in values.items():
            self.scalar((*path, name), name, value)
        return {name: Setting(value, self.line((*path, name))) for name, value in values.items()}

    def axes(self, path: KeyPath, values: Any) -> dict[str, list[Setting]]:
        if values is None:
            return {}
        if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
            self.refuse(path, f"{path[-1]} must hold lines of the form `name: [value, value]`")
        for name, axis in values.items():
            if not isinstance(axis, list) or not axis:
                self.refuse((*path, name), f"{name} must be a list of values, such as [1, 2, 4]")
            for n, value in enumerate(axis):
                self.scalar((*path, name, n), name, value)
        return {
            name: [Setting(value, self.line((*path, name, n))) for n, value in enumerate(axis)]
            for name, axis in values.items()
        }

    def scalar(self, path: KeyPath, name: str, value: Any) -> None:
        if name == "seed":
            self.refuse(path, "seeds are given by `seeds:` at the top, a number or a list")
        if not isinstance(value, bool | int | float | str):
            self.refuse(path, f"{name} must be a number, text, true or false")

    def typed(self, key: str, kind: type, default: Any) -> Any:
        value = self.values.get(key, default)
        if type(value) is not kind:
            wanted = {str: "text", int: "a whole number"}[kind]
            self.refuse((key,), f"{key} must be {wanted}")
        return value

    def names(self, key: str, table: Mapping[str, Any], kind: str) -> list[str]:
        values = self.values.get(key, [])
        if not isinstance(values, list):
            self.refuse((key,), f"{key} must be a list of names, such as [{', '.join(list(table)[:2])}]")
        for n, value in enumerate(values):
            self.known((key, n), table, str(value), kind)
        return list(dict.fromkeys(map(str, values)))

    def known(self, path: KeyPath, table: Mapping[str, Any], name: str, kind: str) -> None:
        try:
            lookup(table, name, kind)
        except UnbraidError as error:
            self.refuse(path, str(error))

    def seeds(self) -> tuple[int, ...]:
        value = self.values.get("seeds", 1)
        numbers = list(range(value)) if type(value) is int and value <= _MOST_RUNS else value
        if not isinstance(numbers, list) or not numbers or not all(type(n) is int and n >= 0 for n in numbers):
            self.refuse(("seeds",), "seeds must be how many there are, from 1, or a list of whole numbers from 0")
        if len(set(numbers)) < len(numbers):
            self.refuse(("seeds",), "a seed occurs more than once")
        return tuple(numbers)


def _lines(node: yaml.Node, path: KeyPath) -> Iterator[tuple[KeyPath, int]]:
    """(path of keys, line) of everything in the document; a key stands for its value."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*path, key.value)
            yield below, key.start_mark.line + 1
            yield from _lines(value, below)
    elif isinstance(node, yaml.SequenceNode):
        for n, value in enumerate(node.value):
            yield (*path, n), value.start_mark.line + 1
            yield from _lines(value, (*path, n))
