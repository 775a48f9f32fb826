"""Cost and gradient of a network, by the hand-written backward passes or by JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import PartitionSpec

from jaxnn.layer import Array, Cache, Key, Layer, Params, Tree, as_arrays
from jaxnn.losses import Loss
from jaxnn.sharding import automatic, specs_of

ValueAndGrad = Callable[..., tuple[Array, Params]]


def value_and_grad(net: Layer, loss: Loss) -> ValueAndGrad:
    """Cost and gradient of a network by its hand-written backward pass.

    The lecture's three steps are forward propagation with a cache, dZ of the loss, and backward
    propagation::

        z, cache = forward(params, x)
        cost, dz = loss(z, y), loss.gradient(z, y)
        grads    = backward(params, cache, dz)

    Args:
        net: the network; ends in logits.
        loss: one of ``jaxnn.losses``.

    Returns:
        A pure function ``(params, x, y, key=None) -> (cost, grads)`` that can be compiled;
        ``grads`` has the structure of ``params``.  x and y may be tuples or dicts of arrays if
        the network and the loss accept them, and may be sharded over a mesh.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> step = jaxnn.value_and_grad(jaxnn.dense(1), jaxnn.binary_cross_entropy)
        >>> params = {"W": jnp.zeros((1, 2)), "b": jnp.zeros(1)}
        >>> cost, grads = step(params, jnp.array([[1.0, 2.0]]), jnp.array([[1.0]]))
        >>> grads["W"].tolist(), grads["b"].tolist()
        ([[-0.5, -1.0]], [-0.5])
    """

    def by_hand(params: Params, x: Tree, y: Tree, key: Key | None = None) -> tuple[Array, Params]:
        z, cache = net.forward(params, as_arrays(x), key)
        grads, _ = net.backward(params, cache, loss.gradient(z, y))
        return loss(z, y), like(params, grads)

    return _on_any_mesh(by_hand)


def cost_of(net: Layer, loss: Loss) -> Callable[..., Array]:
    """The cost without the gradient: a function ``(params, x, y, key=None) -> cost``."""

    def cost(params: Params, x: Tree, y: Tree, key: Key | None = None) -> Array:
        return loss(net.forward(params, as_arrays(x), key)[0], y)

    def on_any_mesh(params: Params, x: Tree, y: Tree, key: Key | None = None) -> Array:
        return automatic(cost, PartitionSpec(), params, x, y, key)

    return on_any_mesh


def value_and_grad_by_jax(net: Layer, loss: Loss) -> ValueAndGrad:
    """Cost and gradient of a network, where JAX differentiates the forward pass.

    Returns:
        A function ``(params, x, y, key=None) -> (cost, grads)``, as of ``value_and_grad``.
    """
    return _on_any_mesh(jax.value_and_grad(cost_of(net, loss)))


def hand(net: Layer) -> Callable[..., Array]:
    """The network as a function that ``jax.grad`` differentiates by the hand-written backward pass.

    Args:
        net: the network.

    Returns:
        A function ``(params, x, key=None) -> y`` with a custom VJP: ``jax.grad`` and ``jax.vjp`` of
        any function that calls it use ``net.backward``.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> f = jaxnn.hand(jaxnn.tanh)
        >>> jax.grad(lambda x: f((), x))(jnp.array(0.0)).item()
        1.0
    """

    @jax.custom_vjp
    def apply(params: Params, x: Tree, key: Key | None) -> Array:
        return net.forward(params, x, key)[0]

    def forward(params: Params, x: Tree, key: Key | None) -> tuple[Array, Cache]:
        y, cache = net.forward(params, x, key)
        return y, (params, x, cache)

    def backward(residuals: tuple[Params, Tree, Cache], dy: Array) -> tuple[Params, Tree, None]:
        params, x, cache = residuals
        grads, dx = net.backward(params, cache, dy)
        return like(params, grads), like(x, dx), None

    apply.defvjp(forward, backward)

    def by_hand(params: Params, x: Tree, key: Key | None = None) -> Array:
        return apply(params, as_arrays(x), key)

    return by_hand


def _on_any_mesh(cost_and_grads: ValueAndGrad) -> ValueAndGrad:
    """Extend a function to meshes with explicit axes, where JAX refuses sums over the batch."""

    def on_any_mesh(
        params: Params, x: Tree, y: Tree, key: Key | None = None
    ) -> tuple[Array, Params]:
        specs = PartitionSpec(), specs_of(params)
        return automatic(cost_and_grads, specs, params, x, y, key)

    return on_any_mesh


def like(tree: Any, values: Any) -> Any:
    """``values`` in the containers of ``tree``; combinators return tuples for lists."""
    if values is None or jax.tree.structure(tree) == jax.tree.structure(values):
        return values
    if isinstance(tree, dict):
        return type(tree)((name, like(child, values[name])) for name, child in tree.items())
    if isinstance(tree, (list, tuple)):
        children = [like(*pair) for pair in zip(tree, values, strict=True)]
        return type(tree)(*children) if hasattr(tree, "_fields") else type(tree)(children)
    return values
