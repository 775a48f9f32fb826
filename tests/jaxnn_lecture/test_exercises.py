"""The exercises: each planted mistake is found and named, and the mended layer is right."""

from __future__ import annotations

import os
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest

from jaxnn_lecture.cli import main
from jaxnn_lecture.exercises import EXERCISES, process, read
from jaxnn_lecture.exercises.diagnosis import Evidence, diagnose
from jaxnn_lecture.exercises.inputs import INPUTS
from jaxnn_lecture.exercises.judge import Verdict, judge

README = Path(__file__).parents[2] / "apps/jaxnn_lecture/README.md"

# Number → the leaf whose mistake is named, words of its name, the planted text and the right one.
MENDED = {
    1: ("b", "one number", "jnp.full(b.shape, jnp.sum(dZ))", "jnp.sum(dZ, axis=0)"),
    2: (
        "input",
        "detached state",
        "    for t in reversed(range(X.shape[1])):\n        f, i, o, g, h_prev, c_prev, c = "
        "steps[t]\n        dh = dc = jnp.zeros_like(h_prev)\n",
        "    dh = dc = jnp.zeros_like(steps[0][4])\n    for t in reversed(range(X.shape[1])):\n"
        "        f, i, o, g, h_prev, c_prev, c = steps[t]\n",
    ),
    3: ("b", "m times too large", "db = jnp.sum(dz)", "db = jnp.mean(dz)"),
    4: ("input", "factor (1 − A) is missing", "dA * A", "dA * A * (1 - A)"),
    5: ("input", "kink", "jnp.where(Z >= 0, dA, 0)", "jnp.where(Z > 0, dA, 0)"),
    6: (
        "input",
        "multiple of the output in each row",
        "A * dA",
        "A * (dA - (A * dA).sum(axis=-1, keepdims=True))",
    ),
    7: (
        "input",
        "same number in a whole row: that of the mean",
        "(dN - N",
        "(dN - jnp.mean(dN, axis=1, keepdims=True) - N",
    ),
    8: (
        "input",
        "x − mean in each column: that of the variance",
        "jnp.mean(dN, axis=0))",
        "jnp.mean(dN, axis=0) - N * jnp.mean(dN * N, axis=0))",
    ),
    9: ("input", "mask is forgotten", "dX = spread(dZ)", "dX = (spread(Z) == X) * spread(dZ)"),
    10: ("W", "axis 0 is reversed", "2 - k : 2 - k + steps", "k : k + steps"),
    11: ("U", "transposed", "h_prev.T @ dz", "dz.T @ h_prev"),
    12: ("input[0]", "the sign is wrong", "(C - H)", "(H - C)"),
    13: ("E", "more than once", ".set(dZ)", ".add(dZ)"),
    14: (
        "input[1]",
        "√n times too large",
        "transpose(dS) @ Q\n",
        "transpose(dS) @ Q / Q.shape[-1] ** 0.5\n",
    ),
    15: (
        "input[0]",
        "mask is False",
        "jnp.broadcast_to((dZ / steps)[:, None, :], X.shape)",
        "jnp.where(mask[:, :, None], (dZ / steps)[:, None, :], 0)",
    ),
    16: ("input", "dA is missing", "dX = dZ @", "dX = dA + dZ @"),
}


def judge_text(number: int, text: str, tmp_path: Path) -> Verdict:
    """Judge the layer of a text, with one small batch."""
    file = tmp_path / "mine.py"
    file.write_text(text, "utf-8")
    layer = runpy.run_path(str(file))["layer"]
    return judge(number, layer, file=str(file), examples=(4,))


