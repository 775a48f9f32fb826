"""``catnet compare``: what differs between runs, against runs whose answers are written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catnet.cli import main
from catnet.evaluation.metrics import mcnemar
from catnet.evaluation.report import evaluate
from catnet.training import results, run_folder, seen
from catnet.training.curves import Curves, Measure

CLASSES = ("ant", "bee", "cat")
NAMES = [f"test/{i}.png" for i in range(6)]


def make(folder: Path, answers: str, first: int = 0, **settings: object) -> Path:
    """A run that answers a letter for each image from ``first`` on; all images are of ants."""
    described = {"model": "deep", "steps": 2, "learning_rate": 0.1, "content": "hash", **settings}
    run_folder.create(folder, {**described, "cache": str(folder)})
    names = NAMES[first : first + len(answers)]
    p = [[0.8 * (name[0] == answer) + 0.1 for name in CLASSES] for answer in answers]
    result = evaluate([0] * len(answers), p, names, CLASSES)
    run_folder.write_json(folder / results.EVALUATION, result.as_json())
    Curves("test", [0.7, 0.5], [Measure(2, 0.9, 0.6, 0.8, float("nan"))]).write(folder)
    by_letter = {name[0]: name for name in CLASSES}
    rows = [
        f"{first + i:016x},{name},ant,{by_letter[answer]},0.8\n"
        for i, (name, answer) in enumerate(zip(names, answers, strict=True))
    ]
    (folder / results.ANSWERS).write_text("image,name,truth,answer,probability\n" + "".join(rows))
    return folder


def compare(capsys, *words: object, code: int = 0) -> str:
    capsys.readouterr()
    assert main.main(["compare", *map(str, words)]) == code
    got = capsys.readouterr()
    return got.err if code else got.out


def test_settings_scores_and_images_of_two_runs(tmp_path: Path, capsys) -> None:
    a = make(tmp_path / "a", "aabbc", hidden=[20, 7])
    b = make(tmp_path / "b", "abab", 1, hidden=[7], dropout=0.5)
    found = json.loads(compare(capsys, a, b, "--json"))
    assert found["settings"] == {"hidden": [[20, 7], [7]], "dropout": [None, 0.5]}
    [pair] = found["pairs"]
    assert pair == {
        "first": str(a),
        "second": str(b),
        "common": 4,
        "only_first": [],
        "only_second": ["test/3.png"],
        "other_answers": ["test/4.png"],
        "p": 1.0,
    }
    one = found["runs"][0]
    assert (one["steps"], one["cost"], one["accuracy"], one["examples"]) == (2, 0.5, 0.4, 5)
    assert one["measures"] == [
        {"step": 2, "training_accuracy": 0.9, "cost": 0.6, "accuracy": 0.8, "auc": None}
    ]
    text = compare(capsys, a, b)
    assert main.main(["compare", str(a), str(b)]) == 0
    line = f"{a} is not finished: its scores are those after 2 of 2 steps"
    assert line in capsys.readouterr().err  # it has no state of a finished training
    assert [line.split() for line in text.splitlines()[1:3]] == [
        ["hidden", "20", "7", "7"],
        ["dropout", "-", "0.5"],
    ]
    assert f"{a} and {b}, 4 test images in common\n  only {a} is right: 0" in text
    assert f"only {b} is right: 1\n    test/3.png\n" in text
    assert "both are wrong, differently: 1\n    test/4.png\n" in text
    assert "p = 1 (McNemar's exact test): the difference may be chance" in text
    assert "40.0%     11.8–76.9%" in text  # Wilson's interval of 2 of 5


def test_equal_runs_on_other_images(tmp_path: Path, capsys) -> None:
    a, b = make(tmp_path / "a", "aa"), make(tmp_path / "b", "ab", 3)
    text = compare(capsys, a, b)
    assert text.startswith("settings that differ: none\n")
    assert f"{a} and {b} have no test images in common: compare only their intervals" in text


def test_the_test_of_mcnemar_is_a_sum_of_binomials() -> None:
    """Of 4 coins, 1 or fewer heads, or 3 or more, are 10 of 16 cases."""
    assert mcnemar(1, 3) == mcnemar(3, 1) == 10 / 16
    assert mcnemar(0, 10) == 2 / 1024
    assert mcnemar(5, 5) == 1.0


def test_a_plot_is_drawn_once(tmp_path: Path, capsys) -> None:
    a, b = make(tmp_path / "a", "aa"), make(tmp_path / "b", "ab")
    out = tmp_path / "curves.png"
    compare(capsys, a, b, "--plot", out)
    content = out.read_bytes()
    assert content.startswith(b"\x89PNG")
    err = compare(capsys, a, b, "--plot", out, code=2)
    assert err == f"catnet: --plot {out}: exists already; choose another name\n"
    assert out.read_bytes() == content
    err = compare(capsys, a, b, "--plot", tmp_path / "curves.pdf", code=2)
    assert "curves.pdf: the drawing is a PNG; choose a name that ends in .png" in err


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["a"], "a: is one run; name the runs to compare it with, too"),
        (["a", "./a"], "./a: is given twice; name different runs"),
        (["a", "none"], "none: is not a run folder (No such file or directory)"),
        (["a", "begun"], "begun/answers.csv: No such file or directory; train the run to its end"),
        (["a", "old"], "old/metrics.csv: is not a file of this catnet; start a new run"),
    ],
)
def test_what_cannot_be_compared_is_one_line(names, line, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a", "aa")
    run_folder.create(tmp_path / "begun", {"model": "deep"})
    (make(tmp_path / "old", "ab") / "metrics.csv").write_text("step,cost\n")
    err = compare(capsys, *names, code=2)
    assert err.startswith(f"catnet: {line}")
    assert len(err.splitlines()) == 1


def test_networks_that_see_a_photo_differently_are_compared_on_the_same_images(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    """One squashes the whole photo, the other sees its middle: the test part is the same."""
    rng = np.random.default_rng(0)
    for name, colour in (("ant", (250, 60, 60)), ("bee", (60, 60, 250))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, colour, (9, 16, 3)).astype(np.uint8)
            photo = Image.fromarray(pixels).resize((160, 90), Image.Resampling.NEAREST)
            photo.save(tmp_path / "photos" / name / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    train = ["train", "photos", "--steps", "2"]
    assert main.main([*train, "--model", "logistic", "--out", "whole"]) == 0
    assert main.main([*train, "--from", "shipped", "--freeze", "--out", "middle"]) == 0
    capsys.readouterr()
    assert main.main(["compare", "whole", "middle", "--json"]) == 0
    [pair] = json.loads(capsys.readouterr().out)["pairs"]
    assert pair["common"] == 4
    whole, middle = (seen.read(tmp_path / run) for run in ("whole", "middle"))
    np.testing.assert_array_equal(whole, middle)  # type: ignore[arg-type]
