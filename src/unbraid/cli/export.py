"""`unbraid export`."""

import argparse
from pathlib import Path


def export(parser: argparse.ArgumentParser) -> None:
    from unbraid.export import FORMATS

    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of trained runs")
    parser.add_argument("--format", default="onnx", help=f"{', '.join(FORMATS)} (default: onnx)")
    parser.add_argument("--out", type=Path, help="folder for the files of one run (default: RUN/export)")
    formats = "\n".join(f"  {name:8}{entry.description}" for name, entry in FORMATS.items())
    parser.epilog = f"Encoder and decoder are written apart, once their answers agree with PyTorch's.\n\n{formats}"
    parser.set_defaults(run=_run_export)


def _run_export(chosen: argparse.Namespace) -> None:
    from unbraid import runs
    from unbraid.errors import UnbraidError
    from unbraid.export import export

    if chosen.out and len(chosen.runs) > 1:
        raise UnbraidError("--out is for one run: the files of several would replace each other")
    for path in chosen.runs:
        for file, differences in export(runs.load(path, "cpu"), chosen.out, format=chosen.format).items():
            agreement = ", ".join(f"{name} {difference:.0e}" for name, difference in differences.items())
            print(f"{file}  {file.stat().st_size:,} bytes; differs from PyTorch by {agreement}")
