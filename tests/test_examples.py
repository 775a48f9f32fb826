"""Every command line of the READMEs and of ``--help`` runs, on small data of the names it uses."""

from __future__ import annotations

import io
import shlex
import shutil
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import redblue
from PIL import Image
from sequence_files import write, write_wav
from test_readme import NAMES, calls

from catnet.cli import demo
from catnet.cli import main as catnet_main
from catnet.command_line import walk
from catnet.course import published
from seqnet.cli import main as seqnet_main
from seqnet.training import names, speech, text

PROGRAMS = {"catnet": catnet_main, "seqnet": seqnet_main}

# What needs a network, or data sets of other people, is parsed only; the README runs the demo.
PARSED = ("catnet data get", "seqnet scores", "published --only mistakes", "demo --out")


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A folder with everything that the lines name."""
    here = tmp_path_factory.mktemp("desk")
    redblue.write(here / "my-images", 10)
    (redblue.write(here / "pets", 3, seed=1) / "non-cat").rename(here / "pets/dog")
    for source, name in (
        ("cat/0", "photo.jpg"),
        ("cat/1", "holidays/a.jpg"),
        ("cat/2", "scans/b.png"),
    ):
        (here / name).parent.mkdir(exist_ok=True)
        Image.open(here / f"my-images/{source}.png").save(here / name)
    Image.open(here / "my-images/non-cat/1.png").save(here / "holidays/c.jpg")
    with zipfile.ZipFile(here / "photos.zip", "w") as archive:
        archive.write(here / "photo.jpg", "photo.jpg")
    rows = [
        f"a {word} film {i},{label}" for word, label in (("fine", 1), ("dull", 0)) for i in range(9)
    ]
    for name in ("reviews.csv", "more-reviews.csv"):
        write(here / name, "text,label\n" + "\n".join(rows))
    write(here / "names.txt", "\n".join(f"{a}{b}na" for a in "abcdef" for b in "aeiou"))
    for label, tone in (("low", 300), ("high", 1500)):
        for i in range(6):
            wave = 0.5 * np.sin(2 * np.pi * tone * np.arange(2000 + 50 * i) / 8000)
            write_wav(here / f"recordings/{label}/{i}.wav", wave)
    for name in ("one.wav", "two.wav"):
        shutil.copy(here / "recordings/low/0.wav", here / name)
    return here


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, compiled_quickly: None) -> None:
    """Networks of few units, and few steps; published numbers of one set."""
    settings = {text: (8, (5, 5)), speech: (8, 2, 5), names: (8, 2)}
    for module, defaults in settings.items():
        parameters = dict(zip(module.train.__kwdefaults__, defaults, strict=True))
        monkeypatch.setattr(module.train, "__kwdefaults__", parameters)
    monkeypatch.setattr(demo, "STEPS", 10)
    quick = [one for one in published.SETS if one.name in ("attention", "mistakes", "cat-photos")]
    monkeypatch.setattr(published, "SETS", quick)


def help_lines(program: ModuleType) -> list[str]:
    """The examples of ``--help`` of each command, each once."""
    texts = [parser.format_help() for parser in walk(program.parser())]
    examples = [text.partition("\nexample")[2].partition("\n")[2] for text in texts]
    return list(dict.fromkeys(line.strip() for one in examples for line in one.splitlines()))


def split(line: str) -> tuple[str, list[str]]:
    """The program and its arguments; no program, where the line is of another one."""
    words = shlex.split(line, comments=True)
    first = next((i for i, word in enumerate(words) if word.split("/")[-1] in PROGRAMS), None)
    if first is None:
        return "", []
    end = words.index(">") if ">" in words else len(words)
    return words[first].split("/")[-1], words[first + 1 : end]


SOURCES = {
    name: [line for file, line in calls() if file == name and split(line)[0]] for name in NAMES
}
SOURCES |= {f"{name} --help": help_lines(program) for name, program in PROGRAMS.items()}


@pytest.mark.parametrize("source", [name for name, lines in SOURCES.items() if lines])
def test_every_line_runs(source, desk, tmp_path, small, monkeypatch, capsys) -> None:
    """In their order: a line may use what a line before it has made."""
    shutil.copytree(desk, tmp_path / "desk")
    monkeypatch.chdir(tmp_path / "desk")
    for line in SOURCES[source]:
        program, arguments = split(line)
        PROGRAMS[program].parser().parse_args(arguments)
        if any(part in line for part in PARSED):
            continue
        if arguments[0] in ("train", "sweep") and program == "catnet" and "--resume" not in line:
            arguments += ["--steps", "10"]
        if "gradcheck" in arguments and "--examples" not in arguments:
            arguments += ["--examples", "2"]
        monkeypatch.setattr("sys.stdin", io.StringIO("A splendid film.\n"))
        code = PROGRAMS[program].main(arguments)
        out, err = capsys.readouterr()
        assert code == 0, f"{line}\n{out}\n{err}"
        assert out or "is finished already" in err, line


def test_every_command_has_an_example_that_names_it() -> None:
    for program in PROGRAMS.values():
        for parser in walk(program.parser()):
            if parser.prog not in PROGRAMS:
                assert f"\n  {parser.prog}" in parser.format_help(), parser.prog
