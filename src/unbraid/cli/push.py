"""`unbraid push`."""

import argparse
from pathlib import Path


def push(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="RUN", help="folder of a finished run")
    parser.add_argument("repo", metavar="USER/NAME", help="model repository; it is made where there is none")
    parser.add_argument("--private", action="store_true", help="make it one that only you see")
    parser.epilog = 'Log in with `hf auth login` before. unbraid.hub.load("user/name") loads the run anywhere.'
    parser.set_defaults(run=_run_push)


def _run_push(chosen: argparse.Namespace) -> None:
    from unbraid import hub

    print(hub.push(chosen.path, chosen.repo, private=chosen.private))
