"""A new last layer on trained ones: frozen ones stay, features are computed once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib, of jaxnn[apps]")

import redblue

from catnet import Classifier
from catnet.cli import main
from catnet.cli import train as train_command
from catnet.data import dataset
from catnet.errors import UserError
from catnet.models import registry
from catnet.training import checkpoints
from catnet.training.curves import Curves
from catnet.training.finetuning import train as finetuning
from catnet.training.finetuning.config import FineTuning
from catnet.training.finetuning.network import replace_head

PHOTO = {
    "model": "photo",
    "widths": [6, 8],
    "blocks": [1, 1],
    "classes": 5,
    "cats": [1, 3],
    "test_time_augmentation": [64],
}


def model(architecture) -> Classifier:
    net = registry.build(architecture)
    params = net.init(jax.random.key(0), jax.ShapeDtypeStruct((64, 64, 3), "float32"))
    return Classifier(architecture, params, ("non-cat", "cat"), "old", "made for a test")


@pytest.fixture(scope="module", params=["photo", "shallow"])
def old(request) -> Classifier:
    return model(PHOTO if request.param == "photo" else registry.architecture("shallow", (30,)))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "images"
    return redblue.write(folder, 0, {"train": 12, "test": 8})


def same(a, b) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_frozen_layers_stay_and_the_last_one_learns(old: Classifier, data: Path) -> None:
    train_part, test_part = dataset.load(data)
    assert test_part
    described, (params, curves, _) = finetuning.train(FineTuning(True, 200), old, train_part)
    costs = curves.costs
    at = 1 if described["model"] == "photo" else 3
    assert same(params[:at], old.params[:at])
    assert costs[0] == pytest.approx(np.log(2), rel=1e-5)
    assert len(costs) == 200
    new = Classifier(described, params, train_part.classes, "new", "made for a test")
    right = (new.probabilities(test_part.images)[:, 1] >= 0.5) == test_part.labels
    assert right.mean() >= 0.9


def test_the_frozen_descent_is_that_of_the_features(data: Path) -> None:
    """Against NumPy: AdamW's first step is a step of the learning rate for every weight."""
    train_part, _ = dataset.load(data)
    old = model(PHOTO)
    _, (params, *_) = finetuning.train(FineTuning(True, 1, weight_decay=0.0), old, train_part)
    trunk = registry.network(PHOTO).layers[0]
    x = jnp.asarray(np.concatenate([train_part.images, train_part.images[:, :, ::-1]])) / 255.0
    seen = np.asarray(trunk.apply(old.params[0], x))
    y = np.tile(train_part.labels, 2)
    slope = ((0.5 - y)[:, None] * seen).mean(axis=0)  # of the log-odds z₁ − z₀ at ½
    step = -0.01 * np.sign(slope)
    np.testing.assert_allclose(params[1]["W"], np.stack([-step, step]), atol=2e-5)


def test_without_freezing_all_layers_move(old: Classifier, data: Path) -> None:
    train_part, _ = dataset.load(data)
    before = jax.tree.map(np.array, old.params)
    _, (params, curves, _) = finetuning.train(FineTuning(False, 10), old, train_part)
    assert len(curves.costs) == 20
    moved = jax.tree.map(lambda a, b: not np.array_equal(a, b), params[:1], old.params[:1])
    assert all(jax.tree.leaves(moved))
    assert same(before, old.params)


