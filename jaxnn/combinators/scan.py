"""A layer over the time axis, made of a cell for one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxnn.layer import (
    Cache,
    Key,
    Layer,
    Params,
    Shaped,
    Tree,
    constructor,
    describe,
    expect,
    inside,
)


@constructor
def scan(cell: Layer, state: Callable[[Shaped], Tree] | None = None) -> Layer:
    """A recurrent layer: the same cell at each step, with the state of the step before.

    A cell is a layer ``(x_t, state) → (y_t, new state)`` with its own backward pass.  The backward
    pass of the recurrent layer goes through the steps in reverse::

        forward    (y_t, h_t) = cell(x_t, h_{t−1})               t = 1 … T,  h_0 = state(x_1)
        backward   (dx_t, dh_{t−1}) = cell_backward(dy_t, dh_t)  t = T … 1,  dh_T = 0
                   dparams = Σ_t dparams_t

    Args:
        cell: a layer of ``(x_t, state)`` with the output ``(y_t, state)``.
        state: a function that returns the state before the first step, from the shape and dtype
            of the first input x_1.  Without it, the input has to contain the state.

    Returns:
        A layer (..., T, n) → (..., T, m) with the params of the cell.  In a pytree, the last but
        one axis of each leaf is time.  The input may also be ``(x, state)`` with the state before
        the first step; dx then contains the gradient of this state.

    Raises:
        LayerError: when the input has no time axis, there is no first state, or the output of the
            cell is not a pair whose second part has the shapes of the state.

    Source: Werbos 1990, "Backpropagation through time: what it does and how to do it".

    Example:
        A running sum; the cell adds its input to the state::

            >>> import jax.numpy as jnp, jaxnn
            >>> add = jaxnn.Layer(
            ...     "add", lambda key, x: (),
            ...     forward=lambda params, x, key=None: ((x[0] + x[1], x[0] + x[1]), ()),
            ...     backward=lambda params, cache, dy: ((), (dy[0] + dy[1], dy[0] + dy[1])))
            >>> layer = jaxnn.scan(add, jnp.zeros_like)
            >>> layer.apply((), jnp.array([[1.0], [2.0], [3.0]])).ravel().tolist()
            [1.0, 3.0, 6.0]
    """
    name = f"scan({cell.name})"

    def read(x: Tree) -> tuple[Tree, Tree, bool]:
        """(x with time first, the first state, whether the input contains this state)."""
        has_state = isinstance(x, tuple) and len(x) == 2
        xs, h = x if has_state else (x, None)
        for leaf in jax.tree.leaves(xs):
            expect(leaf.ndim >= 2, name, "an input (..., T, n) with a time axis", leaf)
        xs = _time_first(xs)
        if not has_state:
            expect(state is not None, name, "an input (x, state), or a function for the state", x)
            assert state is not None
            first = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), xs)
            h = jax.tree.map(jnp.asarray, state(first))
        return xs, h, has_state

    def init(key: Key, x: Shaped) -> Params:
        def first_step(x: Tree) -> tuple[Tree, Tree]:
            xs, h, _ = read(x)
            return jax.tree.map(lambda leaf: leaf[0], xs), h

        with inside(name, 0):
            return cell.init(key, jax.eval_shape(first_step, x))

    def forward(params: Params, x: Tree, key: Key | None = None) -> tuple[Tree, Cache]:
        xs, h, _ = read(x)
        steps = jax.tree.leaves(xs)[0].shape[0]
        keys = None if key is None else jax.random.split(key, steps)

        def step(h: Tree, item: tuple[Tree, Key | None]) -> tuple[Tree, tuple[Tree, Cache]]:
            x_t, key_t = item
            with inside(name, 0):
                y, cache = cell.forward(params, (x_t, h), key_t)
                fits = isinstance(y, tuple) and len(y) == 2
                fits = fits and _shapes(y[1]) == _shapes(h)
                expect(fits, cell.name, f"an output (y, state), the state {describe(h)}", y)
            return y[1], (y[0], cache)

        _, (ys, caches) = lax.scan(step, h, (xs, keys))
        return _time_last_but_one(ys), (x, caches)

    def backward(params: Params, cache: Cache, dy: Tree) -> tuple[Params, Tree]:
        x, caches = cache
        _, h, has_state = read(x)

        def step(carry: tuple[Params, Tree], item: tuple[Tree, Cache]) -> tuple[Any, Tree]:
            (total, dh), (dy_t, cache_t) = carry, item
            with inside(name, 0):
                dparams, (dx_t, dh) = cell.backward(params, cache_t, (dy_t, dh))
            return (jax.tree.map(jnp.add, total, dparams), dh), dx_t

        start = jax.tree.map(jnp.zeros_like, (params, h))
        (dparams, dh), dxs = lax.scan(step, start, (_time_first(dy), caches), reverse=True)
        dx = _time_last_but_one(dxs)
        return dparams, (dx, dh) if has_state else dx

    # No children: the arrays inside the loop cannot be recorded.
    return Layer(name, init, forward, backward)


def _time_first(x: Tree) -> Tree:
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -2, 0), x)


def _time_last_but_one(x: Tree) -> Tree:
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -2), x)


def _shapes(x: Tree) -> Any:
    return jax.tree.map(lambda leaf: (tuple(leaf.shape), jnp.dtype(leaf.dtype)), x)
