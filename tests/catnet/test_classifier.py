"""Model files and answers from Python."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import jaxnn
from catnet import Classifier, networks
from catnet.errors import UserError

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (70, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def classifier() -> Classifier:
    architecture = networks.architecture("deep", (6, 4))
    net = networks.build(architecture)
    params = net.init(jax.random.key(0), jax.ShapeDtypeStruct((64, 64, 3), "float32"))
    return Classifier(
        architecture, params, ("non-cat", "cat"), "test", "made for a test", 0.4, 1.5, -0.2
    )


def test_probabilities_are_the_lectures_formulas(classifier: Classifier) -> None:
    a = PICTURES.reshape(len(PICTURES), -1).astype(np.float64) / 255
    for layer in (1, 3, 5):
        W, b = classifier.params[layer]["W"], classifier.params[layer]["b"]
        z = a @ np.asarray(W, np.float64).T + np.asarray(b)
        a = np.maximum(z, 0)
    p = 1 / (1 + np.exp(-(1.5 * z[:, 0] - 0.2)))
    np.testing.assert_allclose(classifier.probabilities(PICTURES), p, rtol=1e-4)


def test_an_answer_does_not_depend_on_neighbours_order_or_number(classifier: Classifier) -> None:
    together = classifier.probabilities(PICTURES)
    alone = np.concatenate([classifier.probabilities(PICTURES[i : i + 1]) for i in range(70)])
    backwards = classifier.probabilities(PICTURES[::-1])[::-1]
    assert (together == alone).all()
    assert (together == backwards).all()
    assert classifier.probabilities(PICTURES[:0]).shape == (0,)


def test_save_and_load_answer_alike(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        loaded = Classifier.load(path)
        assert (loaded.probabilities(PICTURES) == classifier.probabilities(PICTURES)).all()
        assert dataclasses.replace(loaded, params=None) == dataclasses.replace(
            classifier, params=None
        )


def test_paths_and_arrays_of_any_size_are_answered_in_order(classifier, tmp_path: Path) -> None:
    Image.fromarray(PICTURES[0]).save(tmp_path / "a.png")
    larger = np.repeat(np.repeat(PICTURES[1], 2, axis=0), 2, axis=1)
    answers = classifier.predict([tmp_path / "a.png", PICTURES[0], tmp_path / "none.png", larger])
    assert [a.path for a in answers] == [
        str(tmp_path / "a.png"), None, str(tmp_path / "none.png"), None
    ]  # fmt: skip
    assert answers[0].p_cat == answers[1].p_cat
    assert answers[2].error
    assert answers[2].label is None
    assert answers[3].p_cat == pytest.approx(classifier.probabilities(PICTURES[1:2])[0], abs=0.02)
    assert [a.label for a in classifier.predict(PICTURES[:3], threshold=0.0)] == ["cat"] * 3
    assert len(classifier.predict(PICTURES)) == 70
    assert len(classifier.predict(PICTURES[0])) == 1
    assert len(classifier.predict(str(tmp_path / "a.png"))) == 1


def test_arrays_that_are_no_pictures_are_answered_with_the_reason(classifier: Classifier) -> None:
    [answer] = classifier.predict([np.zeros((64, 64, 3))])
    assert "expected (H, W, 3) of uint8, got (64, 64, 3) of float64" in str(answer.error)


def rewritten(path: Path, **changes) -> None:
    params, metadata = jaxnn.load(path)
    jaxnn.save(path, params, {**metadata, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": {"model": "deep", "hidden": [6, 5], "activation": "relu"}},
         "3/W has shape (4, 6), expected (5, 6)"),
        ({"architecture": {"model": "logistic", "hidden": [], "activation": "relu"}},
         "3/W is extra"),
        ({"architecture": {"model": "deep", "hidden": [6, 4, 2], "activation": "relu"}},
         "7/W is missing"),
        ({"architecture": {"layers": 4}}, "its architecture is not one of this catnet"),
        ({"architecture": {"model": "huge"}}, "model 'huge' is not one of"),
        ({"classes": ["cat"]}, "its metadata is not that of a catnet model"),
        ({"threshold": "high"}, "its metadata is not that of a catnet model"),
        ({"size": 32}, "wants pictures with size 32, not 64"),
    ],
)  # fmt: skip
def test_model_files_for_something_else_are_refused(classifier, tmp_path, changes, message) -> None:
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    rewritten(path, **changes)
    with pytest.raises(UserError, match=re.escape(message)) as error:
        Classifier.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_models_are_refused(classifier, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="not a safetensors file, or cut short"):
        Classifier.load(path)
    jaxnn.save(path, ())
    with pytest.raises(UserError, match="is not a catnet model"):
        Classifier.load(path)
    with pytest.raises(UserError, match="No such file"):
        Classifier.load(tmp_path / "none")
    broken = jax.tree.map(lambda leaf: leaf * np.nan, classifier.params)
    dataclasses.replace(classifier, params=broken).save(path)
    with pytest.raises(UserError, match="weights that are not finite"):
        Classifier.load(path)


def test_the_shipped_model_says_what_it_is() -> None:
    shipped = Classifier.load()
    assert shipped.classes == ("non-cat", "cat")
    assert shipped.name
    assert shipped.about
