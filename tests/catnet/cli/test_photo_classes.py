"""Photo trainings of more than two classes, and of Tiny ImageNet's own classes."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import colours
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from catnet import Classifier
from catnet.cli import main
from catnet.data import cache as caches
from catnet.data.cache import Cache
from catnet.data.sampling import compute_priors, compute_sampling_weights
from catnet.data.split import TEST, split
from catnet.models.resnet import Targets, fine_loss
from catnet.training import seen
from catnet.training.photo import config as photo_config
from catnet.training.photo.config import PhotoConfig

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@dataclasses.dataclass(frozen=True)
class Small(PhotoConfig):
    widths: tuple[int, ...] = (4,)
    blocks: tuple[int, ...] = (0,)


def catnet(capsys, *words: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main.main([*map(str, words)]) == code
    return capsys.readouterr()


def test_three_classes(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(photo_config, "PhotoConfig", Small)
    data, out = colours.write(tmp_path / "animals", (240, 130, 230)), tmp_path / "run"
    how = ["--model", "photo", "--cache", tmp_path / "cache", "--batch-size", "32"]
    rest = ["--steps", "16", "--learning-rate", "0.03", "--class-weights", "balanced"]
    printed, err = catnet(capsys, "train", data, "--out", out, *how, *rest)
    assert "is bee" in printed
    described = jaxnn.load_metadata(out / "model.safetensors")
    assert described["architecture"]["classes"] == 3
    assert "cats" not in described["architecture"]
    assert '"accuracy": ' in err
    result = json.loads((out / "evaluation.json").read_text())
    assert list(result["sources"]) == ["animals"]
    model = Classifier.load(out)
    [answer] = model.predict(data / "ant" / "0.png")
    assert list(answer.probabilities or {}) == ["ant", "bee", "cat"]
    table = caches.build([data], tmp_path / "cache", geometry=model.geometry).table
    learnt = table.content[split(table) != TEST]
    np.testing.assert_array_equal(seen.read(out), np.unique(learnt))
    printed, err = catnet(capsys, "eval", out, data, "--json")
    assert json.loads(printed)["accuracy"] == result["accuracy"]
    assert f"{len(learnt)} of 600 images are left out" in err
    words = ["eval", out, data, "--held-out", "--cache", tmp_path / "cache", "--json"]
    printed, _ = catnet(capsys, *words)
    assert json.loads(printed)["confusion"] == result["sources"]["animals"]["confusion"]


def test_two_classes_have_weights_and_every_other_option(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setattr(photo_config, "PhotoConfig", Small)
    data = colours.write(tmp_path / "data", (90, 90))
    how = ["--model", "photo", "--cache", tmp_path / "cache", "--steps", "8", "--batch-size", "8"]
    how += ["--init", "xavier", "--dropout", "0.5", "--weight-decay", "0.2", "--augment", "mirror"]
    out, twice = tmp_path / "run", ["--class-weights", "bee=2"]
    catnet(capsys, "train", data, "--out", out, *how, *twice, "--patience", "8")
    config = json.loads((out / "config.json").read_text())
    assert (config["init"], config["dropout"], config["weight_decay"]) == ("xavier", 0.5, 0.2)
    assert (config["augment"], config["patience"]) == ("mirror", 8)
    assert config["class_weights"] == [["bee", 2.0]]
    none = tmp_path / "none"
    for more, line in [
        (["--class-weights", "dog=2"], "--class-weights dog=2: no such class; there are ant and"),
        (["--validation", "0.5"], "--validation is not for --model photo, which always holds out"),
    ]:
        _, err = catnet(capsys, "train", data, "--out", none, *how, *more, code=2)
        assert line in err
        assert not none.exists()


def test_the_loss_of_fine_classes_is_their_cross_entropy() -> None:
    z = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    fine = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]]
    y = Targets(*map(jnp.asarray, (np.zeros((4, 1)), fine, np.zeros((4, 1)))))
    assert fine_loss(z, y) == jaxnn.softmax_cross_entropy(z, fine)
    expected = jaxnn.softmax_cross_entropy.gradient(z, fine)
    np.testing.assert_array_equal(fine_loss.gradient(z, y), expected)


def tiny_imagenet(folder: Path) -> Path:
    """Three classes of Tiny ImageNet, two of them with the same first word."""
    folder.mkdir()
    data = colours.write(folder / "images", (6, 5, 4))
    wnids = ("n01443537", "n02085620", "n02123394")
    words = "n01443537\tcrane, bird\nn02085620\tcrane\nn02123394\tPersian cat\n"
    path = folder / "tiny.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/wnids.txt", "\n".join(wnids))
        archive.writestr("tiny/words.txt", words)
        for name, wnid in zip(colours.NAMES, wnids, strict=False):
            for file in sorted((data / name).iterdir()):
                archive.write(file, f"tiny/train/{wnid}/images/{file.stem}.JPEG")
    return path


def test_tiny_imagenet_is_read_with_its_own_classes(tmp_path: Path) -> None:
    path = tiny_imagenet(tmp_path / "data")
    two = caches.build([path], tmp_path / "cache")
    own = caches.build([path], tmp_path / "cache", all_classes=True)
    assert two.classes == ("non-cat", "cat")
    assert own.classes == ("crane, bird", "crane", "Persian cat")
    assert np.bincount(own.table.labels).tolist() == [6, 5, 4]
    assert own.strata == ("tiny",)
    assert own.fine_names == ()
    assert {*own.table.strata.tolist()} == {0}


def test_more_classes_are_sampled_as_often_as_they_occur(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, counts in zip(folders, ((4, 4, 4), (2, 2, 0)), strict=True):
        colours.write(folder, counts, seed=len(folder.name))
    both: Cache = caches.build(folders, tmp_path / "cache")
    assert both.classes == ("ant", "bee", "cat")
    weights = compute_sampling_weights(both, np.ones(len(both), bool))
    assert weights == pytest.approx({"a": 12 / 16, "b": 4 / 16})
    assert not compute_priors(both, None).any()  # type: ignore[arg-type]
