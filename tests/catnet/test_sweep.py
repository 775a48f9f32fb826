"""Many networks at once are the same as one after the other."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib, of jaxnn[apps]")

import redblue

import jaxnn
from catnet import cli, datasets, networks, sweep

pytestmark = pytest.mark.usefixtures("compiled_quickly")
GRID = sweep.Grid(networks.architecture("shallow", (3,)), (0.003, 0.01), ("lecun", "he"), 2, 30)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    redblue.write(folder / "pictures", 0, {"train": 6, "test": 4})
    return folder / "pictures", *datasets.load(folder / "pictures")


def test_each_network_is_as_if_trained_alone(parts) -> None:
    _, train_part, test_part = parts
    cells = sweep.sweep(GRID, train_part, test_part)
    assert sorted((cell.start, cell.learning_rate) for cell in cells) == [
        *(("he", rate) for rate in (0.003, 0.01)),
        *(("lecun", rate) for rate in (0.003, 0.01)),
    ]
    x, y = jnp.asarray(train_part.images) / 255.0, train_part.labels[:, None].astype(np.float32)
    for cell in cells:
        net = networks.build(GRID.architecture, cell.start)
        for seed in range(GRID.seeds):
            params, costs = jaxnn.gradient_descent(
                *(net, jaxnn.binary_cross_entropy, net.init(jax.random.key(seed), x), x, y),
                learning_rate=cell.learning_rate,
                steps=GRID.steps,
            )
            np.testing.assert_allclose(cell.costs[seed], costs, rtol=1e-3)
            right = np.mean((np.asarray(net.apply(params, x)) > 0) == y)
            assert cell.train_accuracy[seed] == pytest.approx(right, abs=1e-6)


def test_more_networks_than_fit_one_program_take_turns(parts, monkeypatch) -> None:
    _, train_part, test_part = parts
    whole = sweep.sweep(GRID, train_part, test_part)
    monkeypatch.setattr(sweep, "TOGETHER", 3)
    told = []
    turns = sweep.sweep(GRID, train_part, test_part, lambda *done: told.append(done))
    assert told == [(3, 8), (6, 8), (8, 8)]
    for one, other in zip(whole, turns, strict=True):
        assert one.start == other.start
        np.testing.assert_allclose(one.costs, other.costs, rtol=1e-3)


def test_zeros_stay_a_coin(parts) -> None:
    """The lecture: with all weights at zero all units of a hidden layer stay alike."""
    _, train_part, test_part = parts
    grid = sweep.Grid(networks.architecture("shallow"), (0.01,), ("zeros",), 1, 20)
    (cell,) = sweep.sweep(grid, train_part, test_part)
    np.testing.assert_allclose(cell.costs, np.log(2), rtol=1e-6)
    assert cell.test_accuracy.tolist() == [0.5]


def test_the_command_prints_and_draws(parts, tmp_path: Path, capsys) -> None:
    out = tmp_path / "sweep"
    arguments = ["sweep", str(parts[0]), "--model", "shallow", "--hidden", "2", "--steps", "5"]
    arguments += ["--learning-rate", "0.001", "0.01", "--seeds", "2", "--out", str(out)]
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["start", "learning", "rate", "cost", "train", "test", "accuracy"]
    cells = json.loads((out / "sweep.json").read_text())
    assert [len(cell["test_accuracy"]) for cell in cells] == [2, 2]
    with np.load(out / "costs.npz") as costs:
        assert costs["lecun 0.01"].shape == (2, 5)
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert cli.main(arguments) == 2
    assert "is there already" in capsys.readouterr().err
