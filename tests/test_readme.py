"""What the READMEs show: Python runs, command lines parse, links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catnet.cli import main as catnet_main
from jaxnn_lecture import cli as lecture_cli
from seqnet.cli import main as seqnet_main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NAMES = (
    "README.md",
    "apps/catnet/README.md",
    "apps/catnet_bench/README.md",
    "apps/seqnet/README.md",
    "apps/jaxnn_lecture/README.md",
    "data/README.md",
    "CHANGELOG.md",
    ".github/CONTRIBUTING.md",
    "apps/catnet/models/MODEL_CARD.md",
)


def blocks(language: str) -> list[tuple[str, str]]:
    """(file, text) of every code block of a language."""
    return [
        (name, text)
        for name in NAMES
        for text in re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    ]


PARSERS = {
    "catnet": catnet_main.parser,
    "seqnet": seqnet_main.parser,
    "jaxnn-lecture": lecture_cli.parser,
}


def calls() -> list[tuple[str, str]]:
    """(file, line) of every line of a bash block that calls one of the commands."""
    return [
        (name, line)
        for name, block in blocks("bash")
        for line in block.splitlines()
        if re.search(rf"(^|[ /])({'|'.join(PARSERS)}) ", line)
    ]


def links() -> list[tuple[str, str]]:
    """(file, target) of every relative link and image."""
    return [
        (name, target)
        for name in NAMES
        for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / name).read_text())
        if "://" not in target
    ]


@pytest.mark.parametrize(("name", "block"), blocks("python"))
def test_python_blocks_run(name: str, block: str, tmp_path: Path, monkeypatch, capsys) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, name, "exec"), {})
    printed = capsys.readouterr().out
    assert printed
    if "photo.jpg" in block:
        assert printed.startswith("photo.jpg ")
        assert printed.endswith(" None\n")  # no error
    if "check_gradients" in block:
        assert "wrong: serial[1].square.input" in printed
        assert printed.splitlines()[-1] in README


@pytest.mark.parametrize(("name", "line"), calls())
def test_command_lines_parse(name: str, line: str) -> None:
    words = shlex.split(line, comments=True)
    [first] = [i for i, word in enumerate(words) if word.split("/")[-1] in PARSERS]
    end = words.index(">") if ">" in words else len(words)
    PARSERS[words[first].split("/")[-1]]().parse_args(words[first + 1 : end])


def test_the_blocks_and_lines_are_found() -> None:
    assert len(blocks("python")) >= 3
    assert len(calls()) >= 10
    assert len(links()) >= 20


@pytest.mark.parametrize(("name", "target"), links())
def test_relative_links_lead_somewhere(name: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    file = (ROOT / name).parent / path if path else ROOT / name
    assert file.exists()
    if anchor:
        titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
        assert anchor in [re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles]


@pytest.mark.parametrize("name", NAMES)
def test_paths_that_are_mentioned_exist(name: str) -> None:
    """Files of this repository in `code` and in code blocks."""
    mentioned = re.findall(
        r"(?<![\w/.-])((?:jaxnn|apps|tests|\.ci|\.github)/[\w./-]*\w)", (ROOT / name).read_text()
    )
    for path in mentioned:
        if "NAME" not in path:
            assert (ROOT / path).exists(), path


def test_the_first_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_the_test_command_is_where_ci_looks_for_it() -> None:
    [command] = re.findall(r"<!-- tests -->\s```bash\n(.*)\n```\s<!-- /tests -->", README)
    assert "python -m pytest" in command


def test_ci_names_test_files_that_exist() -> None:
    script = (ROOT / ".ci/run").read_text()
    files = re.findall(r"tests/[\w/]+\.py", script)
    assert files
    for file in files:
        assert (ROOT / file).exists(), file
