"""`unbraid score` and `unbraid metrics`."""

import argparse
from pathlib import Path

from unbraid.cli.ending import say_if_unfinished


def score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of trained runs")
    parser.add_argument("--metrics", nargs="+", metavar="NAME", help="only these (default: all but the slow ones)")
    parser.add_argument("--factors", nargs="+", metavar="NAME", default=(), help="by these alone (default: all)")
    parser.add_argument(
        "--points", type=int, default=0, metavar="N", help="encode so many images (default: 0, every one of most data)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the points that are drawn (default: 0)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=_run_score)
    parser.epilog = (
        "`unbraid metrics` lists the metrics. Each run's scores are kept in its scores.json; where they are taken by\n"
        "another seed, other points or factors, a new file begins, and the old becomes scores-1.json, ..."
    )


def _run_score(chosen: argparse.Namespace) -> None:
    import json

    from unbraid import evaluate, pictures, runs, tables

    scored = {}
    for path in chosen.runs:
        run = runs.load(path)
        say_if_unfinished(run, "scores")
        found = evaluate.score_run(
            run, chosen.metrics, factors=chosen.factors, seed=chosen.seed, points=chosen.points, show=True
        )
        scored[str(path)] = {name: {"score": result.score, **result.parts} for name, result in found.items()}
        pictures.draw_scores(run)
        if not chosen.json:
            print(f"{path}")
            shown = {name: {"score": result.score, "parts": result.parts} for name, result in found.items()}
            whole = not chosen.factors and not chosen.points  # as published scores are
            tables.show_scores(run.config.data if whole else "", shown)
    if chosen.json:
        print(json.dumps(scored, indent=2))


def metrics(parser: argparse.ArgumentParser) -> None:
    parser.epilog = 'Options are set from Python: unbraid.score(codes, factors, metrics={"mig": {"bins": 50}}).'
    parser.set_defaults(run=_run_metrics)


def _run_metrics(chosen: argparse.Namespace) -> None:
    from unbraid import tables
    from unbraid.metrics import METRICS, OF_A_RUN
    from unbraid.registry import parameters

    descriptions = {name: f"{entry.description} ({entry.paper})" for name, entry in METRICS.items()} | OF_A_RUN
    options = ((name, p) for name, entry in METRICS.items() for p in parameters(entry.function).values())
    tables.show_entries("metric", descriptions, options)
