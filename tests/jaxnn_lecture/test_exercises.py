"""The exercises: each has its planted mistakes, which the check names, and can be mended."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jaxnn_lecture.cli import EXERCISES, main
from jaxnn_lecture.exercises import CHECKS, check, read

README = Path(__file__).parents[2] / "apps/jaxnn_lecture/README.md"

# Number → the quantities that are wrong, and the mended lines.
MENDED = {
    1: ({"dw", "db"}, [("Y - A", "A - Y"), ("np.sum(dZ)\n", "np.sum(dZ) / m\n")]),
    2: ({"tanh", "ReLU"}, [("1 - tanh,", "1 - tanh**2,"), ("Z > 0, Z,", "Z > 0, 1.0,")]),
    3: (
        {"dW1", "db1"},
        [("A1 * (1 - A1)", "(1 - A1**2)"), ("dZ1, axis=1)", "dZ1, axis=1, keepdims=True)")],
    ),
    4: (
        {"W1", "W2"},
        [("np.ones((n_h, 1)) * ", ""), ("size=(1, n_x)", "size=(n_h, n_x)"), ("2 / 1", "2 / n_h")],
    ),
    5: ({"W[1]", "b[1]", "W[2]", "b[2]"}, [("new[l][0].T", "W.T")]),
}  # fmt: skip


@pytest.mark.parametrize("count", MENDED)
@pytest.mark.usefixtures("compiled_quickly")
def test_the_planted_mistakes_are_named_and_the_mended_file_is_right(
    count: int, tmp_path: Path
) -> None:
    wrong, changes = MENDED[count]
    file = tmp_path / "mine.py"
    file.write_text(read(count), "utf-8")
    assert {row.name for row in check(str(file)) if not row.right} == wrong
    text = read(count)
    for planted, right in changes:
        assert text.count(planted) == 1
        text = text.replace(planted, right)
    file.write_text(text, "utf-8")
    assert all(row.right for row in check(str(file)))


def test_all_exercises_are_offered() -> None:
    assert list(CHECKS) == list(MENDED) == list(range(1, EXERCISES + 1))


@pytest.mark.usefixtures("compiled_quickly")
def test_the_command_writes_and_checks_as_the_readme_shows(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--exercise", "1"]) == 0
    assert capsys.readouterr().out == "exercise-1.py\n"
    assert main(["--check", "exercise-1.py"]) == 1
    shown = re.findall(r"```\n(J .*?)```", README.read_text(), re.DOTALL)
    assert [capsys.readouterr().out] == shown
    assert main(["--exercise", "1"]) == 2  # the file of the user is not overwritten
    assert "exercise-1.py: exists already" in capsys.readouterr().err


BROKEN = {
    "def gradient(": ("line 12: SyntaxError", 1),
    "raise OSError('no')": ("line 12: OSError: no", 1),
    "def gradient(*all): return {}[3]": ("line 12: KeyError: 3", 1),
    "raise SystemExit(0)": ("line 12: SystemExit: 0", 1),
    "def gradient(*all): return 3": ("expected a dict of J, dw, db, got int", 1),
    "def gradient(*all): return {'J': 'x', 'dw': 1, 'db': 0}": ("expected numbers, got str", 1),
    "def other(): pass": ("has no function gradient", 2),
}


@pytest.mark.parametrize("code", BROKEN)
@pytest.mark.usefixtures("compiled_quickly")
def test_broken_code_is_said_in_one_line(code: str, tmp_path: Path, capsys) -> None:
    words, expected = BROKEN[code]
    file = tmp_path / "mine.py"
    head = read(1)[: read(1).index("import numpy")].rstrip()
    assert head.count("\n") == 8
    file.write_text(f"{head}\n\n\n{code}\n", "utf-8")
    assert main(["--check", str(file)]) == expected
    printed = capsys.readouterr()
    assert words in printed.out + printed.err


@pytest.mark.parametrize("content", [None, "import numpy", b"\xff\xfe"])
def test_a_file_that_is_no_exercise_is_refused(
    content: str | bytes | None, tmp_path, capsys
) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["--check", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"jaxnn-lecture: --check {file}: ")
    assert printed.err.count("\n") == 1
