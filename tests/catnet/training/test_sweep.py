"""Many networks at once are the same as one after the other."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs matplotlib, of jaxnn[apps]")

import redblue

import jaxnn
from catnet import Classifier
from catnet.cli import main
from catnet.data import dataset
from catnet.evaluation import plots
from catnet.models import registry
from catnet.training import results, run_folder, sweep

pytestmark = pytest.mark.usefixtures("compiled_quickly")
GRID = sweep.Grid(registry.architecture("shallow", (3,)), (0.003, 0.01), ("lecun", "he"), 2, 30)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    redblue.write(folder / "images", 0, {"train": 6, "test": 4})
    return folder / "images", *dataset.load(folder / "images")


def test_each_network_is_as_if_trained_alone(parts) -> None:
    _, train_part, test_part = parts
    cells = sweep.sweep(GRID, train_part, test_part)
    assert sorted((cell.initialization, cell.learning_rate) for cell in cells) == [
        *(("he", rate) for rate in (0.003, 0.01)),
        *(("lecun", rate) for rate in (0.003, 0.01)),
    ]
    x, y = jnp.asarray(train_part.images) / 255.0, train_part.labels[:, None].astype(np.float32)
    for cell in cells:
        net = registry.build(GRID.architecture, cell.initialization)
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
    monkeypatch.setattr(sweep, "GROUP", 3)
    told = []
    turns = sweep.sweep(GRID, train_part, test_part, lambda *done: told.append(done))
    assert told == [(3, 8), (6, 8), (8, 8)]
    for one, other in zip(whole, turns, strict=True):
        assert one.initialization == other.initialization
        np.testing.assert_allclose(one.costs, other.costs, rtol=1e-3)


def test_zeros_stay_a_coin(parts) -> None:
    """The lecture: with all weights at zero all units of a hidden layer stay alike."""
    _, train_part, test_part = parts
    grid = sweep.Grid(registry.architecture("shallow"), (0.01,), ("zeros",), 1, 20)
    (cell,) = sweep.sweep(grid, train_part, test_part)
    np.testing.assert_allclose(cell.costs, np.log(2), rtol=1e-6)
    assert cell.test_accuracy.tolist() == [0.5]


def test_the_command_prints_and_draws(parts, tmp_path: Path, capsys) -> None:
    out = tmp_path / "sweep"
    arguments = ["sweep", str(parts[0]), "--model", "shallow", "--hidden", "2", "--steps", "5"]
    arguments += ["--learning-rate", "0.001", "0.01", "--seeds", "2", "--out", str(out)]
    assert main.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert " ".join(lines[0].split()) == "initialization learning rate cost train test accuracy"
    cells = json.loads((out / "sweep.json").read_text())
    assert [len(cell["test_accuracy"]) for cell in cells] == [2, 2]
    with np.load(out / "costs.npz") as costs:
        assert costs["lecun 0.01"].shape == (2, 5)
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert main.main(arguments) == 2
    assert "exists already" in capsys.readouterr().err


def cell(rate: float, *last: float, start: str = "lecun") -> sweep.Cell:
    """A cell as if trained for two steps, with these last costs of its seeds."""
    costs = np.array([[0.7, cost] for cost in last], np.float32)
    return sweep.Cell(start, rate, costs, np.full(len(last), 0.75), np.full(len(last), 0.5))


def arguments(data: Path, out: Path, *how: str) -> list[str]:
    return ["sweep", str(data), "--model", "logistic", "--steps", "2", "--out", str(out), *how]


def best() -> sweep.Best:
    net = registry.build(registry.architecture("logistic"))
    params = net.init(jax.random.key(0), jax.ShapeDtypeStruct((64, 64, 3), "float32"))
    return sweep.Best("lecun", 0.1, 1, 0.25, 0.5, params)


@pytest.fixture
def trained(monkeypatch) -> None:
    """A sweep of four networks in two programs, without the time to train them."""
    first = sweep.Results(2, 4, [cell(0.1, 0.5, 0.25)], best())
    second = sweep.Results(4, 4, [cell(0.1, 0.5, 0.25), cell(0.2, 0.6, 0.7)], best())
    monkeypatch.setattr(sweep, "train", lambda *_: iter([first, second]))


def kept(out: Path) -> tuple[int, list[str]]:
    """The networks in sweep.json, and the names of the arrays of costs, which must agree."""
    cells = json.loads((out / "sweep.json").read_text())
    with np.load(out / "costs.npz") as costs:
        names = list(costs)
        assert [costs[name].shape[0] for name in names] == [len(cell["cost"]) for cell in cells]
    return sum(len(cell["cost"]) for cell in cells), names


def test_the_model_is_the_network_of_the_lowest_training_cost(parts, tmp_path, capsys) -> None:
    data, train_part, test_part = parts
    out = tmp_path / "sweep"
    how = ["--learning-rate", "0.0005", "0.002", "--seeds", "2", "--steps", "10"]
    assert main.main(arguments(data, out, *how)) == 0
    with np.load(out / "costs.npz") as costs:
        last = {(name, seed): c[seed, -1] for name, c in costs.items() for seed in (0, 1)}
    name, seed = min((key for key in last if np.isfinite(last[key])), key=last.__getitem__)
    rate = float(name.split()[1])
    net = registry.build(registry.architecture("logistic"))
    x, y = train_part.images / np.float32(255), train_part.labels[:, None].astype(np.float32)
    params, _ = jaxnn.gradient_descent(
        net, jaxnn.binary_cross_entropy, net.init(jax.random.key(seed), x), x, y,
        learning_rate=rate, steps=10,
    )  # fmt: skip
    model = Classifier.load(out)
    p = 1 / (1 + np.exp(-np.asarray(net.apply(params, test_part.images / np.float32(255)))[:, 0]))
    np.testing.assert_allclose(model.probabilities(test_part.images)[:, 1], p, rtol=1e-3)
    assert model.classes == test_part.classes
    how = f"initialization lecun, learning rate {name.split()[1]}, seed {seed}"
    assert model.about.endswith(how)
    capsys.readouterr()
    assert main.main(["predict", str(data / "test"), "--model", str(out), "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(test_part.labels)


def test_networks_that_diverged_are_never_the_best() -> None:
    params = {"W": np.arange(8, dtype=np.float32).reshape(4, 2)}
    params["W"][2, 1] = np.inf  # in the last update: its cost was a number still
    costs = np.array([[1, 0.5], [1, np.nan], [1, 0.1], [1, 0.4]], np.float32)
    some = [("he", 0.1, seed) for seed in range(4)]
    found = sweep._better(None, some, params, costs, np.zeros(4), np.arange(4))
    assert found
    assert (found.seed, found.cost, found.test_accuracy) == (3, np.float32(0.4), 3)
    assert found.params["W"].tolist() == [6, 7]
    assert (
        sweep._better(found, some[:1], {"W": params["W"][:1]}, costs[:1], *[np.zeros(1)] * 2)
        is found
    )
    nothing = sweep._better(
        None, some[1:3], {"W": params["W"][1:3]}, costs[1:3], *[np.zeros(2)] * 2
    )
    assert nothing is None


def test_without_a_network_that_has_a_cost_there_is_no_model(parts, tmp_path, monkeypatch, capsys):
    results = sweep.Results(1, 1, [cell(1e30, np.nan)], None)
    monkeypatch.setattr(sweep, "train", lambda *_: iter([results]))
    assert main.main(arguments(parts[0], tmp_path / "out")) == 0
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert "model.safetensors" not in capsys.readouterr().err


RATES = (0.001, 0.0010000001, 0.0010000002, 1.0, 1e-05, 123456789.0, 0.1 + 0.2, 0.3)


def test_learning_rates_that_differ_are_told_apart_everywhere(parts, tmp_path, monkeypatch, capsys):
    """Each of its names is the number again."""
    cells = [cell(rate, 0.1 * i) for i, rate in enumerate(RATES)]
    first = best()._replace(learning_rate=RATES[1], seed=0)
    results = sweep.Results(len(RATES), len(RATES), cells, first)
    legends, real = [], plots._write
    monkeypatch.setattr(sweep, "train", lambda *_: iter([results]))
    monkeypatch.setattr(
        plots,
        "_write",
        lambda path, figure: (legends.append(figure.axes[-1].get_legend()), real(path, figure)),
    )
    assert main.main(arguments(parts[0], tmp_path / "out")) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [float(line.split()[1]) for line in lines] == [*RATES]
    assert len({len(line) for line in lines}) == 1
    with np.load(tmp_path / "out" / "costs.npz") as costs:
        assert {float(name.split()[1]): c[0, 1] for name, c in costs.items()} == {
            rate: np.float32(0.1 * i) for i, rate in enumerate(RATES)
        }
    shown = [text.get_text() for text in legends[0].get_texts()]
    assert [float(text) for text in shown] == sorted(RATES)
    assert {"lecun 1", "lecun 0.3", "lecun 1e-05"} < {"lecun " + text for text in shown}
    assert Classifier.load(tmp_path / "out").about.endswith("learning rate 0.0010000001, seed 0")


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize(
    ("where", "when", "done"), [("write_json", 3, 4), ("sweep_curves", 2, 4), ("log", 2, 2)]
)
def test_ctrl_c_leaves_what_is_done_and_says_what_that_is(
    where: str, when: int, done: int, parts, tmp_path, monkeypatch, capsys
) -> None:
    """In the middle of writing the second group, or before it is trained."""
    from catnet.cli import sweep as command

    module = {"write_json": run_folder, "sweep_curves": plots, "log": command}[where]
    real, calls = getattr(module, where), []

    def pressed(*how) -> None:
        calls.append(how)
        real(*how)
        if len(calls) == when:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, where, pressed)
    out = tmp_path / "out"
    assert main.main(arguments(parts[0], out)) == 130
    got = capsys.readouterr()
    names = ", ".join(["config.json, sweep.json, costs.npz, sweep.png, learnt.npy", *results.FILES])
    assert got.err.splitlines()[-1] == (
        f"catnet: stopped after {done} of 16 networks; written: {names} in {out}"
    )
    assert len(got.out.splitlines()) == 1 + done // 2
    assert kept(out) == (done, ["lecun 0.1", "lecun 0.2"][: done // 2])
    assert sorted([*names.split(", ")]) == sorted(path.name for path in out.iterdir())
    assert Classifier.load(out).name == "out"


def test_ctrl_c_before_the_first_is_done(parts, tmp_path, monkeypatch, capsys) -> None:
    def stopped(*_):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(sweep, "train", stopped)
    assert main.main(arguments(parts[0], tmp_path / "out")) == 130
    line = f"stopped after 0 of 16 networks; written: config.json in {tmp_path / 'out'}"
    assert capsys.readouterr().err.splitlines()[-1] == f"catnet: {line}"
    assert main.main(["train", "--resume", str(tmp_path / "out")]) == 2
    assert "a sweep has no checkpoint to resume; start a new one" in capsys.readouterr().err


@pytest.mark.usefixtures("trained")
def test_a_full_disk_leaves_the_results_before(parts, tmp_path, monkeypatch, capsys) -> None:
    syncs, real = [], os.fsync

    def full(descriptor: int) -> None:
        syncs.append(descriptor)
        if len(syncs) > 12:  # config.json and the files of the first group
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    out = tmp_path / "out"
    assert main.main(arguments(parts[0], out)) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"catnet: {out}: No space left on device; earlier files are intact; "
        "fix the cause, then start a new sweep"
    )
    assert kept(out) == (2, ["lecun 0.1"])


def test_a_folder_that_cannot_be_made_is_found_before_the_training(
    parts, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(sweep, "train", lambda *_: pytest.fail("trained"))
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / "out"
    assert main.main(arguments(parts[0], out)) == 2
    assert capsys.readouterr().err == f"catnet: {out}: cannot be created (Not a directory)\n"
