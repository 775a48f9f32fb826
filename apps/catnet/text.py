"""What is said at the terminal, beside the results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def say(text: str) -> None:
    """To the person at the terminal, beside the results."""
    print(text, file=sys.stderr, flush=True)


def one_line(name: str | None) -> str:
    """A name with whatever would break a line, or a terminal, written out.

    Example:
        >>> print(one_line("my\\ncat.png"))
        my\\ncat.png
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name or "")


def exact(number: float) -> str:
    """The shortest text that is this number and no other, for numbers that are names.

    Example:
        >>> exact(0.0075), exact(1.0), exact(0.0010000001)
        ('0.0075', '1', '0.0010000001')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(float(number))


def progress_line(steps: int, begun: int = 0) -> Callable[[int, float], None]:
    """Reports of a training as one line that is written over, or ten lines in a log file.

    Args:
        steps: of the whole training.
        begun: how many of them were done before now.
    """
    started = time.monotonic()
    live = sys.stderr.isatty()
    told = 0

    def report(done: int, cost: float) -> None:
        nonlocal told
        left = (time.monotonic() - started) / (done - begun) * (steps - done)
        line = f"step {done}/{steps}  cost {cost:.4f}  {left:.0f} s left"
        if live:
            print(f"\r{line}\x1b[K", end="\n" if done == steps else "", file=sys.stderr, flush=True)
        elif done == steps or done * 10 // steps > told:
            told = done * 10 // steps
            say(line)

    return report


def bytes_line(name: str) -> Callable[[int, int], None]:
    """Reports of a download as one line that is written over, or ten lines in a log file."""
    live = sys.stderr.isatty()
    told, last = -1, 0.0

    def report(done: int, size: int) -> None:
        nonlocal told, last
        line = f"{name}  {done / 1e6:.1f} of {size / 1e6:.1f} MB"
        now, tenth = time.monotonic(), done * 10 // size
        if live and (done == size or now - last > 0.1):
            last = now
            end = "\n" if done == size else "\r"  # back to the start, for whatever is said next
            print(f"\x1b[K{line}", end=end, file=sys.stderr, flush=True)
        elif not live and tenth > told:
            told = tenth
            say(line)

    return report
