"""The command line: parse, call, print. Heavy imports wait until a command needs them, so that --help is quick."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from unbraid import __version__
from unbraid.errors import UnbraidError
from unbraid.registry import lookup, suggest

EXIT_REFUSED, EXIT_FAILED, EXIT_INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point: 0 done, 1 a run of a study failed, 2 refused with one sentence, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _print_anywhere()
    try:
        code = _call(arguments)
        sys.stdout.flush()
        return code
    except UnbraidError as error:
        return _say(f"unbraid: {error}", EXIT_REFUSED)
    except KeyboardInterrupt as interruption:
        return _say(f"\nunbraid: {str(interruption) or 'interrupted'}", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor must the flush at exit find it gone
        return 0
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        return _say(f"unbraid: the system refused{where}: {error.strerror or error}", EXIT_REFUSED)
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        return _say("unbraid: there is not enough memory: try a smaller batch_size, model or image", EXIT_REFUSED)


def _call(arguments: Sequence[str]) -> int:
    if arguments and not arguments[0].startswith("-"):
        lookup(COMMANDS, arguments[0], "command")
    parser = _parser(arguments[0] if arguments else "")
    try:
        chosen = parser.parse_args(arguments)
    except SystemExit:  # --help or --version has been printed
        return 0
    if not hasattr(chosen, "run"):
        parser.print_help()
        return 0
    return chosen.run(chosen) or 0


def _out_of_memory(error: Exception) -> bool:
    """Of any kind: PyTorch has one exception for an accelerator and a plain RuntimeError for the CPU."""
    return isinstance(error, MemoryError) or any(
        words in str(error) for words in ("out of memory", "can't allocate memory", "not enough memory")
    )


def _print_anywhere() -> None:
    """A terminal that cannot show σ or → gets ? for it rather than an exception."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """Refuses as the rest of the package does, and suggests the nearest flag."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        chosen, unknown = super().parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            self.error(f'there is no argument "{flag}" here{suggest(flag, self._option_string_actions)}')
        return chosen, unknown

    def error(self, message: str) -> Any:
        raise UnbraidError(f"{message} (see `{self.prog} --help`)")


