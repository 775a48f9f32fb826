"""Model files and answers from Python."""

from __future__ import annotations

import dataclasses
import os
import pickle
import re
import reprlib
import tracemalloc
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import jaxnn
from catnet import Classifier, cli, networks, text
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
        ({"temperature": 2.0}, "has 'temperature', which this catnet does not know; update"),
    ],
)  # fmt: skip
def test_model_files_for_something_else_are_refused(classifier, tmp_path, changes, message) -> None:
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    rewritten(path, **changes)
    with pytest.raises(UserError, match=re.escape(message)) as error:
        Classifier.load(path)
    assert str(path) in str(error.value)


def levels(count: int) -> dict:
    return {"a": levels(count - 1)} if count else {}


PHOTO = {"model": "photo", "widths": [4, 6], "blocks": [1, 0], "classes": 5, "cats": [1]}
ABSURD = [
    *({"architecture": {"model": "deep", "hidden": hidden, "activation": "relu"}} for hidden in (
        [10**9, 4], [-6, 4], [6.5, 4], [True, 4], [10**400, 4], ["6\n", "4"], [[]] * 2, 6, None,
        [1] * 10**5, [100_000] * 3,
    )),
    *({"architecture": {**PHOTO, **change}} for change in (
        {"classes": 10**9}, {"classes": 5.5}, {"classes": None}, {"cats": [7]}, {"cats": [1, 1]},
        {"cats": [-1]}, {"widths": []}, {"widths": [], "blocks": []}, {"widths": [4, -6]},
        {"widths": [4, 10**9]}, {"widths": [4, "6"]}, {"blocks": [1, 10**9]}, {"blocks": "10"},
        {"widths": [4] * 10**4, "blocks": [0] * 10**4}, {"sharpened": True},
    )),
    *({"architecture": architecture} for architecture in (
        {}, [], "deep", {"model": ["deep"]}, {"model": "deep", "hidden": [6, 4], "activation": {}},
        {"model": "x\n" * 10**6}, {"x" * 10**6: 1}, levels(400),
    )),
    *({name: value} for name in ("threshold", "slope", "offset") for value in (
        10**400, -(10**400), None, True, "0.5", [0.5], levels(400),
    )),
    {"threshold": 7}, {"threshold": -0.1},
    *({"guess": guess} for guess in ([0.5], [0.2, 7], ["0.2", "0.7"], 0.5, {"0": 1, "1": 2})),
    *({"classes": classes} for classes in (
        ["cat", "cat"], ["cat", 3], {"non-cat": 0, "cat": 1}, ["x" * 10**6, "cat"], "ab",
    )),
    {"name": 3}, {"name": "x" * 10**6}, {"about": ["x"]},
    {"size": 64.5}, {"size": "9" * 10**6}, {"size": levels(400)}, {"pixels": "\n"},
    {"x\n" * 10**6: 1},
]  # fmt: skip


def refused(capsys, picture: Path, model: Path) -> str:
    """What ``catnet predict`` says of a model that it refuses: one line, and nothing else."""
    assert cli.main(["predict", str(picture), "--model", str(model)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    [line] = err.splitlines()
    assert line.startswith(f"catnet: model {text.one_line(str(model))}")
    assert len(line) < len(str(model)) + 1000
    return line


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(PICTURES[0]).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("changes", ABSURD, ids=lambda changes: reprlib.repr(changes))
def test_absurd_metadata_are_refused_in_one_line(
    classifier, tmp_path, picture, capsys, changes
) -> None:
    """Written by whoever means harm, so with the right checksum."""
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    rewritten(path, **changes)
    tracemalloc.start()
    try:
        refused(capsys, picture, path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_what_is_no_model_file_is_refused_in_one_line(tmp_path, picture, capsys) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "empty").touch()
    (tmp_path / "pickle\n.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    (tmp_path / "10 GB").write_bytes((10**10).to_bytes(8, "little") + b"{}" * 100)
    save_file({"W": np.zeros((1, 12288), np.float32)}, tmp_path / "another program's")
    names = ["pipe", "folder", "loop", "empty", "pickle\n.safetensors", "10 GB", "none"]
    for path in (*(tmp_path / name for name in names), Path("/dev/zero"), Path("/dev/null")):
        refused(capsys, picture, path)
    assert "is not a catnet model" in refused(capsys, picture, tmp_path / "another program's")
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_flipped_bits_of_a_model_are_refused(classifier, tmp_path, picture, capsys) -> None:
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(0)
    for at in (*rng.integers(header, size=30), *rng.integers(header, len(content), size=10)):
        if content[at] in b" ":
            continue  # between the words of the JSON
        flipped = bytearray(content)
        flipped[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        refused(capsys, picture, path)


def test_a_name_with_line_breaks_is_printed_on_one_line(
    classifier, tmp_path, picture, capsys
) -> None:
    path = tmp_path / "model.safetensors"
    dataclasses.replace(classifier, name="a\nb", about="\x1b[31m", classes=("x\ny", "\rz")).save(
        path
    )
    assert cli.main(["predict", str(picture), "--model", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == "model: a\\nb, \\x1b[31m\n"
    assert len(out.splitlines()) == 1
    assert out.rstrip("\n").isprintable()


def test_an_answer_that_is_no_number_is_none(classifier, tmp_path, picture, capsys) -> None:
    """Weights that are finite, but so large that sums of them are not."""
    huge = jax.tree.map(lambda leaf: 1e36 * leaf, classifier.params)
    path = tmp_path / "model.safetensors"
    dataclasses.replace(classifier, params=huge).save(path)
    [answer] = Classifier.load(path).predict(picture)
    assert (answer.label, answer.p_cat) == (None, None)
    assert answer.error == "the model's answer is not a number; train it again"
    assert cli.main(["predict", str(picture), "--model", str(path)]) == 1


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
