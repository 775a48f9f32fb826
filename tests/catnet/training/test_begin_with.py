"""A photo training with the weights of a model as initialization."""

from __future__ import annotations

import dataclasses
import json

import jax
import numpy as np
import pytest
from redblue import write

import jaxnn
from catnet import Classifier
from catnet.cli import main
from catnet.errors import UserError
from catnet.models import registry
from catnet.training.photo.classes import Classes
from catnet.training.photo.config import PhotoConfig
from catnet.training.photo.state import _load_weights, initialize, make_state, network

pytestmark = pytest.mark.usefixtures("compiled_quickly")
CONFIG = PhotoConfig((4, 6), (1, 0))
ARCHITECTURE = {"model": "photo", "widths": [4, 6], "blocks": [1, 0], "classes": 5, "cats": [1]}


def model(**change) -> Classifier:
    architecture = {**ARCHITECTURE, **change}
    net = registry.build(architecture)
    params = net.init(jax.random.key(7), jax.ShapeDtypeStruct((64, 64, 3), "float32"))
    return Classifier(architecture, params, ("non-cat", "cat"), "before", "made for a test")


@pytest.mark.parametrize("change", [{}, {"test_time_augmentation": [64, 48]}])
def test_all_weights_and_their_average_are_the_models(change: dict) -> None:
    before = model(**change)
    fresh = make_state(CONFIG, 5)
    state = _load_weights(fresh, before, CONFIG.blocks)
    for tree in (state.params, state.average):
        assert jax.tree.structure(tree) == jax.tree.structure(fresh.params)
        jax.tree.map(np.testing.assert_array_equal, tree, before.params[:2])
    buffers = zip(jax.tree.leaves(state.params), jax.tree.leaves(state.average), strict=True)
    assert all(a is not b for a, b in buffers)  # those of a state are donated


@pytest.mark.parametrize(
    "change",
    [
        {"widths": [4, 7]},
        {"blocks": [1, 1]},
        {"widths": [4], "blocks": [1]},
        {"widths": [4, 6, 8], "blocks": [1, 0, 0]},
    ],
)
def test_another_network_is_refused(change) -> None:
    with pytest.raises(UserError, match="before: is another network"):
        _load_weights(make_state(CONFIG, 5), model(**change), CONFIG.blocks)


@pytest.mark.parametrize(("change", "keep"), [({"classes": 6}, True), ({}, False)])
def test_other_classes_get_a_new_last_layer(change, keep) -> None:
    before, fresh = model(**change), make_state(CONFIG, 5)
    state = _load_weights(fresh, before, CONFIG.blocks, keep)
    for params in (state.params, state.average):
        jax.tree.map(np.testing.assert_array_equal, params[0], before.params[0])
        jax.tree.map(np.testing.assert_array_equal, params[1], fresh.params[1])


@pytest.mark.parametrize("blocks", [(1, 1), (3, 0), (3, 2)])
def test_a_network_with_more_blocks_starts_as_the_same_function(blocks) -> None:
    before = model()
    config = dataclasses.replace(CONFIG, blocks=blocks)
    # Its old blocks are changed, so that an old one in a wrong place would not be the identity.
    x = jax.random.uniform(jax.random.key(1), (3, 64, 64, 3))
    change = jax.tree.map(lambda leaf: leaf + 0.1, before.params[0][1])
    trained = (before.params[0][0], change, *before.params[0][2:])
    changed = dataclasses.replace(before, params=(trained, *before.params[1:]))
    state = _load_weights(make_state(config, 5), changed, blocks)
    grown = network(config, 5).apply(state.params, x)
    np.testing.assert_allclose(grown, network(CONFIG, 5).apply(changed.params[:2], x), rtol=1e-5)
    assert len(jax.tree.leaves(state.params)) > len(jax.tree.leaves(before.params))


@pytest.mark.parametrize(
    ("its", "names", "cats", "kept"),
    [
        (("dog", "cat"), ("Dogs", "Cats"), (1,), True),
        (("dog", "cat"), ("dog", "horse"), (1,), False),
        (("non-cat", "cat"), ("dog", "cat"), (1,), False),
        (("non-cat", "cat"), ("a", "b", "c"), (1,), True),
        (("non-cat", "cat"), ("a", "b", "c"), (2,), False),
    ],
)
def test_the_last_layer_is_kept_for_the_same_classes(its, names, cats, kept, tmp_path) -> None:
    before = dataclasses.replace(model(classes=len(names)), classes=its)
    before.save(tmp_path / "model.safetensors")
    config = dataclasses.replace(CONFIG, from_model=str(tmp_path / "model.safetensors"))
    state = initialize(config, Classes(names, cats, np.zeros(0)))
    jax.tree.map(np.testing.assert_array_equal, state.params[0], before.params[0])
    same = np.array_equal(state.params[1]["W"], before.params[1]["W"])
    assert same == kept


def test_the_command_goes_on_from_any_photo_model(tmp_path, capsys) -> None:
    """One of five classes, for a folder of two; its widths and blocks are not the usual ones."""
    data = write(tmp_path / "data", 40)
    model().save(tmp_path / "before.safetensors")
    arguments = ["train", str(data), "--model", "photo", "--steps", "2", "--batch-size", "8"]
    arguments += ["--from", f"{tmp_path}/before.safetensors", "--learning-rate", "1e-12"]
    arguments += ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "run")]
    assert main.main(arguments) == 0
    after = Classifier.load(tmp_path / "run")
    assert (after.architecture["classes"], after.classes) == (2, ("non-cat", "cat"))
    assert (after.architecture["widths"], after.architecture["blocks"]) == ([4, 6], [1, 0])
    for leaf, its in zip(*map(jax.tree.leaves, (after.params[0], model().params[0])), strict=True):
        np.testing.assert_allclose(leaf, its, rtol=2**-10, atol=1e-4)  # it is saved as float16
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    # Once there is a state, the model is not needed to go on.
    (tmp_path / "before.safetensors").unlink()
    state = tmp_path / "run" / "state.safetensors"
    leaves, about = jaxnn.load(state)
    jaxnn.save(state, leaves, {**about, "finished": False})
    assert main.main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert config["from_model"] == f"{tmp_path}/before.safetensors"


def test_a_model_of_another_kind_is_refused_before_anything_is_made(tmp_path, capsys) -> None:
    described = registry.architecture("logistic", ())
    net = registry.build(described)
    params = net.init(jax.random.key(7), jax.ShapeDtypeStruct((64, 64, 3), "float32"))
    path, out = tmp_path / "flat.safetensors", tmp_path / "run"
    Classifier(described, params, ("non-cat", "cat"), "flat", "for a test").save(path)
    data = str(write(tmp_path / "data", 3))
    arguments = ["train", data, "--model", "photo", "--from", str(path), "--out", str(out)]
    assert main.main(arguments) == 2
    line = f"catnet: --from {path}: is a logistic network, not photo; leave --model photo out"
    assert capsys.readouterr().err.startswith(line)
    assert not out.exists()


def test_a_model_that_is_none_is_refused_before_anything_is_made(tmp_path, capsys) -> None:
    out = tmp_path / "run"
    arguments = ["train", "data.zip", "--model", "photo", "--from", "none", "--out", str(out)]
    assert main.main(arguments) == 2
    assert "model none" in capsys.readouterr().err
    assert not out.exists()
