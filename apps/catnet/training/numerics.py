"""What changes the numbers of a training besides its settings and data, on this machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax

# Environment variables that change the numbers of a training, besides its settings and data.
# Those of JAX can be set in other ways too, so their values are read from ``jax.config``.
OF_JAX = (
    "JAX_ENABLE_X64",
    "JAX_DEFAULT_PRNG_IMPL",
    "JAX_THREEFRY_PARTITIONABLE",
    "JAX_RANDOM_SEED_OFFSET",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_NUMPY_DTYPE_PROMOTION",
    "JAX_DISABLE_JIT",
    "JAX_DISABLE_MOST_OPTIMIZATIONS",
    "JAX_OPTIMIZATION_LEVEL",
    "JAX_EXEC_TIME_OPTIMIZATION_EFFORT",
)
OF_OTHERS = (
    "XLA_FLAGS",
    "LIBTPU_INIT_ARGS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
)


def read_numerics() -> dict[str, Any]:
    """The settings outside of catnet that change the numbers of a training; None for unset."""
    defaults = jax.config.values  # a thread may override them by attributes
    of_jax = {
        name: getattr(jax.config, name.lower(), defaults.get(name.lower())) for name in OF_JAX
    }
    devices = {"device": jax.devices()[0].device_kind, "number of devices": jax.device_count()}
    return {
        **{name: getattr(value, "value", value) for name, value in of_jax.items()},
        **{name: " ".join(os.environ.get(name, "").split()) or None for name in OF_OTHERS},
        **devices,
    }


def read_versions() -> dict[str, str]:
    """What may change the last digits, and the user cannot set."""
    names = ("jaxnn", "jax", "jaxlib", "numpy", "optax")
    machine = {"processor": _processor(), "cores": str(os.cpu_count())}
    return {**{name: version(name) for name in names}, **machine}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
