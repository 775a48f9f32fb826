"""Two wrong backward passes: their published results, the leaves that the check names, the page."""

from __future__ import annotations

import doctest
from pathlib import Path

import jax
import pytest

from catnet.course import cat_photos, mistakes, recurrent
from catnet.course.cat_photos import RUNS
from catnet.course.files import PHOTOS
from catnet.course.mistakes import WRONG_RUNS
from catnet.course.record import Options

PAGE = Path(__file__).parents[3] / ".docs" / "mistakes.rst"
ORDER = (RUNS[0], WRONG_RUNS[0], RUNS[1], WRONG_RUNS[1])  # of the columns of the page
pytestmark = pytest.mark.usefixtures("x64")


def wrong_leaves(check) -> list[str]:
    return [row.path for row in check.rows if not row.ok]


@pytest.mark.usefixtures("compiled_quickly")
def test_the_check_names_every_bias_and_nothing_else() -> None:
    check = mistakes.check_dense()
    assert wrong_leaves(check) == ["serial[0].dense(3).b", "serial[2].dense(2).b", "serial.params"]
    assert check.culprit is not None
    assert check.culprit.path == "serial[0].dense(3).b"


@pytest.mark.parametrize(("right", "wrong"), [*zip(RUNS, WRONG_RUNS, strict=True)])
def test_the_curves_of_the_wrong_rule(right, wrong, course_folder) -> None:
    pytest.importorskip("h5py", reason="needs h5py, of jaxnn[apps]")
    photos = cat_photos.load(course_folder)
    short = wrong._replace(costs=" ".join(wrong.costs.split()[:5]))
    net = mistakes.wrong_network(short.sizes)
    *costs, _, _ = cat_photos.reproduce(short, photos, net=net).numbers
    assert all(number.agrees for number in costs)
    assert len(costs) == 5
    # From step 100 on, the right rule has other costs.
    for number, cost in list(zip(costs, right.costs.split(), strict=False))[1:]:
        assert not number._replace(published=cost).agrees


def test_both_curves_are_printed_beside_each_other(monkeypatch, course_folder) -> None:
    def made_up(run, photos, net):
        rows = [mistakes.Number(f"step {i}", text, float(text)) for i, text in enumerate("12")]
        return mistakes.Table(run.name, [*rows, rows[0]._replace(note="3 of 4")])

    monkeypatch.setattr(cat_photos, "reproduce", made_up)
    monkeypatch.setattr(cat_photos, "load", lambda path: None)
    monkeypatch.setattr(mistakes, "without_time", lambda: [])
    monkeypatch.setattr(mistakes, "check_cell", lambda: "the cell's check")
    monkeypatch.setattr(mistakes, "check_dense", lambda: "the dense layers' check")
    options = Options({PHOTOS.name: course_folder})
    of_lstm, first, second = mistakes.run(options)
    assert "the cell's check" in of_lstm.notes
    assert "the dense layers' check" in second.notes
    assert first.numbers[1].note == "right rule: 0.6464320953428849"
    assert second.numbers[2].note == "right rule: 0.648263  3 of 4"


@pytest.mark.usefixtures("compiled_quickly")
def test_the_page_shows_what_the_code_prints() -> None:
    with jax.enable_x64(False):
        failed, tried = doctest.testfile(
            str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE
        )
    assert tried >= 3
    assert failed == 0


def test_the_tables_of_the_page_are_the_published_numbers() -> None:
    text = PAGE.read_text()
    curves = [[float(cost) for cost in run.costs.split()] for run in ORDER]
    for i in range(0, 25, 4):
        assert ", ".join([f"   {100 * i}", *(f"{costs[i]:.6f}" for costs in curves)]) in text
    assert ", ".join(["   test accuracy", *(run.test for run in ORDER)]) in text
    columns = zip(mistakes.without_time(), recurrent.lstm_backward(), strict=True)
    for numbers in columns:
        for number in numbers:
            assert number.published.replace("-.", "-0.").removeprefix(".") in text
