"""The time left is told from the pace of the last steps."""

from __future__ import annotations

import pytest

from catnet import terminal
from catnet.terminal import RECENT, make_progress_reporter, measure_pace


class Clock:
    """Stands still until it is told to go on."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(terminal, "time", clock)
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
