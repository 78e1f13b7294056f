"""The finished runs of a study, as its figures and its table see them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unbraid import runs
from unbraid.config import Config


@dataclass(frozen=True)
class Result:
    folder: Path
    config: Config

    @property
    def scores(self) -> dict[str, float]:
        """{"mig": ..., "dci_hgb.completeness": ...}"""
        found = {}
        for name, metric in runs.read_scores(self.folder).get("metrics", {}).items():
            found[name] = metric["score"]
            found |= {f"{name}.{part}": value for part, value in metric["parts"].items()}
        return found

    def setting(self, name: str) -> Any:
        return self.config.flat().get(name)


@dataclass(frozen=True)
class Results:
    """In the order of the study file."""

    out: Path
    name: str
    results: Sequence[Result]

    def __iter__(self) -> Iterator[Result]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def figure(self, name: str) -> Path:
        return self.out / runs.FIGURES / name
