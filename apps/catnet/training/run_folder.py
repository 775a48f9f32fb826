"""The folder of a run: begun whole, used by one training at a time, with a state to go on from.

A training is a function of its settings, its data and its state.  The settings and a hash of the
data are in ``config.json``, written once; the state is in ``state.safetensors``, replaced in one
step every few seconds.  Whatever else is in the folder is made from them, so a training that was
killed at any moment goes on from the last state and ends as if it had never stopped.
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
EVERY = 5.0  # seconds between two saves of the state

# What decides the numbers of a training besides its settings and data, by environment variable.
# Those of JAX can be set in other ways, too, so it is asked for their values.
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
    """Ctrl-C, after the state was saved."""


def vacant(out: str | None, model: str) -> Path:
    """The place of a new run: the one named, where nothing may be yet, or runs/MODEL-N."""
    numbered = (Path("runs") / f"{model}-{n}" for n in itertools.count(1))
    folder = Path(out) if out else next(path for path in numbered if not path.exists())
    if folder.exists():
        raise UserError(f"{folder} is there already; choose another --out")
    return folder


def begin(folder: Path, described: dict[str, Any]) -> None:
    """Make the folder of a run with its ``config.json`` in one step: it is never without.

    Args:
        folder: where there is nothing yet.
        described: the settings, ``data`` (where the data are) and ``content`` (their hash).

    Raises:
        UserError: it cannot be made; nothing is left behind.
    """
    described = {**described, "numerics": _numerics(), "versions": _versions()}
    beside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        beside.mkdir(parents=True)
        write_json(beside / CONFIG, {**described, "checksum": digest(described)})
        beside.rename(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror or error})") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def config_of(folder: Path) -> dict[str, Any]:
    """What ``begin`` was given.

    Raises:
        UserError: it is not a run folder, or its config.json was changed.
    """
    try:
        described = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if described.pop("checksum") != digest(described):
            raise ValueError
    except OSError as error:
        raise UserError(f"{folder}: is not a run folder ({error.strerror or error})") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise UserError(
            f"{folder / CONFIG}: is not as this catnet wrote it; begin a new run"
        ) from None
    return described


def settings_of(kind: type[Settings], described: dict[str, Any]) -> Settings:
    """The settings in a ``config.json`` as the dataclass they were."""

    def tuples(value: Any) -> Any:
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if missing := [name for name in names if name not in described]:
        raise UserError(f"the run was begun by another catnet: it has no {missing[0]}")
    return kind(**{name: tuples(described[name]) for name in names})


def same_data(folder: Path, data: str, content: str) -> None:
    """Refuse to go on with other data than those of the beginning, or with other arithmetic."""
    begun = config_of(folder)
    if begun["content"] != content:
        raise UserError(
            f"{data}: not, or no longer, the data that {folder} was begun with; "
            f"give those, or begin a new run"
        )
    now = _numerics()
    for name, value in begun.get("numerics", {}).items():
        if now.get(name) != value:
            raise UserError(
                f"{folder} was begun with {name} {_value(value)}, now it is "
                f"{_value(now.get(name))}, which changes the numbers; "
                "set it as it was, or begin a new run"
            )
    if begun["versions"] != _versions():
        others = ", ".join(f"{name} {number}" for name, number in begun["versions"].items())
        log(f"{folder} was begun with {others}: last digits may differ")


def _value(value: Any) -> str:
    return "unset" if value is None else str(value)


def digest(*parts: Any) -> str:
    """SHA-256 of arrays and of anything JSON can hold."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype} {part.shape}\n".encode())
            found.update(np.ascontiguousarray(part).data)
        else:
            found.update(json.dumps(part, sort_keys=True).encode())
    return found.hexdigest()


def write_json(path: Path, described: Any) -> None:
    """A JSON file that people can read, too."""
    write_atomically(path, (json.dumps(described, indent=2) + "\n").encode())


@contextmanager
def training_in(folder: Path) -> Iterator[None]:
    """Have a run folder for oneself; what goes wrong in it becomes one line.

    Raises:
        UserError: another training is in it, or something cannot be read or written.
        KeyboardInterrupt: with the command to go on.
    """
    go_on = f"catnet train --resume {shlex.quote(str(folder))}"
    try:
        with filling(folder, go_on), (folder / LOCK).open("a") as file:
            _lock(file, folder)
            _sweep(folder)
            yield
    except KeyboardInterrupt as stop:
        raise type(stop)(f"{str(stop) or 'stopped'}; go on with: {go_on}") from None


