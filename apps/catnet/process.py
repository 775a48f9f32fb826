"""A command as a process: its streams, its exit code, and one line for each error."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn

from catnet.errors import UserError
from catnet.progress import show_elapsed
from catnet.terminal import clear_live, end_command, one_line, start_command


def run_guarded(program: str, run: Callable[[], int]) -> int:
    """Run a command; an error becomes one line on stderr.

    Args:
        program: its name, with which the line starts.
        run: parses the arguments and returns the exit code.

    Returns:
        The exit code: that of ``run``; 1 where the reader of the output has exited; 2 for wrong
        usage, data or models, too little memory, or where JAX cannot start; 130 for Ctrl-C.
    """
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # paths may have undecodable bytes
            stream.reconfigure(errors="backslashreplace")
    start_command()
    try:
        with show_elapsed():
            code = run()
        sys.stdout.flush()
        return code
    except UserError as error:
        _print_error(program, str(error))
        return 2
    except BrokenPipeError:
        _discard_stdout()  # the reader of the pipe has exited
        return 1
    except OSError as error:
        if error.filename is None:
            _discard_stdout()
        _print_error(program, f"{error.filename or 'the output'}: {error.strerror or error}")
        return 2
    except KeyboardInterrupt as stop:
        _print_error(program, str(stop) or "stopped")
        return 130
    except Exception as error:
        if _is_out_of_memory(error):
            _print_error(program, _explain_memory(error))
        elif _jax_can_start(error):
            raise
        else:
            _print_error(program, _explain_jax_failure(error))
        return 2
    finally:
        end_command()


def exit_fast(code: int) -> NoReturn:
    """Exit without Python's slow shutdown."""
    sys.stderr.flush()
    os._exit(code)


class Version(argparse.Action):
    """Like argparse's version action, but it reads the version only when it is used."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata

        try:
            print(f"{parser.prog} {metadata.version('jaxnn')}")
        except metadata.PackageNotFoundError:
            print(f"{parser.prog} of unknown version: jaxnn is not installed")
        parser.exit()


def _replace_closed_streams() -> None:
    """Open /dev/null in place of a stream that is closed, as by ``>&-``.

    Otherwise the next file to be opened gets its descriptor, and the output of C libraries.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115


def _is_out_of_memory(error: Exception) -> bool:
    """Whether Python, NumPy or JAX (whose error has no class of its own) found no memory."""
    return isinstance(error, MemoryError) or str(error).startswith("RESOURCE_EXHAUSTED")


def _explain_memory(error: Exception) -> str:
    reason = " ".join(str(error).removeprefix("RESOURCE_EXHAUSTED: ").split())[:200].rstrip(".")
    what = f"not enough memory ({reason})" if reason else "not enough memory"
    return f"{what}; use a smaller network, a smaller batch or fewer images"


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


def _print_error(program: str, text: str) -> None:
    """Print one line; at a terminal it replaces the line of progress."""
    clear_live()
    print(f"{program}: {one_line(text)}", file=sys.stderr, flush=True)
