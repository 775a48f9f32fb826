"""Layers on meshes of devices with explicit axes, where the type of an array has its sharding.

With automatic axes of a mesh, XLA decides how results are sharded.  With explicit axes, the
default of ``jax.make_mesh``, JAX refuses operations whose result could be sharded in several ways,
such as a sum over a sharded batch.  The functions here decide: outputs are sharded like the batch,
gradients of parameters like the parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxnn.layer import Array, Cache, Key, Layer, Params


def data_parallel(layer: Layer, axes_in: int, axes_out: int | None = None) -> Layer:
    """Extend a layer to batches that are sharded over a mesh with explicit axes.

    Inside the layer, the axes of the mesh are automatic.  The batch axes of its results are sharded
    like those of its input; the axes of one example are not sharded.

    Args:
        layer: a layer whose cache has the batch axes first in each of its arrays.
        axes_in: number of axes of one example, such as 3 for (..., H, W, C).
        axes_out: number of axes of one output, if this differs.
    """
    out = axes_in if axes_out is None else axes_out

    def forward(params: Params, x: Array, key: Key | None = None) -> tuple[Array, Cache]:
        if not hasattr(x, "shape"):  # not one array: the layer raises its error
            return layer.forward(params, x, key)
        return automatic(layer.forward, _batch(x, axes_in), params, x, key)

    def backward(params: Params, cache: Cache, dy: Array) -> tuple[Params, Array]:
        specs = specs_of(params), _batch(dy, out)
        return automatic(layer.backward, specs, params, cache, dy)

    return dataclasses.replace(layer, forward=forward, backward=backward)


def _batch(x: Array, axes: int) -> PartitionSpec:
    """The sharding of the batch axes of x; none if x has too few axes."""
    spec = jax.typeof(x).sharding.spec
    return PartitionSpec(*spec[: max(0, len(spec) - axes)])


def specs_of(tree: Any) -> Any:
    """The sharding of each array of a tree."""
    return jax.tree.map(lambda a: jax.typeof(a).sharding.spec, tree)


def automatic(f: Callable[..., Any], specs: Any, *args: Any) -> Any:
    """Call ``f(*args)`` with automatic mesh axes; ``specs`` is the sharding of the results."""
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
