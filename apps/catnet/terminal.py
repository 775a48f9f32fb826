"""Messages and progress on the terminal (stderr); results go to stdout."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

RECENT = 20  # number of reports over which the speed is measured


_quiet = False  # whether only results and problems are wanted
_live = ""  # the line of progress on the terminal


def be_quiet(quiet: bool = True) -> None:
    """Print no messages and no progress from now on, only results and problems."""
    global _quiet
    _quiet = quiet


def log(text: str) -> None:
    """Write a message to stderr, apart from the results; nothing with ``--quiet``."""
    if not _quiet:
        report_problem(text)


def report_problem(text: str) -> None:
    """Write a line about an input that has no result to stderr, also with ``--quiet``."""
    clear_live()
    print(text, file=sys.stderr, flush=True)


def print_result(text: str) -> None:
    """Write a result to stdout."""
    if _live and sys.stdout.isatty():
        clear_live()
    print(text)


def shows_live() -> bool:
    """Whether a line of progress is shown: on a terminal, without ``--quiet``."""
    return not _quiet and sys.stderr.isatty()


def show_live(line: str) -> None:
    """Show a line of progress on the terminal, in place of the line before it."""
    global _live
    _live = line[: shutil.get_terminal_size().columns - 1]  # a longer line would break
    print(f"\r{_live}\x1b[K", end="", file=sys.stderr, flush=True)


def clear_live() -> None:
    """Remove the line of progress from the terminal."""
    global _live
    if _live:
        _live = ""
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


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


class Pace(NamedTuple):
    """The speed of a training run.

    Attributes:
        speed: steps per second.
        remaining: seconds until the end.
    """

    speed: float
    remaining: float

    def __str__(self) -> str:
        """The remaining time, with a unit.

        Example:
            >>> [str(Pace(1, seconds)) for seconds in (5, 150, 9000)]
            ['5 s left', '2 min left', '2.5 h left']
        """
        if self.remaining < 100:
            return f"{self.remaining:.0f} s left"
        if self.remaining < 6000:
            return f"{self.remaining / 60:.0f} min left"
        return f"{self.remaining / 3600:.1f} h left"


def measure_pace(steps: int) -> Callable[[int], Pace | None]:
    """Measure the pace of a training run from reports of its steps.

    The time before the first report does not count, because the program starts and compiles in
    it.  The pace is measured over the last ``RECENT`` reports, because the speed of a machine
    changes.

    Args:
        steps: the number of steps of the whole run.

    Returns:
        A function to call with the number of completed steps; it returns None at the first call.
    """
    reports: deque[tuple[float, int]] = deque(maxlen=RECENT)

    def pace(done: int) -> Pace | None:
        reports.append((time.monotonic(), done))
        (then, before), (now, _) = reports[0], reports[-1]
        if done == before or now == then:
            return None
        speed = (done - before) / (now - then)
        return Pace(speed, (steps - done) / speed)

    return pace


def make_progress_reporter(
    steps: int, start: int = 0, title: str = ""
) -> Callable[[int, float], None]:
    """Make a function that reports the progress of a training run.

    On a terminal, one line is overwritten; in a log file, there are ten lines.

    Args:
        steps: the number of steps of the whole run.
        start: the number of steps completed before this process.
        title: the text at the start of each line.

    Returns:
        A function to call with the number of completed steps and the cost.
    """
    live = sys.stderr.isatty()
    tenths = start * 10 // steps
    pace = measure_pace(steps)

    def report(done: int, cost: float) -> None:
        nonlocal tenths
        now = pace(done)
        left = f"  {now}" if now and done < steps else ""
        line = f"{title}step {done}/{steps}  cost {cost:.4f}{left}"
        if live:
            print(f"\r{line}\x1b[K", end="\n" if done == steps else "", file=sys.stderr, flush=True)
        elif done == steps or done * 10 // steps > tenths:
            tenths = done * 10 // steps
            log(line)

    return report


def make_download_reporter(name: str) -> Callable[[int, int], None]:
    """Make a function that reports the progress of a download.

    On a terminal, one line is overwritten; in a log file, there are ten lines.

    Args:
        name: the name of the file.

    Returns:
        A function to call with the number of received bytes and the size of the file.
    """
    live = sys.stderr.isatty()
    tenths, last = -1, 0.0

    def report(done: int, size: int) -> None:
        nonlocal tenths, last
        line = f"{name}  {done / 1e6:.1f} of {size / 1e6:.1f} MB"
        now = time.monotonic()
        if live and (done == size or now - last > 0.1):
            last = now
            end = "\n" if done == size else "\r"  # the next message starts in column 0
            print(f"\x1b[K{line}", end=end, file=sys.stderr, flush=True)
        elif not live and done * 10 // size > tenths:
            tenths = done * 10 // size
            log(line)

    return report
