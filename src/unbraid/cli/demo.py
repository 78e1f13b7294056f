"""`unbraid demo`: the main job in one command."""

import argparse
from pathlib import Path

from unbraid.cli.ending import finish


def demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo"), help="run folder (default: demo)")
    parser.add_argument("--seed", default="0", help="of initial weights, batches and noise (default: 0)")
    parser.add_argument("--steps", help="shorten the training; the schedules shrink with it")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.set_defaults(run=_run_demo)


def _run_demo(chosen: argparse.Namespace) -> None:
    from unbraid import recipes, report, runs, training

    config = recipes.demo(chosen.steps, seed=chosen.seed, device=chosen.device)
    runs.refuse_other_settings(chosen.out, config)
    try:
        if runs.is_run(chosen.out):
            run = training.resume(chosen.out, device=chosen.device)
        else:
            run = training.train(config, out=chosen.out)
    except training.Interrupted as stopped:  # the demo makes a page too, which `--resume` does not
        raise training.Interrupted(stopped.where, "the same command goes on") from None
    finish(run)
    page = report.write_report([run.path], run.path / runs.REPORT)
    print(f"\nThe page to move the latents by hand, in any browser: {page}")
