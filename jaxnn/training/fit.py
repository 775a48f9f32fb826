"""Training with any optimizer: many steps as one compiled program."""

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
from jaxnn.training.examples import Examples, number_of, on_device, take
from jaxnn.training.optimizer import same_types, update

if TYPE_CHECKING:
    import optax

GRADIENTS: dict[str, Callable[[Layer, Loss], ValueAndGrad]] = {
    "hand": value_and_grad,
    "jax": value_and_grad_by_jax,
}


class State(NamedTuple):
    """All that a training needs to go on: steps done, parameters, the optimizer's state."""

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

    Every epoch goes through the examples in a new random order.  Batches are always full: the
    last one of an epoch is filled from the next.

    Examples that lie on several devices are trained on by all of them, each with its part of
    every batch.  The costs are the same but for rounding::

        mesh = jax.make_mesh((8,), ("data",))
        x, y = jax.device_put((x, y), jax.NamedSharding(mesh, jax.P("data")))

    Args:
        net: the network; ends in logits.
        loss: one of ``jaxnn.losses``.
        params: where the training starts; they are not changed.
        x: all examples: an array, or a tuple or dict of arrays that have the examples as their
            leading axis.
        y: their targets, likewise.
        optimizer: for example ``optax.adam(1e-3)``.  One that wants the cost or its function,
            such as ``optax.lbfgs()``, is given those of the batch.
        batch_size: examples a step, at most as many as there are.
        steps: how many updates, counted from the start of the training.
        key: decides the order of the examples and the randomness of dropout; the same key
            gives the same training.
        gradient: ``"hand"`` or ``"jax"``.
        state: what ``progress`` was given, to go on from there; ``params`` are then not used.
        progress: called after every ``chunk`` steps with the state so far and the costs of
            the chunk.  Python, and so Ctrl-C, gets its turn between chunks only.
        chunk: steps compiled into one program.

    Returns:
        The parameters after the last update, and the cost of every batch of this call, each
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
    check(gradient, steps=steps, chunk=chunk, batch_size=batch_size)
    params, x, y = jax.device_put(params), on_device(x), on_device(y)
    examples = number_of(x, y)
    if batch_size > examples:
        raise ValueError(f"batch_size {batch_size} is more than the {examples} examples there are")
    if state is None:
        state = State(0, params, optimizer.init(params))
    key_of_order, key_of_steps = jax.random.split(key)
    costs = []
    for start, count in chunks(int(state.step), steps, chunk):
        batches = _spread(_batches(key_of_order, examples, batch_size, start, count), x)
        params, opt_state, chunk_costs = _fit(
            *(net, loss, gradient, optimizer),
            *(state.params, state.opt_state, x, y, batches, key_of_steps, start),
        )
        state = State(start + count, params, opt_state)
        costs.append(chunk_costs)
        if progress:
            progress(state, chunk_costs)
    return state.params, joined(costs)


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

    def after(carry: Carry, cost: Array, grads: Params, i: Array, batch: Array) -> Carry:
        at = *take((x, y), batch), fold_in(key, i)
        return update(
            *(optimizer, *carry, cost, grads),
            lambda params: cost_alone(params, *at),
            lambda params: cost_and_grads(params, *at)[1],
        )

    def step(carry: Carry, of_step: tuple[Array, Array]) -> tuple[Carry, Array]:
        i, batch = of_step
        cost, grads = cost_and_grads(carry[0], *take((x, y), batch), fold_in(key, i))
        return after(carry, cost, grads, i, batch), cost

    carry, numbers = (params, opt_state), start + jnp.arange(len(batches))
    cost = jax.ShapeDtypeStruct((), jnp.float32)
    if same_types(carry, jax.eval_shape(after, carry, cost, params, numbers[0], batches[0])):
        (params, opt_state), costs = jax.lax.scan(step, carry, (numbers, batches))
    else:  # the optimizer's state gets its dtypes, or all of its arrays, with the first update
        carry, first_cost = step(carry, (numbers[0], batches[0]))
        (params, opt_state), costs = jax.lax.scan(step, carry, (numbers[1:], batches[1:]))
        costs = jnp.concatenate([first_cost[None], costs])
    return params, opt_state, costs


def _batches(key: Key, examples: int, batch_size: int, start: int, steps: int) -> np.ndarray:
    """Indices (steps, batch_size): the epochs' random orders one after the other, cut up.

    A function of the key and the step alone, so that a training can go on where it stopped.
    """
    first, last = start * batch_size, (start + steps) * batch_size
    epochs = range(first // examples, -(-last // examples))
    orders = [
        np.asarray(jax.random.permutation(jax.random.fold_in(key, epoch), examples))
        for epoch in epochs
    ]
    offset = epochs.start * examples
    return np.concatenate(orders)[first - offset : last - offset].reshape(steps, batch_size)


def _spread(batches: np.ndarray, examples: Examples) -> np.ndarray | Array:
    """The indices, a part of each batch on every device that has a part of the examples."""
    x = jax.tree.leaves(examples)[0]
    if isinstance(x, Tracer) or not isinstance(x.sharding, NamedSharding):
        return batches
    along = PartitionSpec(None, *x.sharding.spec[:1])
    return jax.device_put(batches, NamedSharding(x.sharding.mesh, along))


def chunks(start: int, steps: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Start and length of every chunk."""
    for i in range(start, steps, chunk):
        yield i, min(chunk, steps - i)


def joined(costs: list[Array]) -> Array:
    """The costs of all chunks."""
    return costs[0] if len(costs) == 1 else jnp.concatenate([jnp.zeros(0), *costs])


def fold_in(key: Key | None, i: Array) -> Key | None:
    return None if key is None else jax.random.fold_in(key, i)


def check(gradient: str, **counts: int) -> None:
    if gradient not in GRADIENTS:
        raise ValueError(f"expected gradient to be 'hand' or 'jax', got {gradient!r}")
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"expected {name} to be at least 1, got {count}")
