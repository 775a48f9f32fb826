"""Losses over the valid steps of sequences."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxnn.layer import Array, LayerError, Tree, describe, expect
from jaxnn.losses import Loss
from jaxnn.padding import join_gradient, split_mask, zero


@functools.cache
def masked_loss(loss: Loss) -> Loss:
    """A loss as the mean over the valid steps.

    With c_t the loss of one step, m the mask and M the number of valid steps in the batch::

        value      Σ_t m_t c_t / M
        gradient   m_t dc_t / M          exactly 0 at padding

    Args:
        loss: one of ``jaxnn.losses``, or another whose value is a mean over examples.

    Returns:
        A loss of ``(z, y)`` in which the output z, the targets y or both are ``Masked``; if
        both are, a step counts where both masks are True.  The values of y at padding are
        ignored.  Without any valid step the value is NaN and the gradient 0.  The same loss
        for the same ``loss``.

    Raises:
        LayerError: when neither is ``Masked``, or the masks do not fit.

    Example:
        >>> import jax.numpy as jnp, jaxnn
        >>> loss = jaxnn.masked_loss(jaxnn.softmax_cross_entropy)
        >>> z = jaxnn.Masked(jnp.zeros((2, 3, 4)), jnp.array([[True] * 3, [True, False, False]]))
        >>> y = jnp.array([[0, 1, 2], [3, -1, -1]])
        >>> f"{loss(z, y):.4f}", loss.gradient(z, y).values[1, 1].tolist()
        ('1.3863', [0.0, 0.0, 0.0, 0.0])
    """
    name = f"masked_loss({loss.name})"

    def steps(z: Tree, y: Any) -> tuple[Array, Array, Array]:
        """Valid steps, outputs and targets, all steps of the batch along one axis."""
        z, of_z = split_mask(name, z)
        y, of_y = split_mask(name, jax.tree.map(jnp.asarray, y))
        if of_z is None and of_y is None:
            raise LayerError(f"{name}: expected Masked output or targets, got {describe(z)}")
        mask = of_y if of_z is None else of_z
        for other, of in ((of_y, "targets"), (of_z, "output")):
            fits = other is None or other.shape == mask.shape
            expect(fits, name, f"a mask {mask.shape} of the {of}", other)
        if of_z is not None and of_y is not None:
            mask = of_z & of_y
        for part in (z, y):
            fits = hasattr(part, "shape") and part.shape[: mask.ndim] == mask.shape
            expect(fits, name, f"output and targets with the steps {mask.shape}", part)
        one_axis = lambda a: zero(a, mask).reshape(-1, *a.shape[mask.ndim :])  # noqa: E731
        return mask.reshape(-1), one_axis(z), one_axis(y)

    def value(z: Tree, y: Any) -> Array:
        mask, z, y = steps(z, y)
        costs = zero(jax.vmap(loss.value)(z, y), mask)
        count = jnp.sum(mask).astype(costs.dtype)
        return jnp.where(count > 0, jnp.sum(costs) / jnp.maximum(count, 1), jnp.nan)

    def gradient(z: Tree, y: Any) -> Tree:
        mask, z_steps, y_steps = steps(z, y)
        dz = zero(jax.vmap(loss.gradient)(z_steps, y_steps), mask)
        dz = (dz / jnp.maximum(jnp.sum(mask), 1).astype(dz.dtype)).astype(dz.dtype)
        values, of_z = split_mask(name, z)
        return join_gradient(dz.reshape(values.shape), of_z)

    return Loss(name, value, gradient)
