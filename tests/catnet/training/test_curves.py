"""Curves of a training, early stopping by them, and runs that are extended."""

from __future__ import annotations

import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from redblue import contents, write

from catnet import Classifier
from catnet.cli import main
from catnet.cli import train as train_command
from catnet.data import dataset
from catnet.errors import UserError
from catnet.evaluation import plots
from catnet.training import descent, results
from catnet.training.curves import Curves, Measure, Rule
from catnet.training.measuring import choose_measured

NAN = math.nan
MEASURES = [Measure(10, 0.5, 0.7, 0.6, 0.8), Measure(20, 0.6, 0.5, 0.7, 0.8)]
MEASURES += [Measure(30, 0.7, 0.5, 0.8, 0.9), Measure(40, 0.8, 0.6, 0.9, NAN)]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    curves = Curves("validation", [0.7, 0.1 + 0.2], [Measure(1, 0.5, 0.7, 1 / 3, NAN)])
    curves.measures.append(Measure(2, 1.0, 0.6, 0.5, 0.75))
    curves.write(tmp_path)
    assert (tmp_path / "metrics.csv").read_text().splitlines() == [
        "step,cost,training_accuracy,validation_cost,validation_accuracy,validation_auc",
        "0,0.7,,,,",
        "1,0.30000000000000004,0.5,0.7,0.3333333333333333,",
        "2,,1.0,0.6,0.5,0.75",
    ]
    again = Curves.read(tmp_path)
    assert (again.part, again.costs) == (curves.part, curves.costs)
    assert again.measures[1] == curves.measures[1]
    assert again.measures[0][:4] == curves.measures[0][:4]
    assert math.isnan(again.measures[0].auc)
    (tmp_path / "metrics.csv").write_text("step,cost\n0,0.7\n")
    with pytest.raises(UserError, match=r"metrics\.csv: is not a file of this catnet"):
        Curves.read(tmp_path)


def test_the_best_is_the_first_of_the_lowest_cost_or_of_the_highest_auc() -> None:
    assert Rule().best(MEASURES) is MEASURES[1]
    assert Rule(by_cost=False).best(MEASURES[:3]) is MEASURES[2]
    assert Rule().best([Measure(1, 0.5, NAN, 0.5, NAN)]) is None
    many = [measure._replace(auc=NAN) for measure in MEASURES]
    assert Rule(by_cost=False).best(many) is many[3]  # of more than two classes: the accuracy


@pytest.mark.parametrize(
    ("patience", "since", "over"),
    [(None, 0, False), (20, 0, True), (21, 0, False), (20, 30, False)],
)
def test_patience_counts_from_the_best_or_from_an_extension(patience, since, over) -> None:
    assert Rule(True, patience, since).is_over(MEASURES) == over


