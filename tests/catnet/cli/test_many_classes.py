"""Three and ten classes from the command line: train, evaluate, predict, explain, fine-tune."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import colours
import numpy as np
import pytest
from PIL import Image

import jaxnn
from catnet import Classifier
from catnet.cli import main
from catnet.training import seen

pytestmark = pytest.mark.usefixtures("compiled_quickly")

KEYS = ["path", "label", "probability", "probabilities", "threshold", "model", "error", "unsure"]
FAST = ["--optimizer", "adam", "--learning-rate", "0.003"]


def catnet(capsys, *words: object, code: int = 0) -> tuple[str, str]:
    capsys.readouterr()
    assert main.main([*map(str, words)]) == code
    return capsys.readouterr()


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> Path:
    """Three classes of 30, 12 and 20 images, without a test part."""
    return colours.write(tmp_path_factory.mktemp("three") / "animals", (30, 12, 20))


@pytest.fixture(scope="module")
def run(three: Path) -> Path:
    """A logistic run on three classes, with balanced weights."""
    out = three.parent / "run"
    how = ["--model", "logistic", "--steps", "60", "--class-weights", "balanced", *FAST]
    assert main.main(["train", str(three), "--out", str(out), *how]) == 0
    return out


def test_three_classes_have_three_logits_and_answer_with_their_own_probability(
    run: Path, three: Path, tmp_path: Path, capsys
) -> None:
    about = jaxnn.load_metadata(run / "model.safetensors")
    assert about["architecture"]["classes"] == 3
    assert about["classes"] == ["ant", "bee", "cat"]
    assert about["slope"] == 1.0  # the 12 test images are too few to calibrate on
    images = [three / name / "0.png" for name in ("ant", "bee", "cat")]
    out, _ = catnet(capsys, "predict", *images, "--model", run, "--json", "--explain", tmp_path)
    for image, line in zip(images, out.splitlines(), strict=True):
        answer = json.loads(line)
        assert list(answer) == [*KEYS, "explanation"]
        assert list(answer["probabilities"]) == ["ant", "bee", "cat"]
        assert sum(answer["probabilities"].values()) == pytest.approx(1)
        assert answer["label"] == image.parent.name
        assert answer["probability"] == max(answer["probabilities"].values())
        assert np.asarray(Image.open(answer["explanation"])).std() > 1
    out, err = catnet(capsys, "predict", images[0], "--model", run)
    p = Classifier.load(run).predict(images[0])[0].probability
    assert out == f"ant     {p:6.1%}  {images[0]}\n"
    assert len(err.splitlines()) == 1
    out, _ = catnet(capsys, "predict", images[0], "--model", run, "--threshold", "1")
    assert out == f"unsure  {p:6.1%} ant     {images[0]}\n"


def test_eval_leaves_out_what_the_model_has_learnt_from(run: Path, three: Path, capsys) -> None:
    learnt = seen.read(run)
    assert learnt is not None
    out, err = catnet(capsys, "eval", run, three, "--json")
    result = json.loads(out)
    trained = json.loads((run / "evaluation.json").read_text())
    assert result["left_out"] == len(learnt) == 62 - trained["examples"]
    assert {key: result[key] for key in trained if key != "mistakes"} == {
        key: trained[key] for key in trained if key != "mistakes"
    }
    assert f"{len(learnt)} of 62 images are left out: the model has learnt from them" in err
    out, _ = catnet(capsys, "eval", run, three, "--json", "--with-training-images")
    assert json.loads(out)["examples"] == 62
    out, _ = catnet(capsys, "eval", run / "model.safetensors", three)
    assert "is ant" in out
    assert "precision  recall  examples" in out


def test_eval_of_learnt_images_alone_and_of_a_model_without_a_list(
    run: Path, three: Path, tmp_path: Path, capsys
) -> None:
    learnt = seen.read(run)
    assert learnt is not None
    for path in three.glob("*/*.png"):
        image = np.asarray(Image.open(path).resize((64, 64), Image.Resampling.NEAREST))
        assert image.shape == (64, 64, 3)
    model = tmp_path / "moved.safetensors"
    shutil.copy(run / "model.safetensors", model)
    _, err = catnet(capsys, "eval", model, three)
    assert "the model has no list of its training images" in err
    (tmp_path / seen.FILE).write_bytes(b"junk")
    _, err = catnet(capsys, "eval", model, three, code=2)
    assert f"{tmp_path}/learnt.npy: cannot be read" in err
    assert len(err.splitlines()) == 2
    from catnet.data.dataset import load
    from catnet.data.duplicates import hash_pixels

    seen.write(tmp_path, hash_pixels(load(three)[0].images), run)
    _, err = catnet(capsys, "eval", model, three, code=2)
    assert "the model has learnt from all of its 62 images; give other images, or --with" in err


def test_names_of_the_data_count_as_classes_of_the_model(
    run: Path, three: Path, tmp_path: Path, capsys
) -> None:
    shutil.copytree(three / "bee", tmp_path / "data" / "Bees")
    shutil.copytree(three / "cat", tmp_path / "data" / "feline")
    line = (
        "catnet: the classes of the model are ant, bee and cat, those of the data Bees and feline:"
        " feline is none of the model's; name its class with --as 'feline'=CLASS"
    )
    command = ["eval", run, tmp_path / "data", "--with-training-images"]
    _, err = catnet(capsys, *command, code=2)
    assert err.splitlines() == [line]
    out, err = catnet(capsys, *command, "--as", "feline=cat", "--json")
    assert "feline counts as cat" in err
    result = json.loads(out)
    assert [score["examples"] for score in result["per_class"]] == [0, 12, 20]
    check = ["data", "check", tmp_path / "data", "--model", run, "--as", "feline=cat", "--json"]
    suspects = json.loads(catnet(capsys, *check)[0])["suspects"]
    assert len(suspects) == len(result["mistakes"])


def test_ten_classes_and_a_class_absent_from_the_test_part(tmp_path: Path, capsys) -> None:
    """It is calibrated: answers below the threshold are unsure, the others mostly right."""
    data = colours.write(tmp_path / "data", (12,) * 10, parts=("train", "test"))
    shutil.rmtree(data / "test" / "fox")
    out = tmp_path / "run"
    how = ["--model", "shallow", "--hidden", "16", "--batch-size", "40", "--steps", "24", *FAST]
    printed, err = catnet(capsys, "train", data, "--out", out, *how)
    assert "the test part has no images of fox" in err
    assert "top-5 accuracy" in printed
    result = json.loads((out / "evaluation.json").read_text())
    assert result["accuracy"] > 0.4
    assert result["top_5"] > result["accuracy"]
    about = jaxnn.load_metadata(out / "model.safetensors")
    assert about["slope"] != 1.0
    assert about["threshold"] == result["threshold"]
    test = sorted((data / "test").glob("*/*.png"))
    answers = Classifier.load(out).predict(test)
    unsure = [answer.unsure for answer in answers]
    assert unsure == [answer.probability < about["threshold"] for answer in answers]
    sure = [a for a in answers if not a.unsure]
    right = sum(Path(a.path or "").parent.name == a.label for a in sure)
    assert not sure or right >= 0.95 * len(sure) or about["threshold"] == 0.95
    for command in (
        ["gradcheck", data, "--model", out, "--examples", "2"],
        ["data", "check", data],
    ):
        catnet(capsys, *command)


def test_a_sweep_of_three_classes(three: Path, tmp_path: Path, capsys) -> None:
    how = ["--model", "logistic", "--learning-rate", "0.001", "--seeds", "1", "--steps", "30"]
    catnet(capsys, "sweep", three, "--out", tmp_path / "sweep", *how)
    [cell] = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    assert cell["train_accuracy"][0] > 0.5
    assert Classifier.load(tmp_path / "sweep").classes == ("ant", "bee", "cat")
    assert seen.read(tmp_path / "sweep") is not None


def test_fine_tuning_to_three_classes_remembers_both_trainings(
    run: Path, three: Path, tmp_path: Path, capsys
) -> None:
    deep, tuned = tmp_path / "deep", tmp_path / "tuned"
    other = colours.write(tmp_path / "two", (8, 8), seed=1)
    catnet(capsys, "train", other, "--out", deep, "--model", "shallow", "--steps", "20")
    how = ["--from", deep, "--freeze", "--steps", "20", "--class-weights", "bee=2", "cat=0.5"]
    catnet(capsys, "train", three, "--out", tuned, *how)
    model = Classifier.load(tuned)
    assert model.classes == ("ant", "bee", "cat")
    assert model.architecture["classes"] == 3
    before, after = seen.read(deep), seen.read(tuned)
    assert before is not None
    assert after is not None
    assert set(before.tolist()) < set(after.tolist())
    assert len(after) == len(before) + len(seen.read(run))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "line"),
    [
        (["--class-weights", "dog=2"], "--class-weights dog=2: no such class; there are ant, bee"),
        (["--class-weights", "balanced", "ant=2"], "give either the word balanced, or CLASS="),
    ],
)
def test_class_weights_that_do_not_fit_are_one_line(how, line, three, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    _, err = catnet(capsys, "train", three, "--out", out, *how, code=2)
    assert line in err.splitlines()[-1]
    assert not out.exists()


@pytest.mark.parametrize("value", ["bee", "bee=-1", "bee=nan", "=2", "bee="])
def test_class_weights_are_checked_as_they_are_read(value: str, capsys) -> None:
    with pytest.raises(SystemExit):
        main.main(["train", "--class-weights", value])
    assert "neither the word balanced nor of the form" in capsys.readouterr().err
