"""What is said at the terminal, beside the results."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

RECENT = 20  # reports that a speed is measured over


def log(text: str) -> None:
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


class Pace(NamedTuple):
    """How fast a training is: steps a second, and the seconds until its end."""

    speed: float
    left: float

    def __str__(self) -> str:
        """The time left, in a unit that suits it.

        Example:
            >>> [str(Pace(1, seconds)) for seconds in (5, 150, 9000)]
            ['5 s left', '2 min left', '2.5 h left']
        """
        if self.left < 100:
            return f"{self.left:.0f} s left"
        if self.left < 6000:
            return f"{self.left / 60:.0f} min left"
        return f"{self.left / 3600:.1f} h left"


def pace_of(steps: int) -> Callable[[int], Pace | None]:
    """Measures the pace of a training from reports of the steps done.

    The time before the first report does not count: in it the program starts and compiles.  After
    that the last reports decide, since the speed of a machine changes.

    Args:
        steps: of the whole training.

    Returns:
        A function of the steps done; it gives None at the first report.
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


def progress_line(steps: int, begun: int = 0, title: str = "") -> Callable[[int, float], None]:
    """Reports of a training as one line that is written over, or ten lines in a log file.

    Args:
        steps: of the whole training.
        begun: how many of them were done before now.
        title: what each line begins with.
    """
    live = sys.stderr.isatty()
    told = begun * 10 // steps
    pace = pace_of(steps)

    def report(done: int, cost: float) -> None:
        nonlocal told
        now = pace(done)
        left = f"  {now}" if now and done < steps else ""
        line = f"{title}step {done}/{steps}  cost {cost:.4f}{left}"
        if live:
            print(f"\r{line}\x1b[K", end="\n" if done == steps else "", file=sys.stderr, flush=True)
        elif done == steps or done * 10 // steps > told:
            told = done * 10 // steps
            log(line)

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
            log(line)

    return report
