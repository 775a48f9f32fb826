"""How a published number is compared and printed."""

from __future__ import annotations

import math

import pytest

from catnet.course.record import Number, Table, numbers


@pytest.mark.parametrize(
    ("published", "ours", "agrees"),
    [
        ("0.69", 0.6949, True),
        ("0.69", 0.6951, False),
        (".5", 0.5, True),
        ("-1.25", -1.2549, True),
        ("90", 90.4, True),
        ("90", 90.6, False),
        ("1.19e-07", 1.194e-07, True),
        ("1.19e-07", 1.196e-07, False),
        ("0.12345678901234567", 0.1234567890123, True),  # as exact as float64
        ("0.12345678901234567", 0.1234567890, False),
        ("0.5", math.nan, False),
        ("Kica", "Kica", True),
        ("Kica", "Kico", False),
    ],
)
def test_a_number_agrees_to_its_printed_digits(published, ours, agrees) -> None:
    assert Number("it", published, ours).agrees is agrees


def test_a_tolerance_takes_the_place_of_the_digits() -> None:
    assert Number("it", "0.25", 0.26, 0.02).agrees
    assert not Number("it", "0.25", 0.2501, 1e-5).agrees


def test_a_row_has_the_digits_of_its_longest_number() -> None:
    [a, b] = numbers("x", ".5 .1234", [0.50004, 0.1234])
    assert (a.name, b.name) == ("x[0]", "x[1]")
    assert a.agrees
    assert not a._replace(ours=0.5001).agrees
    with pytest.raises(ValueError, match="shorter"):
        list(numbers("x", ".5 .1", [0.5]))


def test_a_table_as_text() -> None:
    rows = [
        Number("step 0", "0.500000", 0.5),
        Number("step 100", "0.250000", 0.2500004, note="3 of 4"),
        Number("name", "Kica", "Kica"),
    ]
    assert str(Table("made up", rows, ["a remark"])).splitlines() == [
        "made up",
        "",
        "          published  ours      difference",
        "step 0    0.500000   0.500000     0.0e+00",
        "step 100  0.250000   0.250000     4.0e-07  3 of 4",
        "name      Kica       Kica",
        "a remark",
        "reproduced: 3 numbers, the largest difference is 4.0e-07",
    ]


def test_what_differs_is_named() -> None:
    rows = [Number(f"step {i}", "0.50", ours) for i, ours in enumerate((0.5, 0.6, math.nan))]
    rows += [Number("name", "Kica", "Kico")]
    table = Table("made up", rows)
    assert not table.agrees
    lines = str(table).splitlines()
    assert [line.endswith("DIFFERS") for line in lines[3:-1]] == [False, True, True, True]
    assert lines[-1] == "NOT reproduced: 3 of 4 numbers differ: step 1, step 2, name"
