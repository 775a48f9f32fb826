"""The chapters of earlier runs, in catnet's cache folder.

A chapter is kept in ``NAME-CODE-KEY.json``: CODE is a hash of the code of jaxnn, catnet, seqnet and
this app, and of the versions of the packages below them; KEY is one of its settings and its data.
Keeping a chapter removes what other code has computed of it.  This module does not import JAX.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from catnet.compile_cache import make_cache_folder
from catnet.errors import UserError
from jaxnn_lecture.chapter import Chapter, from_json, to_json
from jaxnn_lecture.files import write

PACKAGES = ("jax", "jaxlib", "numpy", "optax", "pillow", "safetensors")
CODE = (".py", ".js", ".css", ".safetensors")


def make_key(numbers: Mapping[str, Any], data: str) -> str:
    """The key of a chapter: a hash of all that it depends on, beside the code.

    Args:
        numbers: its settings.
        data: a hash of its pictures and files, or "" for a chapter without.
    """
    text = f"{json.dumps(numbers, sort_keys=True)}\n{data}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def hash_folder(folder: Path) -> str:
    """A hash of the names and the content of the files in a folder; "" without a folder."""
    digest = hashlib.sha256()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest() if files else ""


def load(name: str, key: str) -> Chapter | None:
    """The chapter of a name and a key, if there is one that can be read."""
    with contextlib.suppress(UserError, OSError, ValueError, TypeError, KeyError):
        return from_json(json.loads(_file(name, key).read_text("utf-8")))
    return None


def store(name: str, key: str, chapter: Chapter) -> None:
    """Keep a chapter, and remove it as other code has computed it; nothing without a folder."""
    with contextlib.suppress(UserError, OSError):
        file = _file(name, key)
        file.parent.mkdir(mode=0o700, exist_ok=True)
        write(file, json.dumps(to_json(chapter)).encode())
        for other in file.parent.glob("*.json"):
            chapter_name, _, rest = other.name.partition("-")
            old = chapter_name == name and not rest.startswith(f"{_hash_code()}-")
            if old or not rest:  # without a name: of an earlier version
                other.unlink(missing_ok=True)


def _file(name: str, key: str) -> Path:
    return make_cache_folder() / "lecture" / f"{name}-{_hash_code()}-{key}.json"


@functools.cache
def _hash_code() -> str:
    """A hash of the code of jaxnn and its apps, and of the versions below them."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        digest.update(f"{package} {metadata.version(package)}\n".encode())
    for package in ("jaxnn", "catnet", "seqnet", "jaxnn_lecture"):
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            _add_folder(digest, Path(folder))
    return digest.hexdigest()[:16]


def _add_folder(digest: Any, folder: Path) -> None:
    for file in sorted(folder.rglob("*")):
        if file.suffix in CODE and file.is_file():
            digest.update(f"{file.relative_to(folder)}\n".encode())
            digest.update(file.read_bytes())
