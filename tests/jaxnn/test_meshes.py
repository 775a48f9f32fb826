"""Batches that are sharded over several devices give the answers and gradients of one device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import on_mesh
from layers import LAYERS

import jaxnn

# Layers of sequences are for automatic axes so far: JAX refuses their reshapes on explicit ones.
OF_SEQUENCES = (
    *("rnn", "lstm", "gru", "bidirectional", "reverse", "last", "mean", "max_over_time"),
    *("attention", "transformer_block", "sinusoidal_positions", "learned_positions", "conv1d"),
)


def test_layers_of_one_example_on_meshes_with_explicit_and_automatic_axes() -> None:
    """In a process of its own, which has several devices."""
    names = [name for name in LAYERS if name.split(",")[0] not in OF_SEQUENCES]
    done = subprocess.run(
        [sys.executable, on_mesh.__file__, *names],
        env={**os.environ, "PYTHONPATH": str(Path(jaxnn.__file__).parents[1]),
             "JAX_DISABLE_MOST_OPTIMIZATIONS": "true"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == names
