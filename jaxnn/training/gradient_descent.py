"""Full-batch gradient descent; many steps are one compiled program."""

from __future__ import annotations

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxnn.layer import Array, Key, Layer, Params
from jaxnn.losses import Loss
from jaxnn.training.examples import Examples, on_device
from jaxnn.training.row_space import Projected, RowSpace, is_worthwhile, row_space
from jaxnn.training.state import (
    GRADIENTS,
    Progress,
    State,
    check_arguments,
    chunks,
    concatenate,
    fold_in,
)


class Descent(NamedTuple):
    """The state of a descent in its own coordinates: the ``opt_state`` of its ``State``.

    Attributes:
        start: the parameters of the network before the first step.
        params: the parameters after the last step; ``Projected`` for a descent in the row space.
        velocity: the V of momentum, with the structure of ``params``; () without momentum.
    """

    start: Params
    params: Params | Projected
    velocity: Any = ()


def gradient_descent(
    net: Layer,
    loss: Loss,
    params: Params,
    x: Examples,
    y: Examples,
    *,
    learning_rate: ArrayLike,
    steps: int,
    momentum: ArrayLike = 0.0,
    weight_decay: ArrayLike = 0.0,
    gradient: Literal["hand", "jax"] = "hand",
    in_row_space: bool | None = None,
    key: Key | None = None,
    state: State | None = None,
    progress: Progress | None = None,
    chunk: int = 100,
) -> tuple[Params, Array]:
    """Full-batch gradient descent, all steps in one compiled program.

    The lecture's update, repeated: ``W := W − α dW,  b := b − α db``; with momentum β and weight
    decay λ (of all parameters but biases)::

        V := β V + dW + λ W,   W := W − α V

    If the network starts with a dense layer and there are fewer examples than inputs, the descent
    is computed in the row space of the examples (``jaxnn.training.row_space``).  It is the same
    descent with far less work.

    Args:
        net: the network; ends in logits.
        loss: one of ``jaxnn.losses``.
        params: the initial parameters; they are not changed.
        x: all examples, in one array or several, on one device or several (see ``jaxnn.fit``).
        y: their targets.
        learning_rate: the lecture's α.
        steps: number of updates, counted from the start of the descent.
        momentum: β; 0 for plain descent.
        weight_decay: λ; 0 for none.
        gradient: ``"hand"`` for the hand-written rules, ``"jax"`` for ``jax.grad``.
        in_row_space: whether to descend in the row space of the examples; None to do so where it
            is exact and faster.
        key: the randomness of layers such as dropout; None for none, as in inference.
        state: a state from ``progress``; the descent resumes from it, and ``params`` are ignored.
        progress: called after every ``chunk`` steps with the state and the costs of the chunk.
            Python, and so Ctrl-C, runs only between chunks.
        chunk: steps between calls of ``progress``.

    Returns:
        The parameters after the last update, and the costs of the steps of this call, each
        before its update, (steps,).  If the learning rate is too high, the costs become inf or NaN;
        this is not an error.

    Raises:
        ValueError: when there are no examples, or ``in_row_space`` is True and the descent there
            would not be exact; says why.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> x, y = jnp.array([[-1.0], [1.0]]), jnp.array([[0.0], [1.0]])
        >>> start = {"W": jnp.zeros((1, 1)), "b": jnp.zeros(1)}
        >>> params, costs = jaxnn.gradient_descent(
        ...     jaxnn.dense(1), jaxnn.binary_cross_entropy, start, x, y,
        ...     learning_rate=1.0, steps=3)
        >>> [f"{cost:.3f}" for cost in costs.tolist()]
        ['0.693', '0.474', '0.348']
    """
    check_arguments(gradient, steps=steps, chunk=chunk)
    params, x, y = jax.device_put(params), on_device(x), on_device(y)
    for leaf in jax.tree.leaves(x):
        if not leaf.size:
            raise ValueError(f"expected at least one example, got x of shape {leaf.shape}")
    if state is None:
        state, basis = _begin(net, params, x, steps, momentum, in_row_space)
    else:
        basis = row_space(net, x) if isinstance(_descent(state).params, Projected) else None
    descent = _descent(state)
    moving = descent.params, descent.velocity
    if not jax.tree.leaves(descent.velocity):  # the steps before had no momentum
        moving = descent.params, _velocity(momentum, descent.params)
    beta, decay = (None if _is_zero(rate) else rate for rate in (momentum, weight_decay))
    rates = (learning_rate, beta, decay)
    costs = []
    for start, count in chunks(int(state.step), steps, chunk if progress else steps):
        moving, chunk_costs = _descend(
            net, loss, gradient, count, moving, basis.x if basis else x, y, rates, key, start
        )
        state = _state(start + count, basis, Descent(descent.start, *moving))
        costs.append(chunk_costs)
        if progress:
            progress(state, chunk_costs)
    return state.params, concatenate(costs)


