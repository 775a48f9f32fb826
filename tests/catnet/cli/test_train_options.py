"""The options of ``catnet train``: what they do, and for which network they make no sense."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from redblue import write

from catnet import Classifier
from catnet.cli import main
from catnet.evaluation import plots
from catnet.models import registry
from catnet.training.curves import Curves


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("images") / "data", 0, {"train": 8, "test": 3})


@pytest.fixture(autouse=True)
def nothing_is_drawn(monkeypatch) -> None:
    for name in ("learning_curves", "confusion_matrix", "mistakes"):
        monkeypatch.setattr(plots, name, lambda *_: None)


def train(data: Path, out: Path, *how: str) -> Classifier:
    assert main.main(["train", str(data), "--out", str(out), *how]) == 0
    return Classifier.load(out)


@pytest.mark.parametrize(
    ("optimizer", "decay", "rate"),
    [
        ("gd", 0.5, 0.01),
        ("momentum", 0.5, 0.01),
        ("adamw", 0.5, 0.01),
        ("gd --batch-size 16", 2, 0.1),
    ],
)
def test_weight_decay_is_that_of_the_formula(
    optimizer: str, decay: float, rate: float, data: Path, tmp_path: Path
) -> None:
    """After one step W has λ α W less, and b nothing, than without decay."""
    how = ["--model", "logistic", "--steps", "1", "--learning-rate", str(rate)]
    how += ["--optimizer", *optimizer.split()]
    plain, decayed = (
        train(data, tmp_path / str(λ), *how, "--weight-decay", str(λ)).params[1] for λ in (0, decay)
    )
    key, _ = jax.random.split(jax.random.key(1))
    net = registry.build(registry.architecture("logistic"))
    start = net.init(key, jax.ShapeDtypeStruct((64, 64, 3), "float32"))[1]
    expected = np.asarray(plain["W"]) - rate * decay * np.asarray(start["W"])
    np.testing.assert_allclose(decayed["W"], expected, atol=1e-6)
    np.testing.assert_array_equal(decayed["b"], plain["b"])


def test_zeros_are_an_initialization(data: Path, tmp_path: Path) -> None:
    """The lecture: logistic regression starts at zero, at the cost of a coin."""
    train(data, tmp_path / "run", "--model", "logistic", "--init", "zeros", "--steps", "2")
    assert Curves.read(tmp_path / "run").costs[0] == pytest.approx(np.log(2), rel=1e-6)


def test_dropout_and_augmentation_are_of_training_only(data: Path, tmp_path: Path) -> None:
    """The model file is that of the plain network, and its answers are not random."""
    how = ["--model", "shallow", "--steps", "3", "--dropout", "0.5", "--augment", "mirror"]
    model = train(data, tmp_path / "run", *how, "--batch-size", "5")
    assert model.architecture == registry.architecture("shallow")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["dropout"], config["augment"]) == (0.5, "mirror")
    plain = train(data, tmp_path / "plain", *how[:4], "--batch-size", "5")
    assert not np.array_equal(model.params[1]["W"], plain.params[1]["W"])


def test_every_option_fine_tunes(data: Path, tmp_path: Path) -> None:
    train(data, tmp_path / "old", "--model", "shallow", "--steps", "2")
    how = ["--from", str(tmp_path / "old"), "--steps", "3", "--dropout", "0.5", "--init", "he"]
    how += ["--weight-decay", "0.1", "--class-weights", "balanced", "--augment", "mirror"]
    how += ["--validation", "0.25"]
    train(data, tmp_path / "new", *how)
    curves = Curves.read(tmp_path / "new")
    assert curves.part == "validation"
    assert [measure.step for measure in curves.measures] == [3, 6]
    config = json.loads((tmp_path / "new" / "config.json").read_text())
    assert (config["init"], config["weight_decay"], config["dropout"]) == ("he", 0.1, 0.5)
    assert (config["train_examples"], config["validation_examples"]) == (12, 4)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        path.name for path in (tmp_path / "old").iterdir()
    }


@pytest.mark.parametrize(
    ("how", "line"),
    [
        (
            "--model logistic --dropout 0.5",
            "--dropout 0.5: a logistic network has no hidden units;",
        ),
        ("--freeze", "--freeze is for --from MODEL without --model photo"),
        (
            "--from shipped --freeze --augment full",
            "--augment full: --freeze computes the features",
        ),
        (
            "--from shipped --model photo --init he",
            "--init: the weights are those of --from; leave",
        ),
        (
            "--from shipped --model photo --widths 8 8 8",
            "--widths: the layers are those of --from; leave",
        ),
        ("--from shipped --model photo --blocks 3 1 2", "--blocks 3 1 2: shipped has "),
        ("--blocks 3 3 3", "--blocks is for --model photo only"),
        ("--model photo --blocks 3 90 5", "--blocks 3 90 5: at most 97 residual blocks"),
        (
            "--from shipped --model photo --blocks 3 90 5",
            "--blocks 3 90 5: at most 97 residual blocks",
        ),
        ("--model photo --widths 4 4 200000", "--widths 4 4 200000: a layer has from 1 to 100000"),
        ("--widths 8 8 8", "--widths is for --model photo only"),
        ("--model photo --validation 0.1", "--validation is not for --model photo, which always"),
        ("--textures 3", "--textures is for --model photo only"),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(how, line, data, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert main.main(["train", str(data), "--out", str(out), *how.split()]) == 2
    [error] = capsys.readouterr().err.splitlines()
    assert error.startswith(f"catnet: {line}")
    assert not out.exists()


def test_too_few_images_for_a_validation_part_are_one_line(tmp_path: Path, capsys) -> None:
    data = write(tmp_path / "data", 0, {"train": 1, "test": 2})
    arguments = ["train", str(data), "--patience", "5", "--out", str(tmp_path / "run")]
    assert main.main(arguments) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "catnet: non-cat: has too few different images for a validation part; add images"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--dropout", "1", "'1' is not a number between 0 and 1"),
        ("--dropout", "x", "'x' is not a number between 0 and 1"),
        ("--validation", "0", "'0' is not a number between 0 and 1"),
        ("--weight-decay", "-1", "'-1' is not a number of at least 0"),
        ("--weight-decay", "nan", "'nan' is not a number of at least 0"),
        ("--patience", "0", "'0' is not a whole number from 1 to 2147483647"),
    ],
)
def test_a_value_that_does_not_fit_is_named(option, value, reason, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main.main(["train", f"{option}={value}"])
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"argument {option}: {reason}")
