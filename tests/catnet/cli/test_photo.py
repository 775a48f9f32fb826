"""Photo trainings from the command line: classes of the user's own, settings after the data."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import redblue

import jaxnn
from catnet import Classifier
from catnet.cli import main
from catnet.data import cache as caches
from catnet.data import textures
from catnet.data.cache import Cache
from catnet.data.split import PARTS, TEST, TRAIN, VALIDATION, split
from catnet.errors import UserError
from catnet.training import seen, soft_labels
from catnet.training.photo import config, division, scores, state, train
from catnet.training.photo import run as photo_run
from catnet.training.photo.config import CHUNK, PhotoConfig

pytestmark = pytest.mark.usefixtures("compiled_quickly")


@dataclasses.dataclass(frozen=True)
class Small(PhotoConfig):
    widths: tuple[int, ...] = (4,)
    blocks: tuple[int, ...] = (0,)


@pytest.fixture(scope="module")
def animals(tmp_path_factory) -> Path:
    """Dogs are blue, horses red."""
    folder = redblue.write(tmp_path_factory.mktemp("data") / "animals", 40)
    (folder / "non-cat").rename(folder / "dog")
    (folder / "cat").rename(folder / "horse")
    return folder


@pytest.fixture(scope="module")
def decoded(animals: Path, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("cache")
    caches.build([animals], place, geometry=photo_run.GEOMETRY)
    return place


@pytest.fixture
def begin(animals: Path, decoded: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(config, "PhotoConfig", Small)

    def begin(*how: str) -> int:
        where = ["--cache", str(decoded), "--out", str(tmp_path / "run")]
        return main.main(["train", str(animals), "--model", "photo", *where, *how])

    return begin


def test_the_names_of_the_classes_are_the_users_everywhere(
    begin, animals: Path, decoded: Path, tmp_path: Path, capsys
) -> None:
    resnet_run = str(tmp_path / "run")
    assert begin("--steps", "20", "--batch-size", "8", "--learning-rate", "0.03") == 0
    printed = capsys.readouterr()
    assert "is dog " in printed.out
    assert "is horse " in printed.out
    assert "probabilities are not calibrated: the validation part has " in printed.err
    about = jaxnn.load_metadata(f"{resnet_run}/model.safetensors")
    assert about["classes"] == ["dog", "horse"]
    assert (about["slope"], about["offset"], about["confidence_band"]) == (1.0, 0.0, [0.5, 0.5])
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert evaluation["sources"]["animals"]["classes"] == ["dog", "horse"]
    assert evaluation["accuracy"] == evaluation["sources"]["animals"]["accuracy"]
    for kind in ("dog", "horse"):
        assert main.main(["predict", f"{animals}/{kind}/3.png", "--model", resnet_run]) == 0
        printed = capsys.readouterr()
        assert printed.out.split()[0] == kind
        assert float(printed.out.split()[1].rstrip("%")) > 50  # of the label
    assert main.main(["eval", resnet_run, str(animals), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0
    assert main.main(["data", "check", str(animals), "--model", resnet_run]) == 0
    assert "label contradicted by run: 0" in capsys.readouterr().out
    held_out = ["eval", resnet_run, str(animals), "--held-out", "--cache", str(decoded)]
    assert main.main([*held_out, "--by-folder"]) == 0
    printed = capsys.readouterr().out
    assert "held out of animals" in printed
    assert {"dog", "horse"} == {line.split()[0] for line in printed.splitlines()[-3:-1]}


def test_the_widths_and_the_blocks_are_those_of_the_network(begin, tmp_path: Path, capsys) -> None:
    layers = ["--widths", "4", "5", "6", "--blocks", "1", "1", "2"]
    assert begin(*layers, "--steps", "8", "--batch-size", "8") == 0
    run = str(tmp_path / "run")
    model = Classifier.load(run)
    assert model.architecture["widths"] == [4, 5, 6]
    assert model.architecture["blocks"] == [1, 1, 2]
    assert {leaf.shape[-1] for leaf in jax.tree.leaves(model.params)} >= {4, 5, 6}
    capsys.readouterr()
    assert main.main(["train", "--resume", run, "--widths", "4", "4", "4"]) == 2
    assert "--widths: " in capsys.readouterr().err


@pytest.mark.parametrize("steps", [1, 2, 33])
def test_a_training_of_few_steps_has_a_learning_rate(steps: int) -> None:
    params = {"W": np.zeros((2, 3), np.float32)}
    state.optimizer(Small(steps=steps)).init(params)


@pytest.mark.parametrize(
    ("cost", "at", "line"),
    [
        (np.nan, 11, "training diverged at step 11: the cost is NaN; try a smaller"),
        (np.inf, 5, "training diverged at step 5: the cost is infinite; try a smaller"),
        (np.nan, 0, "the cost is NaN before the first step; check the data and the model"),
    ],
)
def test_a_training_that_diverges_says_where_and_what_to_try(
    cost: float, at: int, line: str, begin, tmp_path: Path, monkeypatch, capsys
) -> None:
    """Without a validation before it there are no best weights, and none are promised."""

    def steps(state, images, *_):
        of_steps = np.arange(int(state.step), int(state.step) + len(images))
        return state._replace(step=of_steps[-1] + 1), np.where(of_steps >= at, cost, 1.0)

    fresh = state.TrainState(np.zeros((), np.int32), (), (), ())
    monkeypatch.setattr(state, "make_state", lambda *_: fresh)
    monkeypatch.setattr(train, "compile_steps", lambda *_: steps)
    how = ["--steps", "1000", "--batch-size", "8", "--learning-rate", "0.25"]
    assert begin(*how) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    rate = " --learning-rate than 0.25" if at else ""
    assert last == f"catnet: {line}{rate}"


def test_a_batch_larger_than_the_training_part_is_refused(begin, tmp_path: Path, capsys) -> None:
    assert begin("--batch-size", "500") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("catnet: --batch-size 500: there are ")
    assert line.endswith(" images only")
    assert not (tmp_path / "run").exists()


def test_drawn_images_of_nothing_are_neither_dogs_nor_horses(begin, tmp_path, capsys) -> None:
    assert begin("--textures", "5") == 2
    assert "textures are none of the classes dog and horse" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_source_is_left_out_and_a_teacher_has_classes_of_its_own(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    """Nothing of the source is learnt, its textures included, and all of it is evaluated."""
    monkeypatch.setattr(config, "PhotoConfig", Small)
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("mine", "theirs")):
        redblue.write(tmp_path / name, 60, seed=seed)
    data, cache = [str(tmp_path / name) for name in ("mine", "theirs")], str(tmp_path / "cache")
    both = caches.build(data, cache, geometry=photo_run.GEOMETRY)
    rows = np.eye(3, dtype=np.float16)[2 * both.table.labels]
    soft = soft_labels.SoftLabels(both.table.content, rows, ("dog", "tree", "tabby"), (2,))
    soft_labels.save("soft.npz", soft)
    made_of = []
    monkeypatch.setattr(
        textures, "scramble_photographs", lambda cache, count: made_of.append(split(cache.table))
        or np.zeros((count, 96, 96, 3), np.uint8)
    )  # fmt: skip
    how = ["--model", "photo", "--cache", cache, "--soft-labels", "soft.npz", "--textures", "30"]
    how += ["--leave-out", "theirs", "--steps", "8", "--batch-size", "16"]
    assert main.main(["train", *data, *how, "--out", "run"]) == 0
    printed = capsys.readouterr()
    assert "soft labels of 240 images" in printed.err
    assert "test part of theirs" in printed.out
    theirs = both.table.sources == 1
    assert (made_of[0][theirs] == TEST).all()
    learnt = seen.read(tmp_path / "run")
    assert learnt is not None
    assert not np.isin(both.table.content[theirs], learnt).any()
    assert np.isin(both.table.content[~theirs], learnt).mean() > 0.8
    result = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert result["sources"]["theirs"]["examples"] == 120
    params, about = jaxnn.load("run/model.safetensors")
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {
        np.dtype(np.float16)
    }  # half the size
    described = about["architecture"]
    assert (described["classes"], described["cats"]) == (3, [2])
    monkeypatch.chdir(tmp_path / "mine")
    assert main.main(["train", "--resume", "../run", "--steps", "16"]) == 0
    soft_labels.save("other.npz", soft._replace(content=soft.content + np.uint64(1)))
    assert main.main(["train", *data, *how, "--soft-labels", "other.npz", "--out", "x"]) == 2
    assert "other.npz: has none of these images" in capsys.readouterr().err
    assert main.main(["train", *data, *how, "--leave-out", "mars", "--out", "x"]) == 2
    assert "--leave-out mars: the sources are mine, theirs" in capsys.readouterr().err


@pytest.mark.parametrize("part", [TRAIN, VALIDATION, TEST])
def test_a_part_without_a_class_is_one_line_and_makes_no_folder(
    part: int, begin, decoded: Path, animals: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    labels = caches.build([animals], decoded).table.labels
    parts = np.arange(len(labels)) % 3
    parts[(labels == 1) & (parts == part)] = (part + 1) % 3  # the horses go elsewhere
    monkeypatch.setattr(division, "split", lambda table: parts)
    assert begin() == 2
    [line] = capsys.readouterr().err.splitlines()
    count = np.count_nonzero(parts == part)
    assert line == (
        f"catnet: 80 images are too few: the {PARTS[part]} part, {count} of them, has no horse; "
        "add different images (100 of each class are enough), "
        "or use --from shipped without --model photo"
    )
    assert not (tmp_path / "run").exists()


def test_a_source_without_a_score_is_named(animals: Path, decoded: Path, monkeypatch) -> None:
    cache = caches.build([animals], decoded)
    half = np.arange(len(cache)) % 2
    two = dataclasses.replace(
        cache,
        table=dataclasses.replace(cache.table, sources=half.astype(np.int16)),
        images=(cache.images[0][:0], cache.images[0]),
        sources=("one", "two"),
    )
    held = np.where((half == 1) & (cache.table.labels == 1), TRAIN, TEST)
    monkeypatch.setattr(scores, "split", lambda table: held)

    class Knows:
        """Answers by the place of an image; the first 40 are dogs, whose label is 0."""

        classes, threshold = ("horse", "dog"), 0.5

        def probabilities(self, images: np.ndarray) -> np.ndarray:
            return 1.0 * (images[..., 2].mean(axis=(1, 2)) > images[..., 0].mean(axis=(1, 2)))

    said: list[str] = []
    knows: Any = Knows()
    answers = scores.answer(knows, two, said.append)
    assert [*answers] == ["one"]
    assert answers["one"].evaluate(knows).accuracy == 1.0
    assert said == ["two: no score, since it has 20 images held out, and no horse among them"]
    monkeypatch.setattr(scores, "split", lambda table: np.full(len(table), TRAIN))
    with pytest.raises(
        UserError,
        match="one: no score, since it has 0 images held out, and no dog and no horse among",
    ):
        scores.answer(knows, two, said.append)


@pytest.mark.parametrize(
    ("images", "given", "batch", "steps", "every"),
    [
        (387, {}, 128, 1000, 83),
        (30_000, {}, 128, 4687, 390),
        (80_000, {}, 128, 12_000, 800),
        (10**6, {}, 128, 12_000, 800),
        (40, {}, 20, 1000, 83),
        (20_000, {"batch_size": 64}, 64, 6250, 520),
        (387, {"steps": 10_000}, 128, 10_000, 800),
        (387, {"steps": 3}, 128, 3, CHUNK),
    ],
)
def test_settings_follow_the_data(images, given, batch, steps, every) -> None:
    """Twenty times through the images, from 1000 to 12,000 steps; what is given stays."""
    config = PhotoConfig.for_images(images, **given)
    assert (config.batch_size, config.steps, config.validate_every) == (batch, steps, every)


def test_the_number_of_steps_is_in_the_run_folder(begin, tmp_path: Path, monkeypatch) -> None:
    def stop(*_) -> None:
        raise UserError("enough")

    monkeypatch.setattr(photo_run, "train", stop)
    assert begin() == 2
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["steps"], config["batch_size"], config["validate_every"]) == (1000, 40, 83)


def test_enough_images_are_calibrated_on(monkeypatch) -> None:
    """The slope is found that a network has lost that is twice too sure of itself."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=4000)
    labels = (rng.random(4000) < 1 / (1 + np.exp(-z))).astype(np.int8)
    table = np.zeros(4000, [("labels", np.int8), ("sources", np.int16)]).view(np.recarray)
    table.labels = labels
    cache = Cache((), table, ("a",), ())  # type: ignore[arg-type]
    monkeypatch.setattr(scores, "split", lambda table: np.full(len(table), VALIDATION))
    monkeypatch.setattr(Cache, "take", lambda self, numbers: numbers)
    monkeypatch.setattr(Classifier, "logits", lambda self, numbers: 2 * z[numbers])
    model = Classifier({}, (), ("non-cat", "cat"), "sure", "for a test")
    said: list[str] = []
    assert scores.calibrate_classifier(model, cache, said.append).slope == pytest.approx(
        0.5, abs=0.05
    )
    assert said == []
    few = dataclasses.replace(cache, table=table[:15])
    assert scores.calibrate_classifier(model, few, said.append) == model
    n_1 = int(labels[:15].sum())
    assert said == [
        f"probabilities are not calibrated: the validation part has {15 - n_1} of non-cat and "
        f"{n_1} of cat, and 20 of each are needed"
    ]
