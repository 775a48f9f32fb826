"""The command line: training, evaluation and answers on small drawn data; errors of one line."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sequence_files import write, write_wav

from seqnet.cli.main import COMMANDS, main
from seqnet.data.examples import Examples
from seqnet.models.model import load
from seqnet.training import names, speech, text

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command: exit code, stdout, stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = main(list(map(str, arguments)))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, compiled_quickly: None) -> None:
    """Networks of few units, trained for few steps."""
    settings = {text: (8, (20, 40)), speech: (8, 2, 30), names: (8, 4)}
    for module, defaults in settings.items():
        parameters = dict(zip(module.train.__kwdefaults__, defaults, strict=True))
        monkeypatch.setattr(module.train, "__kwdefaults__", parameters)


def test_help_of_every_command_answers_without_jax() -> None:
    code = (
        "import sys; from seqnet.cli import main\n"
        "for command in [[], *([name] for name in main.COMMANDS)]:\n"
        "    try: main.main([*command, '--help'])\n"
        "    except SystemExit as stop: assert stop.code == 0\n"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: seqnet") == len(COMMANDS) + 1


def test_texts_are_learned_and_a_model_from_its_file_gives_the_answers(
    run: Run, small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    lines = ["label,text"]
    for i in range(60):
        word = ("dreadful", "splendid")[i % 2]
        others = draw.permutation(["the", "film", "was", word, "today"])
        lines.append(f'{("bad", "good")[i % 2]},"{" ".join(others)}"')
    data, out = write(tmp_path / "a.csv", "\n".join(lines)), tmp_path / "run"
    code, printed, _ = run("train", data, "--out", out)
    assert code == 0
    assert printed.startswith("test accuracy 100.0% (")
    assert json.loads((out / "evaluation.json").read_text()) == {"right": 6, "examples": 6}
    assert run("eval", out, data)[1].startswith("accuracy 100.0% (94.0–100.0%, 60 of 60), all of")

    code, printed, errors = run("predict", out, "a splendid day", " ", "dreadful?")
    assert code == 1
    assert [line.split()[0] for line in printed.splitlines()] == ["good", "bad"]
    assert errors == "seqnet: text 2: is empty\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("splendid\ndreadful\n"))
    answers = [json.loads(line) for line in run("predict", out, "-", "--json")[1].splitlines()]
    assert [(a["input"], a["label"]) for a in answers] == [
        ("splendid", "good"),
        ("dreadful", "bad"),
    ]
    p = load(out).probabilities(["splendid"])[0]
    assert answers[0]["probabilities"] == pytest.approx(dict(zip(("bad", "good"), p, strict=True)))

    assert run("train", data, "--out", out)[2] == (
        f"seqnet: {out}: exists; choose a new folder for --out\n"
    )
    names_file = write(tmp_path / "names.txt", "ann\nbob\n")
    assert run("eval", out, names_file)[2].endswith("is a model of text, " + str(names_file) +
                                                    " has names\n")  # fmt: skip
    assert run("write", out)[2].endswith("is a model of text; write needs one of names\n")


def test_sounds_are_learned_and_broken_files_are_named(
    run: Run, small: None, tmp_path: Path
) -> None:
    draw = np.random.default_rng(0)
    for i in range(24):
        pitch = np.linspace(*[(500, 2500), (2500, 500)][i % 2], 2000)
        sweep = np.sin(np.cumsum(2 * np.pi * pitch / 8000)) * draw.uniform(0.1, 0.9)
        write_wav(tmp_path / "data" / ("up", "down")[i % 2] / f"{i}.wav", sweep)
    broken = write(tmp_path / "data" / "up" / "broken.wav", b"RIFF")
    code, printed, errors = run("train", tmp_path / "data", "--out", tmp_path / "run")
    assert code == 0
    assert printed.startswith("test accuracy 100.0% (")
    assert errors.startswith(f"left out: {broken}: not a WAV file of PCM samples")
    paths = tmp_path / "data" / "up" / "0.wav", tmp_path / "data" / "down" / "1.wav"
    code, printed, errors = run("predict", tmp_path / "run", *paths, broken, tmp_path / "none")
    assert code == 1
    assert [line.split()[0] for line in printed.splitlines()] == ["up", "down"]
    assert [line.split(": ")[1] for line in errors.splitlines()] == [
        str(broken), str(tmp_path / "none"),
    ]  # fmt: skip


def test_names_are_learned_and_written(run: Run, small: None, tmp_path: Path) -> None:
    data = write(tmp_path / "names.txt", "\n".join("ab" * n for n in range(1, 25)))
    code, printed, _ = run("train", data, "--out", tmp_path / "run")
    assert code == 0
    cost, of_bigrams = (float(printed.split(", ")[i].split()[-1]) for i in (0, 1))
    assert 0 < cost < 1.5
    assert 0 < of_bigrams < 1
    code, written, _ = run("write", tmp_path / "run", "--count", "3", "--seed", "1")
    assert code == 0
    assert len(written.splitlines()) == 3
    assert set(written) <= set("ab\n")
    assert run("write", tmp_path / "run", "--count", "3", "--seed", "1")[1] == written
    assert run("eval", tmp_path / "run", data)[1].startswith("cost of a letter ")
    assert "use seqnet write" in run("predict", tmp_path / "run", "ab")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "{}/none", "--out", "{}/run"), "{}/none: no such file or folder"),
        (("train", "{}/a.csv", "--out", "{}/run"), "{}/a.csv: expected the columns text and labe"),
        (("eval", "{}/none", "{}/names.txt"), "model {}/none: No such file or directory"),
        (("predict", "{}/a.csv", "x"), "model {}/a.csv: not a safetensors file"),
        (("scores", "{}"), "{}: has none of the folders fsdd, names, rt-polarity, sst"),
    ],
)
def test_wrong_input_is_one_line_and_code_2(
    arguments: tuple[str, ...], message: str, run: Run, tmp_path: Path
) -> None:
    write(tmp_path / "a.csv", "words,kind\na,b\n")
    write(tmp_path / "names.txt", "ann\nbob\n")
    code, _, errors = run(*(argument.format(tmp_path) for argument in arguments))
    assert code == 2
    assert errors.startswith("seqnet: " + message.format(tmp_path))
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


class Rule(NamedTuple):
    """Stands for a trained model: the second class where ``holds``."""

    classes: tuple[str, ...]
    holds: Callable[[Any], bool]

    def probabilities(self, items: list[Any]) -> np.ndarray:
        return np.eye(2)[[int(self.holds(item)) for item in items]]


def test_an_interrupted_training_leaves_no_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(text, "train", stop)
    data = write(tmp_path / "a.csv", "text,label\na,x\nb,y\nc,x\nd,y\n")
    assert run("train", data, "--out", tmp_path / "run") == (130, "", "seqnet: stopped\n")
    assert not (tmp_path / "run").exists()


def test_scores_measure_on_what_was_not_trained_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[Examples] = []

    def train(data: Examples) -> Rule:
        trained.append(data)
        is_text = isinstance(data.items[0], str)
        holds = (lambda t: "splendid" in t) if is_text else (lambda s: abs(s[1]) > 0.5)
        return Rule(data.classes, holds)

    monkeypatch.setattr(text, "train", train)
    monkeypatch.setattr(speech, "train", train)
    for suffix, word in (("neg", "dreadful"), ("pos", "splendid")):
        lines = "".join(f"{word} {i} .\n" for i in range(20))
        write(tmp_path / "rt-polarity" / f"a.{suffix}", lines)
    for label, pitch in (("0", 500), ("1", 2000)):
        for speaker in ("ann", "bob"):
            for number in (0, 4, 5, 6):
                tone = np.sin(2 * np.pi * pitch * np.arange(300) / 8000)
                write_wav(tmp_path / "fsdd" / f"{label}_{speaker}_{number}.wav", tone)
    code, printed, _ = run("scores", tmp_path)
    assert code == 0
    results = [line.split(" (")[0].strip() for line in printed.splitlines() if line[0] == " "]
    assert results == ["100.0%", "100.0%", "ann 100.0%", "bob 100.0%", "all 100.0%"]
    assert [len(data.items) for data in trained] == [36] * 10 + [8, 8, 8]
    assert {item for data in trained[:10] for item in data.items} == {
        f"{word} {i} ." for word in ("dreadful", "splendid") for i in range(20)
    }
    assert [set(data.groups) for data in trained[10:]] == [{"ann", "bob"}, {"bob"}, {"ann"}]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_stream_is_like_dev_null(stream: str, tmp_path: Path) -> None:
    descriptor = {"stdout": 1, "stderr": 2}[stream]
    command = [sys.executable, "-m", "seqnet", "write", str(tmp_path / "no")]
    code = f"import os; os.close({descriptor}); os.execv({sys.executable!r}, {command})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == 2


def test_a_platform_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("ann\nbob\ncid\n")
    command = [sys.executable, "-m", "seqnet", "train", str(names), "--out", str(tmp_path / "run")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "JAX_PLATFORMS": "tpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("seqnet: JAX cannot start: ")
    assert not (tmp_path / "run").exists()
