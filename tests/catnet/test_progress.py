"""Progress: the pace of the last steps, a bar on a terminal, lines elsewhere, none if quiet."""

from __future__ import annotations

import io
import threading
import time
from types import SimpleNamespace

import pytest

from catnet import process, progress, terminal
from catnet.progress import RECENT, format_bar, make_progress_reporter, measure_pace, track


class Clock:
    """Stands still until it is told to go on."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_the_time_before_the_first_report_does_not_count(clock: Clock) -> None:
    pace = measure_pace(1000)
    clock.now += 500  # start and compilation
    assert pace(10) is None
    clock.now += 2
    assert pace(20) == (5.0, 980 / 5)


def test_the_pace_is_that_of_the_last_reports(clock: Clock) -> None:
    pace = measure_pace(10_000)
    for done in range(0, 500, 10):
        clock.now += 1
        pace(done)
    for done in range(500, 500 + RECENT):  # ten times as slow from now on
        clock.now += 1
        result = pace(done)
    assert result
    assert result.speed == pytest.approx(1)
    assert result.remaining == pytest.approx(10_000 - (499 + RECENT))


def test_a_clock_that_stands_still_gives_no_pace(clock: Clock) -> None:
    pace = measure_pace(10)
    assert (pace(1), pace(2)) == (None, None)


def test_lines_of_progress(clock: Clock, capsys) -> None:
    report = make_progress_reporter(100, title="all layers  ")
    for done in (10, 15, 20, 60, 100):
        clock.now += 30
        report(done, 0.5)
    assert capsys.readouterr().err.splitlines() == [
        "all layers  step 10/100  cost 0.5000",
        "all layers  step 20/100  cost 0.5000  8 min left",
        "all layers  step 60/100  cost 0.5000  72 s left",
        "all layers  step 100/100  cost 0.5000",
    ]


def test_a_training_that_goes_on_counts_from_where_it_was(clock: Clock, capsys) -> None:
    report = make_progress_reporter(100, 50)
    for done in (55, 60):
        clock.now += 1
        report(done, 0.5)
    assert capsys.readouterr().err.splitlines() == ["step 60/100  cost 0.5000  8 s left"]


class Terminal(io.StringIO):
    """A terminal as stderr."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tty(monkeypatch) -> Terminal:
    """A command that runs on a terminal; pytest replaces the real streams before each test."""
    streams = SimpleNamespace(stderr=Terminal(), stdout=Terminal())
    for module in (terminal, progress):
        monkeypatch.setattr(module, "sys", streams)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(terminal, "_live_wanted", True)
    monkeypatch.setattr(terminal, "_quiet", False)
    monkeypatch.setattr(terminal, "_live", "")
    return streams.stderr


def shown(tty: Terminal) -> list[str]:
    """The lines that were shown, one over the other."""
    return [line.removesuffix("\x1b[K") for line in tty.getvalue().split("\r")[1:]]


def test_a_bar_with_rate_and_time_left_after_two_seconds(clock: Clock, tty: Terminal) -> None:
    for _ in track(range(10), 10, "images"):
        clock.now += 0.5
    lines = shown(tty)
    assert lines[0].endswith("░  5/10 images")  # after 2.5 s
    assert lines[1] == "██████████████░░░░░░░░░░  6/10 images  2/s  2 s left"
    assert lines[-1] == ""  # it is removed at the end


def test_what_is_quick_shows_no_bar(clock: Clock, tty: Terminal) -> None:
    assert list(track(range(1000), 1000, "images")) == list(range(1000))
    assert tty.getvalue() == ""


@pytest.mark.parametrize("why", ["piped", "quiet", "imported"])
def test_no_bar_where_nobody_looks(why, clock: Clock, tty: Terminal, monkeypatch) -> None:
    if why == "piped":
        monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    elif why == "quiet":
        terminal.start_command(quiet=True)
    else:
        monkeypatch.setattr(terminal, "_live_wanted", False)
    for _ in track(range(10), 10, "images"):
        clock.now += 5
    report = make_progress_reporter(100)
    if why == "quiet":
        for done in (10, 50, 100):
            report(done, 0.5)
        terminal.log("a message")
    assert tty.getvalue() == ""


def test_a_bar_inside_another_one_is_not_shown(clock: Clock, tty: Terminal) -> None:
    for _ in track(range(2), 2, "images"):
        for _ in track(range(10), 10, "batches"):
            clock.now += 5
    assert "images" in tty.getvalue()
    assert "batches" not in tty.getvalue()
    for _ in track(range(10), 10, "batches"):  # the other one has ended
        clock.now += 5
    assert "batches" in tty.getvalue()


def test_messages_and_results_take_the_place_of_the_bar(tty: Terminal) -> None:
    terminal.start_command()
    terminal.show_live("a bar")
    terminal.log("a message")
    assert tty.getvalue() == "\ra bar\x1b[K\r\x1b[Ka message\n"
    terminal.show_live("a bar")
    print("a result", file=terminal.sys.stdout)
    assert tty.getvalue().endswith("\ra bar\x1b[K\r\x1b[K")
    terminal.show_live("x" * 300)
    assert shown(tty)[-1] == "x" * 99  # a line that is not broken


def test_training_on_a_terminal_is_a_bar_and_a_last_line(clock: Clock, tty: Terminal) -> None:
    report = make_progress_reporter(100)
    for done in (10, 20, 100):
        clock.now += 2
        report(done, 0.5)
    assert shown(tty)[1].endswith("  20/100 steps  5/s  16 s left  cost 0.5000")
    assert tty.getvalue().endswith("step 100/100  cost 0.5000\n")


def test_a_terminal_that_is_not_utf8_has_a_plain_bar(tty: Terminal, monkeypatch) -> None:
    monkeypatch.setattr(Terminal, "encoding", "iso-8859-1")
    assert format_bar(1, 2, "images", None) == "############............  1/2 images"


def test_a_command_in_silence_says_how_long_it_runs(tty: Terminal, monkeypatch) -> None:
    monkeypatch.setattr(progress, "WAIT", 0.01)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    with progress.show_elapsed():
        for _ in range(1000):
            if not tty.getvalue():
                time.sleep(0.005)
    assert shown(tty)[0] == "running for 0 s"
    assert shown(tty)[-1] == ""


def test_a_quiet_command_does_not_say_how_long_it_runs(tty: Terminal, monkeypatch) -> None:
    """As in a process: it is quiet once its arguments are parsed, after the start."""
    asked = threading.Semaphore(0)

    def ask() -> bool:
        live = terminal.shows_live()
        monkeypatch.setattr(terminal, "_quiet", True)
        asked.release()
        return live

    monkeypatch.setattr(progress, "shows_live", ask)
    monkeypatch.setattr(progress, "WAIT", -1)
    monkeypatch.setattr(progress, "EVERY", 0.001)
    with progress.show_elapsed():
        assert all(asked.acquire(timeout=60) for _ in range(4))
    assert tty.getvalue() == ""


def test_a_command_gives_back_the_output(tty: Terminal, monkeypatch) -> None:
    streams = terminal.sys
    streams.stdin = io.StringIO()
    monkeypatch.setattr(process, "sys", streams)
    before = streams.stdout
    assert process.run_guarded("catnet", lambda: int(streams.stdout is before)) == 0
    assert streams.stdout is before
    assert not terminal.shows_live()
