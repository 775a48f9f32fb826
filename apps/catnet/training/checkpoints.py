"""The checkpoint of a training: what it has done so far, and how a run is extended.

The checkpoint, ``state.safetensors`` in the run folder, is replaced atomically every few seconds.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import jax

import jaxnn
from catnet.errors import UserError
from catnet.terminal import log
from catnet.training.run_folder import CONFIG, digest, identify, read_config, write_json

STATE = "state.safetensors"
EVERY = 5.0  # seconds between two checkpoints

Read = TypeVar("Read")


class Stopped(KeyboardInterrupt):
    """Ctrl-C was pressed, and the checkpoint is saved."""


def read_progress(folder: Path) -> dict[str, Any]:
    """Read what a checkpoint says of itself.

    Returns:
        At least ``step``, and ``finished``: the hash of the config that it is the end of, or
        False.
    """
    about = _read_state(folder, jaxnn.load_metadata)
    return {"step": 0, "finished": False} if about is None else _check_run(folder, about)


def is_finished(folder: Path) -> bool:
    """Whether a run is at its end, with all of its files written."""
    return read_progress(folder)["finished"] == digest(read_config(folder))


def finish(folder: Path) -> None:
    """Mark the checkpoint as the end of the config: all other files are written."""
    if state := _read_state(folder, jaxnn.load):
        leaves, about = state
        about = {**_check_run(folder, about), "finished": digest(read_config(folder))}
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


def _read_state(folder: Path, read: Callable[[Path], Read]) -> Read | None:
    """What a function reads of the file of the checkpoint; None where there is none."""
    try:
        return read(folder / STATE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{folder / STATE}: cannot be read ({error.strerror or error})") from None
    except jaxnn.ModelFileError as error:
        raise UserError(f"{error}; the run cannot be resumed; start a new one") from None


def _check_run(folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of itself, if it is that of the run."""
    if about.get("run") != identify(read_config(folder)):
        raise UserError(f"{folder / STATE}: belongs to another run than {CONFIG}; start a new run")
    return about


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
        self._run = identify(read_config(folder))
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
        state = _read_state(self.folder, jaxnn.load)
        if state is None:
            return None
        leaves, about = state
        _check_run(self.folder, about)
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
