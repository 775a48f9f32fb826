"""The folder of a run: created atomically, locked by one training at a time, with a checkpoint.

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
import os
import platform
import secrets
import shlex
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self, TypeVar

import jax
import numpy as np

import jaxnn
from catnet.errors import UserError
from catnet.terminal import log
from jaxnn.files import write_atomically

CONFIG, STATE, LOCK = "config.json", "state.safetensors", ".lock"
EVERY = 5.0  # seconds between two checkpoints

# Environment variables that change the numbers of a training, besides its settings and data.
# Those of JAX can be set in other ways too, so their values are read from ``jax.config``.
OF_JAX = (
    "JAX_ENABLE_X64",
    "JAX_DEFAULT_PRNG_IMPL",
    "JAX_THREEFRY_PARTITIONABLE",
    "JAX_RANDOM_SEED_OFFSET",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_NUMPY_DTYPE_PROMOTION",
    "JAX_DISABLE_JIT",
    "JAX_DISABLE_MOST_OPTIMIZATIONS",
    "JAX_OPTIMIZATION_LEVEL",
    "JAX_EXEC_TIME_OPTIMIZATION_EFFORT",
)
OF_OTHERS = (
    "XLA_FLAGS",
    "LIBTPU_INIT_ARGS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)

Settings = TypeVar("Settings")


class Stopped(KeyboardInterrupt):
    """Ctrl-C was pressed, and the checkpoint is saved."""


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
    described = {**described, "numerics": _numerics(), "versions": _versions()}
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
    now = _numerics()
    for name, value in config.get("numerics", {}).items():
        if now.get(name) != value:
            raise UserError(
                f"{folder} was started with {name} {_value(value)}, and now it is "
                f"{_value(now.get(name))}, which changes the numbers; "
                "set the old value, or start a new run"
            )
    if config["versions"] != _versions():
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


def read_progress(folder: Path) -> dict[str, Any]:
    """Read what a checkpoint says of itself.

    Returns:
        At least ``step``, and ``finished``: the hash of the config that it is the end of, or
        False.
    """
    checkpoint = _read_checkpoint(folder)
    return checkpoint[1] if checkpoint else {"step": 0, "finished": False}


def is_finished(folder: Path) -> bool:
    """Whether a run is at its end, with all of its files written."""
    return read_progress(folder)["finished"] == digest(read_config(folder))


def finish(folder: Path) -> None:
    """Mark the checkpoint as the end of the config: all other files are written."""
    if checkpoint := _read_checkpoint(folder):
        leaves, about = checkpoint
        about = {**about, "finished": digest(read_config(folder))}
        jaxnn.save(folder / STATE, leaves, about)


def plan_extension(folder: Path, steps: int) -> dict[str, Any]:
    """The config of a run with more steps; nothing is written.

    A run that is finished goes on from its last step, also where it had stopped early.  The config
    is unchanged for the steps that a run has already, unless it has stopped before them.

    Raises:
        UserError: these are fewer steps.
    """
    described = read_config(folder)
    done = read_progress(folder)["step"]
    stopped_early = is_finished(folder) and done < steps == described["steps"]
    if steps == described["steps"] and not stopped_early:
        return described
    if steps < described["steps"]:
        raise UserError(
            f"--steps {steps}: {folder} has {described['steps']} steps; give more to "
            "extend it, or start a new run"
        )
    return {**described, "steps": steps, "extended_at": [*described["extended_at"], done]}


def extend(folder: Path, steps: int, extended_at: tuple[int, ...]) -> None:
    """Write the extension of ``plan_extension``, atomically, inside the lock."""
    described = {**read_config(folder), "steps": steps, "extended_at": list(extended_at)}
    if described != read_config(folder):
        write_json(folder / CONFIG, {**described, "checksum": digest(described)})


def _identify(described: dict[str, Any]) -> str:
    """The identity of a run; an extension does not change it."""
    others = {k: value for k, value in described.items() if k not in ("steps", "extended_at")}
    return digest(others)


def _read_checkpoint(folder: Path) -> tuple[list[Any], dict[str, Any]] | None:
    try:
        leaves, about = jaxnn.load(folder / STATE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{folder / STATE}: cannot be read ({error.strerror or error})") from None
    except jaxnn.ModelFileError as error:
        raise UserError(f"{error}; the run cannot be resumed; start a new one") from None
    if about.get("run") != _identify(read_config(folder)):
        raise UserError(f"{folder / STATE}: belongs to another run than {CONFIG}; start a new run")
    return leaves, about


class Checkpoint:
    """The checkpoint of a training: read at its start, saved every few seconds and at its end.

    Inside ``with``, Ctrl-C takes effect at the end of the chunk of steps in progress, so that
    the checkpoint is consistent; a second Ctrl-C takes effect at once.

    Attributes:
        folder: of the run.
        every: seconds between two checkpoints.
    """

    def __init__(self, folder: Path, every: float = EVERY) -> None:
        self.folder, self.every = folder, every
        self._run = _identify(read_config(folder))
        self._last = time.monotonic()
        self._pressed = self._installed = False

    def __enter__(self) -> Self:
        ours = threading.current_thread() is threading.main_thread()
        if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._press)
            self._installed = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _press(self, *_: object) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True

    def load(self, like: Any) -> tuple[Any, dict[str, Any]] | None:
        """Read the tree, with the structure of ``like``, and what was saved with it, if any."""
        checkpoint = _read_checkpoint(self.folder)
        if checkpoint is None:
            return None
        leaves, about = checkpoint
        structure = jax.tree.structure(like)
        if structure.num_leaves != len(leaves):
            raise UserError(f"{self.folder / STATE}: is of another catnet; start a new run")
        log(f"resuming at step {about['step']}")
        return jax.tree.unflatten(structure, leaves), about

    def save_if_due(
        self,
        step: int,
        steps: int,
        state: Callable[[], tuple[Any, dict[str, Any]]],
        now: bool = False,
    ) -> None:
        """Save the checkpoint when it is time; to be called after every chunk of steps.

        Args:
            step: the number of steps done.
            steps: the number of steps of the training.
            state: returns a tree of arrays, and a dict for JSON.
            now: whether it is due in any case.

        Raises:
            Stopped: Ctrl-C was pressed; the checkpoint is saved.
        """
        due = now or step == steps or self._pressed
        if due or time.monotonic() - self._last >= self.every:
            tree, about = state()
            about = {**about, "run": self._run, "step": step, "finished": False}
            jaxnn.save(self.folder / STATE, jax.tree.leaves(tree), about)
            self._last = time.monotonic()
        if self._pressed:
            raise Stopped(f"stopped after {step} of {steps} steps")


def _numerics() -> dict[str, Any]:
    """The settings outside of catnet that change the numbers of a training; None for unset."""
    defaults = jax.config.values  # a thread may override them by attributes
    of_jax = {
        name: getattr(jax.config, name.lower(), defaults.get(name.lower())) for name in OF_JAX
    }
    devices = {"device": jax.devices()[0].device_kind, "number of devices": jax.device_count()}
    return {
        **{name: getattr(value, "value", value) for name, value in of_jax.items()},
        **{name: " ".join(os.environ.get(name, "").split()) or None for name in OF_OTHERS},
        **devices,
    }


def _versions() -> dict[str, str]:
    """What may change the last digits, and the user cannot set."""
    names = ("jaxnn", "jax", "jaxlib", "numpy", "optax")
    machine = {"processor": _processor(), "cores": str(os.cpu_count())}
    return {**{name: version(name) for name in names}, **machine}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
