"""``catnet published``: which sets run, what is printed, and the exit code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from catnet.cli import main
from catnet.course import published
from catnet.course.files import Need
from catnet.course.record import Number, Options, Set, Table

CONTENT = b"emma\n"
NAMES = Need("names.txt", hashlib.sha256(CONTENT).hexdigest())


def run(options: Options) -> Iterator[Table]:
    assert jax.numpy.zeros(()).dtype == "float64"
    yield Table(f"by {options.gradient}", [Number("cost", "0.50", 0.5)])


def run_with_names(options: Options) -> Iterator[Table]:
    count = len(options.files["names.txt"].read_text().split())
    yield Table("names", [Number("names", "2", float(count))])


@pytest.fixture(autouse=True)
def sets(monkeypatch) -> None:
    plain = Set("plain", "needs nothing", "a book", run)
    names = Set("names", "needs names", "a list", run_with_names, needs=(NAMES,))
    both = Set("both", "can use names", "a paper", run, optional=(NAMES,))
    monkeypatch.setattr(published, "SETS", (plain, names, both))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "names.txt").write_bytes(CONTENT)
    return tmp_path


def test_without_data_the_sets_without_files_run(capsys) -> None:
    assert main.main(["published"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "== plain: needs nothing",
        "   a book",
        "",
        "by hand",
        "",
        "      published  ours  difference",
        "cost  0.50       0.50     0.0e+00",
        "reproduced: 1 numbers, the largest difference is 0.0e+00",
        "",
        "== both: can use names",
        "   a paper",
        "",
        *["by hand", "", "      published  ours  difference", "cost  0.50       0.50     0.0e+00"],
        "reproduced: 1 numbers, the largest difference is 0.0e+00",
        "",
        "plain: 1 numbers reproduced",
        "both: 1 numbers reproduced",
        f"not run: names needs names.txt (SHA-256 {NAMES.sha256})",
        f"not run: a part of both needs names.txt (SHA-256 {NAMES.sha256})",
    ]
    assert "plain: " in printed.err
    assert not jax.config.jax_enable_x64  # type: ignore[attr-defined] - defined at run time


def test_a_number_that_differs_is_exit_code_1(folder, capsys) -> None:
    assert main.main(["published", str(folder)]) == 1
    last = capsys.readouterr().out.splitlines()[-3:]
    assert last[1] == "names: 1 of 1 numbers NOT reproduced"


def test_only_runs_what_it_names(folder, capsys) -> None:
    assert main.main(["published", "--only", "both", str(folder), "--gradient", "jax"]) == 0
    printed = capsys.readouterr().out
    assert "by jax" in printed
    assert "plain" not in printed
    assert "not run" not in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "plane"], "there is no set 'plane'; the sets are plain, names, both"),
        (["--only", "names"], "names needs names.txt (SHA-256 "),
        (["nowhere"], "nowhere: no such file or folder"),
        (["."], ".: has none of the files that the sets need: names.txt (SHA-256 "),
    ],
)
def test_what_cannot_run_is_one_line(arguments, message, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.main(["published", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"catnet: {message}")
    assert printed.err.count("\n") == 1


def test_the_list_of_sets(capsys) -> None:
    assert main.main(["published", "--list"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "plain           needs nothing",
        f"names           needs names; needs names.txt (SHA-256 {NAMES.sha256})",
        f"both            can use names; a part needs names.txt (SHA-256 {NAMES.sha256})",
    ]
