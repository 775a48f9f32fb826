"""The same seed gives the same run, here and in other processes; several devices the same costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import on_devices
import optax
import pytest

import jaxnn


@pytest.fixture(scope="module")
def here() -> dict[str, Any]:
    return on_devices.trainings(1)


def elsewhere(devices: int, axes: str = "Explicit") -> dict[str, Any]:
    """The trainings in a process of its own."""
    done = subprocess.run(
        [sys.executable, on_devices.__file__, str(devices), axes],
        env={**os.environ, "PYTHONPATH": str(Path(jaxnn.__file__).parents[1])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_same_seed_gives_the_same_run_to_the_last_bit_in_another_process(here) -> None:
    assert elsewhere(1) == here


@pytest.mark.parametrize("axes", ["Explicit", "Auto"])
def test_eight_devices_give_the_same_costs_as_one(here, axes: str) -> None:
    """Whether the axes of the mesh are explicit, as ``jax.make_mesh`` makes them, or automatic."""
    spread = elsewhere(8, axes)
    for name in ("descent", "row space", "fit"):
        np.testing.assert_allclose(spread[name], here[name], rtol=1e-5)
        assert here[name][-1] < here[name][0]


def test_another_seed_gives_another_run(here) -> None:
    x, y = np.ones((4, 3), np.float32), np.ones((4, 1), np.float32)
    start = on_devices.NET.init(jax.random.key(0), x)
    costs = [
        jaxnn.fit(
            on_devices.NET, jaxnn.binary_cross_entropy, start, x, y, optimizer=optax.sgd(0.1),
            batch_size=2, steps=2, key=jax.random.key(seed),
        )[1].tolist()
        for seed in (0, 1)
    ]  # fmt: skip
    assert costs[0] != costs[1]
