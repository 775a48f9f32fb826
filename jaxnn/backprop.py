"""Gradients by hand: the backward pass of a whole network."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxnn.layer import Array, Cache, Key, Layer, Params
from jaxnn.losses import Loss

ValueAndGrad = Callable[..., tuple[Array, Params]]


def value_and_grad(net: Layer, loss: Loss) -> ValueAndGrad:
    """Cost and gradient of a network, computed by its hand-written rules.

    The lecture's three steps: forward, remembering; dZ of the loss; backward::

        z, cache = forward(params, x)
        cost, dz = loss(z, y), loss.gradient(z, y)
        grads    = backward(params, cache, dz)

    Args:
        net: the network; ends in logits.
        loss: one of ``jaxnn.losses``.

    Returns:
        A function ``(params, x, y, key=None) -> (cost, grads)``, pure and jittable; ``grads``
        has the structure of ``params``.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> step = jaxnn.value_and_grad(jaxnn.dense(1), jaxnn.binary_cross_entropy)
        >>> params = {"W": jnp.zeros((1, 2)), "b": jnp.zeros(1)}
        >>> cost, grads = step(params, jnp.array([[1.0, 2.0]]), jnp.array([[1.0]]))
        >>> grads["W"].tolist(), grads["b"].tolist()
        ([[-0.5, -1.0]], [-0.5])
    """

    def by_hand(params: Params, x: Array, y: Array, key: Key | None = None) -> tuple[Array, Params]:
        z, cache = net.forward(params, jnp.asarray(x), key)
        grads, _ = net.backward(params, cache, loss.gradient(z, y))
        return loss(z, y), grads

    return by_hand


def value_and_grad_by_jax(net: Layer, loss: Loss) -> ValueAndGrad:
    """The same function with the gradient that JAX derives from the forward pass alone.

    Returns:
        ``(params, x, y, key=None) -> (cost, grads)``, as ``value_and_grad``.
    """

    def cost(params: Params, x: Array, y: Array, key: Key | None = None) -> Array:
        return loss(net.apply(params, x, key), y)

    return jax.value_and_grad(cost)


def hand(net: Layer) -> Callable[..., Array]:
    """The network as a function that ``jax.grad`` differentiates by the hand-written rules.

    Args:
        net: the network.

    Returns:
        A function ``(params, x, key=None) -> y`` with a custom VJP: anything built on it and
        passed through ``jax.grad`` or ``jax.vjp`` uses ``net.backward``.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> f = jaxnn.hand(jaxnn.tanh)
        >>> jax.grad(lambda x: f((), x))(jnp.array(0.0)).item()
        1.0
    """

    @jax.custom_vjp
    def apply(params: Params, x: Array, key: Key | None) -> Array:
        return net.apply(params, x, key)

    def forward(params: Params, x: Array, key: Key | None) -> tuple[Array, Cache]:
        y, cache = net.forward(params, x, key)
        return y, (params, cache)

    def backward(remembered: tuple[Params, Cache], dy: Array) -> tuple[Params, Array, None]:
        return *net.backward(*remembered, dy), None

    apply.defvjp(forward, backward)

    def by_hand(params: Params, x: Array, key: Key | None = None) -> Array:
        return apply(params, x, key)

    return by_hand
