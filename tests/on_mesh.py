"""Layers of images on a mesh of devices, each compared with itself on one device; run as a program.

The arguments are names in layers.py.  Axes of a mesh are explicit, which is JAX's default, or
automatic.  A failure ends the program with its traceback.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P
from layers import LAYERS, Case

from jaxnn.kernels.conv import forms

DEVICES = 2


def compare(case: Case, axis_type: AxisType, inside: bool) -> None:
    """y, dparams and dx of a batch (3, N, ...), N sharded; ``inside`` the context of the mesh."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(3, 2 * DEVICES, *case.shape)).astype(np.float32)
    params = case.layer.init(jax.random.key(0), x)

    @jax.jit
    def gradients(params, x):
        y, cache = case.layer.forward(params, x)
        return y, *case.layer.backward(params, cache, jnp.cos(y))

    expected = gradients(params, x)
    mesh = jax.make_mesh((DEVICES,), ("data",), axis_types=(axis_type,))
    spread = jax.device_put(x, NamedSharding(mesh, P(None, "data")))
    with jax.set_mesh(mesh) if inside else nullcontext():
        result = gradients(params, spread)
    for a, b in zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    if axis_type == AxisType.Explicit:
        y, dparams, dx = result
        for of_batch in (y, dx):
            assert jax.typeof(of_batch).sharding.spec[:2] == (None, "data")
        for leaf in jax.tree.leaves(dparams):
            assert set(jax.typeof(leaf).sharding.spec) <= {None}


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", DEVICES)
    jax.config.update("jax_disable_most_optimizations", True)
    forms.LARGE_BATCH = 1  # every form
    for name in sys.argv[1:]:
        compare(LAYERS[name], AxisType.Explicit, inside=False)
        if name in ("conv", "max_pool"):
            compare(LAYERS[name], AxisType.Explicit, inside=True)
            compare(LAYERS[name], AxisType.Auto, inside=False)
        print(name)
