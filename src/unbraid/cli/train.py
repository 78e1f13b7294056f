"""`unbraid train`: every setting a flag, straight from the tables."""

import argparse
import sys
from pathlib import Path

from unbraid.cli.ending import finish
from unbraid.cli.meanings import OPTIONS
from unbraid.errors import UnbraidError


def train(parser: argparse.ArgumentParser) -> None:
    from unbraid import config

    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file of settings; flags override it")
    parser.add_argument("--out", type=Path, metavar="RUN", help="run folder, new (default: a new one under runs/)")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with a run that was stopped or killed")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the resolved config and parameter counts, and stop"
    )
    parser.add_argument("--no-figures", action="store_true", help="train only; `unbraid figures RUN` draws later")
    general = parser.add_argument_group("settings")
    for field in config.general_fields():
        note = f"{field.metadata['help']} (default: {field.default})"
        general.add_argument(_flag(field.name), dest=f"set_{field.name}", metavar="X", help=_escaped(note))
    sections: dict[str, dict[str, dict[object, list[str]]]] = {}
    for section, entry, parameter in config.table_parameters():
        owners = sections.setdefault(section, {}).setdefault(parameter.name, {})
        owners.setdefault(parameter.default, []).append(entry)
    for section, options in sections.items():
        group = parser.add_argument_group(f"options of the {section}", _SECTION_NOTES.get(section))
        for name, owners in options.items():
            shares = (f"{', '.join(entries)}: {'none' if d == '' else d}" for d, entries in owners.items())
            of = "; ".join(shares)
            meaning = f"{OPTIONS[name]} " if name in OPTIONS else ""
            group.add_argument(_flag(name), dest=f"set_{name}", metavar="X", help=_escaped(f"{meaning}({of})"))
    parser.epilog = (
        "A learning rate or an objective's number may be a schedule of the step:\n"
        '  --capacity "linear(0, 25, steps=100000)"  --lr "cosine(1e-3, 0, steps=10000)"\n'
        '  --beta "piecewise(0, 1, 1000, 8, 5000, 4)"'
    )
    parser.set_defaults(run=_run_train)


_SECTION_NOTES = {
    "data": "each belongs to the data sets named, beside its default",
    "objective": "each belongs to the objectives named, beside its default; nats per image throughout",
}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _run_train(chosen: argparse.Namespace) -> None:
    from unbraid import config, course, runs, tables, training

    values = {k.removeprefix("set_"): v for k, v in vars(chosen).items() if k.startswith("set_") and v is not None}
    if chosen.resume is not None:
        given = [
            _flag(name)
            for name in (*values, "out", "config", "dry_run")
            if (name in values and name != "device") or vars(chosen).get(name)
        ]
        if given:
            raise UnbraidError(f"--resume takes the settings of the run as they are: drop {', '.join(given)}")
        if runs.state(chosen.resume) == "finished":
            print(f"{chosen.resume} is finished: there is nothing left to train")
        run = training.resume(chosen.resume, device=values.get("device"))
    else:
        resolved = config.resolve({**(config.read(chosen.config) if chosen.config else {}), **values})
        if chosen.dry_run:
            tables.show_config(resolved)
            if short := course.cut_short(resolved):
                print(short, file=sys.stderr)
            return
        run = training.train(resolved, out=chosen.out)
    if chosen.no_figures:
        tables.show_folder(run.path)
    else:
        finish(run)
