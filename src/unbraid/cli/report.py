"""`unbraid report`."""

import argparse
from pathlib import Path


def report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs, or of studies")
    parser.add_argument("-o", "--out", type=Path, default=Path("report.html"), help="the page (default: report.html)")
    parser.add_argument("--serve", action="store_true", help="serve it instead, anew whenever a checkpoint arrives")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve at (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8050, help="port to serve at (default: 8050; 0 takes a free one)")
    parser.set_defaults(run=_run_report)


def _run_report(chosen: argparse.Namespace) -> None:
    if chosen.serve:
        _serve(chosen)
        return
    from unbraid.report import write_report

    page = write_report(chosen.runs, chosen.out, show=True)
    print(f"{page}  {page.stat().st_size / 1e6:.1f} MB: open it in a browser")


def _serve(chosen: argparse.Namespace) -> None:
    from contextlib import suppress

    from unbraid.report.serve import server

    with server(chosen.runs, chosen.host, chosen.port) as running, suppress(KeyboardInterrupt):
        print(
            f"http://{chosen.host}:{running.server_port}/ renews itself as checkpoints arrive; Ctrl-C ends it",
            flush=True,
        )
        running.serve_forever()
