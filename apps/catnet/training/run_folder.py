"""The folder of a run: created atomically with its config, locked by one training at a time.

A training is a function of its settings, its data and its state.  The settings and a hash of the
data are in ``config.json``, which changes only where a run is extended.  The state is in
``state.safetensors``, the checkpoint, replaced atomically every few seconds.  All other files are
computed from them: a training that was killed at any moment resumes from the checkpoint, to a
bit-identical result.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from catnet.errors import UserError
from catnet.terminal import log
from catnet.training.numerics import read_numerics, read_versions
from jaxnn.files import write_atomically

CONFIG, LOCK = "config.json", ".lock"

Settings = TypeVar("Settings")


def choose_folder(out: str | None, model: str) -> Path:
    """Choose the folder of a new run: ``out``, or the first free runs/MODEL-N.

    Raises:
        UserError: ``out`` exists.
    """
    numbered = (Path("runs") / f"{model}-{n}" for n in itertools.count(1))
    folder = Path(out) if out else next(path for path in numbered if not path.exists())
    if folder.exists():
        raise UserError(f"{folder} exists already; choose another --out")
    return folder


def create(folder: Path, described: dict[str, Any]) -> None:
    """Create the folder of a run together with its ``config.json``, atomically.

    Args:
        folder: a path that does not exist.
        described: the settings, ``data`` (where the data are) and ``content`` (their hash).

    Raises:
        UserError: it cannot be created; nothing is left behind.
    """
    described = {**described, "numerics": read_numerics(), "versions": read_versions()}
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        beside.mkdir(parents=True)
        write_json(beside / CONFIG, {**described, "checksum": digest(described)})
        beside.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error.strerror or error})") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def read_config(folder: Path) -> dict[str, Any]:
    """Read the config that ``create`` wrote.

    Raises:
        UserError: the folder is not a run folder, or its config.json was changed.
    """
    try:
        described = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if described.pop("checksum") != digest(described):
            raise ValueError
    except OSError as error:
        raise UserError(f"{folder}: is not a run folder ({error.strerror or error})") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise UserError(
            f"{folder / CONFIG}: was changed since catnet wrote it; start a new run"
        ) from None
    return described


def read_settings(kind: type[Settings], described: dict[str, Any]) -> Settings:
    """Read the settings in a config back into their dataclass.

    Raises:
        UserError: one is missing.
    """

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if missing := [name for name in names if name not in described]:
        raise UserError(
            f"the config of the run has no {missing[0]}: it is of another catnet; start a new run"
        )
    return kind(**{name: tuples(described[name]) for name in names})


def refuse_other_data(folder: Path, data: str, content: str) -> None:
    """Refuse to resume a run with other data than it was started with, or other numerics.

    Raises:
        UserError: the hash of the data, or a setting that changes the numbers, differs.
    """
    config = read_config(folder)
    if config["content"] != content:
        raise UserError(
            f"{data}: is not the data that {folder} was started with, or has changed; "
            "name that data, or start a new run"
        )
    now = read_numerics()
    for name, value in config.get("numerics", {}).items():
        if now.get(name) != value:
            raise UserError(
                f"{folder} was started with {name} {_value(value)}, and now it is "
                f"{_value(now.get(name))}, which changes the numbers; "
                "set the old value, or start a new run"
            )
    if config["versions"] != read_versions():
        others = ", ".join(f"{name} {number}" for name, number in config["versions"].items())
        log(f"{folder} was started with {others}: the last digits may differ")


def _value(value: Any) -> str:
    return "unset" if value is None else str(value)


def digest(*parts: Any) -> str:
    """SHA-256 of arrays and of anything JSON can hold."""
    sha256 = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            sha256.update(f"{part.dtype} {part.shape}\n".encode())
            sha256.update(np.ascontiguousarray(part).data)
        else:
            sha256.update(json.dumps(part, sort_keys=True).encode())
    return sha256.hexdigest()


def identify(described: dict[str, Any]) -> str:
    """The identity of a run; an extension does not change it."""
    others = {k: value for k, value in described.items() if k not in ("steps", "extended_at")}
    return digest(others)


def write_json(path: Path, described: Any) -> None:
    """Write an indented JSON file, atomically."""
    write_atomically(path, (json.dumps(described, indent=2) + "\n").encode())


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock a run folder for one training, and report its failures in one line.

    Raises:
        UserError: another training has the lock, or a file cannot be read or written.
        KeyboardInterrupt: with the command that resumes the run.
    """
    resume = f"catnet train --resume {shlex.quote(str(folder))}"
    try:
        with report_failures(folder, resume), (folder / LOCK).open("a") as file:
            _lock_file(file, folder)
            _remove_temporary_files(folder)
            yield
    except KeyboardInterrupt as stop:
        raise type(stop)(f"{str(stop) or 'stopped'}; resume with: {resume}") from None


@contextmanager
def report_failures(folder: Path, remedy: str) -> Iterator[None]:
    """Report a file that cannot be read or written in one line.

    Args:
        folder: of the run.
        remedy: what to do once the cause is fixed.

    Raises:
        UserError: a file cannot be read or written.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        place = error.filename or folder
        place = folder if Path(place).parent == folder else place
        reason = " ".join((error.strerror or str(error)).split())
        raise UserError(
            f"{place}: {reason}; earlier files are intact; fix the cause, then {remedy}"
        ) from None


def _lock_file(file: Any, folder: Path) -> None:
    """Lock a file; the kernel releases the lock when the process ends, even when it is killed."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{folder}: another training is running in it; wait for its end, or start a new run"
        ) from None
    except (ImportError, OSError):  # Windows, and some network drives
        log(f"{folder}: cannot be locked here; make sure that no other training runs in it")


def _remove_temporary_files(folder: Path) -> None:
    """Remove the temporary files of ``write_atomically`` in a process that was killed."""
    for path in folder.glob(".*.????????"):
        if Path(path.name[1:-9]).suffix in (
            ".json",
            ".jsonl",
            ".csv",
            ".safetensors",
            ".png",
            ".npy",
        ):
            path.unlink(missing_ok=True)
