"""`unbraid figures`."""

import argparse
from pathlib import Path

from unbraid.cli.ending import say_if_unfinished


def figures(parser: argparse.ArgumentParser) -> None:
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
        say_if_unfinished(run, "figures")
        pictures.finish(run, show=True, theme=chosen.theme, start=chosen.image, span=chosen.span)
        tables.show_folder(path)