def test_the_images_that_are_measured_are_spread_over_all() -> None:
    chosen = choose_measured(5000)
    assert (len(set(chosen.tolist())), chosen[0], chosen[-1]) == (1000, 0, 4999)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Every tenth training image has the wrong label: the validation cost rises in the end."""
    folder = write(tmp_path_factory.mktemp("images") / "data", 0, {"train": 30, "test": 8})
    for i in range(0, 30, 5):
        one, other = (folder / "train" / name / f"{i}.png" for name in ("cat", "non-cat"))
        one.rename(folder / "train" / "non-cat" / f"wrong-{i}.png")
        other.rename(folder / "train" / "cat" / f"wrong-{i}.png")
    return folder


@pytest.fixture(autouse=True)
def short(monkeypatch) -> None:
    """Chunks of 7 steps, and nothing is drawn."""
    monkeypatch.setattr(descent, "CHUNK", 7)
    monkeypatch.setattr(descent, "choose_every", lambda steps: 7)
    for name in ("learning_curves", "confusion_matrix", "mistakes"):
        monkeypatch.setattr(plots, name, lambda *_: None)


HOW = ["--model", "shallow", "--hidden", "3", "--learning-rate", "0.02"]


def train(data: Path, out: Path, *how: str) -> int:
    return main.main(["train", str(data), *HOW, "--save-every", "1e-9", "--out", str(out), *how])


def resume(folder: Path, *how: str) -> int:
    return main.main(["train", "--resume", str(folder), "--save-every", "1e-9", *how])


class Killed(BaseException):
    """Ends a training as ``kill -9`` does."""


def kill_at(step: int, monkeypatch) -> None:
    """Kill the next training that reports a step of at least this."""

    def report(done: int, cost: float) -> None:
        if done >= step:
            raise Killed

    monkeypatch.setattr(train_command, "make_progress_reporter", lambda *_, **__: report)


def test_the_last_row_is_what_the_model_does(data: Path, tmp_path: Path) -> None:
    """Against the saved model and the formula of the cost."""
    assert train(data, tmp_path / "run", "--steps", "20") == 0
    curves = Curves.read(tmp_path / "run")
    assert [measure.step for measure in curves.measures] == [7, 14, 20]
    assert curves.part == "test"
    train_part, test_part = dataset.load(data)
    assert test_part
    model = Classifier.load(tmp_path / "run")
    z, y = model.logits(test_part.images), test_part.labels
    last = curves.measures[-1]
    assert last.cost == pytest.approx(np.mean(np.log1p(np.exp(-z * (2 * y - 1)))), rel=1e-5)
    assert last.accuracy == np.mean((z > 0) == y)
    pairs = z[y == 1][:, None] - z[y == 0]
    assert last.auc == np.mean((pairs > 0) + (pairs == 0) / 2)
    z = model.logits(train_part.images)
    assert last.training_accuracy == np.mean((z > 0) == train_part.labels)
    answers = results.read_answers(tmp_path / "run")
    right = np.array([answer.truth == answer.answer for answer in answers])
    assert np.mean(right) == json.loads((tmp_path / "run/evaluation.json").read_text())["accuracy"]
    assert [answer.name for answer in answers] == test_part.names


@pytest.mark.parametrize("optimizer", ["gd", "adam"])
def test_a_run_that_is_extended_is_one_that_had_the_steps_from_the_start(
    optimizer: str, data: Path, tmp_path: Path, monkeypatch
) -> None:
    whole, two, cut = (tmp_path / name / "run" for name in ("whole", "two", "cut"))
    how = ["--optimizer", optimizer, "--learning-rate", "0.002"]
    assert train(data, whole, *how, "--steps", "42") == 0
    for folder in (two, cut):
        assert train(data, folder, *how, "--steps", "21") == 0
    assert resume(two, "--steps", "42") == 0
    for name in ("model.safetensors", "metrics.csv", "answers.csv", "learnt.npy"):
        assert (two / name).read_bytes() == (whole / name).read_bytes()
    config = json.loads((two / "config.json").read_text())
    assert (config["steps"], config["extended_at"]) == (42, [21])
    with monkeypatch.context() as patch:
        kill_at(30, patch)
        with pytest.raises(Killed):
            resume(cut, "--steps", "42")
    assert resume(cut) == 0
    assert contents(cut) == contents(two)


def test_an_extension_that_is_refused_changes_nothing(data, tmp_path: Path, capsys) -> None:
    assert train(data, tmp_path / "run", "--steps", "14") == 0
    other = write(tmp_path / "other", 0, {"train": 4, "test": 2})
    before = contents(tmp_path / "run")
    capsys.readouterr()
    for how, line in [
        (
            ["--steps", "7"],
            "--steps 7: {} has 14 steps; give more to extend it, or start a new run",
        ),
        (["--steps", "20", "--seed", "2"], "--seed: {} was started with 1; leave it out, or start"),
        (["--steps", "20", str(other)], f"{other}: is not the data that {{}} was started with"),
    ]:
        assert main.main(["train", "--resume", str(tmp_path / "run"), *how]) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("catnet: " + line.format(tmp_path / "run"))
        assert contents(tmp_path / "run") == before


def test_a_training_stops_early_with_the_best_weights(
    data: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    how = ["--steps", "350", "--patience", "35"]
    assert train(data, whole, *how) == 0
    curves = Curves.read(whole)
    assert curves.part == "validation"
    costs = [measure.cost for measure in curves.measures]
    best, last = curves.measures[int(np.argmin(costs))], curves.measures[-1]
    assert last.step - best.step == 35
    assert len(curves.costs) == last.step < 350
    assert "stopped early: no lower validation cost in 35 steps" in capsys.readouterr().err
    model = Classifier.load(whole)
    _, validation = dataset.split(dataset.load(data)[0], 0.2)
    z, y = model.logits(validation.images), validation.labels
    assert best.cost == pytest.approx(np.mean(np.log1p(np.exp(-z * (2 * y - 1)))), rel=1e-5)
    with monkeypatch.context() as patch:
        kill_at(last.step, patch)
        with pytest.raises(Killed):
            train(data, cut, *how)
    assert resume(cut) == 0
    assert contents(cut) == contents(whole)
    assert resume(cut) == 0
    assert "is finished already" in capsys.readouterr().err
    assert resume(cut, "--steps", "350") == 0  # patience starts again
    assert len(Curves.read(cut).costs) >= last.step + 35


def test_without_a_validation_part_the_test_part_decides_nothing(data: Path, tmp_path) -> None:
    assert train(data, tmp_path / "run", "--steps", "14") == 0
    assert train(data, tmp_path / "longer", "--steps", "21") == 0
    a, b = (Classifier.load(tmp_path / name).params for name in ("run", "longer"))
    assert not jax.tree.all(jax.tree.map(np.array_equal, a, b))
    assert len(Curves.read(tmp_path / "longer").costs) == 21


def test_a_run_of_few_steps_is_extended_to_many(data: Path, tmp_path: Path) -> None:
    """With as many steps as examples, a new run would descend in the row space of the examples."""
    whole, two = tmp_path / "whole", tmp_path / "two"
    assert train(data, whole, "--steps", "70") == 0
    assert train(data, two, "--steps", "7") == 0
    assert resume(two, "--steps", "70") == 0
    np.testing.assert_allclose(Curves.read(two).costs, Curves.read(whole).costs, rtol=1e-3)
