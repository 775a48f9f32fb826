"""A photo training that goes on from the weights of a model."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from catnet import Classifier, cli, networks
from catnet.errors import UserError
from catnet.photo.train import PhotoConfig, _with_weights, start

pytestmark = pytest.mark.usefixtures("compiled_quickly")
CONFIG = PhotoConfig((4, 6), (1, 0))
ARCHITECTURE = {"model": "photo", "widths": [4, 6], "blocks": [1, 0], "classes": 5, "cats": [1]}


def model(**change) -> Classifier:
    architecture = {**ARCHITECTURE, **change}
    net = networks.build(architecture)
    params = net.init(jax.random.key(7), jax.ShapeDtypeStruct((64, 64, 3), "float32"))
    return Classifier(architecture, params, ("non-cat", "cat"), "before", "made for a test")


@pytest.mark.parametrize("views", [{}, {"views": [64, 48]}])
def test_all_weights_and_their_average_begin_with_the_models(views: dict) -> None:
    before = model(**views)
    fresh = start(CONFIG, 5)
    state = _with_weights(fresh, before)
    for tree in (state.params, state.average):
        assert jax.tree.structure(tree) == jax.tree.structure(fresh.params)
        jax.tree.map(np.testing.assert_array_equal, tree, before.params[:2])
    buffers = zip(jax.tree.leaves(state.params), jax.tree.leaves(state.average), strict=True)
    assert all(a is not b for a, b in buffers)  # those of a state are given away


@pytest.mark.parametrize("change", [{"widths": [4, 7]}, {"blocks": [1, 1]}, {"classes": 6}])
def test_another_network_is_refused(change) -> None:
    with pytest.raises(UserError, match="before: is another network"):
        _with_weights(start(CONFIG, 5), model(**change))


def test_a_model_that_is_none_is_refused_before_anything_is_made(tmp_path, capsys) -> None:
    out = tmp_path / "run"
    arguments = ["train", "data.zip", "--model", "photo", "--from", "none", "--out", str(out)]
    assert cli.main(arguments) == 2
    assert "model none" in capsys.readouterr().err
    assert not out.exists()
