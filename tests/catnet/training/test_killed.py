"""Trainings killed at random moments, in processes of their own, end like one that never was.

A few kills unless the environment says how many: ``CATNET_KILLS=100 pytest -k killed``.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redblue import contents, write

KILLS = int(os.environ.get("CATNET_KILLS", "2"))  # in all, over the kinds of training

# The command line; the photo network is made small, and validates more often than it should.
DRIVER = """
import dataclasses, sys
from catnet.cli.main import main
if "photo" in " ".join(sys.argv):
    from catnet.training.photo import config as photo
    small = {"widths": (4,), "blocks": (1,), "validate_every": 16, "warm_up": 0.1}
    kinds = {"widths": tuple, "blocks": tuple, "validate_every": int, "warm_up": float}
    fields = [(name, kind, small[name]) for name, kind in kinds.items()]
    small = dataclasses.make_dataclass("Small", fields, bases=(photo.PhotoConfig,), frozen=True)
    photo.PhotoConfig = small
sys.exit(main(sys.argv[1:]))
"""

HOW = {
    "descent": "--model shallow --steps 8000 --learning-rate 0.001",
    "adam": "--model shallow --hidden 3 --optimizer adam --batch-size 7 --steps 1500",
    "photo": "--model photo --batch-size 8 --steps 64",
}


KINDS = HOW if len(HOW) <= KILLS else ("descent", "photo")


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_moments(kind: str, tmp_path: Path) -> None:
    wanted = max(1, KILLS // len(KINDS))
    data = write(tmp_path / "data", 40)
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }

    def train(folder: Path, kill_after: float | None = None) -> bool:
        """Begin or go on; whether it came to its end."""
        how = ["--resume", str(folder)]
        if not folder.exists():
            how = [str(data), *HOW[kind].split(), "--out", str(folder)]
        arguments = [sys.executable, "-c", DRIVER, "train", *how, "--save-every", "1e-9"]
        process = subprocess.Popen(
            arguments, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            _, said = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return False
        assert process.returncode == 0, said
        return True

    # The first run compiles, too: later ones take about half its time.
    started = time.monotonic()
    whole = tmp_path / "whole" / "run"
    train(whole)
    seconds = (time.monotonic() - started) / 2
    if wanted > 3:
        started = time.monotonic()
        train(tmp_path / "again" / "run")
        seconds = time.monotonic() - started
    expected = contents(whole)
    assert {"config.json", "state.safetensors", "model.safetensors"} < {*expected}

    kills, runs = 0, 0
    while kills < wanted:
        runs += 1
        cut = tmp_path / f"cut-{runs}" / "run"
        while not train(cut, random.uniform(0, seconds)):
            kills += 1
            if kills == wanted:
                train(cut)
                break
        assert contents(cut) == expected
    print(f"{kind}: killed {kills} times in {runs} runs of {seconds:.1f} s")