def begin(
    net: Layer,
    params: Params,
    x: Array,
    steps: int,
    momentum: ArrayLike = 0.0,
    in_row_space: bool | None = None,
) -> State:
    """The state before the first step, with the structure of the states that ``progress`` gets.

    With the parameters of the network it has all that a bit-identical resume needs: the initial
    parameters, and the present ones in the coordinates of the descent.
    """
    return _begin(net, params, x, steps, momentum, in_row_space)[0]


def _begin(
    net: Layer, params: Params, x: Array, steps: int, momentum: ArrayLike, in_row_space: bool | None
) -> tuple[State, RowSpace | None]:
    if in_row_space is None:
        in_row_space = is_worthwhile(net, x, steps)
    basis = row_space(net, x) if in_row_space else None
    moving = basis.project(params) if basis else params
    return _state(0, basis, Descent(params, moving, _velocity(momentum, moving))), basis


def _state(step: int, basis: RowSpace | None, descent: Descent) -> State:
    """The ``State`` of a descent.  Without row space and velocity it has the parameters only."""
    if basis:
        params = basis.lift(descent.params, descent.start) if step else descent.start
        return State(step, params, descent)
    return State(step, descent.params, descent if jax.tree.leaves(descent.velocity) else ())


def _descent(state: State) -> Descent:
    return Descent(*state.opt_state) if state.opt_state else Descent(state.params, state.params)


def _velocity(momentum: ArrayLike, params: Params | Projected) -> Any:
    return () if _is_zero(momentum) else jax.tree.map(jnp.zeros_like, params)


def _is_zero(rate: ArrayLike) -> bool:
    """Whether a rate is the number 0, which needs no computation."""
    return isinstance(rate, (int, float)) and rate == 0


@functools.partial(jax.jit, static_argnums=range(4))
def _descend(
    net: Layer,
    loss: Loss,
    gradient: str,
    steps: int,
    moving: tuple[Params | Projected, Any],
    x: Examples,
    y: Examples,
    rates: tuple[ArrayLike, Any, Any],  # None: without momentum, without decay
    key: Key | None,
    start: Array | int,
) -> tuple[tuple[Params | Projected, Any], Array]:
    """((params, velocity), costs) of ``steps`` steps; the velocity is () without momentum."""
    cost_and_grads = GRADIENTS[gradient](net, loss)
    learning_rate, momentum, weight_decay = rates

    def step(moving: tuple[Any, Any], i: Array) -> tuple[Any, Array]:
        params, velocity = moving
        projected = isinstance(params, Projected)
        cost, grads = cost_and_grads(params.params if projected else params, x, y, fold_in(key, i))
        if projected:
            grads = Projected(grads, jnp.zeros_like(params.across))
        if weight_decay is not None:
            grads = jax.tree.map(
                lambda dp, p: dp + _times(weight_decay, p) if p.ndim > 1 else dp, grads, params
            )
        if momentum is not None:
            grads = velocity = jax.tree.map(
                lambda v, dp: (_times(momentum, v) + dp).astype(v.dtype), velocity, grads
            )
        params = jax.tree.map(
            lambda p, dp: (p - _times(learning_rate, dp)).astype(p.dtype), params, grads
        )
        return (params, velocity), cost

    params, velocity = moving
    numbers = start + jnp.arange(steps)
    if isinstance(params, Projected) and momentum is None and weight_decay is None:
        # Plain descent leaves ``across`` as it is, so that the program can be smaller.
        (in_space, _), costs = jax.lax.scan(step, (params.params, velocity), numbers)
        return (params._replace(params=in_space), velocity), costs
    return jax.lax.scan(step, moving, numbers)


def _times(rate: ArrayLike, a: Array) -> Array:
    """rate · a in the dtype of a; the rate may be of any kind of number."""
    return jnp.asarray(rate, a.dtype) * a
