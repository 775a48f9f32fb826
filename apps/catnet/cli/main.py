"""The entry point of the command line.  A command imports NumPy, Pillow and JAX when it runs.

Results go to stdout, everything else to stderr.  Exit codes: 0 success; 1 some images have no
answer, or a check failed; 2 wrong usage, data, model or configuration; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import re
import sys
from collections.abc import Sequence

from catnet.cli import data, demo, eval, filters, gradcheck, predict, published, sweep, train
from catnet.compile_cache import enable_compile_cache
from catnet.errors import UserError
from catnet.terminal import one_line

COMMANDS = {
    "train": train,
    "sweep": sweep,
    "predict": predict,
    "eval": eval,
    "filters": filters,
    "gradcheck": gradcheck,
    "data": data,
    "published": published,
    "demo": demo,
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
    if sys.argv[1:2] in ([name] for name in CACHING):
        enable_compile_cache()
    code = main()
    sys.stderr.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # paths may have undecodable bytes
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        _print_error(str(error))
        return 2
    except BrokenPipeError:
        _discard_stdout()  # the reader of the pipe has exited
        return 1
    except OSError as error:
        if error.filename is None:
            _discard_stdout()
        _print_error(f"{error.filename or 'the output'}: {error.strerror or error}")
        return 2
    except KeyboardInterrupt as stop:
        _print_error(str(stop) or "stopped")
        return 130
    except Exception as error:
        if _jax_can_start(error):
            raise
        _print_error(_explain_jax_failure(error))
        return 2


def run(options: argparse.Namespace) -> int:
    """Run the command of the options."""
    if options.command in CREATING:
        import jax

        jax.devices()
    return COMMANDS[options.command].run(options)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = argparse.ArgumentParser(
        prog="catnet",
        description="Classify images as cat or non-cat, or into your own classes, and train "
        "networks for it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        description = getattr(command, "DESCRIPTION", None)
        command.add_arguments(
            subparsers.add_parser(name, help=command.HELP, description=description)
        )
    return top


class _Version(argparse.Action):
    """Like argparse's version action, but it reads the version only when it is used."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata

        try:
            print(f"catnet {metadata.version('jaxnn')}")
        except metadata.PackageNotFoundError:
            print("catnet of unknown version: jaxnn is not installed")
        parser.exit()


# ---- errors


def _replace_closed_streams() -> None:
    """Open /dev/null in place of a stream that is closed, as by ``>&-``.

    Otherwise the next file to be opened gets its descriptor, and the output of C libraries.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115


def _jax_can_start(error: Exception) -> bool:
    """Whether JAX can start: then an error has another cause than its devices or installation."""
    if str(error).startswith("Unable to initialize backend"):
        return False
    if "jaxlib" not in sys.modules and not isinstance(error, ImportError):
        return True  # JAX is not in use
    try:
        import jax

        jax.devices()
    except Exception:
        return False
    return True


def _explain_jax_failure(error: Exception) -> str:
    reason = re.sub(r" \([^()]*JAX_PLATFORMS[^()]*\)$", "", " ".join(str(error).split()))
    reason = reason[:300].rstrip(".") or "no such device"
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return (
            f"JAX cannot start: {reason}; JAX_PLATFORMS is {platforms}, unset it to use any device"
        )
    return f"JAX cannot start: {reason}"


def _discard_stdout() -> None:
    """Send the buffered output to /dev/null."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_error(text: str) -> None:
    """Print one line; at a terminal it replaces the line of progress."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{clear}catnet: {one_line(text)}", file=sys.stderr, flush=True)
