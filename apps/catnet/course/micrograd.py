"""micrograd's demo: all 100 losses of a small network with the hinge loss on two moons.

2 → 16 → 16 → 1 with relu; 100 points after NumPy's seed 1337, y = −1 or 1; the weights of each unit
are ``random.uniform(-1, 1)`` after Python's seed 1337, the biases are 0.  With all p of the
parameters, biases too::

    loss = mean max(0, 1 − y z) + 1e-4 Σ p²

Full-batch descent, the learning rate of step k is 1 − 0.9 k / 100.

Source: Andrej Karpathy's micrograd (MIT), github:karpathy/micrograd @c911406e, demo.ipynb.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course.networks import network
from catnet.course.record import Number, Options, Set, Table
from catnet.course.synthetic import draw_moons
from jaxnn.training.state import GRADIENTS

SIZES = (2, 16, 16, 1)
STEPS = 100
ALPHA = 1e-4

LOSSES = """
    0.8958441028683222 1.7235905336972022 0.7429006313851131 0.7705641260584198 0.3692793385976538
    0.313545481918522 0.2814234349772435 0.26888733313983904 0.2567147286057417 0.2704862551637922
    0.24507023853658053 0.2509905529791503 0.21560951851922952 0.23090378446402726
    0.20152151227899445 0.22574506279282217 0.19447987596204114 0.21089496199246363
    0.159830773563036 0.1845374874688392 0.18977522856087634 0.19072704042579647
    0.11733695088756485 0.12173524408232454 0.1261571261277045 0.16049097780801674
    0.18747197705245805 0.16741837891059408 0.09586583491455399 0.0877878370742091
    0.11731297569011848 0.09340146460619836 0.12454454903103446 0.07984002652777272
    0.07727519232921673 0.07661250143094483 0.10610492379198365 0.09062808429265976
    0.10671887043036932 0.05225659921975849 0.06016009895234464 0.08596724533333942
    0.051121079431796 0.052401424016428284 0.045306841790015734 0.07211073370655095
    0.03334238651310234 0.03143222795751122 0.03658536747111507 0.04829139382390309
    0.09875114765619622 0.05449063965875453 0.03392679435708309 0.05261517263568441
    0.03250295251424923 0.02888327387207822 0.04139151104027239 0.018987407426128502
    0.0252383352388374 0.02079656521341895 0.0325971115781023 0.017863351693480307
    0.023008717832211683 0.022079325463581503 0.029432917853529684 0.01625151464409193
    0.02846853448326446 0.013994365546208731 0.015552344843651405 0.0338911994616017
    0.014229870065926908 0.013255281583285504 0.012300277590022063 0.012676052498355976
    0.020593811955954763 0.011845398205364453 0.016012697472883086 0.025458360239222128
    0.014382930289661911 0.011698962425817985 0.012318500800515763 0.014121117031464233
    0.011664591962446225 0.011589314549188726 0.010990299347735226 0.01098922672069161
    0.010988193757655071 0.010987200447388707 0.010986246779084925 0.010985332742365272
    0.010984458327280174 0.010983623524308862 0.010982828324359073 0.010982072718767003
    0.010981356699297042 0.010980680258141723 0.010980043387921506 0.010979446081684675
    0.010978888332907229 0.010978370135492717"""

# Accuracies of the steps in percent.
ACCURACIES = """
    50 81 77 82 84 86 89 91 91 91 91 92 91 93 92 93 92 93 94 93 91 93 97 95 95 95 92 95 97 96 95
    97 95 97 97 98 96 99 95 98 100 96 99 97 100 97 99 100 99 99 96 99 100 97 99 100 98 100 100
    100 99 100 100 100 99 100 99 100 100 99 100 100 100 100 100 100 100 100 100 100 100 100 100
    100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100 100"""

#: The mean of max(0, 1 − y z), with y = −1 or 1; dz = −y where y z < 1, else 0.
hinge = jaxnn.Loss(
    "hinge",
    lambda z, y: jnp.mean(jnp.maximum(0, 1 - y * z)),
    lambda z, y: jnp.where(y * z < 1, -y, 0) / z.size,
)


def initialize() -> tuple[Any, ...]:
    """The params of the network: the weights of one unit after the other."""
    draw = random.Random(1337).uniform
    layers: list[Any] = []
    for n_in, n_out in itertools.pairwise(SIZES):
        W = np.array([[draw(-1, 1) for _ in range(n_in)] for _ in range(n_out)])
        layers += [{"W": W, "b": np.zeros(n_out)}, ()]
    return tuple(layers[:-1])


def run(options: Options) -> Iterator[Table]:
    """A table of the losses, and a table of the accuracies."""
    x, y = draw_moons(100, 0.1, np.random.RandomState(1337))
    y = 2 * y - 1
    net = network(SIZES)
    value_and_grad = GRADIENTS[options.gradient](net, hinge)

    def step(params: Any, k: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        cost, grads = value_and_grad(params, x, y)
        loss = cost + ALPHA * sum(jnp.sum(p * p) for p in jax.tree.leaves(params))
        right = 100 * jnp.mean((net.apply(params, x) > 0) == (y > 0))
        rate = 1 - 0.9 * k / STEPS
        update = lambda p, dp: p - rate * (dp + 2 * ALPHA * p)  # noqa: E731
        return jax.tree.map(update, params, grads), (loss, right)

    descend = jax.jit(lambda params: jax.lax.scan(step, params, jnp.arange(STEPS)))
    _, (losses, right) = descend(jax.tree.map(jnp.asarray, initialize()))
    for name, published, ours in (("loss", LOSSES, losses), ("accuracy", ACCURACIES, right)):
        rows = [
            Number(f"step {k}", text, float(value))
            for k, (text, value) in enumerate(zip(published.split(), ours, strict=True))
        ]
        yield Table(f"micrograd's demo, {name}: 2 → 16 → 16 → 1, float64", rows)


SET = Set(
    name="micrograd",
    title="micrograd's demo: 100 losses with the hinge loss",
    source="github:karpathy/micrograd, demo.ipynb",
    run=run,
)
