"""Layers on several devices: explicit meshes, whose arrays carry their sharding in their type.

With automatic axes, XLA decides where a number is computed.  With explicit ones, the default of
``jax.make_mesh``, JAX refuses every operation whose result could be sharded in several ways,
such as a sum over a batch that is spread over devices.  A layer knows the answer: outputs are
sharded as the batch is, gradients of parameters as the parameters are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxnn.layer import Array, Cache, Key, Layer, Params


def data_parallel(layer: Layer, axes_in: int, axes_out: int | None = None) -> Layer:
    """The layer, which also takes batches that are sharded over an explicit mesh.

    Inside, the axes of the mesh are automatic.  The axes of one example are not sharded in what
    comes out; the batch axes are sharded as they are in what goes in.

    Args:
        layer: a layer whose cache has the batch axes first in each of its arrays.
        axes_in: how many axes one example has, 3 for (..., H, W, C).
        axes_out: the same for the output, where it differs.
    """
    out = axes_in if axes_out is None else axes_out

    def forward(params: Params, x: Array, key: Key | None = None) -> tuple[Array, Cache]:
        if not hasattr(x, "shape"):  # no array: the layer says what it expects
            return layer.forward(params, x, key)
        return automatic(layer.forward, _batch(x, axes_in), params, x, key)

    def backward(params: Params, cache: Cache, dy: Array) -> tuple[Params, Array]:
        specs = specs_of(params), _batch(dy, out)
        return automatic(layer.backward, specs, params, cache, dy)

    return dataclasses.replace(layer, forward=forward, backward=backward)


def _batch(x: Array, axes: int) -> PartitionSpec:
    """How the batch axes of x are sharded; not at all if x is no array of such a rank."""
    spec = jax.typeof(x).sharding.spec
    return PartitionSpec(*spec[: max(0, len(spec) - axes)])


def specs_of(tree: Any) -> Any:
    """How every array of a tree is sharded."""
    return jax.tree.map(lambda a: jax.typeof(a).sharding.spec, tree)


def automatic(f: Callable[..., Any], specs: Any, *args: Any) -> Any:
    """f(*args) with the axes of the mesh automatic; the results are sharded by ``specs``."""
    meshes = (jax.typeof(a).sharding.mesh for a in jax.tree.leaves(args))
    mesh = next((m for m in meshes if AxisType.Explicit in m.axis_types), None)
    if mesh is None:
        return f(*args)
    out = jax.tree.map(
        lambda spec: NamedSharding(mesh, spec),
        specs,
        is_leaf=lambda spec: isinstance(spec, PartitionSpec),
    )
    explicit = tuple(
        name
        for name, kind in zip(mesh.axis_names, mesh.axis_types, strict=True)
        if kind is AxisType.Explicit
    )
    return jax.sharding.auto_axes(f, axes=explicit, out_sharding=out)(*args)
