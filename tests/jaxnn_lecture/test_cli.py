"""The command line: pages, settings, the cache, and one line for each wrong input."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxnn_lecture import cache, chapters
from jaxnn_lecture.chapter import Chapter, Claim, Settings
from jaxnn_lecture.cli import main, parser
from jaxnn_lecture.settings import read_settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> Run:
    """Run the command in a new folder with its own cache: exit code, stdout, stderr."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, float]]]:
    """Chapters that only record their settings."""
    runs: list[tuple[str, dict[str, float]]] = []

    def compute(name: str, settings: Settings) -> Chapter:
        runs.append((name, settings.numbers))
        claims = (Claim("a & b", "1 < 2", True), Claim("$x$", "no", False))
        return Chapter(name, chapters.CHAPTERS[name].title, "", claims)

    monkeypatch.setattr(chapters, "run", compute)
    monkeypatch.setattr(cache, "_hash_code", lambda: "code")
    return runs


def test_help_lists_the_chapters_and_answers_without_jax() -> None:
    code = (
        "import sys; from jaxnn_lecture.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, entry in chapters.CHAPTERS.items():
        assert f"  {name} " in done.stdout
        assert all(f"{key}=" in done.stdout for key in entry.settings)


def test_a_page_is_written_and_its_chapters_are_counted(run: Run, quick: list) -> None:
    code, out, err = run("--only", "hidden", "--only", "depth")
    assert code == 0
    assert out.splitlines() == [
        "lecture.html",
        "hidden  1 of 2 claims hold",
        "depth   1 of 2 claims hold",
    ]
    text = Path("lecture.html").read_text("utf-8")
    assert "1 &lt; 2" in text
    assert "Of\n4 claims, 2 hold" in text
    assert re.search(r"\n2 chapters: [\d.]+ s\n\Z", err)
    assert err.count("\n") == 3


def test_without_only_all_chapters_are_made(run: Run, quick: list) -> None:
    assert run("--out", "all.html")[0] == 0
    assert [name for name, _ in quick] == list(chapters.CHAPTERS)


def test_the_second_run_comes_from_the_cache(run: Run, quick: list) -> None:
    run("--only", "hidden")
    first = Path("lecture.html").read_bytes()
    assert "from an earlier run" in run("--only", "hidden")[2]
    assert len(quick) == 1
    assert Path("lecture.html").read_bytes() == first
    run("--only", "hidden", "--set", "steps=7")
    run("--only", "hidden", "--no-cache")
    assert [numbers["steps"] for _, numbers in quick] == [500, 7, 500]


def test_a_damaged_entry_of_the_cache_is_computed_again(run: Run, quick: list, tmp_path) -> None:
    run("--only", "hidden")
    [file] = (tmp_path / "cache" / "catnet" / "lecture").iterdir()
    file.write_text("{")
    assert run("--only", "hidden")[0] == 0
    assert len(quick) == 2


def test_the_key_depends_on_the_numbers_and_the_data() -> None:
    keys = [
        cache.make_key({"steps": 1}, ""),
        cache.make_key({"steps": 2}, ""),
        cache.make_key({"steps": 1}, "other pictures"),
    ]
    assert cache.make_key({"steps": 1}, "") == keys[0]
    assert len(set(keys)) == 3


def test_other_code_computes_anew_and_removes_its_chapter_only(
    run: Run, quick: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--only", "hidden", "--only", "depth")
    run("--only", "hidden", "--set", "steps=7")
    folder = tmp_path / "cache" / "catnet" / "lecture"
    (folder / f"{0:032x}.json").write_text("{}")  # as an earlier version named it
    assert len(list(folder.iterdir())) == 4
    monkeypatch.setattr(cache, "_hash_code", lambda: "changed")
    run("--only", "hidden")
    assert len(quick) == 4
    names = sorted(file.name.rpartition("-")[0] for file in folder.iterdir())
    assert names == ["depth-code", "hidden-changed"]


def test_the_hash_of_the_code_has_all_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {cache._hash_code.__wrapped__()}
    version = cache.metadata.version
    for package in ("jax", "jaxlib", "numpy", "optax", "pillow", "safetensors"):
        changed = {package: "9"}.get
        monkeypatch.setattr(cache.metadata, "version", lambda p, get=changed: get(p) or version(p))
        hashes.add(cache._hash_code.__wrapped__())
    assert len(hashes) == 7


def test_a_run_from_the_cache_and_an_exercise_do_not_import_jax(
    run: Run, quick: list, tmp_path: Path
) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "my" / label).mkdir(parents=True)
        (tmp_path / "my" / label / "a.png").write_bytes(b"a picture that nobody decodes")
    arguments = ["--only", "hidden", "--only", "cats", "--data", str(tmp_path / "my")]
    run(*arguments)
    code = (
        "import sys; from jaxnn_lecture import cache; from jaxnn_lecture.cli import main\n"
        "cache._hash_code(); cache._hash_code = lambda: 'code'\n"
        f"assert main({arguments}) == 0 and main(['--exercise', '1']) == 0\n"
        "assert 'jax' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("from an earlier run") == 2
    (tmp_path / "my" / "cat" / "a.png").write_bytes(b"another one")
    run(*arguments)
    assert [name for name, _ in quick] == ["hidden", "cats", "cats"]


def test_set_changes_all_chosen_chapters_that_have_the_number() -> None:
    numbers = read_settings(["picture", "logistic"], ["steps=3", "learning_rate=0.5", "seed=4"])
    assert numbers["picture"]["steps"] == numbers["logistic"]["steps"] == 3
    assert numbers["logistic"]["learning_rate"] == 0.5
    assert numbers["logistic"]["seed"] == 4
    assert "seed" not in numbers["picture"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "steps"], ["--set steps", "NAME=VALUE"]),
        (["--set", "stepps=3"], ["--set stepps=3", "no chapter has 'stepps'", "steps"]),
        (["--set", "steps=0"], ["--set steps=0", "whole number from 1"]),
        (["--set", "steps=2.5"], ["--set steps=2.5", "whole number"]),
        (["--set", "learning_rate=nan"], ["--set learning_rate=nan", "number from"]),
        (["--out", "no/page.html"], ["no/page.html", "no folder no"]),
        (["--out", ""], ["--out .", "not a file"]),
        (["--out", "folder"], ["--out folder", "not a file"]),
        (["--out", "mine.html"], ["--out mine.html", "not a page of jaxnn-lecture"]),
        (["--exercise", "1", "--set", "steps=3"], ["--set is for the page"]),
        (["--check", "mine.html", "--only", "cats"], ["--only is for the page"]),
        (["--check", "mine.html", "--out", "a.html"], ["--out is for the page or --exercise"]),
        (["--check", "mine.html", "--time-limit", "0"], ["--time-limit 0", "above 0"]),
        (["--check", "mine.html", "--seed", "-1"], ["--seed -1", "from 0"]),
        (["--time-limit", "9"], ["--time-limit is for --check"]),
        (["--exercise", "1", "--seed", "9"], ["--seed is for --check"]),
        (["--check", "folder"], ["--check folder", "not a file"]),
        (["--only", "cats", "--data", "nowhere"], ["nowhere", "No such file"]),
        (["--only", "cats", "--data", "mine.html"], ["mine.html", "not a dataset"]),
    ],
)
def test_a_wrong_input_is_one_line_and_changes_nothing(
    run: Run, arguments: list[str], words: list[str]
) -> None:
    Path("mine.html").write_text("<p>mine</p>")
    Path("folder").mkdir()
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("jaxnn-lecture: ")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err
    assert sorted(path.name for path in Path().iterdir()) == ["folder", "mine.html"]
    assert Path("mine.html").read_text() == "<p>mine</p>"


def test_an_unknown_chapter_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parser().parse_args(["--only", "cat"])
    assert stop.value.code == 2
    assert "'cat'" in capsys.readouterr().err