@pytest.mark.parametrize("number", EXERCISES)
@pytest.mark.usefixtures("compiled_quickly")
def test_a_planted_mistake_is_named_and_the_mended_layer_is_right(number, tmp_path) -> None:
    leaf, words, planted, right = MENDED[number]
    text = read(number)
    verdict = judge_text(number, text, tmp_path)
    assert not verdict.ok
    [kind] = [kind for kind, leaves in verdict.kinds.items() if leaf in leaves]
    assert words in kind
    assert f"looks like: {leaf}: {kind}" in str(verdict)
    assert text.count(planted) == 1
    verdict = judge_text(number, text.replace(planted, right), tmp_path)
    assert verdict.ok, str(verdict)
    assert str(verdict).endswith("every gradient is right")


def test_an_exercise_says_its_number_and_its_title() -> None:
    for number, one in EXERCISES.items():
        assert read(number).startswith(f'"""Exercise {number} of jaxnn-lecture: {one.title}.\n')


@pytest.mark.parametrize(
    ("old", "new", "row", "kind"),
    [
        ("jnp.full(b.shape, jnp.sum(dZ))", "jnp.sum(dZ)", "b", "a sum over an axis too many"),
        ("dZ.T @ X", "X.T @ dZ", "W", "W: it is transposed"),
        ("jnp.sum(dZ))", "jnp.nan)", "b", "not a number"),
        ("dX = dZ @ W", "dX = jnp.zeros_like(X)", "input", "0 everywhere"),
        ("W.T + b,", "W.T + 2 * b,", "forward", "leave forward as it was"),
        ("dX = dZ @ W", "raise OSError('no')", "backward", "backward raises OSError: no (line 32)"),
        ("X @ W.T + b,", "X @ V.T + b,", "forward", "name 'V' is not defined (line 25)"),
    ],
)
@pytest.mark.usefixtures("compiled_quickly")
def test_other_mistakes_are_named_too(old, new, row, kind, tmp_path) -> None:
    verdict = judge_text(1, read(1).replace(old, new), tmp_path)
    assert re.search(rf"^{row} .* FAIL", str(verdict), re.MULTILINE), str(verdict)
    assert kind in str(verdict)


RIGHT = np.random.default_rng(0).normal(size=(3, 4))


@pytest.mark.parametrize(
    ("by_hand", "kind"),
    [
        (-RIGHT, "the sign is wrong"),
        (-3 * RIGHT, "the sign is wrong, and it is m times too large"),
        (RIGHT / 3, "it is m times too small"),
        (2.5 * RIGHT, "it is 2.5 times the right one"),
        (RIGHT[::-1], "the order along axis 0 is reversed"),
        (RIGHT + 1, "the same number in a whole row"),
        (RIGHT + RIGHT**2, ""),
    ],
)
def test_numbers_are_enough_for_a_diagnosis(by_hand: np.ndarray, kind: str) -> None:
    x, y, dy = np.random.default_rng(1).normal(size=(3, 3, 4))
    said = diagnose([Evidence(by_hand, RIGHT, True, x, y, dy, {"m": 3})])
    assert said.startswith(kind) if not kind.startswith("the same") else kind in said
    assert bool(said) == bool(kind)


def test_a_kind_has_to_fit_all_inputs() -> None:
    def times(factor: float, m: int) -> Evidence:
        return Evidence(factor * RIGHT, RIGHT, True, RIGHT, RIGHT**2, RIGHT**3, {"m": m})

    assert diagnose([times(3, 3), times(5, 5)]).startswith("it is m times too large")
    assert diagnose([times(3, 3), times(3, 5)]).startswith("it is 3 times the right one")
    assert diagnose([times(3, 3), times(2, 5)]) == ""


