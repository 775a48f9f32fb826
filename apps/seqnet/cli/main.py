"""The entry point of the command line.  A command imports NumPy and JAX when it runs.

Results go to stdout, everything else to stderr.  Exit codes: 0 success; 1 some inputs have no
answer; 2 wrong usage, data or model; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from catnet.errors import UserError
from catnet.terminal import one_line
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
    code = main()
    sys.stderr.flush()
    os._exit(code)  # without Python's slow shutdown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = parser().parse_args(arguments)
    try:
        code = COMMANDS[options.command].run(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        _print_error(str(error))
        return 2
    except BrokenPipeError:  # the reader of the pipe has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        _print_error(f"{error.filename or 'the output'}: {error.strerror or error}")
        return 2
    except KeyboardInterrupt:
        _print_error("stopped")
        return 130


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="seqnet", description="Classify texts and spoken words, and write names."
    )
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(subparsers.add_parser(name, help=command.HELP))
    return top


def _print_error(text: str) -> None:
    """Print one line; at a terminal it replaces the line of progress."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{clear}seqnet: {one_line(text)}", file=sys.stderr, flush=True)
