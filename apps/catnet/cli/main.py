"""The entry point of the command line.  A command imports NumPy, Pillow and JAX when it runs.

Results go to stdout, everything else to stderr.  Exit codes: 0 success; 1 some images have no
answer, or a check failed; 2 wrong usage, data, model or configuration; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence

from catnet import completion
from catnet.cli import (
    compare,
    data,
    demo,
    eval,
    filters,
    gradcheck,
    predict,
    published,
    sweep,
    train,
)
from catnet.command_line import make_parser
from catnet.compile_cache import enable_compile_cache
from catnet.process import exit_fast, run_guarded
from catnet.terminal import start_command

COMMANDS = {
    "train": train,
    "sweep": sweep,
    "compare": compare,
    "predict": predict,
    "eval": eval,
    "filters": filters,
    "gradcheck": gradcheck,
    "data": data,
    "published": published,
    "demo": demo,
    "completion": completion.make_command("catnet"),
}

# The commands whose compiled programs are cached.
CACHING = ("predict", "eval", "filters", "train", "sweep", "published")

# The commands that create a run folder: before that, they check that JAX can start.
CREATING = ("train", "sweep", "demo")

EPILOG = """\
catnet COMMAND --help shows the options of a command.  Compiled programs, and the
decoded images of eval --held-out and train --model photo, are cached in
~/.cache/catnet, or in $XDG_CACHE_HOME/catnet.  You may delete this folder at any
time.  JAX_ENABLE_COMPILATION_CACHE=false turns off the cache of programs."""


def console() -> None:
    """Run ``main`` as the process ``catnet``, and exit without Python's slow shutdown."""
    gc.set_threshold(100_000)  # collecting JAX's many objects takes 0.1 s
    if next((word for word in sys.argv[1:] if not word.startswith("-")), None) in CACHING:
        enable_compile_cache()
    exit_fast(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    return run_guarded("catnet", lambda: run(parser().parse_args(arguments)))


def run(options: argparse.Namespace) -> int:
    """Run the command of the options."""
    start_command(options.quiet)
    if options.command in CREATING:
        import jax

        jax.devices()
    return COMMANDS[options.command].run(options)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    description = (
        "Classify images as cat or non-cat, or into your own classes, and train networks for it."
    )
    return make_parser("catnet", description, COMMANDS, EPILOG)
