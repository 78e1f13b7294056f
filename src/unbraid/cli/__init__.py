"""The command line: parse, call, print. Heavy imports wait until a command needs them, so that --help is quick.

A command is a function that adds its arguments to a parser, in a file here, and a line in COMMANDS.
"""

import argparse
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from unbraid import __version__
from unbraid.cli import codes, data, demo, export, figures, listing, push, report, score, study, train
from unbraid.errors import UnbraidError, of_a_thread, printable
from unbraid.registry import lookup, suggest

EXIT_REFUSED, EXIT_INTERRUPTED = 2, 130
_LONGEST = 2_000  # characters of a sentence


def main(arguments: Sequence[str] | None = None) -> int:
    """The entry point: 0 done, 1 a run of a study failed, 2 refused with one sentence, 130 interrupted."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _print_anywhere()
    threading.excepthook = of_a_thread
    try:
        code = _call(arguments)
        if sys.stdout is not None:  # as it is where the program was started with its output closed
            sys.stdout.flush()
        return code
    except UnbraidError as error:
        return _say(f"unbraid: {error}", EXIT_REFUSED)
    except KeyboardInterrupt as interruption:
        print(file=sys.stderr)  # ends the line of ^C or of a progress bar
        return _say(f"unbraid: {str(interruption) or 'interrupted'}", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _give_up_output()
        return 0
    except OSError as error:
        _give_up_output()
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


def _give_up_output() -> None:
    """Where standard output takes nothing any more, neither must the flush at exit try it."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_anywhere() -> None:
    """A terminal that cannot show σ or → gets ? for it rather than an exception."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _say(text: str, code: int) -> int:
    """One line: what a file says of itself must neither break it nor steer the terminal."""
    plain = printable(text)
    print(
        plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST // 2]} ... {plain[-_LONGEST // 2 :]}", file=sys.stderr
    )
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


COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "demo": ("learn the shapes of dSprites in minutes and show what each latent does", demo.demo),
    "train": ("train one model", train.train),
    "study": ("run many models from one file: a grid of settings and seeds, their scores and figures", study.study),
    "table": ("show the table of a study, sorted and filtered", study.table),
    "figures": ("draw the figures of finished runs", figures.figures),
    "report": ("write the page in which the latents of runs can be moved by hand", report.report),
    "export": ("write the encoder and decoder of runs for other programs", export.export),
    "score": ("score the latents of runs against the ground-truth factors", score.score),
    "select": ("rank the runs of a study without labels", study.select),
    "encode": ("write the codes of images to a table", codes.encode),
    "decode": ("draw the images that a table of codes stands for", codes.decode),
    "push": ("put a run on the Hugging Face Hub", push.push),
    "data": ("list, show and build data sets", data.data),
    "objectives": ("list the training objectives", listing.objectives),
    "models": ("list the architectures", listing.models),
    "metrics": ("list the metrics of disentanglement", score.metrics),
}
