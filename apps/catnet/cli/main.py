"""The command line: words in, an exit code out.  A command's imports wait until it runs.

Results go to stdout, everything else to stderr.  Exit codes: 0 all is well; 1 some images have no
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
from catnet.compile_cache import keep_compiled
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

# The commands whose compiled programs are kept for the next time.
KEEPERS = ("predict", "eval", "filters", "train", "sweep")

# The commands that make a folder: before, they make sure that JAX can start.
MAKERS = ("train", "sweep", "demo")

EPILOG = """\
catnet COMMAND --help says more.  Compiled programs, and the decoded images of
eval --held-out and train --model photo, are kept in ~/.cache/catnet, or in
$XDG_CACHE_HOME/catnet; that folder may be deleted at any time.  With
JAX_ENABLE_COMPILATION_CACHE=false no compiled programs are kept."""


def console() -> None:
    """``catnet`` as a process: like ``main``, without the wait for Python to take itself apart."""
    gc.set_threshold(100_000)  # JAX makes many objects that stay: searching them takes 0.1 s
    if sys.argv[1:2] in ([name] for name in KEEPERS):
        keep_compiled()
    code = main()
    sys.stderr.flush()
    os._exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may hold what no encoding has
            stream.reconfigure(errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        code = run(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        _complain(str(error))
        return 2
    except BrokenPipeError:
        _forget_stdout()  # its reader has gone
        return 1
    except OSError as error:
        if error.filename is None:
            _forget_stdout()
        _complain(f"{error.filename or 'the output'}: {error.strerror or error}")
        return 2
    except KeyboardInterrupt as stop:
        _complain(str(stop) or "stopped")
        return 130
    except Exception as error:
        if _jax_starts(error):
            raise
        _complain(_why_jax_does_not_start(error))
        return 2


def run(options: argparse.Namespace) -> int:
    """Run the command that was asked for."""
    if options.command in MAKERS:
        import jax

        jax.devices()
    return COMMANDS[options.command].run(options)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="catnet",
        description="Says whether an image shows a cat; trains the networks that do.",
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
    """Like argparse's own, but the version is looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata

        try:
            print(f"catnet {metadata.version('jaxnn')}")
        except metadata.PackageNotFoundError:
            print("catnet, of a jaxnn that is not installed")
        parser.exit()


# ---- what goes wrong


def _replace_closed_streams() -> None:
    """A stream that was closed at the start, as by ``>&-``, is as if it were /dev/null.

    Otherwise the next file to be opened would take its number, and get what C libraries print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115


def _jax_starts(error: Exception) -> bool:
    """Whether an error is not because JAX finds no device, or is not installed right."""
    if str(error).startswith("Unable to initialize backend"):
        return False
    if "jaxlib" not in sys.modules and not isinstance(error, ImportError):
        return True  # not used so far
    try:
        import jax

        jax.devices()
    except Exception:
        return False
    return True


def _why_jax_does_not_start(error: Exception) -> str:
    reason = re.sub(r" \([^()]*JAX_PLATFORMS[^()]*\)$", "", " ".join(str(error).split()))
    reason = reason[:300].rstrip(".") or "no such device"
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return (
            f"JAX cannot start: {reason}; JAX_PLATFORMS is {platforms}, unset it to use any device"
        )
    return f"JAX cannot start: {reason}"


def _forget_stdout() -> None:
    """What is still buffered has nowhere to go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str) -> None:
    """One line; at a terminal in the place of a line of progress that is still there."""
    clear = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{clear}catnet: {one_line(text)}", file=sys.stderr, flush=True)
