"""The contract of all layers and networks: three pure functions.

``init`` makes the parameters, ``forward`` computes the output and a cache for the backward pass,
``backward`` is the derivative written by hand.  Everything else in the library (combinators,
gradient checks, training) is built on these three functions.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeAlias, TypeVar
from weakref import WeakValueDictionary

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

Array: TypeAlias = jax.Array
Key: TypeAlias = jax.Array
Params: TypeAlias = Any  # a pytree of arrays
Cache: TypeAlias = Any  # a pytree of arrays
Tree: TypeAlias = Any  # an array or a pytree of arrays: the input or output of a layer
Shaped: TypeAlias = Any  # a Tree of arrays or of jax.ShapeDtypeStruct

P = ParamSpec("P")
AnyLayer = TypeVar("AnyLayer", bound="Layer")


class LayerError(ValueError):
    """A layer has got a wrong input or argument; the message starts with the path of the layer."""


class Children(NamedTuple):
    """The layers inside a combinator, and a function that rebuilds it from others.

    Attributes:
        layers: the children, in the order of their params.
        rebuild: ``rebuild(*layers)`` returns the same combinator with other children.
    """

    layers: tuple[Layer, ...]
    rebuild: Callable[..., Layer]


@dataclass(frozen=True)
class Layer:
    """A differentiable function of parameters and input, with its derivative written by hand.

    Attributes:
        name: its name in error messages, summaries and gradient checks, such as ``"dense(7)"``.
        init: ``(key, x) -> params``; ``x`` is an array or a ``jax.ShapeDtypeStruct``.
        forward: ``(params, x, key=None) -> (y, cache)``; ``key`` is for the randomness of
            training (dropout), None for inference.
        backward: ``(params, cache, dy) -> (dparams, dx)``, the hand-written rule.
        children: the children of a combinator; None for all other layers.

    Leading axes are batch axes: the input of a layer for vectors is ``(..., n)``, of one for images
    ``(..., H, W, C)``.  A layer computes in the dtype of its input; gradients of parameters
    have the dtype of the parameters.  Inputs and outputs may be pytrees of arrays; the gradient
    of an integer leaf (a token, a length) is None.

    Example:
        A layer that multiplies by a trained number::

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
    forward: Callable[..., tuple[Tree, Cache]]
    backward: Callable[[Params, Cache, Tree], tuple[Params, Tree]]
    children: Children | None = None
    # (constructor, arguments), as which the layer is pickled.  ``dataclasses.replace`` drops it.
    _recipe: tuple[Callable[..., Layer], tuple[Any, ...]] | None = field(
        default=None, init=False, compare=False, repr=False
    )

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The children of a combinator; empty for any other layer."""
        return self.children.layers if self.children else ()

    def apply(self, params: Params, x: Tree, key: Key | None = None) -> Any:
        """The output: ``forward`` without the cache."""
        return self.forward(params, as_arrays(x), key)[0]

    def __repr__(self) -> str:
        children = ", ".join(map(repr, self.layers))
        return f"{self.name}({children})" if children else self.name

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        how = f"apply it with {self.name}.apply(params, x)" if args else "use it without ()"
        raise TypeError(f"{self.name} is a layer, not a function: {how}")

    def __reduce__(self) -> Any:
        return self._recipe or super().__reduce__()


def constructor(build: Callable[P, AnyLayer]) -> Callable[P, AnyLayer]:
    """Decorate a function that builds a layer: equal arguments return the same layer.

    JAX compiles a program for each layer object.  With this decorator, networks that are built
    twice from equal arguments are the same object and are compiled once.  Such layers can also
    be pickled, as their arguments.
    """
    signature = inspect.signature(build)
    layers: WeakValueDictionary[Any, AnyLayer] = WeakValueDictionary()

    @functools.wraps(build)
    def build_once(*args: P.args, **kwargs: P.kwargs) -> AnyLayer:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        key = _typed((*bound.args, *bound.kwargs.items()))
        try:
            layer = layers.get(key)
        except TypeError:  # an argument that cannot be hashed, such as a list
            key = layer = None
        if layer is None:
            layer = build(*args, **kwargs)
            rebuild = functools.partial(build_once, **kwargs)
            object.__setattr__(layer, "_recipe", (rebuild, args))
            if key is not None:
                layers[key] = layer
        return layer

    return build_once


def _typed(value: Any) -> Any:
    """Attach the types to a value: True and 1.0 equal 1, but are other arguments."""
    if type(value) is tuple:
        return tuple(map(_typed, value))
    return type(value), value


def constant(module: str, layer: AnyLayer) -> AnyLayer:
    """Mark a layer as the attribute ``layer.name`` of a module; it is pickled as this name."""
    object.__setattr__(layer, "_recipe", (_attribute, (module, layer.name)))
    return layer


def _attribute(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


@jax.tree_util.register_static
@dataclass(frozen=True)
class Static:
    """A hashable constant in a cache, such as a shape; ``jit`` and ``vmap`` do not change it."""

    value: Any


def is_concrete(x: Any) -> bool:
    """Whether the values of an array are known: not inside ``jit`` or ``vmap``."""
    return not isinstance(x, Tracer)


def as_arrays(x: Tree) -> Any:
    """Convert each leaf to an array of JAX; a nested list of numbers is one array."""
    return jax.tree.map(jnp.asarray, x, is_leaf=is_numbers)


def is_numbers(x: Any) -> bool:
    """Whether it is a list or tuple, nested or not, of numbers: one array, not a pytree."""
    if not isinstance(x, (list, tuple)):
        return False
    leaves = jax.tree.leaves(x)
    return bool(leaves) and all(isinstance(leaf, (int, float, np.generic)) for leaf in leaves)


def no_params(key: Key, x: Shaped) -> tuple[()]:
    """The ``init`` of each layer without parameters."""
    return ()


def expect(condition: bool, layer: str, expected: str, x: Any) -> None:
    """Raise a LayerError about an input, unless ``condition`` holds."""
    if not condition:
        raise LayerError(f"{layer}: expected {expected}, got {describe(x)}")


def expect_input(layer: str, x: Shaped, *last_axes: int | str) -> None:
    """Check the input of a layer: one array of a floating dtype with certain last axes.

    A number is the size of an axis; a name stands for an axis of any size:
    ``expect_input("conv(8)", x, "H", "W", 3)``.

    Raises:
        LayerError: with the name of the layer, the expected input and the actual one.
    """
    shape = "(..., " + ", ".join(map(str, last_axes)) + ")"
    expect(hasattr(x, "shape"), layer, f"one array {shape}", x)
    fits = len(x.shape) >= len(last_axes) and all(
        isinstance(axis, str) or axis == size
        for axis, size in zip(last_axes, x.shape[len(x.shape) - len(last_axes) :], strict=True)
    )
    expect(fits, layer, f"input {shape}", x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise LayerError(
            f"{layer}: expected input of a floating dtype, got {x.dtype}; "
            "convert it first (images: x / 255)"
        )


def expect_params(layer: str, params: Params, *names: str) -> tuple[Array, ...]:
    """The parameters of a layer, in the order of their names.

    Raises:
        LayerError: when ``params`` is not a dict of exactly these names.
    """
    if not isinstance(params, dict) or set(params) != set(names):
        got = sorted(params) if isinstance(params, dict) else type(params).__name__
        raise LayerError(f"{layer}: expected params {{{', '.join(names)}}}, got {got}")
    return tuple(params[name] for name in names)


def sum_dtype(dtype: Any) -> np.dtype:
    """The dtype for sums of numbers of a dtype: float32 at least.

    This is the promotion of NumPy, which does not depend on JAX's ``numpy_dtype_promotion``.
    """
    return np.promote_types(dtype, np.float32)


def describe(x: Any) -> str:
    """The shapes of a pytree of arrays for error messages; the type of any other value."""
    if hasattr(x, "shape"):
        return str(tuple(x.shape))
    if isinstance(x, (tuple, list)):
        return f"a {type(x).__name__} of {', '.join(map(describe, x)) or 'nothing'}"
    if isinstance(x, dict):
        return f"a dict of {', '.join(f'{name}: {describe(x[name])}' for name in x) or 'nothing'}"
    if is_dataclass(x):
        return f"{type(x).__name__} of {', '.join(map(describe, vars(x).values()))}"
    return type(x).__name__


def add(a: Tree, b: Tree) -> Tree:
    """Add two gradients of the same pytree; the gradient of an integer leaf stays None."""
    return jax.tree.map(
        lambda a, b: None if a is None else a + b, a, b, is_leaf=lambda leaf: leaf is None
    )


def child_path(parent: str, index: int) -> str:
    """The path of a child in its combinator, such as ``serial[2]``."""
    return f"{parent}[{index}]"


@contextmanager
def inside(parent: str, index: int) -> Iterator[None]:
    """A context that adds the path of a child to each LayerError from it."""
    path = child_path(parent, index)
    try:
        with jax.named_scope(path):
            yield
    except LayerError as error:
        raise LayerError(f"{path}.{error}") from None
