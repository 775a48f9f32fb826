"""Two wrong backward passes whose results were published as the expected ones, and their discovery.

1. In the course's first edition, of 2017, ``linear_backward`` has one bias gradient a layer: the
   sum of dZ / m over the examples and over the units too.  Both networks of its notebook "Deep
   Neural Network: Application" were trained with it, and the notebook prints their costs as
   expected output.  The deeper one is right about 84% of the test photographs; with the right
   rule, that of the later editions, it is right about 80%.
2. Until 2020 the expected values of its ``lstm_backward`` were computed without the gradient that
   each step passes to the step before, da_prev and dc_prev: no backpropagation through time.

``wrong_dense`` and ``lstm_cell(carry=False)`` have these rules.  They reproduce the published
numbers to the printed digits, and ``jaxnn.check_gradients`` names the wrong leaf of each.

Sources: github:Kulbear/deep-learning-coursera @997fdb2e, "Deep Neural Network - Application" and
"Building a Recurrent Neural Network - Step by Step - v2"; the same costs as expected output in
github:enggen/Deep-Learning-Coursera.  The later editions: github:
amanchadha/coursera-deep-learning-specialization @e9de0f4d.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course import cat_photos
from catnet.course.cat_photos import RUNS, Photos
from catnet.course.files import PHOTOS
from catnet.course.networks import as_params, initialize, network
from catnet.course.record import Number, Options, Set, Table, numbers
from catnet.course.recurrent import draw_lstm_backward, gradients, of_gates
from jaxnn import Layer
from jaxnn.gradients.check import GradientCheck
from jaxnn.layers.lstm import CELL

# ---- one bias gradient a layer

WRONG_RUNS = (
    RUNS[0]._replace(
        name="one hidden layer, one bias gradient a layer",
        costs="""
            0.693049735659989 0.6464283150388817 0.6325086257948581 0.6014932097069347
            0.5601652326734954 0.5157934975899229 0.47590238832247345 0.43858640997112314
            0.3910072887566946 0.3584220494573506 0.34299735904004847 0.3101904235095467
            0.273966132872609 0.2370347086950205 0.18734248651597438 0.16864009816415473
            0.14197411005689567 0.11292363594102996 0.09758444844752405 0.08554699338649566
            0.07593496617351737 0.06794136245969253 0.06085759338231386 0.054887735653158576
            0.04950829635846386""",
        train="1.0",
        test="0.72",
    ),
    RUNS[1]._replace(
        name="L layers, one bias gradient a layer",
        costs="""
            0.771749 0.673350 0.648247 0.620384 0.568401 0.520754 0.469203 0.487263 0.358436
            0.347641 0.291955 0.273223 0.229250 0.196667 0.176585 0.157727 0.142742 0.139015
            0.123863 0.111514 0.105953 0.098199 0.094213 0.087161 0.082077""",
        train="1.0",
        test="0.84",
    ),
)


def wrong_dense(n_out: int) -> Layer:
    """A dense layer with one bias gradient for all its units.

    ::

        right    db_k = Σ dz_k             summed over examples
        wrong    db_k = Σ_j Σ dz_j         summed over examples and units; the same for all k
    """
    dense = jaxnn.dense(n_out)

    def backward(params: Any, cache: Any, dz: jax.Array) -> tuple[Any, jax.Array]:
        grads, dx = dense.backward(params, cache, dz)
        return {**grads, "b": jnp.full(n_out, jnp.sum(grads["b"]))}, dx

    return dataclasses.replace(dense, backward=backward)


def wrong_network(sizes: tuple[int, ...]) -> Layer:
    """The lecture's network of ``wrong_dense``."""
    return network(sizes, dense=wrong_dense)


# ---- no gradient through time


def lstm_cell(n: int, carry: bool = True) -> Layer:
    """One step of ``jaxnn.lstm`` as a cell of ``jaxnn.scan``; the state is {"h", "c"}.

    Args:
        n: units.
        carry: whether the backward pass returns the gradient of the state before.  False is the
            mistake: it returns zeros.
    """

    def forward(params: Any, x: Any, key: Any = None) -> tuple[Any, Any]:
        x_t, state = x
        old = (state["h"], state["c"])
        W, U, b = (jnp.asarray(params[name]) for name in "WUb")
        a, u = x_t @ W.T, old[0] @ U.T
        (h, c), needs = CELL.forward(a + jnp.broadcast_to(b, a.shape), u, old)
        return (h, {"h": h, "c": c}), (x_t, old, (h, c), needs)

    def backward(params: Any, cache: Any, dy: Any) -> tuple[Any, Any]:
        (x_t, old, new, needs), (dh, dstate) = cache, dy
        dz, (_, dc) = CELL.backward(needs, old, new, (dh + dstate["h"], dstate["c"]))
        rows = dz.reshape(-1, 4 * n)
        dparams = {
            "W": rows.T @ x_t.reshape(len(rows), -1),
            "U": rows.T @ old[0].reshape(len(rows), n),
            "b": rows.sum(axis=0),
        }
        before = {"h": dz @ params["U"], "c": dc}
        if not carry:
            before = jax.tree.map(jnp.zeros_like, before)
        return dparams, (dz @ params["W"], before)

    return Layer(f"lstm_cell({n})", jaxnn.lstm(n).init, forward, backward)


