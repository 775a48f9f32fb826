"""Case 1: the lecture's training run: whole processes, and the training alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from catnet.course.networks import initialize
from catnet_bench.harness.case import Options, course
from catnet_bench.harness.report import Row
from catnet_bench.harness.timing import time_once
from catnet_bench.harness.worker import Contestant, race, race_from_start
from catnet_bench.peers import lecture as peers

SIZES = (12288, 20, 7, 5, 1)
STEPS = 2500
QUICK_STEPS = 300
COMPARED = 100  # costs must agree up to this step


def rows(options: Options) -> list[Row]:
    """jaxnn.gradient_descent against the same descent in other libraries."""
    images, labels, source = course(options.data)
    steps = QUICK_STEPS if options.quick else STEPS
    with tempfile.TemporaryDirectory() as folder:
        file = write(Path(folder) / "lecture.npz", images, labels, SIZES)
        whole, training, costs = race_from_start(contestants(file, steps), options.rounds)
        _, split = race({"jaxnn": Contestant(parts, (file, steps))}, 1, warm_up=0)
    ours, results = costs["jaxnn"], []
    what = f"{steps} steps on {source}"
    for name in [name for name in whole if name != "jaxnn"]:
        own_weights = name == "scikit-learn"
        if not own_weights and not agree(ours, costs[name]):
            raise AssertionError(
                f"{name}: costs {costs[name][:COMPARED]} differ from {ours[:COMPARED]}"
            )
        bound = 15.0 if name == "PyTorch" else None
        note = f"cost {costs[name][-1]:.4f}, ours {ours[-1]:.4f}"
        note += "; draws its own weights" if own_weights else ""
        results += [
            Row(f"{what}, process", "s", whole["jaxnn"], name, whole[name], bound, note=note),
            Row(f"{what}, training", "s", training["jaxnn"], name, training[name], bound),
        ]
    overhead = [a - b for a, b in zip(whole["jaxnn"], training["jaxnn"], strict=True)]
    results.append(Row("of ours: Python, imports, reading, end", "s", overhead))
    return results + [Row(f"of ours: {part}", "s", (s,)) for part, s in split["jaxnn"].items()]


def contestants(file: Path, steps: int) -> dict[str, Contestant]:
    """jaxnn, and the same descent in other libraries."""
    return {
        "jaxnn": Contestant(peers.ours, (file, steps)),
        "PyTorch": Contestant(peers.torch, (file, steps), "torch"),
        "NumPy float64": Contestant(peers.numpy, (file, steps, "float64")),
        "NumPy float32": Contestant(peers.numpy, (file, steps, "float32")),
        "JAX, lax.scan": Contestant(peers.scan, (file, steps)),
        "Equinox": Contestant(peers.equinox, (file, steps), "equinox"),
        "Flax nnx": Contestant(peers.flax, (file, steps), "flax"),
        "scikit-learn": Contestant(peers.sklearn, (file, steps), "sklearn"),
    }


def write(file: Path, images: np.ndarray, labels: np.ndarray, sizes: tuple[int, ...]) -> Path:
    """Write what all contestants start from: images, labels, and the course's initial weights."""
    layers = initialize(sizes, "sqrt")
    arrays: dict[str, Any] = {"images": images, "labels": labels}
    for i, (W, b) in enumerate(layers):
        arrays |= {f"W{i}": W, f"b{i}": b}
    np.savez(file, **arrays)
    return file


def agree(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    """Whether two descents are the same: rounding errors grow, so only the first steps count."""
    return len(ours) == len(theirs) and bool(
        np.allclose(ours[:COMPARED], theirs[:COMPARED], rtol=0, atol=2e-3)
    )


def parts(file: Path, steps: int) -> Callable[[], dict[str, float]]:
    """How jaxnn's training spends its time."""
    import jax

    from jaxnn.training.row_space import row_space

    train = peers.ours(file, steps)
    x, _, layers = peers.read(file)
    net = peers.network(layers)

    def work() -> dict[str, float]:
        x_device = jax.device_put(x)
        factorise = time_once(lambda: jax.block_until_ready(row_space(net, x_device)))
        descend = time_once(train)
        cold = factorise(), descend()
        warm = [min(again() for _ in range(3)) for again in (factorise, descend)]
        return {
            "compilation and first use of LAPACK": cold[0] - warm[0] + cold[1] - warm[1],
            "factorization into the row space": warm[0],
            "descent and reconstruction of W": warm[1] - warm[0],
        }

    return work
