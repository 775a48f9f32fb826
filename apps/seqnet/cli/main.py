"""The entry point of the command line.  A command imports NumPy and JAX when it runs.

Results go to stdout, everything else to stderr.  Exit codes: 0 success; 1 some inputs have no
answer; 2 wrong usage, data or model; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from catnet.process import Version, exit_fast, run_guarded
from seqnet.cli import eval, predict, scores, train, write

COMMANDS = {
    "train": train,
    "eval": eval,
    "predict": predict,
    "write": write,
    "scores": scores,
}


def console() -> None:
    """Run ``main`` as the process ``seqnet``."""
    exit_fast(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    return run_guarded("seqnet", lambda: run(parser().parse_args(arguments)))


def run(options: argparse.Namespace) -> int:
    """Run the command of the options."""
    return COMMANDS[options.command].run(options)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="seqnet", description="Classify texts and spoken words, and write names."
    )
    top.add_argument("--version", action=Version, nargs=0, help="print the version")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(subparsers.add_parser(name, help=command.HELP))
    return top