def test_the_lines_of_the_readme_print_what_it_shows(tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    section = README.read_text("utf-8").partition("## Exercises")[2]
    block, shown = re.findall(r"```(?:bash)?\n(.*?)```", section, re.DOTALL)[:2]
    lines = [shlex.split(line)[1:] for line in block.splitlines()]
    assert [main(line) for line in lines] == [0, 0, 1]
    out, err = capfd.readouterr()
    last_digits = re.compile(r"\de[-+]\d\d")  # depend on the processor
    assert last_digits.sub("", out).endswith("exercise-1.py\n" + last_digits.sub("", shown))
    assert err == ""


def test_the_command_lists_the_exercises_and_overwrites_nothing(tmp_path, capsys) -> None:
    assert main(["--exercise"]) == 0
    listed = capsys.readouterr().out
    assert re.findall(r"^ *(\d+)  (.*)$", listed, re.MULTILINE) == [
        (str(number), one.title) for number, one in EXERCISES.items()
    ]
    mine = tmp_path / "mine.py"
    mine.write_text("mine")
    assert main(["--exercise", "1", "--out", str(mine)]) == 2
    assert f"{mine}: exists already" in capsys.readouterr().err
    assert mine.read_text() == "mine"


HEAD = '"""Exercise 4 of jaxnn-lecture: the sigmoid."""\n'

BROKEN = {
    "def layer(": "line 2: SyntaxError",
    "raise OSError('no')": "line 2: OSError: no",
    "print('hello'); raise SystemExit(0)": "line 2: SystemExit: 0",
    "import os; os._exit(3)": "ended its process with exit code 3",
    "input()": "line 2: EOFError",
    "while True: pass": "is not done after 1 s",
    "layer = 3": "expected a jaxnn.Layer with the name layer, got one of type int",
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_file_that_is_no_layer_is_one_line(code: str, tmp_path: Path, capfd) -> None:
    file = tmp_path / "mine.py"
    file.write_text(HEAD + code, "utf-8")
    limit = ["--time-limit", "1"] if code.startswith("while") else []
    assert main(["--check", str(file), *limit]) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    said = [line for line in printed.err.splitlines() if line != "hello"]
    assert len(said) == 1
    assert said[0].startswith(f"jaxnn-lecture: --check {file}: {BROKEN[code]}")


@pytest.mark.parametrize(
    "content", [None, b"import numpy", b"\xff\xfe", b"Exercise 99 of jaxnn-lecture"]
)
def test_a_file_that_is_no_exercise_is_refused(content: bytes | None, tmp_path, capsys) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_bytes(content)
    assert main(["--check", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"jaxnn-lecture: --check {file}: ")
    assert printed.err.count("\n") == 1


def test_the_time_limit_ends_what_the_file_has_started(tmp_path: Path) -> None:
    file, pipe = tmp_path / "mine.py", tmp_path / "pipe"
    child = "import time; time.sleep(20); print('outlived', flush=True)"
    file.write_text(
        f"{HEAD}import subprocess, sys\nwith open({str(pipe)!r}, 'w') as out:\n"
        "    print('started', file=out, flush=True)\n"
        f"    subprocess.run([sys.executable, '-c', {child!r}], stdout=out)\n",
        "utf-8",
    )
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reading:  # noqa: PTH123
        assert main(["--check", str(file), "--time-limit", "2"]) == 2
        os.set_blocking(reading.fileno(), True)
        assert reading.read() == "started\n"  # to the end: no process has it open


def test_a_check_says_the_seed_that_repeats_it(tmp_path: Path, monkeypatch, capsys) -> None:
    calls = []

    def check(path: str, seed: int, limit: float) -> process.Result:
        calls.append(seed)
        return process.Result("", True)

    monkeypatch.setattr(process, "check", check)
    for _ in range(5):
        assert main(["--check", "mine.py"]) == 0
    assert len(set(calls)) > 1
    assert main(["--check", "mine.py", "--seed", "7"]) == 0
    assert calls[-1] == 7


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_have_random_sizes(name: str) -> None:
    drawn = [INPUTS[name](np.random.default_rng(seed), 4) for seed in range(20)]
    sizes = [tuple(one.items()) for _, one in drawn]
    assert len(set(sizes)) > 1
    assert len({dict(one).get("T") for one in sizes}) > 1 or "T" not in dict(sizes[0])
