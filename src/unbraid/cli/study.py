"""`unbraid study` and `unbraid select`: many runs, and which of them to trust."""

import argparse
from pathlib import Path

EXIT_FAILED = 1


def study(parser: argparse.ArgumentParser) -> None:
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


def select(parser: argparse.ArgumentParser) -> None:
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
