"""Gradients of recurrent layers and of attention, by hand, by JAX and in other libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from catnet_bench.cases.photo import check
from catnet_bench.harness.case import Options
from catnet_bench.harness.report import Row
from catnet_bench.harness.worker import Contestant, race
from catnet_bench.peers import sequences as peers
from catnet_bench.peers.sequences import Problem, Work

PEERS = {
    "jax.grad of the same forward": (peers.by_jax, "jaxnn"),
    "Equinox": (peers.equinox, "equinox"),
    "Flax": (peers.flax, "flax"),
    "PyTorch": (peers.pytorch, "torch"),
}


class Sizes(NamedTuple):
    """A layer, and T, N, n_in and n_out."""

    kind: str
    steps: int
    examples: int
    n_in: int
    n_out: int

    def __str__(self) -> str:
        return f"{self.kind}, T {self.steps}, N {self.examples}, {self.n_in} to {self.n_out}"


SIZES = (
    Sizes("lstm", 50, 32, 64, 64),
    Sizes("lstm", 100, 64, 128, 256),
    Sizes("gru", 50, 32, 64, 64),
    Sizes("gru", 100, 64, 128, 256),
    Sizes("attention", 256, 8, 128, 128),
    Sizes("attention", 2048, 1, 128, 128),
    Sizes("causal attention", 2048, 1, 128, 128),
)


def rows(options: Options) -> list[Row]:
    """Goal: no gradient by hand is slower than ``jax.grad`` of the same forward pass."""
    sizes = [size._replace(steps=12, examples=2) for size in SIZES] if options.quick else SIZES
    return [row for size in sizes for row in compare(size, options)]


def compare(size: Sizes, options: Options) -> list[Row]:
    """One row a peer."""
    problem = peers.make_problem(*size)
    repeats = 1 if options.quick else _count_repeats(size)
    contestants = {"jaxnn": Contestant(repeat, (peers.by_hand, problem, repeats))}
    for name, (prepare, needs) in PEERS.items():
        contestants[name] = Contestant(repeat, (prepare, problem, repeats), needs)
    times, values = race(contestants, options.rounds, warm_up=2)
    check(str(size), values)
    each = {name: [s / repeats for s in seconds] for name, seconds in times.items()}
    ours = each.pop("jaxnn")
    return [
        Row(
            f"{size}, gradient",
            "s",
            ours,
            name,
            theirs,
            at_least=1.0 if name.startswith("jax.grad") else None,
        )
        for name, theirs in each.items()
    ]


def repeat(prepare: Callable[[Problem], Work], problem: Problem, repeats: int) -> Work:
    """The work, several times in a round: the first after another contestant is slower."""
    work = prepare(problem)
    return lambda: [work() for _ in range(repeats)][-1]


def _count_repeats(size: Sizes) -> int:
    """About half a second of work."""
    return max(1, 2_000_000_000 // (size.steps * size.examples * size.n_in * size.n_out * 50))
