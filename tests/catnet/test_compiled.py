"""Compiled programs are kept where only their user can write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from catnet import compiled

FOLDER = "JAX_COMPILATION_CACHE_DIR"


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})
    os.environ.pop(FOLDER, None)


def test_the_folder_is_private() -> None:
    compiled.keep_compiled()
    folder = Path(os.environ[FOLDER])
    assert folder.parent == compiled.cache_folder()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_the_users_choice_stays() -> None:
    os.environ[FOLDER] = "/mine"
    compiled.keep_compiled()
    assert os.environ[FOLDER] == "/mine"


@pytest.mark.parametrize("spoil", ["writable", "file", "link"])
def test_what_others_could_write_is_not_used(spoil: str, tmp_path: Path) -> None:
    folder = compiled.cache_folder() / f"compiled-{compiled._processor()}"
    folder.parent.mkdir(parents=True)
    if spoil == "writable":
        folder.mkdir()
        folder.chmod(0o777)
    elif spoil == "file":
        folder.write_text("mine")
    else:
        folder.symlink_to(tmp_path)
    compiled.keep_compiled()
    assert FOLDER not in os.environ


def test_the_second_run_finds_what_the_first_compiled(tmp_path: Path) -> None:
    code = (
        "import logging; from catnet.compiled import keep_compiled; keep_compiled(); import jax;"
        "logging.basicConfig(level='DEBUG'); f = jax.jit(lambda x: x * 2 + 1);"
        "print(f(3.0))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(2)
    ]
    assert [run.stdout for run in runs] == ["7.0\n", "7.0\n"]
    hits = ["cache hit" in run.stderr.lower() for run in runs]
    assert hits == [False, True]
    assert [*compiled.cache_folder().iterdir()]
