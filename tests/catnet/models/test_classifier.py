"""Model files and answers from Python."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import re
import reprlib
import tracemalloc
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import jaxnn
from catnet import Classifier, terminal
from catnet.cli import main
from catnet.errors import UserError
from catnet.models import registry

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (70, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def classifier() -> Classifier:
    architecture = registry.architecture("deep", (6, 4))
    net = registry.build(architecture)
    params = net.init(jax.random.key(0), jax.ShapeDtypeStruct((64, 64, 3), "float32"))
    return Classifier(
        architecture, params, ("non-cat", "cat"), "test", "made for a test", 0.4, 1.5, -0.2
    )


def test_probabilities_are_the_lectures_formulas(classifier: Classifier) -> None:
    a = IMAGES.reshape(len(IMAGES), -1).astype(np.float64) / 255
    for layer in (1, 3, 5):
        W, b = classifier.params[layer]["W"], classifier.params[layer]["b"]
        z = a @ np.asarray(W, np.float64).T + np.asarray(b)
        a = np.maximum(z, 0)
    p = 1 / (1 + np.exp(-(1.5 * z[:, 0] - 0.2)))
    np.testing.assert_allclose(classifier.probabilities(IMAGES)[:, 1], p, rtol=1e-4)


def test_an_answer_does_not_depend_on_neighbours_order_or_number(classifier: Classifier) -> None:
    together = classifier.probabilities(IMAGES)
    alone = np.concatenate([classifier.probabilities(IMAGES[i : i + 1]) for i in range(70)])
    backwards = classifier.probabilities(IMAGES[::-1])[::-1]
    assert (together == alone).all()
    assert (together == backwards).all()
    assert classifier.probabilities(IMAGES[:0]).shape == (0, 2)


@pytest.mark.parametrize("threshold", [0.02, 0.4, 0.9])
def test_the_band_moves_with_the_threshold_in_log_odds(classifier, threshold: float) -> None:
    unsure = dataclasses.replace(classifier, confidence_band=(0.3, 0.6))

    def odds(p: float) -> float:
        return float(np.log(p / (1 - p)))

    for answer in unsure.predict(IMAGES, threshold):
        assert answer.probabilities is not None
        p, moved = answer.probabilities["cat"], odds(threshold) - odds(0.4)
        assert answer.unsure == (odds(0.3) < odds(p) - moved < odds(0.6))
        assert answer.label == ("cat" if p >= threshold else "non-cat")
        assert answer.probability == (p if p >= threshold else 1 - p)


def test_three_classes_answer_with_the_softmax_and_are_unsure_below_the_threshold() -> None:
    architecture = registry.architecture("logistic", classes=3)
    net = registry.build(architecture)
    params = net.init(jax.random.key(0), jax.ShapeDtypeStruct((64, 64, 3), "float32"))
    model = Classifier(architecture, params, ("a", "b", "c"), "m", "", threshold=0.5, slope=0.7)
    x = IMAGES.reshape(len(IMAGES), -1).astype(np.float64) / 255
    z = 0.7 * (x @ np.asarray(params[1]["W"], np.float64).T + np.asarray(params[1]["b"]))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.probabilities(IMAGES), p, rtol=1e-4)
    for threshold in (None, 0.9):
        limit = 0.5 if threshold is None else threshold
        for answer, row in zip(model.predict(IMAGES, threshold), p, strict=True):
            assert answer.label == "abc"[int(np.argmax(row))]
            assert answer.probability == pytest.approx(row.max(), rel=1e-4)
            assert answer.unsure == (row.max() < limit)
            assert answer.threshold == limit


def test_save_and_load_answer_alike(classifier: Classifier, tmp_path: Path) -> None:
    classifier.save(tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        loaded = Classifier.load(path)
        assert (loaded.probabilities(IMAGES) == classifier.probabilities(IMAGES)).all()
        assert dataclasses.replace(loaded, params=None) == dataclasses.replace(
            classifier, params=None
        )


def test_paths_and_arrays_of_any_size_are_answered_in_order(classifier, tmp_path: Path) -> None:
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    larger = np.repeat(np.repeat(IMAGES[1], 2, axis=0), 2, axis=1)
    answers = classifier.predict([tmp_path / "a.png", IMAGES[0], tmp_path / "none.png", larger])
    assert [a.path for a in answers] == [
        str(tmp_path / "a.png"), None, str(tmp_path / "none.png"), None
    ]  # fmt: skip
    assert answers[0].probabilities == answers[1].probabilities
    assert answers[2].error
    assert answers[2].label is None
    p = dict(zip(classifier.classes, classifier.probabilities(IMAGES[1:2])[0], strict=True))
    assert answers[3].probabilities == pytest.approx(p, abs=0.02)
    assert answers[3].probability == answers[3].probabilities[answers[3].label]
    assert [a.label for a in classifier.predict(IMAGES[:3], threshold=0.0)] == ["cat"] * 3
    assert len(classifier.predict(IMAGES)) == 70
    assert len(classifier.predict(IMAGES[0])) == 1
    assert len(classifier.predict(str(tmp_path / "a.png"))) == 1


def test_arrays_that_are_no_images_are_answered_with_the_reason(classifier: Classifier) -> None:
    [answer] = classifier.predict([np.zeros((64, 64, 3))])
    assert "expected (H, W, 3) of uint8, got (64, 64, 3) of float64" in str(answer.error)


# ---- what predict takes

GREY = RNG.integers(0, 256, (9, 7), dtype=np.uint8)
COLOURS = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
OPACITY = RNG.integers(0, 256, (9, 7, 4), dtype=np.uint8)


def content(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


ONE = {
    "bytes": (lambda: content(COLOURS), COLOURS),
    "bytearray": (lambda: bytearray(content(COLOURS)), COLOURS),
    "memoryview": (lambda: memoryview(content(COLOURS)), COLOURS),
    "open file": (lambda: io.BytesIO(content(COLOURS)), COLOURS),
    "image": (lambda: Image.fromarray(COLOURS), COLOURS),
    "image not loaded": (lambda: Image.open(io.BytesIO(content(OPACITY))), OPACITY),
    "image with opacity": (lambda: Image.fromarray(OPACITY), OPACITY),
    "(H, W)": (lambda: GREY, GREY),
    "(H, W, 1)": (lambda: GREY[..., None], GREY),
    "(H, W, 3)": (lambda: COLOURS, COLOURS),
    "(H, W, 4)": (lambda: OPACITY, OPACITY),
    "of JAX": (lambda: jnp.asarray(COLOURS), COLOURS),
    "reversed": (lambda: COLOURS[::-1][::-1], COLOURS),
}


@pytest.mark.parametrize("kind", ONE)
def test_one_image_of_every_kind_is_one_answer(kind: str, classifier, tmp_path: Path) -> None:
    """What the same pixels are answered as a file, alone and in a list."""
    make, pixels = ONE[kind]
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    [wanted] = classifier.predict(path)
    assert wanted.probability is not None
    for given in (make(), [make()], iter([make()])):
        [answer] = classifier.predict(given)
        assert answer == wanted._replace(path=None)


def test_many_images_of_all_kinds_are_answered_in_order(classifier, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(COLOURS).save(path)
    with path.open("rb") as file:
        mixed = [make() for make, _ in ONE.values()] + [str(path), path, file]
        answers = classifier.predict(mixed)
    alone = [
        classifier.predict(Image.fromarray(pixels))[0].probability for _, pixels in ONE.values()
    ]
    assert [answer.probability for answer in answers] == [*alone, *[alone[0]] * 3]
    assert [answer.path for answer in answers[-3:]] == [str(path), str(path), None]
    kinds: list = [tuple(mixed[:8]), (item for item in mixed[:8]), np.array([str(path)] * 8)]
    for many in (*kinds, np.array([path] * 8), dict.fromkeys([str(path)]).keys()):
        assert {answer.error for answer in classifier.predict(many)} <= {None, "empty file"}
    assert len(classifier.predict(np.array([str(path)] * 3))) == 3
    same = Image.open(path)
    assert [a.probability for a in classifier.predict([same] * 40)] == [alone[0]] * 40
    same.close()


@pytest.mark.parametrize("shape", [(5, 9, 7, 3), (5, 9, 7, 1), (5, 9, 7, 4), (1, 64, 64, 3)])
def test_a_batch_is_an_answer_for_each(shape, classifier) -> None:
    batch = RNG.integers(0, 256, shape, dtype=np.uint8)
    alone = [classifier.predict(image)[0] for image in batch]
    for many in (batch, list(batch), jnp.asarray(batch)):
        assert classifier.predict(many) == alone


@pytest.mark.parametrize("nothing", [[], (), iter(()), np.zeros((0, 64, 64, 3), np.uint8)])
def test_no_images_are_no_answers(nothing, classifier) -> None:
    assert classifier.predict(nothing) == []


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (COLOURS / 255, "of float64; multiply by 255 if white is 1, round, astype(uint8)"),
        (COLOURS.astype(np.float32), "of float32; multiply by 255"),
        (jnp.ones((9, 7, 3)), "of float32; multiply by 255"),
        (COLOURS.astype(int), "of int64; round, astype(uint8)"),
        (GREY > 9, "of bool"),
        (COLOURS.transpose(2, 0, 1), "got (3, 9, 7) of uint8"),
        (GREY[0], "got (7,) of uint8"),
        (np.zeros((0, 7, 3), np.uint8), "got (0, 7, 3)"),
        (np.zeros((2, 2, 9, 7, 3), np.uint8), "got (2, 2, 9, 7, 3)"),
        (b"", "empty file"),
        (b"nothing", "known format"),
        (io.BytesIO(), "empty file"),
        (io.StringIO("x"), "opened as text; open it as binary"),
        (Image.new("RGB", (0, 3)), "has no pixels"),
        ("", "no such file"),
    ],
)  # fmt: skip
def test_what_is_no_image_is_one_answer_with_the_reason(given, reason: str, classifier) -> None:
    for answers in (classifier.predict(given), classifier.predict([given])):
        [answer] = answers
        assert (answer.label, answer.probability, answer.probabilities) == (None, None, None)
        assert reason in answer.error
        assert answer.error.isprintable()


def test_closed_files_and_files_of_text_are_answered_with_the_reason(classifier, tmp_path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content(COLOURS))
    with path.open("rb") as closed, path.open() as terminal:
        [answer] = classifier.predict(terminal)
        assert "opened as text" in answer.error
    [answer] = classifier.predict(closed)
    assert "closed file" in answer.error


@pytest.mark.parametrize("given", [None, 3, 2.5, {"a": 1}, {"a.png"}, object(), np.uint8(3), True])
def test_what_cannot_be_meant_is_a_type_error_in_one_line(given, classifier) -> None:
    for call in (lambda: classifier.predict(given), lambda: classifier.predict([GREY, given])):
        with pytest.raises(TypeError, match=r"an image is a path, the bytes of a file") as error:
            call()
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 300
    assert "image 1, " in str(error.value)
    with pytest.raises(TypeError, match=r"cannot predict image 0, \['a.png'\] \(list\)"):
        classifier.predict([["a.png"]])


def test_a_classifier_is_shown_in_one_line(classifier: Classifier) -> None:
    terminal = repr(classifier)
    count = 12288 * 6 + 6 + 6 * 4 + 4 + 4 + 1
    assert terminal.startswith(f"Classifier('test', ('non-cat', 'cat'), {count:,} params, ")
    assert "'model': 'deep'" in terminal
    assert len(terminal) < 200
    assert repr(dataclasses.replace(classifier, name="x" * 10**5, architecture={})).isprintable()


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
        ({"classes": ["cat"]}, "its metadata have a wrong value of classes; train it again"),
        ({"classes": ["ant", "bee", "cat"]}, "its metadata have a wrong value of classes; train"),
        ({"architecture": {"model": "deep", "hidden": [6, 4], "activation": "relu", "classes": 3}},
         "its metadata have a wrong value of classes; train it again"),
        ({"threshold": "high"}, "its metadata have a wrong value of threshold; train it again"),
        ({"size": 32}, "its metadata have a wrong value of size; train it again"),
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
        {"geometry": [96, 1.15]}, {"geometry": 96}, {"geometry": [70]}, {"geometry": [64, 0.5]},
        {"geometry": [64, None, 1]}, {"geometry": [10**9]}, {"geometry": [64, "1"]},
        {"geometry": []},
    )),
    *({"architecture": architecture} for architecture in (
        {}, [], "deep", {"model": ["deep"]}, {"model": "deep", "hidden": [6, 4], "activation": {}},
        {"model": "x\n" * 10**6}, {"x" * 10**6: 1}, levels(400),
    )),
    *({name: value} for name in ("threshold", "slope", "offset") for value in (
        10**400, -(10**400), None, True, "0.5", [0.5], levels(400),
    )),
    {"threshold": 7}, {"threshold": -0.1},
    *({"confidence_band": band} for band in (
        [0.5], [0.2, 7], ["0.2", "0.7"], 0.5, {"0": 1, "1": 2},
    )),
    *({"classes": classes} for classes in (
        ["cat", "cat"], ["cat", 3], {"non-cat": 0, "cat": 1}, ["x" * 10**6, "cat"], "ab",
    )),
    {"name": 3}, {"name": "x" * 10**6}, {"about": ["x"]},
    {"size": 64.5}, {"size": "9" * 10**6}, {"size": levels(400)}, {"pixels": "\n"},
    {"x\n" * 10**6: 1},
]  # fmt: skip


def refused(capsys, image: Path, model: Path) -> str:
    """What ``catnet predict`` says of a model that it refuses: one line, and nothing else."""
    assert main.main(["predict", str(image), "--model", str(model)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    [line] = err.splitlines()
    assert line.startswith(f"catnet: model {terminal.one_line(str(model))}")
    assert len(line) < len(str(model)) + 1000
    return line


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize("changes", ABSURD, ids=lambda changes: reprlib.repr(changes))
def test_absurd_metadata_are_refused_in_one_line(
    classifier, tmp_path, image, capsys, changes
) -> None:
    """Written by whoever means harm, so with the right checksum."""
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    rewritten(path, **changes)
    tracemalloc.start()
    try:
        refused(capsys, image, path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_what_is_no_model_file_is_refused_in_one_line(tmp_path, image, capsys) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "empty").touch()
    (tmp_path / "pickle\n.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    (tmp_path / "10 GB").write_bytes((10**10).to_bytes(8, "little") + b"{}" * 100)
    save_file({"W": np.zeros((1, 12288), np.float32)}, tmp_path / "another program's")
    names = ["pipe", "folder", "loop", "empty", "pickle\n.safetensors", "10 GB", "none"]
    for path in (*(tmp_path / name for name in names), Path("/dev/zero"), Path("/dev/null")):
        refused(capsys, image, path)
    assert "is not a catnet model" in refused(capsys, image, tmp_path / "another program's")
    assert not (tmp_path / "sprung").exists()


class Trap:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_flipped_bits_of_a_model_are_refused(classifier, tmp_path, image, capsys) -> None:
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
        refused(capsys, image, path)


def test_a_name_with_line_breaks_is_printed_on_one_line(
    classifier, tmp_path, image, capsys
) -> None:
    path = tmp_path / "model.safetensors"
    dataclasses.replace(classifier, name="a\nb", about="\x1b[31m", classes=("x\ny", "\rz")).save(
        path
    )
    assert main.main(["predict", str(image), "--model", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == ["model: a\\nb, \\x1b[31m"]
    assert len(out.splitlines()) == 1
    assert out.rstrip("\n").isprintable()


def test_an_answer_that_is_no_number_is_none(classifier, tmp_path, image, capsys) -> None:
    """Weights that are finite, but so large that sums of them are not."""
    huge = jax.tree.map(lambda leaf: 1e36 * leaf, classifier.params)
    path = tmp_path / "model.safetensors"
    dataclasses.replace(classifier, params=huge).save(path)
    [answer] = Classifier.load(path).predict(image)
    assert (answer.label, answer.probability, answer.probabilities) == (None, None, None)
    assert answer.error == "the model's logit is NaN or infinite; train the model again"
    assert main.main(["predict", str(image), "--model", str(path)]) == 1


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
    with pytest.raises(UserError, match="weights that are NaN or infinite"):
        Classifier.load(path)


def test_the_shipped_model_says_what_it_is() -> None:
    shipped = Classifier.load()
    assert shipped.classes == ("non-cat", "cat")
    assert shipped.name
    assert shipped.about
