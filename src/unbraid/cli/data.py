"""`unbraid data`: list, show and build data sets."""

import argparse
from pathlib import Path
from typing import Any

from unbraid.cli.listing import show_table
from unbraid.registry import check_options, parameters


def data(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    actions.add_parser("list", help="name every data set").set_defaults(run=_run_data_list)
    for name, help, run in (
        ("show", "print size, levels, duplicates and factors, and draw a contact sheet", _run_data_show),
        ("build", "draw or read the data set into the cache now rather than at first use", _run_data_build),
    ):
        sub = actions.add_parser(name, help=help, allow_abbrev=False)
        sub.add_argument("name", metavar="DATA", help="a name from `unbraid data list`, or a path")
        sub.add_argument("options", nargs="*", metavar="OPTION=VALUE", help="of `unbraid data list`: n_balls=2")
        if name == "show":
            sub.add_argument("--out", type=Path, help="picture to write (default: DATA-sheet.png)")
            sub.add_argument("--theme", choices=["light", "dark"], default="light")
        sub.set_defaults(run=run)


def _run_data_list(chosen: argparse.Namespace) -> None:
    from unbraid.data import DATASETS

    show_table("data", "data set", DATASETS)


def _load_data(chosen: argparse.Namespace) -> Any:
    from unbraid import config, data

    pairs = dict(option.partition("=")[::2] for option in chosen.options)
    entry, _ = data.at(chosen.name)
    check_options(pairs, parameters(data.DATASETS[entry].function), entry)
    resolved = config.resolve({**pairs, "data": chosen.name})
    return data.load(resolved.data, **resolved.section("data"))


def _run_data_show(chosen: argparse.Namespace) -> None:
    from unbraid import pictures, survey, tables

    dataset = _load_data(chosen)
    tables.show_dataset(chosen.name, dataset, survey.survey(dataset, show=True))
    path = pictures.contact_sheet(dataset, chosen.out or _sheet(chosen.name), theme=chosen.theme)
    print(f"contact sheet: {path}")


def _sheet(data: str) -> Path:
    """Where the sheet of a data set goes: here, but not among the pictures of a folder that it shows."""
    shown, here = Path(data).resolve(), Path.cwd()
    folder = shown.parent if shown.is_dir() and here.is_relative_to(shown) else Path()
    return folder / f"{shown.stem}-sheet.png"


def _run_data_build(chosen: argparse.Namespace) -> None:
    import numpy as np

    dataset = _load_data(chosen)
    dataset.images(np.arange(1))  # the first look builds and checks the cache
    print(f"{chosen.name}: {len(dataset):,} images ready")
