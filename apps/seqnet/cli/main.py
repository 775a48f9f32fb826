"""The entry point of the command line.  A command imports NumPy and JAX when it runs.

Results go to stdout, everything else to stderr.  Exit codes: 0 success; 1 some inputs have no
answer; 2 wrong usage, data or model; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from catnet import completion
from catnet.command_line import make_parser
from catnet.process import exit_fast, run_guarded
from catnet.terminal import start_command
from seqnet.cli import eval, predict, scores, train, write

COMMANDS = {
    "train": train,
    "eval": eval,
    "predict": predict,
    "write": write,
    "scores": scores,
    "completion": completion.make_command("seqnet"),
}


def console() -> None:
    """Run ``main`` as the process ``seqnet``."""
    exit_fast(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    return run_guarded("seqnet", lambda: run(parser().parse_args(arguments)))


def run(options: argparse.Namespace) -> int:
    """Run the command of the options."""
    start_command(options.quiet)
    return COMMANDS[options.command].run(options)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    return make_parser("seqnet", "Classify texts and spoken words, and write names.", COMMANDS)
