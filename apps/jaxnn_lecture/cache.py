"""The chapters of earlier runs, in catnet's cache folder.

A chapter is kept under a hash of all that it depends on: its settings, its data, the code of jaxnn,
catnet, seqnet and this app, and the versions of JAX and NumPy.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from catnet.compile_cache import make_cache_folder
from catnet.errors import UserError
from jaxnn.files import write_atomically
from jaxnn_lecture.chapter import Chapter, from_json, to_json

CODE = (".py", ".js", ".css", ".safetensors")


def make_key(name: str, numbers: Mapping[str, Any], data: str) -> str:
    """The key of a chapter: a hash of all that it depends on.

    Args:
        name: of the chapter.
        numbers: its settings.
        data: a hash of its pictures and files, or "" for a chapter without.
    """
    parts = [name, json.dumps(numbers, sort_keys=True), data, _hash_code()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def hash_folder(folder: Path) -> str:
    """A hash of the names and the content of the files in a folder; "" without a folder."""
    digest = hashlib.sha256()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest() if files else ""


def load(key: str) -> Chapter | None:
    """The chapter of a key, if there is one that can be read."""
    with contextlib.suppress(UserError, OSError, ValueError, TypeError, KeyError):
        return from_json(json.loads(_file(key).read_text("utf-8")))
    return None


def store(key: str, chapter: Chapter) -> None:
    """Keep a chapter; without a cache folder nothing is kept."""
    with contextlib.suppress(UserError, OSError):
        file = _file(key)
        file.parent.mkdir(mode=0o700, exist_ok=True)
        write_atomically(file, json.dumps(to_json(chapter)).encode())


def _file(key: str) -> Path:
    return make_cache_folder() / "lecture" / f"{key}.json"


@functools.cache
def _hash_code() -> str:
    """A hash of the code of jaxnn and its apps, and of the versions below them."""
    digest = hashlib.sha256()
    for package in ("jax", "jaxlib", "numpy", "pillow"):
        digest.update(f"{package} {metadata.version(package)}\n".encode())
    import catnet
    import jaxnn
    import seqnet

    here = Path(__file__).parent
    for module in (jaxnn, catnet, seqnet):
        folder = Path(str(module.__file__)).parent
        _add_folder(digest, folder)
    _add_folder(digest, here)
    return digest.hexdigest()


def _add_folder(digest: Any, folder: Path) -> None:
    for file in sorted(folder.rglob("*")):
        if file.suffix in CODE and file.is_file():
            digest.update(f"{file.relative_to(folder)}\n".encode())
            digest.update(file.read_bytes())
