"""Three small trainings, in this process or, run as a program, in one of its own with N devices."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxnn

NET = jaxnn.serial(
    jaxnn.dense(8), jaxnn.dropout(0.2), jaxnn.layer_norm(), jaxnn.tanh, jaxnn.dense(1)
)


def trainings(devices: int, axes: str = "Explicit") -> dict[str, Any]:
    """Costs of full-batch descent, of descent in the row space of wide examples, and of Adam.

    With them comes a digest of all parameters.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 3)).astype(np.float32)
    y = (x[:, :1] * x[:, 1:2] > 0).astype(np.float32)
    wide = rng.normal(size=(32, 70)).astype(np.float32)
    start, wide_start = (NET.init(jax.random.key(0), like) for like in (x, wide))
    if devices > 1:
        mesh = jax.make_mesh((devices,), ("data",), axis_types=(getattr(AxisType, axes),))
        x, wide, y = jax.device_put((x, wide, y), NamedSharding(mesh, PartitionSpec("data")))
        assert len(x.addressable_shards) == devices
    loss, key = jaxnn.binary_cross_entropy, jax.random.key(1)
    descended, costs = jaxnn.gradient_descent(
        NET, loss, start, x, y, learning_rate=0.5, steps=10, momentum=0.5, key=key
    )
    projected, projected_costs = jaxnn.gradient_descent(
        NET, loss, wide_start, wide, y, learning_rate=0.5, steps=10, in_row_space=True, key=key
    )
    fitted, fit_costs = jaxnn.fit(
        NET, loss, start, x, y, optimizer=optax.adam(0.05), batch_size=16, steps=10, key=key,
        chunk=5,
    )  # fmt: skip
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves((descended, projected, fitted)):
        digest.update(np.asarray(leaf).tobytes())
    costs_of = {"descent": costs, "row space": projected_costs, "fit": fit_costs}
    return {name: c.tolist() for name, c in costs_of.items()} | {"digest": digest.hexdigest()}


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
    print(json.dumps(trainings(jax.device_count(), *sys.argv[2:])))
