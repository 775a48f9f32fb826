"""The one contract: a network, and any piece of one, is three pure functions.

``init`` makes parameters, ``forward`` computes the output and remembers what the
backward pass needs, ``backward`` is the derivative written by hand.  Everything else
in the library (combinators, gradient checks, training) is built on these three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

Array: TypeAlias = jax.Array
Key: TypeAlias = jax.Array
Params: TypeAlias = Any  # a pytree of arrays
Cache: TypeAlias = Any  # a pytree of arrays
Shaped: TypeAlias = jax.Array | np.ndarray | jax.ShapeDtypeStruct


class LayerError(ValueError):
    """A layer was given what it cannot take; the message starts with the layer's path."""


@dataclass(frozen=True)
class Layer:
    """A differentiable function of parameters and input, with its derivative written by hand.

    Attributes:
        name: what error messages, summaries and gradient checks call it, ``"dense(7)"``.
        init: ``(key, x) -> params``; ``x`` is an array or a ``jax.ShapeDtypeStruct``.
        forward: ``(params, x, key=None) -> (y, cache)``; ``key`` is the randomness of
            training (dropout), None means inference.
        backward: ``(params, cache, dy) -> (dparams, dx)``, the hand-written rule.
        layers: the children of a combinator; empty for a layer of its own.
        rebuild: for a combinator, the function that makes it again from other children.

    Leading axes are batch axes: a layer for vectors takes ``(..., n)``, one for images
    ``(..., H, W, C)``.  A layer computes in the dtype of its input; gradients of
    parameters come back in the dtype of the parameters.

    Example:
        A layer is a value; this one multiplies by a learnt number::

            >>> import jax, jax.numpy as jnp
            >>> from jaxnn import Layer
            >>> scale = Layer(
            ...     name="scale",
            ...     init=lambda key, x: jnp.ones(()),
            ...     forward=lambda params, x, key=None: (params * x, x),
            ...     backward=lambda params, x, dy: (jnp.sum(x * dy), params * dy),
            ... )
            >>> scale.apply(jnp.array(3.0), jnp.array([1.0, 2.0])).tolist()
            [3.0, 6.0]
    """

    name: str
    init: Callable[[Key, Shaped], Params]
    forward: Callable[..., tuple[Array, Cache]]
    backward: Callable[[Params, Cache, Array], tuple[Params, Array]]
    layers: tuple[Layer, ...] = ()
    rebuild: Callable[..., Layer] | None = None

    def apply(self, params: Params, x: ArrayLike, key: Key | None = None) -> Array:
        """The output alone: ``forward`` without the cache."""
        return self.forward(params, jnp.asarray(x), key)[0]

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.layers))
        return f"{self.name}({inside})" if inside else self.name


@jax.tree_util.register_static
@dataclass(frozen=True)
class Static:
    """A hashable constant (a shape, a width) that a cache carries past jit and vmap."""

    value: Any


def no_params(key: Key, x: Shaped) -> tuple[()]:
    """The ``init`` of every layer that has nothing to learn."""
    return ()


def expect(condition: bool, layer: str, expected: str, x: Any) -> None:
    """Raise the error every layer raises about its input, unless ``condition`` holds."""
    if not condition:
        raise LayerError(f"{layer}: expected {expected}, got {describe(x)}")


def expect_input(layer: str, x: Shaped, *last_axes: int | str) -> None:
    """Check the input of a layer: a floating dtype and the last axes.

    An axis given as a number must have that size, one given as a name only be there:
    ``expect_input("conv(8)", x, "H", "W", 3)``.

    Raises:
        LayerError: names the layer, what it expected and what it got.
    """
    shape = "(..., " + ", ".join(map(str, last_axes)) + ")"
    fits = len(x.shape) >= len(last_axes) and all(
        isinstance(axis, str) or axis == size
        for axis, size in zip(last_axes, x.shape[len(x.shape) - len(last_axes) :], strict=True)
    )
    expect(fits, layer, f"input {shape}", x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise LayerError(
            f"{layer}: expected input of a floating dtype, got {x.dtype}; "
            "convert it first (pictures: x / 255)"
        )


def expect_params(layer: str, params: Params, *names: str) -> tuple[Array, ...]:
    """The parameters of a layer, by name.

    Raises:
        LayerError: when ``params`` is not a dict of just these.
    """
    if not isinstance(params, dict) or set(params) != set(names):
        got = sorted(params) if isinstance(params, dict) else type(params).__name__
        raise LayerError(f"{layer}: expected params {{{', '.join(names)}}}, got {got}")
    return tuple(params[name] for name in names)


def describe(x: Any) -> str:
    """The shape of an array, as error messages show it; the type of anything else."""
    return str(tuple(x.shape)) if hasattr(x, "shape") else type(x).__name__


def child_path(parent: str, index: int) -> str:
    """``serial[2]``: where a child stands in its combinator."""
    return f"{parent}[{index}]"


@contextmanager
def inside(parent: str, index: int) -> Iterator[None]:
    """Within it, a LayerError is given the path of the child it comes from."""
    path = child_path(parent, index)
    try:
        with jax.named_scope(path):
            yield
    except LayerError as error:
        raise LayerError(f"{path}.{error}") from None