def _parser(command: str) -> argparse.ArgumentParser:
    """The parser, with all the flags of `command` alone: those of training come from the tables, which import torch."""
    parser = _Parser(
        prog="unbraid",
        description="Learn, show, measure and compare disentangled representations of images.",
        epilog="Start with `unbraid demo`. Each command has its own --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"unbraid {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (help, build) in COMMANDS.items():
        sub = commands.add_parser(
            name,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == command:
            build(sub)
    return parser


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), help="run folder (default: demo)")
    parser.add_argument("--seed", default="0", help="of initial weights, batches and noise (default: 0)")
    parser.add_argument("--steps", help="shorten the training; the schedules shrink with it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.set_defaults(run=_run_demo)


def _run_demo(chosen: argparse.Namespace) -> None:
    from unbraid import presets, runs, study, training

    config = presets.demo(chosen.steps, seed=chosen.seed, device=chosen.device)
    study.refuse_other_settings(chosen.out, config)
    if runs.is_run(chosen.out):
        run = training.resume(chosen.out, device=chosen.device)
    else:
        run = training.train(config, out=chosen.out)
    _finish(run)


def _finish(run: Any) -> None:
    """Statistics, figures and the table of latents of a trained run."""
    from unbraid import pictures, tables

    found = pictures.finish(run, show=True)
    tables.show_latents(found)
    tables.show_folder(run.path)


def _train(parser: argparse.ArgumentParser) -> None:
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
    sections: dict[str, dict[str, list[str]]] = {}
    for section, entry, parameter in config.table_parameters():
        notes = sections.setdefault(section, {}).setdefault(parameter.name, [])
        notes.append(f"{entry} (default: {parameter.default})")
    for section, options in sections.items():
        group = parser.add_argument_group(f"options of the {section}", _SECTION_NOTES.get(section))
        for name, notes in options.items():
            group.add_argument(_flag(name), dest=f"set_{name}", metavar="X", help=_escaped("; ".join(notes)))
    parser.epilog = (
        "A learning rate or an objective's number may be a schedule of the step:\n"
        '  --capacity "linear(0, 25, steps=100000)"  --lr "cosine(1e-3, 0, steps=10000)"\n'
        '  --beta "piecewise(0, 1, 1000, 8, 5000, 4)"'
    )
    parser.set_defaults(run=_run_train)


_SECTION_NOTES = {"objective": "each belongs to the objectives named; nats per image throughout"}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _run_train(chosen: argparse.Namespace) -> None:
    from unbraid import config, tables, training

    values = {k.removeprefix("set_"): v for k, v in vars(chosen).items() if k.startswith("set_") and v is not None}
    if chosen.resume is not None:
        given = [
            _flag(name)
            for name in (*values, "out", "config", "dry_run")
            if (name in values and name != "device") or vars(chosen).get(name)
        ]
        if given:
            raise UnbraidError(f"--resume takes the settings of the run as they are: drop {', '.join(given)}")
        run = training.resume(chosen.resume, device=values.get("device"))
    else:
        resolved = config.resolve({**(config.read(chosen.config) if chosen.config else {}), **values})
        if chosen.dry_run:
            tables.show_config(resolved)
            return
        run = training.train(resolved, out=chosen.out)
    if chosen.no_figures:
        tables.show_folder(run.path)
    else:
        _finish(run)


def _study(parser: argparse.ArgumentParser) -> None:
    from unbraid import presets

    names = "\n".join(f"  {name:20}{preset.description}" for name, preset in presets.PRESETS.items())
    parser.epilog = f"studies:\n{names}"
    parser.add_argument("name", metavar="STUDY", help="one of those below")
    parser.add_argument("--out", type=Path, help="folder of the study (default: runs/STUDY)")
    parser.add_argument("--steps", help="train each run for so many steps instead of the published number")
    parser.add_argument("--seed", default="0", help="of every run (default: 0)")
    parser.add_argument("--jobs", type=int, help="runs side by side (default: one a core; 1 on a GPU)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--theme", choices=["light", "dark"], default="light", help="of the figures")
    parser.set_defaults(run=_run_study)


def _run_study(chosen: argparse.Namespace) -> int:
    from unbraid import presets

    out = chosen.out or Path("runs") / chosen.name
    settings = {"seed": chosen.seed, "device": chosen.device}
    if chosen.steps is not None:
        settings["steps"] = chosen.steps
    failed = presets.run(chosen.name, out, settings, jobs=chosen.jobs, theme=chosen.theme)
    return EXIT_FAILED if failed else 0


def _figures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders")
    parser.add_argument("--theme", choices=["light", "dark"], default="light", help="for print or for a dark page")
    parser.add_argument("--image", type=int, help="index of the image that traversals start from")
    parser.add_argument(
        "--span", type=float, help="traverse from -SPAN to SPAN (default: over the percentiles of each latent's codes)"
    )
    parser.set_defaults(run=_run_figures)


def _run_figures(chosen: argparse.Namespace) -> None:
    from unbraid import pictures, runs, tables

    for path in chosen.runs:
        run = runs.load(path)
        pictures.finish(run, show=True, theme=chosen.theme, start=chosen.image, span=chosen.span)
        pictures.draw_scores(run, theme=chosen.theme)
        tables.show_folder(path)


def _score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of trained runs")
    parser.add_argument("--metrics", nargs="+", metavar="NAME", help="only these (default: all but the slow ones)")
    parser.add_argument("--seed", type=int, default=0, help="of the points that are drawn (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=_run_score)
    parser.epilog = "`unbraid metrics` lists the metrics; each run's scores are kept in its scores.json."


def _run_score(chosen: argparse.Namespace) -> None:
    import json

    from unbraid import evaluate, pictures, runs, tables

    scored = {}
    for path in chosen.runs:
        run = runs.load(path)
        found = evaluate.score_run(run, chosen.metrics, seed=chosen.seed, show=True)
        metrics = runs.read_scores(path)["metrics"]
        scored[str(path)] = {name: {"score": metrics[name]["score"], **metrics[name]["parts"]} for name in found}
        pictures.draw_scores(run)
        if not chosen.json:
            print(f"{path}")
            tables.show_scores(run.config.data, {name: metrics[name] for name in found})
    if chosen.json:
        print(json.dumps(scored, indent=2))


def _select(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder with finished runs at any depth")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=_run_select)


def _run_select(chosen: argparse.Namespace) -> None:
    import dataclasses
    import json

    from unbraid import selection, tables

    ranking = selection.rank(chosen.study, show=True)
    if chosen.json:
        print(json.dumps(dataclasses.asdict(ranking), indent=2))
    else:
        tables.show_ranking(ranking)


def _metrics(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run_metrics)


def _run_metrics(chosen: argparse.Namespace) -> None:
    from unbraid import tables
    from unbraid.metrics import METRICS
    from unbraid.registry import parameters

    descriptions = {name: f"{entry.description} ({entry.paper})" for name, entry in METRICS.items()}
    options = ((name, p) for name, entry in METRICS.items() for p in parameters(entry.function).values())
    tables.show_entries("metric", descriptions, options)


def _data(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    actions.add_parser("list", help="name every data set").set_defaults(run=_run_data_list)
    for name, help, run in (
        ("show", "print size and factors, and draw a contact sheet", _run_data_show),
        ("build", "draw or read the data set into the cache now rather than at first use", _run_data_build),
    ):
        sub = actions.add_parser(name, help=help, allow_abbrev=False)
        sub.add_argument("name", metavar="DATA")
        sub.add_argument("options", nargs="*", metavar="OPTION=VALUE", help="such as n_balls=2")
        if name == "show":
            sub.add_argument("--out", type=Path, help="picture to write (default: DATA.png)")
            sub.add_argument("--theme", choices=["light", "dark"], default="light")
        sub.set_defaults(run=run)


def _show_table(section: str, kind: str, table: Mapping[str, Any]) -> None:
    from unbraid import config, tables

    options = ((entry, parameter) for of, entry, parameter in config.table_parameters() if of == section)
    tables.show_entries(kind, {name: entry.description for name, entry in table.items()}, options)


def _run_data_list(chosen: argparse.Namespace) -> None:
    from unbraid.data import DATASETS

    _show_table("data", "data set", DATASETS)


def _load_data(chosen: argparse.Namespace) -> Any:
    from unbraid import config, data

    pairs = dict(option.partition("=")[::2] for option in chosen.options)
    resolved = config.resolve({**pairs, "data": chosen.name})
    return data.load(chosen.name, **resolved.section("data"))


def _run_data_show(chosen: argparse.Namespace) -> None:
    from unbraid import pictures, tables

    dataset = _load_data(chosen)
    tables.show_dataset(chosen.name, dataset)
    path = pictures.contact_sheet(dataset, chosen.out or Path(f"{chosen.name}.png"), theme=chosen.theme)
    print(f"contact sheet: {path}")


def _run_data_build(chosen: argparse.Namespace) -> None:
    import numpy as np

    dataset = _load_data(chosen)
    dataset.images(np.arange(1))  # the first look builds and checks the cache
    print(f"{chosen.name}: {len(dataset):,} images ready")


def _objectives(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run_objectives)


def _run_objectives(chosen: argparse.Namespace) -> None:
    from unbraid.objectives import OBJECTIVES

    _show_table("objective", "objective", OBJECTIVES)


def _models(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run_models)


def _run_models(chosen: argparse.Namespace) -> None:
    from unbraid.models import ARCHITECTURES

    _show_table("model", "model", ARCHITECTURES)


COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "demo": ("learn the shapes of dSprites in minutes and show what each latent does", _demo),
    "train": ("train one model", _train),
    "study": ("run one of the experiments with all its figures", _study),
    "figures": ("draw the figures of finished runs", _figures),
    "score": ("score the latents of runs against the ground-truth factors", _score),
    "select": ("rank the runs of a study without labels", _select),
    "data": ("list, show and build data sets", _data),
    "objectives": ("list the training objectives", _objectives),
    "models": ("list the architectures", _models),
    "metrics": ("list the metrics of disentanglement", _metrics),
}
