"""Progress on the terminal: a bar with the rate and the time left; lines in a log file."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

from catnet.terminal import clear_live, log, show_live, shows_live, silence

RECENT = 20  # number of reports over which the speed is measured
WAIT = 2.0  # seconds before a bar is shown
EVERY = 0.2  # seconds between two drawings of a bar
WIDTH = 24  # of a bar

_active = False  # whether a bar of ``track`` is in use

Item = TypeVar("Item")


class Pace(NamedTuple):
    """The speed of a task.

    Attributes:
        speed: units, such as steps or images, per second.
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


def measure_pace(total: int) -> Callable[[int], Pace | None]:
    """Measure the pace of a task from reports of what is done.

    The time before the first report does not count, because the program starts and compiles in
    it.  The pace is measured over the last ``RECENT`` reports, because the speed of a machine
    changes.

    Args:
        total: the number of units, such as steps or images, of the whole task.

    Returns:
        A function to call with the number of completed units; it returns None at the first call.
    """
    reports: deque[tuple[float, int]] = deque(maxlen=RECENT)

    def pace(done: int) -> Pace | None:
        reports.append((time.monotonic(), done))
        (then, before), (now, _) = reports[0], reports[-1]
        if done == before or now == then:
            return None
        speed = (done - before) / (now - then)
        return Pace(speed, (total - done) / speed)

    return pace


def format_bar(done: int, total: int, unit: str, pace: Pace | None) -> str:
    """A bar, what is done, the rate and the time left.

    Example:
        >>> print(format_bar(3, 12, "images", Pace(1.5, 6)))
        ██████░░░░░░░░░░░░░░░░░░  3/12 images  1.5/s  6 s left
    """
    full = min(WIDTH, WIDTH * done // max(total, 1))
    ink, paper = "█░" if (sys.stderr.encoding or "").lower().startswith("utf") else "#."
    parts = [ink * full + paper * (WIDTH - full), f"{done}/{total} {unit}"]
    if pace and done < total:
        parts += [f"{pace.speed:.3g}/s" if pace.speed < 100 else f"{pace.speed:.0f}/s", str(pace)]
    return "  ".join(parts)


def track(items: Iterable[Item], total: int, unit: str, title: str = "") -> Iterator[Item]:
    """Yield the items; a command on a terminal shows a bar, if they take more than two seconds.

    Inside the items of another bar, none is shown: the terminal has one line for it.

    Args:
        items: what is done one after the other.
        total: their number.
        unit: what they are, such as ``images``.
        title: the text before the bar.
    """
    global _active
    if _active or not shows_live():
        yield from items
        return
    _active = True
    pace, shown, due = measure_pace(total), False, time.monotonic() + WAIT
    try:
        for done, item in enumerate(items):
            if time.monotonic() > due:
                shown, due = True, time.monotonic() + EVERY
                show_live(title + format_bar(done, total, unit, pace(done)))
            yield item
    finally:
        _active = False
        if shown:
            clear_live()


@contextlib.contextmanager
def show_elapsed() -> Iterator[None]:
    """While the block runs in silence, on a terminal, show for how long it has run."""
    if not shows_live():
        yield
        return
    start, ended = time.monotonic(), threading.Event()

    def tick() -> None:
        while not ended.wait(EVERY):
            if shows_live() and silence() > WAIT:  # --quiet is known once the block runs
                show_live(f"running for {time.monotonic() - start:.0f} s", silent=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        clear_live()


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
    live = shows_live()
    tenths = start * 10 // steps
    pace = measure_pace(steps)

    def report(done: int, cost: float) -> None:
        nonlocal tenths
        now = pace(done)
        if live and done < steps:
            show_live(f"{title}{format_bar(done, steps, 'steps', now)}  cost {cost:.4f}")
        elif done == steps or done * 10 // steps > tenths:
            tenths = done * 10 // steps
            left = f"  {now}" if now and done < steps else ""
            log(f"{title}step {done}/{steps}  cost {cost:.4f}{left}")

    return report


def make_download_reporter(name: str) -> Callable[[int, int], None]:
    """Make a function that reports the progress of a download.

    On a terminal, one line is overwritten; in a log file, there are ten lines.

    Args:
        name: the name of the file.

    Returns:
        A function to call with the number of received bytes and the size of the file.
    """
    live = shows_live()
    tenths, last, pace = -1, 0.0, None

    def report(done: int, size: int) -> None:
        nonlocal tenths, last, pace
        now = time.monotonic()
        pace = pace or measure_pace(size)
        if live and done < size and now - last > EVERY:
            last, rate = now, pace(done)
            rate = rate and Pace(rate.speed / 1e6, rate.remaining)
            show_live(f"{name}  {format_bar(int(done / 1e6), round(size / 1e6), 'MB', rate)}")
        elif done * 10 // size > tenths and (not live or done == size):
            tenths = done * 10 // size
            log(f"{name}  {done / 1e6:.1f} of {size / 1e6:.1f} MB")

    return report