def test_the_command_makes_a_run_that_predicts(data: Path, tmp_path: Path, capsys) -> None:
    model(PHOTO).save(tmp_path / "old.safetensors")
    run = tmp_path / "run"
    arguments = ["train", str(data), "--from", f"{tmp_path}/old.safetensors", "--freeze"]
    arguments += ["--steps", "60", "--out", str(run)]
    assert main.main(arguments) == 0
    assert "accuracy" in capsys.readouterr().out
    config = json.loads((run / "config.json").read_text())
    assert (config["from"], config["freeze"], config["steps"]) == ("old", True, 60)
    images = [str(path) for path in sorted((data / "test").rglob("*.png"))]
    assert main.main(["predict", *images, "--model", str(run), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    right = [f"/{line['label']}/" in line["path"] for line in lines]
    assert np.mean(right) >= 0.9
    assert main.main(["train", "--resume", str(run)]) == 0
    assert "is finished already" in capsys.readouterr().err


def test_a_fine_tuning_that_diverges_says_where_and_what_to_try(data: Path) -> None:
    train_part, _ = dataset.load(data)
    old = model(registry.architecture("shallow", (30,), "identity"))
    config = FineTuning(False, 60, learning_rate=1e30, batch_size=8)
    _, (params, _, stopped) = finetuning.train(config, old, train_part)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    line = r"training diverged at step (\d+): the cost is (NaN|infinite); try a smaller "
    found = re.fullmatch(line + r"--learning-rate than 1e\+30", str(stopped))
    assert found
    assert 60 < int(found[1]) < 110  # in the first chunk of all layers, not at its end


@pytest.mark.usefixtures("compiled_quickly")
def test_each_phase_has_reports_of_its_own(data: Path) -> None:
    train_part, _ = dataset.load(data)
    reports: dict[str, list[int]] = {}

    def phase(what: str):
        return lambda done, cost: reports.setdefault(what, []).append(done)

    old = model(registry.architecture("shallow", (5,)))
    finetuning.train(FineTuning(False, 60, batch_size=8), old, train_part, phase)
    assert reports == {"last layer": [50, 60], "all layers": [50, 60]}


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--model", "deep"], "--model is not for --from"),
        (["--optimizer", "adam"], "--optimizer is not for --from"),
        (["--textures", "4"], "--textures is not for --from"),
        (["--batch-size", "25"], "--batch-size 25: there are 24 images only"),
        (["--from", "none.safetensors"], "model none.safetensors"),
    ],
)
def test_what_does_not_go_together_is_named(more, reason, data: Path, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    arguments = ["train", str(data), "--from", "shipped", *more, "--out", str(out)]
    assert main.main(arguments) == 2
    assert reason in capsys.readouterr().err
    assert not out.exists()


def test_one_layer_has_nothing_to_hand_on() -> None:
    with pytest.raises(UserError, match="the model has a single layer"):
        replace_head(registry.architecture("logistic"), 2)


def test_freeze_alone_is_refused(data: Path, capsys) -> None:
    assert main.main(["train", str(data), "--freeze"]) == 2
    assert "--freeze is for --from MODEL without --model photo" in capsys.readouterr().err


class Killed(BaseException):
    """Ends a training as ``kill -9`` does."""


@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("reports", [1, 4], ids=["in the last layer", "in all layers"])
def test_killed_and_resumed_it_ends_to_the_last_bit_like_one_that_was_not(
    reports: int, data: Path, tmp_path: Path, monkeypatch
) -> None:
    model(registry.architecture("shallow", (5,))).save(tmp_path / "old.safetensors")
    arguments = ["train", str(data), "--from", f"{tmp_path}/old.safetensors", "--steps", "20"]
    arguments += ["--batch-size", "8", "--save-every", "1e-9", "--validation", "0.25", "--out"]
    monkeypatch.setattr(finetuning, "CHUNK", 7)
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    assert main.main([*arguments, str(whole)]) == 0
    left = [reports]

    def report(done: int, cost: float) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(train_command, "make_progress_reporter", lambda *_, **__: report)
        with pytest.raises(Killed):
            main.main([*arguments, str(cut)])
    assert checkpoints.read_progress(cut)["phase"] == reports // 3
    assert main.main(["train", "--resume", str(cut)]) == 0
    assert redblue.contents(cut) == redblue.contents(whole)
    # An extension goes on with all layers.
    assert main.main(["train", "--resume", str(cut), "--steps", "30"]) == 0
    longer, before = Curves.read(cut), Curves.read(whole)
    assert len(longer.costs) == 50
    assert longer.costs[:40] == before.costs
    (tmp_path / "old.safetensors").unlink()
    assert main.main(["train", "--resume", str(cut), "--steps", "40"]) == 2
    assert len(Curves.read(cut).costs) == 50
