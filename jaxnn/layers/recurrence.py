"""The loop over the steps, and its backward pass, for all recurrent layers.

A cell is elementwise; the products with the weights are computed here.  With a_t = x_t Wᵀ + b
and u_t = h_{t−1} Uᵀ (+ c), in which the gates of a cell lie side by side::

    forward    s_t = cell(a_t, u_t, s_{t−1}),   y_t = h_t            t = 1 … T
    backward   (da_t, ds_{t−1}) = cell_backward(ds_t),  du_t = inner(da_t)
               dh_{t−1} += du_t U + dy_{t−1}                         t = T … 1
               dW = Σ_t da_tᵀ x_t,  db = Σ_t da_t,  dx_t = da_t W
               dU = Σ_t du_tᵀ h_{t−1}

At a step of padding the state does not change, y_t and dx_t are 0, and dy_t is
ignored.

Source: Werbos 1990, "Backpropagation through time: what it does and how to do it".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.nn import initializers

from jaxnn.layer import (
    Array,
    Key,
    Layer,
    LayerError,
    Shaped,
    Tree,
    expect,
    expect_input,
    expect_params,
)
from jaxnn.padding import join_gradient, join_mask, over, split_steps, values_of, zero

Initializer = initializers.Initializer
State = tuple[Array, ...]  # h first
CACHED = 2**16  # numbers
Step = Callable[..., tuple[Array, Any]]


class Cell(NamedTuple):
    """One step of a recurrent layer, without its products.

    Attributes:
        gates: how many; W is (gates n, n_in), U is (gates n, n).
        states: 1 for h alone, 2 for (h, c).
        forward: ``(a, u, state) -> (new state, what backward needs)``.
        backward: ``(what it needs, old state, new state, gradient of the new state) ->
            (da, gradient of the old state but for what comes through u)``.
        inner: ``(da, what backward needs) -> du``.
        inner_bias: whether u has a bias c in the last gate.
    """

    gates: int
    states: int
    forward: Callable[[Array, Array, State], tuple[State, Any]]
    backward: Callable[[Any, State, State, State], tuple[Array, State]]
    inner: Callable[[Array, Any], Array] = lambda da, needs: da
    inner_bias: bool = False


class _Cache(NamedTuple):
    xs: Array  # (T, N, n_in): time first, and 0 at padding
    mask: Array | None  # (T, N)
    start: Any  # the state that the input brought; None where it brought none
    states: State  # after every step, (T, N, n) each
    needs: Any  # of the cell, of every step


def recurrent(
    name: str,
    cell: Cell,
    n_out: int,
    W_init: Initializer,
    U_init: Initializer,
    first_b: Sequence[float],
) -> Layer:
    """The layer of a cell; ``first_b`` is what the bias of each gate is at first."""
    if n_out < 1:
        raise LayerError(f"{name}: expected at least one unit")

    def init(key: Key, x: Shaped) -> dict[str, Array]:
        values = _split(name, x)[0]
        expect_input(name, values, "T", "n_in")
        dtype = jnp.zeros(()).dtype
        keys, n_in = jax.random.split(key, 2 * cell.gates), values.shape[-1]
        W = [W_init(k, (n_in, n_out), dtype).T for k in keys[: cell.gates]]
        U = [U_init(k, (n_out, n_out), dtype).T for k in keys[cell.gates :]]
        b = [jnp.full(n_out, first, dtype) for first in first_b]
        params = dict(zip("WUb", map(jnp.concatenate, (W, U, b)), strict=True))
        return {**params, "c": jnp.zeros(n_out, dtype)} if cell.inner_bias else params

    def forward(params: dict[str, Array], x: Tree, key: Key | None = None) -> tuple[Tree, _Cache]:
        values, mask, start = _split(name, x)
        W, U, b, c = _weights(name, cell, params, values)
        batch, (steps, n_in) = values.shape[:-2], values.shape[-2:]
        before = _read_state(name, cell, start, (*batch, n_out), values.dtype)
        before = tuple(s.reshape(-1, n_out) for s in before)
        xs = zero(values, mask).reshape(-1, steps, n_in).swapaxes(0, 1)
        ms = None if mask is None else mask.reshape(-1, steps).swapaxes(0, 1)

        def step(state: State, at: tuple[Array, Any]) -> tuple[State, tuple[State, Any]]:
            a, m = at
            new, needs = cell.forward(a, _product(state[0], U, c), state)
            if m is not None:
                new = jax.tree.map(lambda s, old: jnp.where(over(m, s), s, old), new, state)
            return new, (new, needs)

        _, (states, needs) = lax.scan(step, before, (_product(xs, W, b), ms))
        y = zero(states[0].swapaxes(0, 1).reshape(*batch, steps, n_out), mask)
        return join_mask(y, mask), _Cache(xs, ms, start, states, needs)

    def backward(params: dict[str, Array], cache: _Cache, dy: Tree) -> tuple[Any, Tree]:
        xs, mask, start, states, needs = cache
        W, U, _, _ = _weights(name, cell, params, xs)
        dy = values_of(dy)
        batch, steps = dy.shape[:-2], dy.shape[-2]
        dys = zero(dy.reshape(-1, steps, n_out).swapaxes(0, 1), mask)
        before = _read_state(name, cell, start, (*batch, n_out), xs.dtype)
        before = tuple(s.reshape(-1, n_out) for s in before)
        olds = jax.tree.map(lambda b, s: jnp.concatenate([b[None], s[:-1]]), before, states)

        def walk(by_step: bool, *steps: Any) -> tuple[State, Array, list[Array]]:
            """The gradients of the first state and of all a, and those of W and U."""

            def step(carry: tuple[State, list[Array]], at: Any) -> tuple[Any, Array]:
                (ds, sums), (dy_t, m, needs, old, new, x_t) = carry, at
                ds = (ds[0] + dy_t, *ds[1:])
                da, dold = cell.backward(needs, old, new, tuple(zero(d, m) for d in ds))
                du = cell.inner(da, needs)
                dold = (dold[0] + du @ U, *dold[1:])
                if m is not None:  # past a step of padding
                    dold = jax.tree.map(lambda d, past: d + zero(past, ~m), dold, ds)
                if by_step:
                    pairs = ((x_t, da), (old[0], du))
                    more = [_sum_products(*pair, s) for pair, s in zip(pairs, sums, strict=True)]
                    sums = jax.tree.map(jnp.add, sums, more)
                return (dold, sums), da

            start = [jnp.zeros(params[p].shape[::-1], params[p].dtype) for p in "WU" if by_step]
            end = tuple(jnp.zeros_like(s) for s in before), start
            (dstart, sums), das = lax.scan(step, end, steps, reverse=True)
            if not by_step:
                pairs = (("W", xs, das), ("U", olds[0], cell.inner(das, needs)))
                sums = [_sum_products(x, da, params[p]) for p, x, da in pairs]
            return dstart, das, [dW.T for dW in sums]

        steps_back = (dys, mask, needs, olds, states, xs)
        at_once = functools.partial(walk, False)
        if _by_step_pays(xs, params):
            by_step = functools.partial(walk, True)
            results = lax.platform_dependent(*steps_back, cpu=by_step, default=at_once)
        else:
            results = at_once(*steps_back)
        dstart, das, (dW, dU) = results
        dparams = {"W": dW, "U": dU, "b": _sum_rows(das, params["b"])}
        if cell.inner_bias:
            dparams["c"] = _sum_rows(cell.inner(das, needs)[..., -n_out:], params["c"])
        dx = (das @ W).swapaxes(0, 1).reshape(*batch, steps, xs.shape[-1])
        dx = join_gradient(dx, mask)
        if start is None:
            return dparams, dx
        dstart = jax.tree.unflatten(jax.tree.structure(start), dstart)
        like_start = jax.tree.map(lambda d, s: d.reshape(s.shape).astype(s.dtype), dstart, start)
        return dparams, (dx, like_start)

    return Layer(name, init, forward, backward)


def step_of(name: str, cell: Cell) -> Step:
    """One step forward as a function ``(params, x_t, state=None) -> (y_t, new state)``."""

    def step(params: dict[str, Array], x: Array, state: Any = None) -> tuple[Array, Any]:
        x = jnp.asarray(x)
        expect_input(name, x, "n_in")
        W, U, b, c = _weights(name, cell, params, x)
        before = _read_state(name, cell, state, (*x.shape[:-1], U.shape[1]), x.dtype)
        new, _ = cell.forward(_product(x, W, b), _product(before[0], U, c), before)
        return new[0], new if cell.states > 1 else new[0]

    return step


def _split(name: str, x: Tree) -> tuple[Any, Any, Any]:
    """The steps, their mask and the state before them; None for the two that are not there."""
    pair = isinstance(x, (tuple, list))
    expect(not pair or len(x) == 2, name, "an input x or (x, state)", x)
    steps, state = x if pair else (x, None)
    return *split_steps(name, steps), state


def _weights(
    name: str, cell: Cell, params: dict[str, Array], x: Array
) -> tuple[Array, Array, Array, Array | None]:
    """W, U, b and the bias of u, in the dtype of the input, which they have to fit."""
    names = ("W", "U", "b", "c") if cell.inner_bias else ("W", "U", "b")
    W, U, b, *inner = expect_params(name, params, *names)
    expect_input(name, x, W.shape[1])
    W, U, b = (p.astype(x.dtype) for p in (W, U, b))
    for c in inner:
        return W, U, b, jnp.pad(c.astype(x.dtype), (len(b) - len(c), 0))
    return W, U, b, None


def _read_state(name: str, cell: Cell, state: Any, shape: Sequence[int], dtype: jnp.dtype) -> State:
    """The state as a tuple in the dtype of the input; zeros where there is none."""
    if state is None:
        return (jnp.zeros(shape, dtype),) * cell.states
    many = isinstance(state, (tuple, list))
    parts = tuple(state) if many else (state,)
    expected = f"a state {tuple(shape)}" if cell.states == 1 else f"a state (h, c), {shape} each"
    fits = many == (cell.states > 1) and len(parts) == cell.states
    fits = fits and all(hasattr(s, "shape") and tuple(s.shape) == tuple(shape) for s in parts)
    expect(fits, name, expected, state)
    for s in parts:
        if not jnp.issubdtype(s.dtype, jnp.floating):
            raise LayerError(f"{name}: expected a state of a floating dtype, got {s.dtype}")
    return tuple(s.astype(dtype) for s in parts)


def _product(x: Array, W: Array, b: Array | None) -> Array:
    z = x @ W.T
    return z if b is None else z + jnp.broadcast_to(b, z.shape)


# The sums over steps and examples are kept in the dtype of the parameters.


def _sum_products(x: Array, da: Array, like: Array) -> Array:
    """Σ xᵀ da over steps and examples, as one product."""
    rows_x, rows_da = x.reshape(-1, x.shape[-1]), da.reshape(-1, da.shape[-1])
    return jnp.matmul(rows_x.T, rows_da, preferred_element_type=like.dtype)


def _sum_rows(da: Array, like: Array) -> Array:
    """Σ da: as a product with ones, which XLA makes faster on a CPU than a sum."""
    rows = da.reshape(-1, da.shape[-1])
    ones = jnp.ones(rows.shape[0], rows.dtype)
    return jnp.matmul(
        ones, rows, preferred_element_type=like.dtype, precision=lax.Precision.HIGHEST
    )


def _by_step_pays(xs: Array, params: dict[str, Array]) -> bool:
    """Whether dW and dU stay in a CPU's cache, and a step has examples enough for a product."""
    size = math.prod(params["W"].shape) + math.prod(params["U"].shape)
    return size <= CACHED and isinstance(xs.shape[1], int) and xs.shape[1] >= 16
