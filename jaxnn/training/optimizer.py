"""One update by an optimizer of optax, with all the arguments that it may need."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax

from jaxnn.layer import Array, Params

if TYPE_CHECKING:
    import optax


def update(
    optimizer: optax.GradientTransformation,
    params: Params,
    opt_state: Any,
    cost: Array,
    grads: Params,
    cost_of: Callable[[Params], Array],
    grads_of: Callable[[Params], Params],
) -> tuple[Params, Any]:
    """The parameters and the optimizer's state after one step.

    Some optimizers need more than the gradients, such as line searches the cost function.  They
    get it as keyword arguments with the names that optax uses, such as ``value_fn``.

    Args:
        cost: the cost of this batch.
        grads: its gradient.
        cost_of: the cost of this batch as a function of the parameters.
        grads_of: the gradient of the cost as a function of the parameters.
    """
    import optax  # not above: prediction does not need it

    def value_fn(params: Params, obj_fn: Any = None) -> Array:
        return cost_of(params)  # line searches pass unknown arguments, such as obj_fn

    extra = {"value": cost, "grad": grads, "value_fn": value_fn, "obj_fn": value_fn}
    if not _accepts_extra(optimizer):
        extra = {}
    try:
        updates, opt_state = optimizer.update(grads, opt_state, params, **extra)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        # optax.contrib.sam, alone or in a chain, accepts no other argument.
        extra = {"grad_fn": lambda params, i: grads_of(params)}
        updates, opt_state = optimizer.update(grads, opt_state, params, **extra)
    return optax.apply_updates(params, updates), opt_state


def same_types(before: Any, after: Any) -> bool:
    """Whether two trees have the same structure, and their arrays the same shapes and dtypes."""
    return jax.tree.structure(before) == jax.tree.structure(after) and all(
        a.shape == b.shape and a.dtype == b.dtype
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    )


def _accepts_extra(optimizer: optax.GradientTransformation) -> bool:
    parameters = inspect.signature(optimizer.update).parameters.values()
    return any(p.kind in (p.VAR_KEYWORD, p.KEYWORD_ONLY) for p in parameters)
