"""The studies that come with the package: each a YAML file beside this one, to be run by its name."""

from pathlib import Path

PRESETS: dict[str, Path] = {file.stem: file for file in sorted(Path(__file__).parent.glob("*.yaml"))}
