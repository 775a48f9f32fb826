"""A table of the layers of a network: shapes, parameters, memory, operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from jaxnn.inspection.traversal import Call, record, walk
from jaxnn.layer import Layer, Params, Shaped


class SummaryRow(NamedTuple):
    """One layer.

    Attributes:
        path: its path, as in error messages.
        output: the shape of its output; for a pytree, the tree of shapes.
        shapes: the shapes of its parameters, by name.
        parameters: number of its parameters, without those that an earlier layer has too.
        cached: bytes in its cache, without the arrays that an earlier cache has too.
        flops: floating-point operations of its forward pass, as counted by XLA.
    """

    path: str
    output: Any
    shapes: dict[str, tuple[int, ...]]
    parameters: int
    cached: int
    flops: int


@dataclass(frozen=True)
class Summary:
    """The result of ``summary``; prints as a table.

    Attributes:
        rows: one row for each layer, in the order of the forward pass.
        parameters: number of parameters of the network.
        cached: bytes in the cache of the network.
        flops: floating-point operations of the forward pass of the network.
    """

    rows: tuple[SummaryRow, ...]
    parameters: int
    cached: int
    flops: int

    def __str__(self) -> str:
        table = [("layer", "output", "parameters", "", "cached bytes", "FLOPs")]
        for row in self.rows:
            shapes = ", ".join(f"{name} {shape}" for name, shape in row.shapes.items())
            parameters, cached, flops = f"{row.parameters:,}", f"{row.cached:,}", f"{row.flops:,}"
            table.append((row.path, str(row.output), parameters, shapes, cached, flops))
        table.append(
            ("together", "", f"{self.parameters:,}", "", f"{self.cached:,}", f"{self.flops:,}")
        )
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        aligned = "<<><>>"
        return "\n".join(
            "  ".join(
                f"{cell:{side}{width}}"
                for cell, side, width in zip(line, aligned, widths, strict=True)
            ).rstrip()
            for line in table
        )


def summary(net: Layer, x: Shaped) -> Summary:
    """A table of the layers: output, parameters, bytes cached for the backward pass, FLOPs.

    Nothing is computed: shapes come from tracing the network, FLOPs from XLA's count for the
    forward pass.  An array in several caches is counted once, in the first of them.

    Args:
        net: the network.
        x: the input with its batch axes, or its shape and dtype.

    Returns:
        A ``Summary``, which prints as a table.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> net = jaxnn.serial(jaxnn.dense(7), jaxnn.relu, jaxnn.dense(1))
        >>> table = jaxnn.summary(net, jax.ShapeDtypeStruct((209, 12288), jnp.float32))
        >>> [(row.path, row.output, row.cached) for row in table.rows]
        [('serial[0].dense(7)', (209, 7), 10272768), ('serial[1].relu', (209, 7), 5852),
         ('serial[2].dense(1)', (209, 1), 0)]
        >>> table.parameters
        86031
    """
    x = jax.tree.map(_shape, x)
    params = jax.eval_shape(net.init, jax.random.key(0), x)
    calls: dict[str, Call] = {}
    parameters: dict[str, int] = {}
    cached: dict[str, int] = {}

    def trace(params: Params, x: Any) -> Any:
        y, records = record(net, params, x)
        counted: set[int] = set()
        counted_caches: set[int] = set()
        for path, layer in walk(net):
            call = records.get(path)
            if call is None or layer.children is not None:
                continue
            parameters[path] = sum(leaf.size for leaf in _take_new(call.params, counted))
            cached[path] = _count_bytes(_take_new(call.cache, counted_caches))
            calls[path] = Call(*jax.tree.map(_shape, tuple(call)))
        cached[""] = sum(cached.values())
        return y

    jax.eval_shape(trace, params, x)
    layers = dict(walk(net))
    rows = tuple(
        SummaryRow(
            path,
            jax.tree.map(lambda leaf: tuple(leaf.shape), call.y),
            {_name(where): leaf.shape for where, leaf in _leaves(call.params)},
            parameters[path],
            cached[path],
            _count_flops(layers[path], call.params, call.x),
        )
        for path, call in calls.items()
    )
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    return Summary(rows, total, cached[""], _count_flops(net, params, x))


_leaves = jax.tree_util.tree_leaves_with_path


def _name(where: Any) -> str:
    return jax.tree_util.keystr(where, simple=True, separator=".")


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _take_new(tree: Any, counted: set[int]) -> list[Any]:
    """The leaves whose ids are not in ``counted``; adds their ids to it."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if id(leaf) not in counted]
    counted.update(map(id, leaves))
    return leaves


def _count_bytes(leaves: list[Any]) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def _count_flops(layer: Layer, params: Params, x: Shaped) -> int:
    analysis = jax.jit(layer.apply).lower(params, x).cost_analysis()
    return int((analysis or {}).get("flops", 0))
