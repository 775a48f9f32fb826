"""The lecture's small networks: descent, the passes layer by layer, and answers in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import jaxnn
from catnet.course.networks import Scale, as_params, initialize, network
from jaxnn import Layer
from jaxnn_lecture.chapter import Settings
from jaxnn_lecture.plane import Points, plane
from jaxnn_lecture.svg import Axis

CELLS = 72  # of a drawn decision boundary along each axis


def descend(
    sizes: Sequence[int],
    activation: Layer,
    x: np.ndarray,
    y: np.ndarray,
    settings: Settings,
    scale: Scale = "sqrt",
) -> tuple[Layer, Any, np.ndarray]:
    """The lecture's network, its params after gradient descent, and the costs (steps,).

    Args:
        sizes: inputs, and units of every layer.
        settings: with ``learning_rate``, ``steps``, and the ``seed`` of the start.
        scale: of the random start, as for ``catnet.course.networks.initialize``.
    """
    net = network(sizes, activation)
    params, costs = jaxnn.gradient_descent(
        net,
        jaxnn.binary_cross_entropy,
        as_params(initialize(sizes, scale, seed=settings["seed"])),
        x,
        y,
        learning_rate=settings["learning_rate"],
        steps=settings["steps"],
    )
    return net, params, np.asarray(costs)


def layer_gradients(net: Any, params: Any, x: Any, y: Any) -> tuple[list[Any], list[Any]]:
    """What the backward pass hands from layer to layer.

    Args:
        net: a ``serial`` network that ends in logits.

    Returns:
        The output of every layer, first to last, and the gradient of the cost with respect to
        each of these outputs.  For a dense layer these are the lecture's Z and dZ, for an
        activation A and dA.
    """
    outputs, caches = [], []
    for layer, p in zip(net.layers, params, strict=True):
        x, cache = layer.forward(p, x)
        outputs.append(x)
        caches.append(cache)
    dy = jaxnn.binary_cross_entropy.gradient(x, y)
    gradients = [dy]
    for layer, p, cache in reversed(list(zip(net.layers, params, caches, strict=True))[1:]):
        _, dy = layer.backward(p, cache, dy)
        gradients.append(dy)
    return outputs, gradients[::-1]


def draw_boundary(
    title: str, net: Layer, params: Any, x: np.ndarray, y: np.ndarray, right: float
) -> str:
    """The probabilities of a network over the plane, with the line of ½ and the examples."""
    low, high = x.min(axis=0) - 0.3, x.max(axis=0) + 0.3
    axes = [
        Axis(float(a), float(b), name) for a, b, name in zip(low, high, ("x₁", "x₂"), strict=True)
    ]
    sides = [np.linspace(axis.low, axis.high, CELLS) for axis in axes]
    points = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    z = jax.jit(net.apply)(params, points)
    p = np.asarray(jax.nn.sigmoid(z)).reshape(CELLS, CELLS)
    return plane(
        f"{title}: {right:.1%} right",
        "The shaded side of the black line is answered 1 (crosses), the light side 0 (circles).",
        *axes,
        shades=p,
        levels=[0.5],
        points=Points(x, y),
        width=320,
        height=310,
    )
