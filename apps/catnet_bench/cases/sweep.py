"""Case 2: many networks at once, against PyTorch training them one after another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from catnet_bench.cases.lecture import QUICK_STEPS, SIZES, STEPS, write
from catnet_bench.harness.case import Options, course
from catnet_bench.harness.report import Row
from catnet_bench.harness.worker import Contestant, race_from_start
from catnet_bench.peers import lecture as peers

TOGETHER = 64  # networks of jaxnn
IN_TURN = 2  # networks of PyTorch


def rows(options: Options) -> list[Row]:
    """Goal: 64 deep networks of jaxnn train in less time than two of PyTorch."""
    images, labels, source = course(options.data)
    steps = QUICK_STEPS if options.quick else STEPS
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder) / "lecture.npz", images, labels, SIZES)
        whole, training, _ = race_from_start(
            {
                "jaxnn": Contestant(ours, (file, steps, SIZES[1:-1], TOGETHER)),
                "PyTorch": Contestant(in_turn, (file, steps, IN_TURN), "torch"),
            },
            options.rounds,
        )
    what = f"{TOGETHER} networks, {steps} steps on {source}"
    note = f"PyTorch trains {IN_TURN}"
    results = []
    for part, times, at_least in (("process", whole, 1.0), ("training", training, None)):
        theirs = times.get("PyTorch", ())
        peer = "PyTorch" if theirs else ""
        row = Row(f"{what}, {part}", "s", times["jaxnn"], peer, theirs, at_least)
        results.append(row._replace(note=note if theirs else ""))
    return results


def ours(file: Path, steps: int, hidden: tuple[int, ...], count: int) -> Callable[[], list[float]]:
    """``catnet sweep`` of one learning rate and ``count`` seeds; the last cost of each network."""
    from catnet.data.dataset import Dataset
    from catnet.models import registry
    from catnet.training.sweep import Grid, sweep

    with np.load(file) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    names = [str(i) for i in range(len(labels))]
    part = Dataset(images, labels, names, ("non-cat", "cat"))
    architecture = registry.architecture("deep", hidden)
    grid = Grid(architecture, learning_rates=(peers.RATE,), seeds=count, steps=steps)

    def work() -> list[float]:
        [cell] = sweep(grid, part, part)
        return cell.costs[:, -1].tolist()

    return work


def in_turn(file: Path, steps: int, count: int) -> Callable[[], list[float]]:
    """PyTorch's training, ``count`` times; the last cost of each."""
    train = peers.torch(file, steps)
    return lambda: [train()[-1] for _ in range(count)]
