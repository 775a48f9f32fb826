"""The checkpoint of a training: its state in a file, and the settings that it belongs to."""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np

from jaxnn.layer import Key
from jaxnn.serialization import load, save


def describe(batch_size: int | None, gradient: str, key: Key) -> dict[str, Any]:
    """The settings that a training must have in common with its checkpoint, for JSON."""
    return {
        "batch_size": batch_size,
        "gradient": gradient,
        "key": np.asarray(jax.random.key_data(key)).tolist(),
    }


def restore(path: str | os.PathLike[str], start: Any, settings: dict[str, Any]) -> Any:
    """Read the state of a training from its checkpoint; the start where there is none.

    Args:
        path: the file.
        start: the state before the first step; the result has its structure.
        settings: of ``describe``.

    Raises:
        ValueError: the file is of a training with other settings.
        ModelFileError: the file is damaged, or has other arrays than the start.
    """
    try:
        state, saved = load(path, like=start)
    except FileNotFoundError:
        return start
    for name, value in settings.items():
        if saved.get(name) != value:
            raise ValueError(
                f"{path}: is the checkpoint of a training with {name} {saved.get(name)}, not"
                f" {value}; name another file, or delete it to start anew"
            )
    return state


def store(path: str | os.PathLike[str], state: Any, settings: dict[str, Any]) -> None:
    """Write the state of a training and its settings, atomically."""
    save(path, state, settings)
