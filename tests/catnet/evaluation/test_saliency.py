"""Saliency against jax.grad, and what the drawings show."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from catnet import Classifier
from catnet.cli import main
from catnet.errors import UserError
from catnet.evaluation import saliency
from catnet.models import registry

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
PHOTO = {"model": "photo", "widths": [4, 5], "blocks": [1, 1], "classes": 3, "cats": [2]}


def made(architecture) -> Classifier:
    net = registry.build(architecture)
    params = net.init(jax.random.key(0), jax.ShapeDtypeStruct((64, 64, 3), "float32"))
    # Not as they begin: the last convolution of a block is zero then.
    params = jax.tree.map(lambda p: p + 0.05 * RNG.normal(size=p.shape).astype(np.float32), params)
    return Classifier(architecture, params, ("non-cat", "cat"), "test", "made for a test")


@pytest.fixture(scope="module", params=["photo", "shallow"])
def classifier(request) -> Classifier:
    return made(PHOTO if request.param == "photo" else registry.architecture("shallow"))


def test_saliency_is_the_largest_gradient_of_the_colours(classifier: Classifier) -> None:
    net = registry.build(classifier.architecture)
    for image, found in zip(IMAGES, saliency.saliency(classifier, IMAGES), strict=True):
        x = jnp.asarray(image, jnp.float32) / 255
        by_jax = jax.grad(lambda x: net.apply(classifier.params, x)[0])(x)
        np.testing.assert_allclose(found, jnp.abs(by_jax).max(axis=-1), rtol=1e-3, atol=1e-6)


def test_the_drawing_shows_the_image_and_where_it_glows() -> None:
    strength = np.zeros((64, 64), np.float32)
    strength[10:16, 40:46] = 1
    drawn = np.asarray(saliency.draw(IMAGES[0], strength)).astype(int)
    scale, gap = saliency.SCALE, saliency.GAP
    seen = drawn[gap : gap + 64 * scale : scale, gap : gap + 64 * scale : scale]
    np.testing.assert_array_equal(seen, IMAGES[0])
    over = drawn[gap : gap + 64 * scale : scale, gap * 2 + 64 * scale : -gap : scale]
    warm = (over[..., 0] - over[..., 2])[:64]
    assert (warm[11:15, 41:45] > 150).all()
    assert (abs(warm[30:]) == 0).all()


def test_an_image_on_which_nothing_depends_does_not_glow() -> None:
    drawn = np.asarray(saliency.draw(IMAGES[0], np.zeros((64, 64), np.float32)))
    square = drawn[: 64 * saliency.SCALE + saliency.GAP, 64 * saliency.SCALE + saliency.GAP :]
    assert (square[..., 0] == square[..., 2]).all()


def test_the_answer_and_the_legend_are_below_the_squares() -> None:
    strength = np.zeros((64, 64), np.float32)
    drawn, named = (
        np.asarray(saliency.draw(IMAGES[0], strength, answer)).astype(int)
        for answer in ("", "cat, 99.9%")
    )
    rows = np.flatnonzero((drawn != named).any(axis=(1, 2)))
    below = 64 * saliency.SCALE + 2 * saliency.GAP
    assert rows.min() >= below
    legend = named[below:]
    # The bar of colours: a row of it becomes more yellow from left to right.
    warm = legend[..., 0] - legend[..., 2]
    bar = warm[np.argmax(warm.sum(axis=1))]
    first, last = np.flatnonzero(bar)[[0, -1]]
    assert last - first > 100
    assert (np.diff(bar[first : last + 1]) >= -1).all()
    assert bar[last] > 150


def test_filters_are_the_weights_of_the_first_layer(classifier: Classifier) -> None:
    found = saliency.filters(classifier)
    if classifier.architecture["model"] == "photo":
        W = np.asarray(classifier.params[0][0]["W"])
        assert found.shape == (4, 8, 8, 3)
        np.testing.assert_array_equal(found[2, 1, 5], W[1, 5, :, 2])
    else:
        assert found.shape == (7, 64, 64, 3)
        np.testing.assert_array_equal(found.reshape(7, -1), classifier.params[1]["W"])
    sheet = saliency.draw_filters(found)
    assert len(np.unique(np.asarray(sheet))) > 50


def test_the_largest_weight_is_white_or_black_and_zero_is_grey() -> None:
    weights = np.zeros((1, 8, 8, 3), np.float32)
    weights[0, 0, 0], weights[0, 7, 7] = 3.0, -3.0
    drawn = np.asarray(saliency.draw_filters(weights))
    corner, middle = saliency.GAP + 2, drawn.shape[0] // 2
    assert drawn[corner, corner].tolist() == [255] * 3
    assert drawn[-corner, -corner].tolist() == [0] * 3
    assert drawn[middle, middle].tolist() in ([127] * 3, [128] * 3)


def test_predict_writes_an_explanation_for_every_answer(tmp_path: Path, capsys) -> None:
    made(registry.architecture("shallow")).save(tmp_path / "model.safetensors")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(IMAGES[0]).save(tmp_path / name / "my cat?.png")
    out = tmp_path / "why"
    arguments = ["predict", f"{tmp_path}/a", f"{tmp_path}/b", f"{tmp_path}/none.png"]
    arguments += ["--model", f"{tmp_path}/model.safetensors", "--explain", str(out), "--json"]
    assert main.main(arguments) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = ["0001-my_cat_.png", "0002-my_cat_.png"]
    assert sorted(path.name for path in out.iterdir()) == names
    written = [line["explanation"] for line in lines if "explanation" in line]
    assert written == [str(out / name) for name in names]
    assert main.main(arguments) == 2
    assert "has files in it already; choose a new folder" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == names


def test_filters_are_drawn_once(tmp_path: Path, capsys) -> None:
    made(PHOTO).save(tmp_path / "model.safetensors")
    out = tmp_path / "filters.png"
    assert main.main(["filters", str(tmp_path), "--out", str(out)]) == 0
    before = out.read_bytes()
    with Image.open(out) as drawn:
        assert min(drawn.size) > 64
    assert main.main(["filters", str(tmp_path), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert out.read_bytes() == before


@pytest.mark.parametrize("name", ["f.jpg", "f.jpeg", "f", "f.png.txt", "png", ".png"])
def test_a_drawing_is_not_written_under_the_name_of_another_format(name, tmp_path, capsys) -> None:
    out = tmp_path / name
    assert main.main(["filters", "no-such-model", "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"catnet: --out {out}: the drawing is a PNG; choose a name that ends in .png\n"
    )
    with pytest.raises(UserError, match="is a PNG"):
        saliency.write_filters(str(out), Image.new("RGB", (8, 8)))
    assert list(tmp_path.iterdir()) == []
    saliency.write_filters(str(tmp_path / "f.PNG"), Image.new("RGB", (8, 8)))
    assert (tmp_path / "f.PNG").read_bytes().startswith(b"\x89PNG")


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"--explain .*file: is a file"):
        saliency.new_folder(str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written"):
        saliency.write_filters(str(tmp_path / "none" / "f.png"), Image.new("RGB", (8, 8)))
    assert (tmp_path / "file").read_text() == "mine"
