"""Case 3: whole commands, from the start of the process to the answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from catnet_bench.harness.case import Options, large_photos
from catnet_bench.harness.report import Row
from catnet_bench.harness.timing import alternate, time_once
from catnet_bench.harness.worker import Contestant, installed, race

PHOTO = (1000, 750)  # pixels of the photo
HELP_SECONDS = 0.15
CATNET = (sys.executable, "-m", "catnet")


def rows(options: Options) -> list[Row]:
    """catnet predict against a bare PyTorch script with the same network and weights."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        large_photos(folder / "photos", 1, 1, PHOTO)
        photo = str(folder / "photos" / "0000.jpg")
        script = torch_script(folder, photo)
        return compare(folder, photo, script, options.rounds)


def compare(folder: Path, photo: str, script: Sequence[str], rounds: int) -> list[Row]:
    """The rows; the script is empty where there is no PyTorch."""
    warm = folder / "cache"
    fresh = iter(folder / f"cache-{i}" for i in range(rounds + 1))
    predict = (*CATNET, "predict", "--json", photo)
    commands: dict[str, Callable[[], Any]] = {
        "first": lambda: run(predict, next(fresh)),
        "later": lambda: run(predict, warm),
        "help": lambda: run((*CATNET, "--help"), warm),
    }
    commands |= {"torch": lambda: run(script, warm)} if script else {}
    outputs = {name: command() for name, command in commands.items()}  # warms up the file cache
    p = json.loads(outputs["first"])["probabilities"]["cat"]
    seconds = alternate({name: time_once(command) for name, command in commands.items()}, rounds)
    peer = "bare PyTorch script" if script else ""
    theirs = seconds.get("torch", ())
    note = f"both answer {p:.3f}"
    if script and abs(float(outputs["torch"].split()[1]) - p) > 0.1:
        raise AssertionError(f"PyTorch answers {outputs['torch']}, catnet {outputs['first']}")
    what = "catnet predict photo.jpg"
    return [
        Row(f"{what}, first run", "s", seconds["first"], peer, theirs, at_most=0.75, note=note),
        Row(f"{what}, later", "s", seconds["later"], peer, theirs, at_most=0.6),
        Row("catnet --help", "s", seconds["help"], "the goal", (HELP_SECONDS,), at_most=1.0),
    ]


def torch_script(folder: Path, photo: str) -> tuple[str, ...]:
    """Write the peer's model file; the words of its command, or none without PyTorch."""
    peer = Contestant(write_torch_model, (str(folder / "model.pt"), *shipped_network()), "torch")
    if not installed({"PyTorch": peer}):
        return ()
    race({"PyTorch": peer}, rounds=1, warm_up=0)
    script = Path(__file__).parents[1] / "peers" / "torch_predict.py"
    return sys.executable, str(script), str(folder / "model.pt"), photo


def shipped_network() -> tuple[dict[str, Any], list[np.ndarray], float, float]:
    """The shipped model: architecture, parameters, calibration."""
    from catnet import Classifier

    model = Classifier.load()
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(model.params)]
    return model.architecture, leaves, model.slope, model.offset


def write_torch_model(
    file: str,
    architecture: dict[str, Any],
    leaves: Sequence[np.ndarray],
    slope: float,
    offset: float,
) -> Callable[[], None]:
    """Write the network as a PyTorch file."""
    from catnet_bench.peers import torch_photo

    return lambda: torch_photo.save(file, architecture, leaves, slope=slope, offset=offset)


def run(command: Sequence[str], cache: Path) -> str:
    """The output of a command that uses this folder for caches."""
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    env.pop("JAX_COMPILATION_CACHE_DIR", None)
    result = subprocess.run(command, env=env, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr}")
    return result.stdout
