"""`unbraid objectives` and `unbraid models`: what the tables hold."""

import argparse
from collections.abc import Mapping
from typing import Any


def show_table(section: str, kind: str, table: Mapping[str, Any]) -> None:
    from unbraid import config, tables

    options = ((entry, parameter) for of, entry, parameter in config.table_parameters() if of == section)
    tables.show_entries(kind, {name: entry.description for name, entry in table.items()}, options)


def objectives(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run_objectives)


def _run_objectives(chosen: argparse.Namespace) -> None:
    from unbraid.objectives import OBJECTIVES

    show_table("objective", "objective", OBJECTIVES)


def models(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run_models)


def _run_models(chosen: argparse.Namespace) -> None:
    from unbraid.models import ARCHITECTURES

    show_table("model", "model", ARCHITECTURES)
