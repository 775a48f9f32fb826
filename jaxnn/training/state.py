"""The state of a training, and what descent and minibatch training have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxnn.gradients.backprop import ValueAndGrad, value_and_grad, value_and_grad_by_jax
from jaxnn.layer import Array, Key, Layer, Params
from jaxnn.losses import Loss

GRADIENTS: dict[str, Callable[[Layer, Loss], ValueAndGrad]] = {
    "hand": value_and_grad,
    "jax": value_and_grad_by_jax,
}


class State(NamedTuple):
    """What training needs to resume: steps done, parameters, the optimizer's state."""

    step: int
    params: Params
    opt_state: Any = ()


Progress = Callable[[State, Array], None]


def chunks(start: int, steps: int, chunk: int) -> Iterator[tuple[int, int]]:
    """(first step, number of steps) of each chunk."""
    for i in range(start, steps, chunk):
        yield i, min(chunk, steps - i)


def concatenate(costs: list[Array]) -> Array:
    """The costs of all chunks as one array."""
    return costs[0] if len(costs) == 1 else jnp.concatenate([jnp.zeros(0), *costs])


def fold_in(key: Key | None, i: Array) -> Key | None:
    """The key of step i; None without randomness."""
    return None if key is None else jax.random.fold_in(key, i)


def check_arguments(gradient: str, **counts: int) -> None:
    """Raise ValueError for an unknown kind of gradient or a count below 1."""
    if gradient not in GRADIENTS:
        raise ValueError(f"expected gradient to be 'hand' or 'jax', got {gradient!r}")
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"expected {name} to be at least 1, got {count}")
