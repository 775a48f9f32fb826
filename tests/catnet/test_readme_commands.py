"""The command lines about training in the README of catnet, one after the other."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import redblue

from catnet.cli import main
from catnet.training import results

README = Path(__file__).parents[2] / "apps" / "catnet" / "README.md"


def lines(section: str) -> list[str]:
    """The lines of the bash blocks of a section."""
    text = README.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [
        line
        for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]


@pytest.mark.usefixtures("compiled_quickly")
def test_the_lines_about_training_run_in_their_order(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    data = redblue.write(tmp_path / "my-images", 0, {"train": 12, "test": 6})
    shutil.copy(data / "test" / "cat" / "0.png", tmp_path / "photo.jpg")
    (redblue.write(tmp_path / "pets", 3, seed=1) / "non-cat").rename(tmp_path / "pets" / "dog")
    commands = lines("Train on your own folder")
    assert len(commands) >= 10
    for line in commands:
        words = shlex.split(line)[1:]
        if words[0] in ("train", "sweep") and "--steps" not in words:
            words += ["--steps", "20"]  # the default takes a minute in all
        words = ["25" if word == "5000" else word for word in words]
        assert main.main(words) == 0, (line, capsys.readouterr().err[-500:])
    runs = [path for path in (tmp_path / "runs").iterdir() if path.is_dir()]
    assert {path.name for path in runs} == {"mine", "fine-tuned", "early", "sweep-1"}
    for run in runs:
        files = {path.name for path in run.iterdir()}
        assert {"config.json", "learnt.npy", *results.FILES} <= files
        for name in files - {".lock", "sweep.json", "costs.npz", "sweep.png"}:
            assert f"`{name}`" in README.read_text()


def test_every_option_of_train_is_in_its_help_with_what_it_does(capsys) -> None:
    with pytest.raises(SystemExit):
        main.main(["train", "--help"])
    text = capsys.readouterr().out
    options = set(re.findall(r"`(--[a-z-]+)", "\n".join(README.read_text().splitlines())))
    named = {"--init", "--dropout", "--weight-decay", "--class-weights", "--augment", "--patience"}
    assert named <= options
    for option in named:
        assert re.search(rf"^  {option} ", text, re.MULTILINE), option
