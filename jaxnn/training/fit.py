"""Minibatch training with any optimizer; many steps are one compiled program."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import NamedSharding, PartitionSpec

from jaxnn.gradients.backprop import ValueAndGrad, cost_of, value_and_grad, value_and_grad_by_jax
from jaxnn.layer import Array, Key, Layer, Params
from jaxnn.losses import Loss
from jaxnn.training.examples import Examples, count_examples, on_device, take
from jaxnn.training.optimizer import same_types, update

if TYPE_CHECKING:
    import optax

GRADIENTS: dict[str, Callable[[Layer, Loss], ValueAndGrad]] = {
    "hand": value_and_grad,
    "jax": value_and_grad_by_jax,
}


class State(NamedTuple):
    """What training needs to resume: steps done, parameters, the optimizer's state."""

    step: int
    params: Params
    opt_state: Any = ()


Carry: TypeAlias = tuple[Params, Any]  # parameters and the optimizer's state
Progress = Callable[[State, Array], None]


def fit(
    net: Layer,
    loss: Loss,
    params: Params,
    x: Examples,
    y: Examples,
    *,
    optimizer: optax.GradientTransformation,
    batch_size: int,
    steps: int,
    key: Key,
    gradient: Literal["hand", "jax"] = "hand",
    state: State | None = None,
    progress: Progress | None = None,
    chunk: int = 100,
) -> tuple[Params, Array]:
    """Minibatch training with any optimizer of optax.

    Each epoch has the examples in a new random order.  All batches are full: the last batch of an
    epoch is completed with the first examples of the next epoch.

    If the examples are on several devices, all of them train, each with its part of every batch.
    The costs are equal up to rounding::

        mesh = jax.make_mesh((8,), ("data",))
        x, y = jax.device_put((x, y), jax.NamedSharding(mesh, jax.P("data")))

    Args:
        net: the network; ends in logits.
        loss: one of ``jaxnn.losses``.
        params: the initial parameters; they are not changed.
        x: all examples: an array, or a tuple or dict of arrays that have the examples as their
            leading axis.
        y: their targets, in the same form.
        optimizer: for example ``optax.adam(1e-3)``.  If it needs the cost or the cost function,
            as ``optax.lbfgs()`` does, it gets those of the batch.
        batch_size: examples in a batch; at most the number of examples.
        steps: number of updates, counted from the start of the training.
        key: determines the order of the examples and the randomness of dropout; equal keys
            give equal results.
        gradient: ``"hand"`` or ``"jax"``.
        state: a state from ``progress``; training resumes from it, and ``params`` are ignored.
        progress: called after every ``chunk`` steps with the state and the costs of the chunk.
            Python, and so Ctrl-C, runs only between chunks.
        chunk: steps in one compiled program.

    Returns:
        The parameters after the last update, and the costs of the batches of this call, each
        before its update.

    Raises:
        ValueError: when the batch size does not fit the examples or their devices, or the arrays
            of examples and targets have different lengths.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn, optax
        >>> x = jnp.linspace(-1, 1, 10)[:, None]
        >>> net = jaxnn.dense(1)
        >>> params, costs = jaxnn.fit(
        ...     net, jaxnn.mean_squared_error, net.init(jax.random.key(0), x), x, 3 * x + 1,
        ...     optimizer=optax.adam(0.1), batch_size=5, steps=300, key=jax.random.key(1))
        >>> round(params["W"].item(), 1), round(params["b"].item(), 1)
        (3.0, 1.0)
    """
    check_arguments(gradient, steps=steps, chunk=chunk, batch_size=batch_size)
    params, x, y = jax.device_put(params), on_device(x), on_device(y)
    examples = count_examples(x, y)
    if batch_size > examples:
        raise ValueError(
            f"batch_size {batch_size} is more than the {examples} examples; choose a smaller one"
        )
    if state is None:
        state = State(0, params, optimizer.init(params))
    key_of_order, key_of_steps = jax.random.split(key)
    costs = []
    for start, count in chunks(int(state.step), steps, chunk):
        batches = _shard(_batches(key_of_order, examples, batch_size, start, count), x)
        params, opt_state, chunk_costs = _fit(
            net,
            loss,
            gradient,
            optimizer,
            state.params,
            state.opt_state,
            x,
            y,
            batches,
            key_of_steps,
            start,
        )
        state = State(start + count, params, opt_state)
        costs.append(chunk_costs)
        if progress:
            progress(state, chunk_costs)
    return state.params, concatenate(costs)


@functools.partial(jax.jit, static_argnums=range(4))
def _fit(
    net: Layer,
    loss: Loss,
    gradient: str,
    optimizer: optax.GradientTransformation,
    params: Params,
    opt_state: Any,
    x: Examples,
    y: Examples,
    batches: Array,
    key: Key,
    start: Array,
) -> tuple[Params, Any, Array]:
    cost_and_grads, cost_alone = GRADIENTS[gradient](net, loss), cost_of(net, loss)

    def update_on(batch: Array, i: Array, carry: Carry, cost: Array, grads: Params) -> Carry:
        params, opt_state = carry
        data = *take((x, y), batch), fold_in(key, i)
        return update(
            optimizer,
            params,
            opt_state,
            cost,
            grads,
            lambda params: cost_alone(params, *data),
            lambda params: cost_and_grads(params, *data)[1],
        )

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
