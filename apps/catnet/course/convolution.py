"""Convolution and pooling, forward and backward, on random images after the seed 1.

The course's images are (m, H, W, C) and its filters (f, f, C_in, C_out), as jaxnn's are.

Source: DeepLearning.AI, "Convolutional Neural Networks", week 1, "Convolution model: Step by Step";
run in github:Kulbear/deep-learning-coursera @997fdb2e.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course.networks import apply
from catnet.course.record import Number, Options, Set, Table, numbers


def run(options: Options) -> Iterator[Table]:
    """One table of convolution, one of pooling."""
    yield Table("convolution, float64", [*conv_forward(), *conv_backward()])
    yield Table("pooling, float64", list(pool_backward()))


def conv_forward() -> Iterator[Number]:
    """3×3 with stride 2 and one pixel of padding."""
    draw = np.random.RandomState(1).randn
    x, W, b = draw(10, 5, 7, 4), draw(3, 3, 4, 8), draw(1, 1, 1, 8)
    z = apply(jaxnn.conv(8, 3, 2, ((1, 1), (1, 1))), {"W": W, "b": b.ravel()}, x)
    yield Number("mean of Z", ".692360880758", jnp.mean(z).item())
    yield from numbers("Z[3,2,1]", """
        -1.28912231 2.27650251 6.61941931 .95527176 8.25132576 2.31329639 13.00689405 2.34576051
        """, z[3, 2, 1])  # fmt: skip


def conv_backward() -> Iterator[Number]:
    """2×2 with stride 2 and two pixels of padding; dZ = Z."""
    draw = np.random.RandomState(1).randn
    x, W, b = draw(10, 4, 4, 3), draw(2, 2, 3, 8), draw(1, 1, 1, 8)
    layer, params = jaxnn.conv(8, 2, 2, ((2, 2), (2, 2))), {"W": W, "b": b.ravel()}
    z, cache = layer.forward(params, jnp.asarray(x))
    dparams, dx = layer.backward(params, cache, z)
    yield Number("mean of dA", "1.45243777754", jnp.mean(dx).item())
    yield Number("mean of dW", "1.72699145831", jnp.mean(dparams["W"]).item())
    yield Number("mean of db", "7.83923256462", jnp.mean(dparams["b"]).item())


def pool_backward() -> Iterator[Number]:
    """2×2 with stride 1, the largest and the mean."""
    draw = np.random.RandomState(1).randn
    x, dy = jnp.asarray(draw(5, 5, 3, 2)), jnp.asarray(draw(5, 4, 2, 2))
    for name, layer, published in (
        ("max", jaxnn.max_pool(2, 1), "0 0 5.05844394 -1.68282702 0 0"),
        (
            "average",
            jaxnn.average_pool(2, 1),
            ".08485462 .2787552 1.26461098 -.25749373 1.17975636 -.53624893",
        ),
    ):
        _, cache = layer.forward((), x)
        _, dx = layer.backward((), cache, dy)
        yield from numbers(f"{name}: dA_prev[1,1]", published, dx[1, 1])


SET = Set(
    name="convolution",
    title="convolution and pooling, forward and backward",
    source="DeepLearning.AI, Convolutional Neural Networks, week 1",
    run=run,
)
