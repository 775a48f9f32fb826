"""Compiled programs are kept where only their user can write."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from catnet import compile_cache
from catnet.errors import UserError

FOLDER = "JAX_COMPILATION_CACHE_DIR"


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")})
    os.environ.pop(FOLDER, None)


def test_the_folder_is_private() -> None:
    compile_cache.enable_compile_cache()
    folder = Path(os.environ[FOLDER])
    assert folder.parent == compile_cache.make_cache_folder()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_cache_is_the_users_alone(tmp_path: Path) -> None:
    folder = compile_cache.make_cache_folder()
    assert folder == tmp_path / "cache" / "catnet"
    for images in (folder, folder.parent):
        assert images.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)  # as an earlier catnet made it
    assert compile_cache.make_cache_folder().stat().st_mode & 0o777 == 0o700
    folder.parent.chmod(0o755)  # not catnet's
    assert compile_cache.make_cache_folder().parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("xdg", ["", "relative/cache", None])
def test_without_an_absolute_xdg_folder_it_is_in_the_home_folder(xdg, tmp_path: Path) -> None:
    os.environ["HOME"] = str(tmp_path)
    os.environ.pop("XDG_CACHE_HOME")
    if xdg is not None:
        os.environ["XDG_CACHE_HOME"] = xdg
    assert compile_cache.make_cache_folder() == tmp_path / ".cache" / "catnet"


@pytest.mark.parametrize("home", ["missing", "", "file/home"])
def test_a_home_folder_that_is_missing_is_not_made(home: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    os.environ["HOME"] = home and str(tmp_path / home)
    os.environ.pop("XDG_CACHE_HOME")
    with pytest.raises(UserError, match="the cache folder cannot be created"):
        compile_cache.make_cache_folder()
    compile_cache.enable_compile_cache()
    assert FOLDER not in os.environ
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_of_the_users_choice_stays() -> None:
    os.environ[FOLDER] = "/mine"
    compile_cache.enable_compile_cache()
    assert os.environ[FOLDER] == "/mine"


@pytest.mark.parametrize("spoil", ["writable", "file", "link"])
def test_what_others_could_write_is_not_used(spoil: str, tmp_path: Path) -> None:
    folder = compile_cache.make_cache_folder() / f"compiled-{compile_cache._hash_processor()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    if spoil == "writable":
        folder.mkdir()
        folder.chmod(0o777)
    elif spoil == "file":
        folder.write_text("mine")
    else:
        folder.symlink_to(tmp_path)
    compile_cache.enable_compile_cache()
    assert FOLDER not in os.environ


def test_the_second_run_finds_what_the_first_compiled(tmp_path: Path) -> None:
    code = (
        "import logging; from catnet import compile_cache;"
        "compile_cache.enable_compile_cache(); import jax;"
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
    assert [*compile_cache.make_cache_folder().iterdir()]