# dx[1][2] and da0[2][3]; row, column and number of an entry of dW of each gate; db[4] of the gates
# f, i, c, o.  The last three differ between published runs; these are of the run of v2.
WITHOUT_TIME: dict[str, Any] = {
    "dx": "-.00173313 .08287442 -.30545663 -.43281115",
    "da0": "-.095911501954",
    "f": (3, 1, "-.0698198561274"),
    "i": (1, 2, ".102371820249"),
    "c": (3, 1, "-.0624983794927"),
    "o": (1, 2, ".0484389131444"),
    "db": "-.0565788 -.15399065 -.29691142 -.29798344",
}


def without_time() -> Iterator[Number]:
    """The expected values of ``lstm_backward`` until 2020."""
    params, x, a0, da = draw_lstm_backward()
    start = {"h": jnp.asarray(a0), "c": jnp.zeros_like(a0)}
    layer = jaxnn.scan(lstm_cell(5, carry=False))
    dparams, (dx, _) = gradients(layer, params, (x, start), da)
    # The course's da0 is the da_prev of the first step.
    first = {"h": jnp.asarray(a0), "c": jnp.zeros_like(a0)}
    one_step = jaxnn.scan(lstm_cell(5))
    _, (_, dstart) = gradients(one_step, params, (x[:, :1], first), da[:, :1])
    yield from numbers("dx[1][2]", WITHOUT_TIME["dx"], dx[2, :, 1])
    yield Number("da0[2][3]", WITHOUT_TIME["da0"], dstart["h"][3, 2].item())
    weights = {gate: WITHOUT_TIME[gate] for gate in "fico"}
    yield from of_gates(dparams, weights, WITHOUT_TIME["db"])


def all_outputs() -> jaxnn.Loss:
    """Half the sum of the squares of all outputs: a loss of an output and a state."""

    def value(z: Any, y: Any) -> jax.Array:
        return sum((jnp.sum(leaf**2) / 2 for leaf in jax.tree.leaves(z)), jnp.zeros(()))

    return jaxnn.Loss("all_outputs", value, lambda z, y: z)


# ---- what finds them


def check_dense() -> GradientCheck:
    """``jaxnn.check_gradients`` of a small network of wrong dense layers, on random numbers."""
    sizes, rng = (4, 3, 2), np.random.RandomState(0)
    x, y = rng.randn(5, 4), (rng.rand(5, 2) > 0.5).astype(float)
    params = as_params(initialize(sizes, "sqrt"))
    return jaxnn.check_gradients(wrong_network(sizes), params, x, y, jaxnn.binary_cross_entropy)


def check_cell(carry: bool = False) -> GradientCheck:
    """``jaxnn.check_gradients`` of one step of the LSTM that does not pass its gradient back."""
    params, x, a0, _ = draw_lstm_backward()
    at = (x[:2, 0], {"h": a0[:2], "c": x[:2, 1, :1] * np.ones(5)})
    return jaxnn.check_gradients(lstm_cell(5, carry), params, at, (), all_outputs())


def run(options: Options) -> Iterator[Table]:
    """The wrong LSTM; with the photographs the two wrong networks too.  All is by hand."""
    title = "lstm_backward without the gradient through time, expected until 2020, float64"
    yield Table(title, list(without_time()), ["", str(check_cell()), ""])
    if PHOTOS.name in options.files:
        first, second = wrong_curves(cat_photos.load(options.files[PHOTOS.name]))
        yield first
        yield second._replace(notes=[*second.notes, "", str(check_dense()), ""])


def wrong_curves(photos: Photos) -> Iterator[Table]:
    """Both networks with one bias gradient a layer, beside the curves of the right rule."""
    for right, wrong in zip(RUNS, WRONG_RUNS, strict=True):
        table = cat_photos.reproduce(wrong, photos, net=wrong_network(wrong.sizes))
        of_right_rule = [*right.costs.split(), right.train, right.test]
        rows = [
            number._replace(note=f"right rule: {text}  {number.note}".rstrip())
            for number, text in zip(table.numbers, of_right_rule, strict=False)
        ]
        yield table._replace(numbers=rows)


SET = Set(
    name="mistakes",
    title="two wrong backward passes whose results were published, and the check that names them",
    source="DeepLearning.AI, first editions: Application (2017), lstm_backward (until 2020)",
    run=run,
    optional=(PHOTOS,),
)
