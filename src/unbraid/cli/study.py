"""`unbraid study`, `unbraid table` and `unbraid select`: many runs, their table, and which of them to trust."""

import argparse
from pathlib import Path

EXIT_FAILED = 1


def study(parser: argparse.ArgumentParser) -> None:
    from unbraid.study import drawings, file
    from unbraid.study.presets import PRESETS

    names = "\n".join(f"  {name:20}{file.read(path).description}" for name, path in PRESETS.items())
    drawn = "\n".join(
        f"{kind}:\n" + "\n".join(f"  {name:20}{figure.description}" for name, figure in table.items())
        for kind, table in (("run_figures", drawings.OF_A_RUN), ("figures", drawings.OF_A_STUDY))
    )
    parser.epilog = (
        f"studies:\n{names}\n\nA file of your own is written as theirs are: see --print. It may ask for\n{drawn}"
    )
    parser.add_argument("study", metavar="STUDY", help="a YAML file, or one of those below")
    parser.add_argument("--out", type=Path, help="folder of the study (default: runs/STUDY)")
    parser.add_argument("--recipe", default="", help="train by a recipe that the study names, such as fast of balls")
    parser.add_argument("--dry-run", action="store_true", help="print the runs, their groups, time and disk, and stop")
    parser.add_argument("--print", action="store_true", help="print the study file and stop")
    parser.add_argument("--steps", help="train each run for so many steps instead of the number in the file")
    parser.add_argument("--seeds", type=int, metavar="K", help="so many seeds instead of those in the file")
    parser.add_argument("--seed", type=int, metavar="S", help="the first of them (default: as in the file)")
    parser.add_argument("--engine", default="local", help="local (default), or ray: on the machines of a cluster")
    parser.add_argument("--address", default="", help="of the Ray cluster (default: a Ray of this machine's own)")
    parser.add_argument("--gpus", type=float, default=1.0, help="share of a GPU that a group takes on Ray (default: 1)")
    parser.add_argument("--jobs", type=int, help="groups side by side (default: one a core; 1 on a GPU)")
    parser.add_argument("--stack", type=int, help="runs trained at once at most (default: 32 on a GPU, else 1)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--logger", help="tensorboard (default), wandb, mlflow, trackio or none")
    parser.add_argument("--theme", choices=["light", "dark"], default="light", help="of the figures")
    parser.set_defaults(run=_run_study)


def _run_study(chosen: argparse.Namespace) -> int:
    from unbraid import tables
    from unbraid.errors import UnbraidError
    from unbraid.study import driver, file, folders, grid, plan
    from unbraid.study.work import Options

    path = file.find(chosen.study)
    found = file.read(path, chosen.recipe)
    if chosen.print:
        print(found.text, end="")
        return 0
    for name in ("jobs", "stack"):
        if (number := getattr(chosen, name)) is not None and number < 1:
            raise UnbraidError(f"{name} must be at least 1, not {number}")
    found = file.with_seeds(found, chosen.seeds, chosen.seed)
    named = {"device": chosen.device, "steps": chosen.steps, "logger": chosen.logger}
    over = {name: value for name, value in named.items() if value is not None}
    cells = grid.cells(found, str(path), over)
    options = Options(chosen.jobs or 0, chosen.address, chosen.gpus, chosen.stack or 0)
    out = chosen.out or Path("runs") / found.name
    driver.check(cells, chosen.engine, options)
    if chosen.dry_run:
        plan.show(plan.estimate(found, cells, out, options, engine=chosen.engine))
        return 0
    outcomes = driver.run_study(found, cells, out, engine=chosen.engine, options=options, theme=chosen.theme)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        tables.show(["failed run", "why"], [(outcome.folder.name, outcome.error) for outcome in failed])
    done = f"{len(outcomes) - len(failed)} of {len(outcomes)} runs finished"
    print(f"\n{done}; {out / folders.TABLE} holds them, and `unbraid table {out}` shows it")
    tables.show_folder(out)
    return EXIT_FAILED if failed else 0


def table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of a study, finished or not")
    parser.add_argument("--sort", metavar="COLUMN", help="best first, such as mig")
    parser.add_argument("--where", metavar="TEST", help='such as "beta>4 and objective==beta_vae"')
    parser.add_argument(
        "--csv",
        type=Path,
        nargs="?",
        const=Path(),
        metavar="FILE",
        help="write every column, to STUDY/table.csv if not told",
    )
    parser.set_defaults(run=_run_table)


def _run_table(chosen: argparse.Namespace) -> None:
    from unbraid import tables
    from unbraid.study import filtering, folders, table

    every = table.rows(chosen.study)
    rows = filtering.where(every, chosen.where) if chosen.where else every
    if not rows:
        tables.say(f"none of the {len(every)} runs is one where {chosen.where}")
    if chosen.sort:
        rows = table.ordered(rows, chosen.sort)
    if chosen.csv is not None:
        path = chosen.study / "table.csv" if chosen.csv == Path() else chosen.csv
        table.write_csv(path, rows)
        print(f"{path}: {len(rows)} rows")
    else:
        if rows:
            if waiting := table.not_begun(chosen.study):
                tables.say(f"{waiting} of the study still to begin\n")
            tables.show_fitting(*table.shown(rows, chosen.sort or ""))
        try:
            table.write(chosen.study)
        except OSError as error:  # such as a study of somebody else's
            tables.say(f"the table is not kept in {chosen.study / folders.TABLE}: {error.strerror or error}")


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
