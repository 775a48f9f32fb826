"""Minibatches: of arrays in a random order, or of an iterable; and the steps on them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec

from jaxnn.gradients.backprop import ValueAndGrad, cost_of
from jaxnn.layer import Array, Key, Layer, Params
from jaxnn.losses import Loss
from jaxnn.training.examples import Examples, count_examples, each_batch, on_device, take
from jaxnn.training.optimizer import same_types, update
from jaxnn.training.state import GRADIENTS, State, check_arguments, fold_in

if TYPE_CHECKING:
    import optax

Carry: TypeAlias = tuple[Params, Any]  # parameters and the optimizer's state
Run: TypeAlias = Callable[[State, int], tuple[State, Array]]  # (state, steps) → state, costs


class How(NamedTuple):
    """What a step computes: static for ``jax.jit``, so all of it is hashable."""

    net: Layer
    loss: Loss
    gradient: str
    optimizer: optax.GradientTransformation


def on_arrays(
    how: How,
    x: Examples,
    y: Examples,
    batch_size: int | None,
    key_of_order: Key,
    key: Key,
) -> Run:
    """Make the function that trains on batches of arrays, all steps in one program."""
    if batch_size is None:
        raise ValueError("expected a batch_size for arrays of examples")
    check_arguments("hand", batch_size=batch_size)
    x, y = on_device(x), on_device(y)
    examples = count_examples(x, y)
    if batch_size > examples:
        raise ValueError(
            f"batch_size {batch_size} is more than the {examples} examples; choose a smaller one"
        )

    def run(state: State, count: int) -> tuple[State, Array]:
        start = int(state.step)
        batches = _shard(_batches(key_of_order, examples, batch_size, start, count), x)
        carry = (state.params, state.opt_state)
        params, opt_state, costs = _fit(how, *carry, x, y, batches, key, start)
        return State(start + count, params, opt_state), costs

    return run


def on_batches(how: How, batches: Any, batch_size: int | None, first: int, key: Key) -> Run:
    """Make the function that trains on an iterable of batches, each step one program."""
    if batch_size is not None:
        raise ValueError(f"batch_size {batch_size} is for arrays of examples; batches have a size")
    rest = each_batch(batches, first)

    def run(state: State, count: int) -> tuple[State, Array]:
        step, params, opt_state = state
        costs = []
        for i, (x, y) in zip(range(int(step), int(step) + count), rest, strict=False):
            params, opt_state, cost = _fit_batch(how, params, opt_state, x, y, key, i)
            costs.append(cost)
        return State(int(step) + len(costs), params, opt_state), jnp.array(costs)

    return run


@functools.partial(jax.jit, static_argnums=0)
def _fit(
    how: How,
    params: Params,
    opt_state: Any,
    x: Examples,
    y: Examples,
    batches: Array,
    key: Key,
    start: Array,
) -> tuple[Params, Any, Array]:
    cost_and_grads, update_with = _updates(how)

    def update_on(batch: Array, i: Array, carry: Carry, cost: Array, grads: Params) -> Carry:
        return update_with(carry, cost, grads, *take((x, y), batch), fold_in(key, i))

    def step(carry: Carry, item: tuple[Array, Array]) -> tuple[Carry, Array]:
        i, batch = item
        cost, grads = cost_and_grads(carry[0], *take((x, y), batch), fold_in(key, i))
        return update_on(batch, i, carry, cost, grads), cost

    carry, numbers = (params, opt_state), start + jnp.arange(len(batches))
    cost = jax.ShapeDtypeStruct((), jnp.float32)
    if same_types(carry, jax.eval_shape(update_on, batches[0], numbers[0], carry, cost, params)):
        (params, opt_state), costs = jax.lax.scan(step, carry, (numbers, batches))
    else:  # the first update changes dtypes or arrays of the optimizer's state
        carry, first_cost = step(carry, (numbers[0], batches[0]))
        (params, opt_state), costs = jax.lax.scan(step, carry, (numbers[1:], batches[1:]))
        costs = jnp.concatenate([first_cost[None], costs])
    return params, opt_state, costs


@functools.partial(jax.jit, static_argnums=0)
def _fit_batch(
    how: How,
    params: Params,
    opt_state: Any,
    x: Examples,
    y: Examples,
    key: Key,
    i: Array,
) -> tuple[Params, Any, Array]:
    """One step on one batch."""
    cost_and_grads, update_with = _updates(how)
    data = x, y, fold_in(key, i)
    cost, grads = cost_and_grads(params, *data)
    return *update_with((params, opt_state), cost, grads, *data), cost


def _updates(how: How) -> tuple[ValueAndGrad, Callable[..., Carry]]:
    """(params, x, y, key) → (cost, grads), and (carry, cost, grads, x, y, key) → carry."""
    net, loss, gradient, optimizer = how
    cost_and_grads, cost_alone = GRADIENTS[gradient](net, loss), cost_of(net, loss)

    def update_with(carry: Carry, cost: Array, grads: Params, *data: Any) -> Carry:
        return update(
            optimizer,
            *carry,
            cost,
            grads,
            lambda params: cost_alone(params, *data),
            lambda params: cost_and_grads(params, *data)[1],
        )

    return cost_and_grads, update_with


def _batches(key: Key, examples: int, batch_size: int, start: int, steps: int) -> np.ndarray:
    """Indices (steps, batch_size): the random orders of the epochs, concatenated, in batches.

    They depend on the key and the step only, so that training can resume at any step.
    """
    first, last = start * batch_size, (start + steps) * batch_size
    epochs = range(first // examples, -(-last // examples))
    orders = [
        np.asarray(jax.random.permutation(jax.random.fold_in(key, epoch), examples))
        for epoch in epochs
    ]
    offset = epochs.start * examples
    return np.concatenate(orders)[first - offset : last - offset].reshape(steps, batch_size)


def _shard(batches: np.ndarray, examples: Examples) -> np.ndarray | Array:
    """The indices, each batch sharded over the devices that have the examples."""
    x = jax.tree.leaves(examples)[0]
    if isinstance(x, Tracer) or not isinstance(x.sharding, NamedSharding):
        return batches
    spec = PartitionSpec(None, *x.sharding.spec[:1])
    return jax.device_put(batches, NamedSharding(x.sharding.mesh, spec))
