"""Messages, and a line of progress, on the terminal (stderr); results go to stdout."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import Any

_quiet = False  # whether only results and problems are wanted
_live_wanted = False  # whether this process is a command, not a program that imports catnet
_live = ""  # the line of progress that is on the terminal
_changed = 0.0  # when something was written last
_lock = threading.RLock()  # of the terminal


def start_command(quiet: bool = False) -> None:
    """From now on, a command runs: lines of progress may be shown, and no messages if ``quiet``."""
    global _quiet, _live_wanted, _changed
    _quiet, _live_wanted, _changed = quiet, True, time.monotonic()
    if shows_live() and sys.stdout.isatty() and not isinstance(sys.stdout, _Clearing):
        sys.stdout = _Clearing(sys.stdout)


def end_command() -> None:
    """Undo :func:`start_command`, in a process that goes on."""
    global _quiet, _live_wanted
    _quiet = _live_wanted = False
    if isinstance(sys.stdout, _Clearing):
        sys.stdout = sys.stdout.stream


def log(text: str) -> None:
    """Write a message to stderr, apart from the results; nothing with ``--quiet``."""
    if not _quiet:
        report_problem(text)


def report_problem(text: str) -> None:
    """Write a line about an input that has no result to stderr, also with ``--quiet``."""
    with _lock:
        clear_live()
        print(text, file=sys.stderr, flush=True)


def report_left_out(line: str) -> None:
    """Write to stderr, also with ``--quiet``, which input is left out, and why."""
    report_problem(one_line(f"left out: {line}"))


def shows_live() -> bool:
    """Whether a line of progress is shown: by a command, on a terminal, without ``--quiet``."""
    return _live_wanted and not _quiet and sys.stderr.isatty()


def show_live(line: str, silent: bool = False) -> None:
    """Show a line of progress on the terminal, in place of the line before it.

    Args:
        line: it is cut to the width of the terminal.
        silent: whether :func:`silence` goes on.
    """
    global _live, _changed
    with _lock:
        _changed = _changed if silent else time.monotonic()
        _live = line[: shutil.get_terminal_size().columns - 1]  # a longer line would break
        print(f"\r{_live}\x1b[K", end="", file=sys.stderr, flush=True)


def clear_live() -> None:
    """Remove the line of progress from the terminal, before something else is written."""
    global _live, _changed
    with _lock:
        _changed = time.monotonic()
        if _live:
            _live = ""
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def silence() -> float:
    """For how many seconds nothing was written."""
    return time.monotonic() - _changed


class _Clearing:
    """A terminal as stdout, from which the line of progress is removed before a result."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        clear_live()
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def one_line(name: str | None) -> str:
    """Escape the characters of a name that would break a line or a terminal.

    Example:
        >>> print(one_line("my\\ncat.png"))
        my\\ncat.png
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name or "")


def shorten(name: str | None, width: int = 24) -> str:
    """The name of a class for a table: on one line, and cut to a width.

    Example:
        >>> shorten("tabby"), shorten("tabby, tabby cat", 8)
        ('tabby', 'tabby, …')
    """
    name = one_line(name)
    return name if len(name) <= width else f"{name[: width - 1]}…"


def format_exactly(number: float) -> str:
    """Format a number as the shortest text that gives the same number again.

    Example:
        >>> format_exactly(0.0075), format_exactly(1.0), format_exactly(0.0010000001)
        ('0.0075', '1', '0.0010000001')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))
