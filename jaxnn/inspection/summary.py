"""What a network is made of: shapes, parameters, memory and work, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from jaxnn.inspection.traversal import Call, record, walk
from jaxnn.layer import Layer, Params, Shaped


class SummaryRow(NamedTuple):
    """One layer.

    Attributes:
        path: where it stands, as in error messages.
        output: shape of what it gives; of a pytree, the same tree of shapes.
        shapes: of its parameters, by name.
        parameters: how many numbers they are; 0 for those that an earlier layer shares.
        cached: bytes it is the first to keep for the backward pass.
        flops: floating-point operations of its forward pass, as XLA counts them.
    """

    path: str
    output: Any
    shapes: dict[str, tuple[int, ...]]
    parameters: int
    cached: int
    flops: int


@dataclass(frozen=True)
class Summary:
    """What ``summary`` returns; prints as a table.

    Attributes:
        rows: a row a layer, in the order of the forward pass.
        parameters: of the whole network.
        cached: bytes the backward pass of the whole network needs.
        flops: of the whole forward pass.
    """

    rows: tuple[SummaryRow, ...]
    parameters: int
    cached: int
    flops: int

    def __str__(self) -> str:
        table = [("layer", "output", "parameters", "", "cached bytes", "FLOPs")]
        for row in self.rows:
            shapes = ", ".join(f"{name} {shape}" for name, shape in row.shapes.items())
            table.append(
                (
                    *(row.path, str(row.output), f"{row.parameters:,}", shapes),
                    *(f"{row.cached:,}", f"{row.flops:,}"),
                )
            )
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
    """A row a layer: output, parameters, bytes cached for the backward pass, FLOPs.

    Nothing is computed: shapes come from tracing the network, FLOPs from XLA's count of the
    forward pass.  An array that several layers remember is counted once, where it is first.

    Args:
        net: the network.
        x: the input, or its shape and dtype; its batch axes count.

    Returns:
        A result with ``.rows`` and totals that prints as a table.

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
        y, recorded = record(net, params, x)
        seen: set[int] = set()
        seen_caches: set[int] = set()
        for path, layer in walk(net):
            call = recorded.get(path)
            if call is None or layer.children is not None:
                continue
            parameters[path] = sum(leaf.size for leaf in _unseen(call.params, seen))
            cached[path] = _bytes(_unseen(call.cache, seen_caches))
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
            _flops(layers[path], call.params, call.x),
        )
        for path, call in calls.items()
    )
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    return Summary(rows, total, cached[""], _flops(net, params, x))


_leaves = jax.tree_util.tree_leaves_with_path


def _name(where: Any) -> str:
    return jax.tree_util.keystr(where, simple=True, separator=".")


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def _unseen(tree: Any, seen: set[int]) -> list[Any]:
    """The leaves that are none of those seen before; from now on they are."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if id(leaf) not in seen]
    seen.update(map(id, leaves))
    return leaves


def _bytes(leaves: list[Any]) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)


def _flops(layer: Layer, params: Params, x: Shaped) -> int:
    analysis = jax.jit(layer.apply).lower(params, x).cost_analysis()
    return int((analysis or {}).get("flops", 0))