@contextmanager
def filling(folder: Path, then: str) -> Iterator[None]:
    """What cannot be read or written meanwhile becomes one line.

    Args:
        folder: of the run.
        then: what to do after the cause is mended.

    Raises:
        UserError: something cannot be read or written.
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
            f"{place}: {reason}; what was saved before is intact: mend this, then {then}"
        ) from None


def _lock(file: Any, folder: Path) -> None:
    """The kernel lets go of it when the process ends, however it ends."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{folder}: another training is running in it; wait for its end, or begin a new run"
        ) from None
    except (ImportError, OSError):  # Windows, and some network drives
        log(f"{folder}: cannot be locked here; see that no other training runs in it")


def _sweep(folder: Path) -> None:
    """Remove what ``write_atomically`` left beside its files when it was killed."""
    for left in folder.glob(".*.????????"):
        if Path(left.name[1:-9]).suffix in (".json", ".jsonl", ".csv", ".safetensors", ".png"):
            left.unlink(missing_ok=True)


def saved(folder: Path) -> dict[str, Any]:
    """What is known of the saved state: ``step`` and ``finished`` at least."""
    found = _load(folder)
    return found[1] if found else {"step": 0, "finished": False}


def finish(folder: Path) -> None:
    """Note in the state that all the rest is written."""
    if found := _load(folder):
        jaxnn.save(folder / STATE, found[0], {**found[1], "finished": True})


def _load(folder: Path) -> tuple[list[Any], dict[str, Any]] | None:
    try:
        leaves, about = jaxnn.load(folder / STATE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{folder / STATE}: cannot be read ({error.strerror or error})") from None
    except jaxnn.ModelFileError as error:
        raise UserError(f"{error}; the run cannot go on: begin a new one") from None
    if about.get("run") != digest(config_of(folder)):
        raise UserError(f"{folder / STATE}: is not of the run in {CONFIG}; begin a new run")
    return leaves, about


class Checkpoint:
    """The state of a training: read at its beginning, saved every few seconds and at its end.

    Inside ``with``, Ctrl-C waits for the end of the chunk of steps under way, so that what is
    saved is whole; a second one does not wait.

    Attributes:
        folder: of the run.
        every: seconds between two saves.
    """

    def __init__(self, folder: Path, every: float = EVERY) -> None:
        self.folder, self.every = folder, every
        self._run = digest(config_of(folder))
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
        """The saved tree, of the structure of ``like``, and what was saved with it, if any."""
        found = _load(self.folder)
        if found is None:
            return None
        structure = jax.tree.structure(like)
        if structure.num_leaves != len(found[0]):
            raise UserError(f"{self.folder / STATE}: is of another catnet; begin a new run")
        log(f"going on at step {found[1]['step']}")
        return jax.tree.unflatten(structure, found[0]), found[1]

    def after(self, step: int, steps: int, state: Callable[[], tuple[Any, dict[str, Any]]]) -> None:
        """To be called after every chunk of steps; saves the state when it is time to.

        Args:
            step: how many are done.
            steps: how many there are in all.
            state: gives a tree of arrays, and what JSON can hold.

        Raises:
            Stopped: somebody pressed Ctrl-C; the state is saved.
        """
        if step == steps or self._pressed or time.monotonic() - self._last >= self.every:
            tree, about = state()
            about = {**about, "run": self._run, "step": step, "finished": False}
            jaxnn.save(self.folder / STATE, jax.tree.leaves(tree), about)
            self._last = time.monotonic()
        if self._pressed:
            raise Stopped(f"stopped after {step} of {steps} steps")


def _numerics() -> dict[str, Any]:
    """What decides the numbers of a training and can be set, as JSON has it; None for not set."""
    set_in_all = jax.config.values  # a thread may have others for a while, as attributes
    of_jax = {
        name: getattr(jax.config, name.lower(), set_in_all.get(name.lower())) for name in OF_JAX
    }
    devices = {"device": jax.devices()[0].device_kind, "number of devices": jax.device_count()}
    return {
        **{name: getattr(value, "value", value) for name, value in of_jax.items()},
        **{name: " ".join(os.environ.get(name, "").split()) or None for name in OF_OTHERS},
        **devices,
    }


def _versions() -> dict[str, str]:
    """What may decide the last digits besides, and is not for the user to set."""
    names = ("jaxnn", "jax", "jaxlib", "numpy", "optax")
    machine = {"processor": _processor(), "cores": str(os.cpu_count())}
    return {**{name: version(name) for name in names}, **machine}


def _processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
