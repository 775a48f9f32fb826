"""Minibatch training with any optimizer; many steps are one compiled program."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import jax

from jaxnn.layer import Array, Key, Layer, Params
from jaxnn.losses import Loss
from jaxnn.training import checkpoint as checkpoints
from jaxnn.training.examples import Examples
from jaxnn.training.minibatches import How, Run, on_arrays, on_batches
from jaxnn.training.state import Progress, State, check_arguments, chunks, concatenate

if TYPE_CHECKING:
    import optax


def fit(
    net: Layer,
    loss: Loss,
    params: Params,
    x: Examples | Iterable[tuple[Examples, Examples]],
    y: Examples | None = None,
    *,
    optimizer: optax.GradientTransformation,
    batch_size: int | None = None,
    steps: int,
    key: Key,
    gradient: Literal["hand", "jax"] = "hand",
    state: State | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    chunk: int = 100,
) -> tuple[Params, Array]:
    """Minibatch training with any optimizer of optax.

    The examples are in arrays, or come in batches.  Of arrays, each epoch has the examples in a new
    random order.  All batches are full: the last batch of an epoch is completed with the first
    examples of the next epoch.

    Batches are any iterable of pairs (x, y), such as a list, a generator or a loader of data, with
    ``y`` left out.  An iterable that can be started again, such as a list, is repeated until the
    last step.  Batches may differ in size; each size compiles a program.

    With ``checkpoint``, the same call resumes where an earlier one was stopped, to a bit-identical
    result; with more ``steps``, it extends a training that was finished.

    If the examples are on several devices, all of them train, each with its part of every batch.
    The costs are equal up to rounding::

        mesh = jax.make_mesh((8,), ("data",))
        x, y = jax.device_put((x, y), jax.NamedSharding(mesh, jax.P("data")))

    Args:
        net: the network; ends in logits.
        loss: one of ``jaxnn.losses``.
        params: the initial parameters; they are not changed.
        x: all examples: an array, or a tuple or dict of arrays that have the examples as their
            leading axis.  Or, without ``y``, an iterable of batches.
        y: their targets, in the same form.
        optimizer: for example ``optax.adam(1e-3)``.  If it needs the cost or the cost function,
            as ``optax.lbfgs()`` does, it gets those of the batch.
        batch_size: examples in a batch; at most the number of examples.  Not for an iterable.
        steps: number of updates, counted from the start of the training.
        key: determines the order of the examples and the randomness of dropout; equal keys
            give equal results.
        gradient: ``"hand"`` or ``"jax"``.
        state: a state from ``progress``; training resumes from it, and ``params`` are ignored.
            Of an iterable, give the one that the training started with: the batches of the steps
            before are passed over.
        checkpoint: a file; the state is saved in it after every chunk, and read from it at the
            start if it exists.  Like ``state``, but from disk.
        progress: called after every ``chunk`` steps with the state and the costs of the chunk.
            Python, and so Ctrl-C, runs only between chunks.
        chunk: steps in one compiled program.

    Returns:
        The parameters after the last update, and the costs of the batches of this call, each
        before its update.

    Raises:
        ValueError: when the batch size does not fit the examples or their devices, the arrays of
            examples and targets have different lengths, the batches end before the last step, or
            the checkpoint is of other settings.
        ModelFileError: when the checkpoint is damaged, or of another network or optimizer.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn, optax
        >>> x = jnp.linspace(-1, 1, 10)[:, None]
        >>> net = jaxnn.dense(1)
        >>> params, costs = jaxnn.fit(
        ...     net, jaxnn.mean_squared_error, net.init(jax.random.key(0), x), x, 3 * x + 1,
        ...     optimizer=optax.adam(0.1), batch_size=5, steps=300, key=jax.random.key(1))
        >>> round(params["W"].item(), 1), round(params["b"].item(), 1)
        (3.0, 1.0)

        The same with batches, here a list of two of them:

        >>> batches = [(part, 3 * part + 1) for part in (x[::2], x[1::2])]
        >>> params, costs = jaxnn.fit(
        ...     net, jaxnn.mean_squared_error, net.init(jax.random.key(0), x), batches,
        ...     optimizer=optax.adam(0.1), steps=300, key=jax.random.key(1))
        >>> round(params["W"].item(), 1), round(params["b"].item(), 1)
        (3.0, 1.0)
    """
    check_arguments(gradient, steps=steps, chunk=chunk)
    if checkpoint is not None and state is not None:
        raise ValueError("expected either a state or a checkpoint, got both")
    how = How(net, loss, gradient, optimizer)
    params, (key_of_order, key_of_steps) = jax.device_put(params), jax.random.split(key)
    run: Run
    if y is not None:
        run = on_arrays(how, x, y, batch_size, key_of_order, key_of_steps)
    now = State(0, params, optimizer.init(params)) if state is None else state
    settings = checkpoints.describe(batch_size, gradient, key) if checkpoint is not None else {}
    if checkpoint is not None:
        now = checkpoints.restore(checkpoint, now, settings)
    if y is None:
        run = on_batches(how, x, batch_size, int(now.step), key_of_steps)
    costs = []
    for start, count in chunks(int(now.step), steps, chunk):
        now, chunk_costs = run(now, count)
        costs.append(chunk_costs)
        if checkpoint is not None:
            checkpoints.store(checkpoint, now, settings)
        if progress:
            progress(now, chunk_costs)
        if now.step < start + count:
            raise ValueError(
                f"the batches ended after {now.step} of {steps} steps; give more, or an iterable "
                "that can be started again, such as a list"
            )
    return now.params, concatenate(costs)
