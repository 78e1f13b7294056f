"""`unbraid report`."""

import argparse
from pathlib import Path


def report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs, or of studies")
    parser.add_argument("-o", "--out", type=Path, default=Path("report.html"), help="the page (default: report.html)")
    parser.set_defaults(run=_run_report)


def _run_report(chosen: argparse.Namespace) -> None:
    from unbraid.report import write_report

    page = write_report(chosen.runs, chosen.out, show=True)
    print(f"{page}  {page.stat().st_size / 1e6:.1f} MB: open it in a browser")
