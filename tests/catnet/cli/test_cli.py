"""The command line as its users meet it: exit codes, one-line errors, nothing lost."""

from __future__ import annotations

import ast
import csv
import dataclasses
import io
import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import jax
import numpy as np
import pytest
import redblue
from PIL import Image

from catnet import Classifier, process
from catnet.cli import main


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """An image folder: reddish images are cats, bluish ones are not."""
    rng = np.random.default_rng(0)
    for part, n in (("train", 12), ("test", 4)):
        for name, colour in (("cat", (80, 10, 20)), ("non-cat", (20, 10, 80))):
            folder = tmp_path / "data" / part / name
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, colour, (70, 60, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path / "data"


@pytest.fixture
def run_folder(images: Path, tmp_path: Path) -> Path:
    out = tmp_path / "run"
    how = ["--steps", "150", "--learning-rate", "0.02", "--activation", "tanh"]
    assert main.main(["train", str(images), *how, "--out", str(out)]) == 0
    return out


def test_help_of_every_command_answers_without_jax() -> None:
    code = (
        "import sys; from catnet.cli import main\n"
        "for command in sys.argv[1:]:\n"
        "    try: main.main([*command.split(), '--help'])\n"
        "    except SystemExit as stop: assert stop.code == 0\n"
        "    assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    commands = ["", *main.COMMANDS]
    done = subprocess.run([sys.executable, "-c", code, *commands], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("usage: catnet") == len(commands)


def test_a_run_folder_has_all_it_promises(run_folder: Path, capsys) -> None:
    config = json.loads((run_folder / "config.json").read_text())
    assert config["model"] == "deep"
    assert config["train_examples"] == 24
    rows = list(csv.DictReader(io.StringIO((run_folder / "metrics.csv").read_text())))
    assert [int(row["step"]) for row in rows] == list(range(151))
    assert float(rows[149]["cost"]) < float(rows[0]["cost"])
    measured = [row for row in rows if row["test_accuracy"]]
    assert [int(row["step"]) for row in measured] == [*range(15, 151, 15)]
    assert measured[-1]["cost"] == ""
    assert float(measured[-1]["training_accuracy"]) == float(measured[-1]["test_accuracy"]) == 1.0
    evaluation = json.loads((run_folder / "evaluation.json").read_text())
    assert evaluation["accuracy"] == 1.0
    for name in ("curves.png", "confusion.png", "mistakes.png"):
        with Image.open(run_folder / name) as image:
            assert min(image.size) > 100


def test_an_existing_run_folder_is_left_alone(run_folder: Path, images: Path, capsys) -> None:
    before = {path: path.read_bytes() for path in run_folder.iterdir()}
    assert main.main(["train", str(images), "--out", str(run_folder)]) == 2
    assert f"{run_folder} exists already; choose another --out" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run_folder.iterdir()} == before


@pytest.mark.parametrize(
    "how",
    [
        ["--model", "logistic"],
        ["--model", "shallow", "--hidden", "4", "--activation", "tanh", "--gradient", "jax"],
        ["--model", "shallow", "--optimizer", "adam", "--batch-size", "5"],
        ["--model", "logistic", "--optimizer", "momentum", "--learning-rate", "0.001"],
        ["--model", "logistic", "--batch-size", "8"],
    ],
)
def test_every_way_of_training_learns(how: list[str], images: Path, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert main.main(["train", str(images), "--steps", "60", "--out", str(out), *how]) == 0
    assert json.loads((out / "evaluation.json").read_text())["accuracy"] == 1.0


def test_the_same_seed_gives_the_same_model(images: Path, tmp_path, capsys) -> None:
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        how = ["--steps", "20", "--seed", seed, "--out", str(tmp_path / name)]
        assert main.main(["train", str(images), *how]) == 0
    metrics = [(tmp_path / name / "metrics.csv").read_bytes() for name in "abc"]
    assert metrics[0] == metrics[1] != metrics[2]


@pytest.mark.parametrize("command", ["train", "gradcheck"])
@pytest.mark.parametrize(
    "seed", ["-1", str(2**32), str(2**63), str(2**64 + 1), "1.5", "one", "", "nan", "9" * 5000]
)
def test_seeds_that_would_not_be_runs_of_their_own_are_refused(command, seed, capsys) -> None:
    """Of a longer seed JAX takes the last 32 bits: 2³² would be 0 again, unsaid."""
    with pytest.raises(SystemExit, match="2"):
        main.main([command, f"--seed={seed}"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith("is not a whole number from 0 to 4294967295")
    assert "argument --seed: " in line


def test_the_seeds_at_both_ends_are_different_runs(images: Path, tmp_path, capsys) -> None:
    metrics = set()
    for seed in (0, 2**32 - 1):
        out = tmp_path / str(seed)
        how = ["--model", "logistic", "--steps", "2", "--seed", str(seed), "--out", str(out)]
        assert main.main(["train", str(images), *how]) == 0
        metrics.add((out / "metrics.csv").read_bytes())
    assert len(metrics) == 2


def test_a_learning_rate_too_high_keeps_the_last_good_parameters(
    images: Path, tmp_path, capsys
) -> None:
    out = tmp_path / "run"
    how = ["--optimizer", "momentum", "--activation", "identity", "--learning-rate", "1e15"]
    assert main.main(["train", str(images), *how, "--out", str(out), "--steps", "200"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    found = re.search(r"training diverged at step (\d+): the cost is (NaN|infinite); ", message)
    assert "try a smaller --learning-rate than 1e+15" in message
    assert found
    step = int(found[1])
    rows = list(csv.DictReader(io.StringIO((out / "metrics.csv").read_text())))
    assert len(rows) == step
    assert np.isfinite([float(row["cost"]) for row in rows]).all()
    # The kept parameters are those whose cost is the last one in the file.
    from catnet.data import dataset
    from catnet.models.classifier import Classifier

    part, _ = dataset.load(images)
    p = Classifier.load(out).probabilities(part.images)
    assert np.isfinite(p).all()


def test_predict_answers_what_it_can_and_names_the_rest(
    run_folder: Path, images: Path, tmp_path, capsys
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of an image")
    sources = [str(images / "test"), str(tmp_path / "broken.jpg"), str(tmp_path / "nowhere.png")]
    capsys.readouterr()
    assert main.main(["predict", *sources, "--model", str(run_folder)]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 8
    assert all(("/cat/" in line) == line.startswith("cat ") for line in out.splitlines())
    assert f"model: {run_folder.name}" in err
    assert f"{tmp_path}/broken.jpg: " in err
    assert f"{tmp_path}/nowhere.png: no such file or folder" in err


def test_predict_json_has_the_promised_keys(run_folder, images: Path, tmp_path, capsys) -> None:
    capsys.readouterr()
    model = ["--model", str(run_folder), "--json"]
    assert main.main(["predict", str(images / "test/cat/0.png"), "missing.png", *model]) == 1
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    keys = [
        "path",
        "label",
        "probability",
        "probabilities",
        "threshold",
        "model",
        "error",
        "unsure",
    ]
    assert [list(answer) for answer in answers] == [keys, keys]
    assert answers[0]["label"] == "cat"
    assert answers[0]["probability"] == answers[0]["probabilities"]["cat"]
    assert list(answers[0]["probabilities"]) == ["non-cat", "cat"]
    assert answers[0]["error"] is None
    assert answers[1]["label"] is None
    assert answers[1]["error"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, of Linux")
def test_an_output_that_is_full_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "catnet", "data", "list"],
            **{"stdout": full, "stderr": subprocess.PIPE, "text": True},
        )
    assert done.returncode == 2
    assert done.stderr == "catnet: the output: No space left on device\n"


def test_an_answer_in_the_band_is_printed_as_unsure_with_any_threshold(
    run_folder: Path, images: Path, tmp_path: Path, capsys
) -> None:
    image = str(images / "test/cat/0.png")
    never = Classifier.load(run_folder)
    p = never.predict(image)[0].probabilities
    assert p is not None
    low, high = (1 + 3 * p["cat"]) / 4 - 0.25, (1 + p["cat"]) / 2
    unsure = dataclasses.replace(never, confidence_band=(low, high))
    unsure.save(tmp_path / "model.safetensors")
    capsys.readouterr()
    model = ["--model", str(tmp_path)]
    assert main.main(["predict", image, *model]) == 0
    line = f"unsure   {p['cat']:6.1%} cat      {image}\n"
    assert capsys.readouterr().out == line
    assert main.main(["predict", image, *model, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["label"], answer["unsure"]) == ("cat", True)
    assert main.main(["predict", image, *model, "--threshold", "0.5"]) == 0
    assert capsys.readouterr().out == line
    assert main.main(["predict", image, *model, "--threshold", "0.0001"]) == 0
    assert capsys.readouterr().out.startswith("cat  ")


def test_held_out_images_are_those_that_no_photo_training_sees(
    run_folder: Path, tmp_path: Path, capsys
) -> None:
    from catnet.data import cache as caches
    from catnet.data.split import TEST, split

    data = redblue.write(tmp_path / "mine", 60)
    held = split(caches.build([data], tmp_path / "cache").table) == TEST
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    capsys.readouterr()
    arguments = ["eval", str(run_folder), str(data), "--held-out", "--json"]
    assert main.main([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["data"] == "mine"
    assert 0 < result["examples"] == held.sum() < 60
    assert main.main(["eval", str(run_folder), str(data), str(data)]) == 2
    assert "are for --held-out only" in capsys.readouterr().err


def test_the_threshold_decides_from_itself_on(run_folder: Path, images, capsys) -> None:
    image = str(images / "test/non-cat/0.png")
    for threshold, label in (("0", "cat"), ("1", "non-cat")):
        capsys.readouterr()
        how = ["--model", str(run_folder), "--json", "--threshold", threshold]
        assert main.main(["predict", image, *how]) == 0
        assert json.loads(capsys.readouterr().out)["label"] == label


def test_predict_reads_stdin_and_has_a_model_of_its_own(images: Path) -> None:
    content = (images / "test/cat/0.png").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "catnet", "predict", "-", "--json"],
        input=content,
        capture_output=True,
    )
    answer = json.loads(done.stdout)
    assert done.returncode == 0
    assert answer["path"] == "-"
    assert answer["label"] in ("cat", "non-cat")
    assert answer["model"]


def test_eval_prints_a_table_or_json(run_folder: Path, images: Path, capsys) -> None:
    capsys.readouterr()
    assert main.main(["eval", str(run_folder), str(images)]) == 0
    assert "balanced accuracy" in capsys.readouterr().out
    assert main.main(["eval", str(run_folder / "model.safetensors"), str(images), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["accuracy"] == 1.0
    assert result["examples"] == 8


def test_eval_by_folder_counts_every_folder(run_folder: Path, images: Path, capsys) -> None:
    below = images / "test" / "cat" / "kittens"
    below.mkdir()
    (images / "test" / "cat" / "0.png").rename(below / "0.png")
    (images / "test" / "non-cat" / "0.png").rename(below / "1.png")  # its label is wrong now
    arguments = ["eval", str(run_folder), str(images), "--by-folder"]
    capsys.readouterr()
    assert main.main(arguments) == 0
    worst = capsys.readouterr().out.partition("folder ")[2].splitlines()[1]
    assert worst.split() == ["cat/kittens", "50.0%", "9.5–90.5%", "2"]
    assert main.main([*arguments, "--json"]) == 0
    folders = json.loads(capsys.readouterr().out)["folders"]
    assert [(each["right"], each["examples"]) for each in folders] == [(1, 2), (3, 3), (3, 3)]


def test_gradcheck_of_a_new_network_and_of_a_trained_one(run_folder, images, capsys) -> None:
    for model in ("shallow", str(run_folder)):
        capsys.readouterr()
        how = ["--model", model, "--examples", "3"]
        assert main.main(["gradcheck", str(images), *how]) == 0
        assert "every gradient by hand is right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "no-such-folder"], "no-such-folder: No such file"),
        (["train", "--model", "logistic", "--hidden", "3"], "a logistic network has no hidden"),
        (["train", "--model", "deep", "--hidden", "3"], "has at least two hidden layers"),
        (["predict", "x.png", "--model", "no-such-model"], "no-such-model"),
        (["eval", "no-such-model", "data"], "no-such-model"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main.main(arguments) == 2
    err = capsys.readouterr().err.strip()
    assert err.startswith("catnet: ")
    assert message in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["predict"],
        ["predict", "x.png", "--threshold", "2"],
        ["train", "--steps", "0"],
        ["train", "--learning-rate", "-1"],
        ["train", "--learning-rate", "nan"],
        ["train", "--hidden", "x"],
        ["train", "--model", "huge"],
        ["explain"],
    ],
)
def test_what_the_parser_refuses_is_exit_code_2(arguments: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main(arguments)
    assert stop.value.code == 2
    assert "usage: catnet" in capsys.readouterr().err


def test_a_folder_of_one_class_is_refused(images: Path, tmp_path, capsys) -> None:
    assert main.main(["train", str(images / "train" / "cat"), "--out", str(tmp_path / "r")]) == 2
    assert not (tmp_path / "r").exists()
    assert capsys.readouterr().err.startswith("catnet: ")


@pytest.mark.parametrize(
    ("option", "wanted"),
    [
        ("--learning-rate", "a positive number"),
        ("--save-every", "a positive number"),
        ("--steps", "a whole number from 1 to 2147483647"),
        ("--hidden", "a whole number from 1 to 2147483647"),
        ("--seed", "a whole number from 0 to 4294967295"),
    ],
)
@pytest.mark.parametrize("value", ["abc", "-1", "", "nan", "1e999", "9" * 5000, "1,5"])
def test_a_value_that_does_not_fit_is_shown_with_what_would(option, wanted, value, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main(["train", f"{option}={value}"])
    assert stop.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == f"catnet train: error: argument {option}: {value[:50]!r} is not {wanted}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "x", "--threshold", "abc"], "'abc' is not a number from 0 to 1"),
        (["predict", "x", "--threshold", "nan"], "'nan' is not a number from 0 to 1"),
        (["train", "--sampling-weight", "cats"], "'cats' is not of the form STRATUM=P"),
        (["train", "--sampling-weight", "cats=x"], "'x' is not a number from 0 to 1"),
    ],
)
def test_a_share_that_does_not_fit_is_shown_with_what_would(arguments, message, capsys) -> None:
    with pytest.raises(SystemExit):
        main.main(arguments)
    assert capsys.readouterr().err.splitlines()[-1].endswith(f": {message}")


def test_the_version_is_that_of_the_package(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"catnet {metadata.version('jaxnn')}\n"


def test_help_names_the_folder_of_the_cache(capsys) -> None:
    with pytest.raises(SystemExit):
        main.main(["--help"])
    assert "~/.cache/catnet" in capsys.readouterr().out


def test_what_the_package_offers_is_listed_without_jax() -> None:
    code = "import catnet, sys; print(dir(catnet)); assert 'jax' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"Classifier", "Prediction"} <= set(ast.literal_eval(done.stdout))


@pytest.mark.parametrize(
    ("platforms", "reason", "commands"),
    [
        ("cuda", "no such device", ["gradcheck --model shallow", "predict a.png", "data list"]),
        (
            "nonsense",
            "Unable to initialize backend 'nonsense': Backend 'nonsense' is not in the list of "
            "known backends: ",
            ["train --out run", "filters", "eval shipped .", "data list"],
        ),
        ("cpu,nonsense", "Unable to initialize backend 'nonsense': ", ["predict a.png"]),
    ],
)
def test_a_platform_that_is_not_there_is_one_line(
    platforms: str, reason: str, commands: list[str], tmp_path: Path
) -> None:
    """For every command that needs one, before a folder is made; others do not care."""
    if platforms == "cuda" and any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("there is one")
    (tmp_path / "a.png").touch()
    code = (
        "import sys; from catnet.cli import main\n"
        "for command in sys.argv[1:]: print('exit', main.main(command.split()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *commands],
        env={**os.environ, "JAX_PLATFORMS": platforms},
        **{"cwd": tmp_path, "capture_output": True, "text": True},
    )
    codes = [line for line in done.stdout.splitlines() if line.startswith("exit")]
    assert codes == [f"exit {0 if command == 'data list' else 2}" for command in commands]
    lines = [line for line in done.stderr.splitlines() if line.startswith("catnet: ")]
    assert len(lines) == codes.count("exit 2")
    for line in lines:
        assert line.startswith(f"catnet: JAX cannot start: {reason}")
        assert line.endswith(f"; JAX_PLATFORMS is {platforms}, unset it to use any device")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "allocate",
    [
        pytest.param(lambda: np.empty(2**50), id="numpy"),
        pytest.param(lambda: bytes(2**50), id="python"),
        pytest.param(lambda: jax.numpy.empty(2**45, "float32").block_until_ready(), id="jax"),
    ],
)
def test_too_little_memory_is_one_line(allocate, capsys) -> None:
    def run() -> int:
        allocate()
        return 0

    assert process.run_guarded("catnet", run) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("catnet: not enough memory")
    assert line.endswith("; use a smaller network, a smaller batch or fewer images")


@pytest.mark.parametrize("error", [RuntimeError("of another kind"), AssertionError(), KeyError(3)])
def test_a_mistake_in_catnet_is_not_blamed_on_jax(error: Exception, monkeypatch) -> None:
    def fail(_) -> int:
        raise error

    monkeypatch.setattr(main, "run", fail)
    with pytest.raises(type(error)) as caught:
        main.main(["data", "list"])
    assert caught.value is error


def shell(command: str, **options) -> subprocess.CompletedProcess:
    line = command.replace("catnet", f"'{sys.executable}' -m catnet")
    return subprocess.run(line, shell=True, capture_output=True, text=True, **options)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_like_dev_null(closed: str, tmp_path: Path) -> None:
    whole = shell("catnet data list")
    done = shell(f"catnet data list {closed}")
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout == ("" if ">&-" in closed.split() else whole.stdout)
    done = shell(f"catnet train nowhere {closed}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == ("2>&-" not in closed)
    assert "Traceback" not in done.stderr
    done = shell(f"catnet --help {closed}")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_does_not_take_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    code = "from catnet.cli.main import main; main(['data', 'list']); print(open('a').fileno())"
    (tmp_path / "a").write_text(code)
    done = subprocess.run(
        f"'{sys.executable}' a <&-", shell=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert int(done.stdout.splitlines()[-1]) > 2
