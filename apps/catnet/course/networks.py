"""The networks of the lecture: initialization with NumPy's legacy generator, and descent."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import numpy as np

import jaxnn
from catnet.course.record import Gradient
from catnet.progress import make_progress_reporter
from jaxnn import Layer, State

Scale = Literal["0", "0.01", "10", "sqrt", "he"]

SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "0": np.zeros_like,
    "0.01": lambda W: W * 0.01,
    "10": lambda W: W * 10,
    "sqrt": lambda W: W / np.sqrt(W.shape[1]),
    "he": lambda W: W * np.sqrt(2.0 / W.shape[1]),
}


def initialize(
    sizes: Sequence[int], scale: Scale, seed: int = 1
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Initialize the parameters as the course does: (W, b) of every layer.

    Args:
        sizes: inputs, and units of every layer.
        scale: of the standard normal W: "0", "0.01" and "10" multiply it, "sqrt" divides it by
            √(number of inputs), "he" multiplies it by √(2 / number of inputs).
        seed: of NumPy's legacy generator; W of the first layer comes first; b is 0.

    Example:
        >>> [(W, b)] = initialize([2, 1], "0.01")
        >>> W.round(4).tolist(), b.tolist()
        ([[0.0162, -0.0061]], [0.0])
    """
    if scale not in SCALES:
        raise ValueError(f"expected scale to be one of {', '.join(SCALES)}, got {scale!r}")
    rng = np.random.RandomState(seed)
    layers = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers.append((SCALES[scale](rng.randn(n_out, n_in)), np.zeros(n_out)))
    return layers


def network(
    sizes: Sequence[int],
    activation: Layer = jaxnn.relu,
    dense: Callable[[int], Layer] = jaxnn.dense,
) -> Layer:
    """The lecture's network: dense, activation, dense, activation, …, dense; ends in logits.

    Example:
        >>> network([12288, 7, 1])
        serial(dense(7), relu, dense(1))
    """
    layers = [layer for n_out in sizes[1:] for layer in (dense(n_out), activation)]
    return jaxnn.serial(*layers[:-1])


def as_params(layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[Any, ...]:
    """The result of ``initialize`` as params of ``network``."""
    params = [params for W, b in layers for params in ({"W": W, "b": b}, ())]
    return tuple(params[:-1])


def descend(
    net: Layer,
    params: Any,
    x: Any,
    y: Any,
    *,
    learning_rate: float,
    steps: int,
    gradient: Gradient = "hand",
    title: str = "",
    loss: jaxnn.Loss = jaxnn.binary_cross_entropy,
    **options: Any,
) -> tuple[Any, np.ndarray]:
    """``jaxnn.gradient_descent`` with its progress on stderr; the params and the costs."""
    report = make_progress_reporter(steps, title=f"{title}  " if title else "")

    def progress(state: State, costs: Any) -> None:
        report(state.step, float(costs[-1]))

    params, costs = jaxnn.gradient_descent(
        net,
        loss,
        params,
        x,
        y,
        learning_rate=learning_rate,
        steps=steps,
        gradient=gradient,
        progress=progress,
        chunk=max(100, steps // 10),
        **options,
    )
    return params, np.asarray(costs)


def apply(net: Layer, params: Any, x: Any) -> Any:
    """``net.apply``, compiled as one program: faster than compiling one for each operation."""
    return jax.jit(net.apply)(params, x)


def find_right(net: Layer, params: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether each answer is right (n, 1): it is 1 where the logit is more than 0, else 0."""
    return (np.asarray(net.apply(params, x)) > 0) == (np.asarray(y) > 0.5)


def share_right(net: Layer, params: Any, x: np.ndarray, y: np.ndarray) -> float:
    """The share of the examples with the right answer."""
    return float(np.mean(find_right(net, params, x, y)))
