"""RNN and LSTM, forward and backward: single entries of the course's random examples.

The course has x (n_x, m, T) and one matrix (n_a, n_a + n_x) for each gate, of which the first n_a
columns belong to the state before.  Numbers are drawn after the seed 1 in the order of the
arguments of each function.  jaxnn has x (m, T, n_x), and the gates f, i, o, c of the course as i,
f, g, o in one matrix.

In ``lstm_backward``, the loss depends on the first four of seven steps.  Its expected values until
2020 are without backpropagation through time: see ``catnet.course.mistakes``.

Sources: DeepLearning.AI, "Sequence Models", week 1, "Building a Recurrent Neural Network"; run in
github:Kulbear/deep-learning-coursera @997fdb2e (v2) and, with the tests of 2021, in
github:amanchadha/coursera-deep-learning-specialization @e9de0f4d.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course.networks import apply
from catnet.course.record import Number, Options, Set, Table, numbers
from jaxnn import Layer
from jaxnn.layers.lstm import CELL

GATES = ("i", "f", "c", "o")  # our gates i, f, g, o by the course's names


class Draws:
    """Numbers in the course's order; x is (n_x, m, T) there, and (m, T, n_x) here."""

    def __init__(self, seed: int = 1) -> None:
        self.draw = np.random.RandomState(seed).randn

    def rows(self, *shape: int) -> np.ndarray:
        """An array with the features last."""
        return np.moveaxis(self.draw(*shape), 0, -1)

    def rnn(self, n_a: int = 5, n_x: int = 3, n_y: int = 2, *, a_first: bool = True) -> Any:
        """The params of ``rnn`` and of the dense layer after it."""
        names = ("Waa", "Wax") if a_first else ("Wax", "Waa")
        W = {name: self.draw(n_a, n_x if name == "Wax" else n_a) for name in names}
        Wy, b, by = self.draw(n_y, n_a), self.draw(n_a, 1), self.draw(n_y, 1)
        return {"W": W["Wax"], "U": W["Waa"], "b": b[:, 0]}, {"W": Wy, "b": by[:, 0]}

    def lstm(self, n_a: int = 5, n_x: int = 3, n_y: int | None = 2) -> Any:
        """The params of ``lstm`` and of the dense layer after it, if there is one."""
        gates = {g: (self.draw(n_a, n_a + n_x), self.draw(n_a, 1)) for g in ("f", "i", "o", "c")}
        stacked = np.concatenate([gates[g][0] for g in GATES])
        params = {"W": stacked[:, n_a:], "U": stacked[:, :n_a]}
        params["b"] = np.concatenate([gates[g][1][:, 0] for g in GATES])
        if n_y is None:
            return params, None
        return params, {"W": self.draw(n_y, n_a), "b": self.draw(n_y, 1)[:, 0]}


def gradients(layer: Layer, params: Any, x: Any, dy: Any) -> tuple[Any, Any]:
    """(dparams, dx) of a layer by its backward pass."""

    @jax.jit
    def run(params: Any, x: Any, dy: Any) -> Any:
        return layer.backward(params, layer.forward(params, x)[1], dy)

    return run(params, jax.tree.map(jnp.asarray, x), jnp.asarray(dy))


def of_output(params: Any, a: Any) -> np.ndarray:
    """softmax(Wy a + by)."""
    return np.asarray(jax.nn.softmax(apply(jaxnn.dense(len(params["b"])), params, a)))


def of_gates(dparams: Any, weights: dict[str, Any], biases: str) -> Iterator[Number]:
    """Entries of the gradients of an LSTM by the course's names.

    Args:
        weights: for each gate, the row and column of an entry of its W, and the printed number.
        biases: the printed db[4] of the gates f, i, c, o.
    """
    n = len(dparams["b"]) // 4
    side_by_side = np.concatenate([dparams["U"], dparams["W"]], axis=1)
    for gate, (i, j, published) in weights.items():
        ours = side_by_side[GATES.index(gate) * n + i, j]
        yield from numbers(f"dW{gate}[{i}][{j}]", published, ours)
    ours = [dparams["b"][GATES.index(gate) * n + 4] for gate in "fico"]
    for gate, published, db in zip("fico", biases.split(), ours, strict=True):
        yield from numbers(f"db{gate}[4]", published, db)


def run(options: Options) -> Iterator[Table]:
    """A table for each function of the assignment."""
    yield Table("rnn_cell_forward, rnn_forward", list(rnn_forward()))
    yield Table("rnn_cell_backward, rnn_backward", list(rnn_backward()))
    yield Table("lstm_cell_forward, lstm_forward", list(lstm_forward()))
    yield Table("lstm_cell_backward", list(lstm_cell_backward()))
    yield Table("lstm_backward, through time (the course since 2021)", list(lstm_backward()))


def rnn_forward() -> Iterator[Number]:
    """One step, a sequence, and the sequence of the tests of 2021."""
    course = Draws()
    x, a, (params, output) = course.rows(3, 10), course.rows(5, 10), course.rnn()
    a, _ = jax.jit(jaxnn.rnn_step)(params, x, a)
    yield from numbers("cell: a_next[4]", """
        .59584544 .18141802 .61311866 .99808218 .85016201 .99980978 -.18887155 .99815551 .6531151
        .82872037""", a[:, 4])  # fmt: skip
    yield from numbers("cell: yt[1]", """
        .9888161 .01682021 .21140899 .36817467 .98988387 .88945212 .36920224 .9966312 .9982559
        .17746526""", of_output(output, a)[:, 1])  # fmt: skip
    course = Draws()
    x, a0, (params, output) = course.rows(3, 10, 4), course.rows(5, 10), course.rnn()
    a = apply(jaxnn.rnn(5), params, (x, a0))
    yield from numbers("a[4][1]", "-.99999375 .77911235 -.99861469 -.99833267", a[1, :, 4])
    y = of_output(output, a)
    yield from numbers("y[1][3]", ".79560373 .86224861 .11118257 .81515947", y[3, :, 1])
    course = Draws(17)
    x, a0, (params, _) = course.rows(4, 8, 13), course.rows(7, 8), course.rnn(7, 4, 3)
    a = apply(jaxnn.rnn(7), params, (x, a0))
    yield from numbers("2021: a[5,2,2:6]", ".99999291 .99332189 .9921928 .99503445", a[2, 2:6, 5])


def rnn_backward() -> Iterator[Number]:
    """One step, and a sequence."""
    course = Draws()
    x, a, (params, _) = course.rows(3, 10), course.rows(5, 10), course.rnn(a_first=False)
    layer, da_next = jaxnn.rnn(5), course.rows(5, 10)
    dparams, (dx, da) = gradients(layer, params, (x[:, None], a), da_next[:, None])
    yield Number("cell: dxt[1][2]", "-1.3872130506", dx[2, 0, 1].item())
    yield Number("cell: da_prev[2][3]", "-.152399493774", da[3, 2].item())
    yield Number("cell: dWax[3][1]", ".410772824935", dparams["W"][3, 1].item())
    yield Number("cell: dWaa[1][2]", "1.15034506685", dparams["U"][1, 2].item())
    yield Number("cell: dba[4]", ".20023491", dparams["b"][4].item())
    course = Draws()
    x, a0, (params, _) = course.rows(3, 10, 4), course.rows(5, 10), course.rnn(a_first=False)
    dparams, (dx, da0) = gradients(layer, params, (x, a0), course.rows(5, 10, 4))
    yield from numbers("dx[1][2]", "-2.07101689 -.59255627 .02466855 .01483317", dx[2, :, 1])
    yield Number("da0[2][3]", "-.314942375127", da0[3, 2].item())
    yield Number("dWax[3][1]", "11.2641044965", dparams["W"][3, 1].item())
    yield Number("dWaa[1][2]", "2.30333312658", dparams["U"][1, 2].item())
    yield Number("dba[4]", "-.74747722", dparams["b"][4].item())


def lstm_forward() -> Iterator[Number]:
    """One step, a sequence, and the sequence of the tests of 2021."""
    course = Draws()
    x, a, c = course.rows(3, 10), course.rows(5, 10), course.rows(5, 10)
    params, output = course.lstm()
    step = jax.jit(jaxnn.lstm_step)
    a, (_, c) = step(params, x, (a, c))
    yield from numbers("cell: a_next[4]", """
        -.66408471 .0036921 .02088357 .22834167 -.85575339 .00138482 .76566531 .34631421
        -.00215674 .43827275""", a[:, 4])  # fmt: skip
    yield from numbers("cell: c_next[2]", """
        .63267805 1.00570849 .35504474 .20690913 -1.64566718 .11832942 .76449811 -.0981561
        -.74348425 -.26810932""", c[:, 2])  # fmt: skip
    yield from numbers("cell: yt[1]", """
        .79913913 .15986619 .22412122 .15606108 .97057211 .31146381 .00943007 .12666352
        .39380172 .07828381""", of_output(output, a)[:, 1], units=1)  # fmt: skip
    course = Draws()
    x, a0, (params, output) = course.rows(3, 10, 7), course.rows(5, 10), course.lstm()
    zeros = np.zeros_like(a0)
    a = apply(jaxnn.lstm(5), params, (x, (a0, zeros)))
    yield Number("a[4][3][6]", ".172117767533", a[3, 6, 4].item())
    yield Number("y[1][4][3]", ".95087346185", of_output(output, a)[4, 3, 1].item())
    _, state = step(params, x[:, 0], (a0, zeros))
    _, (_, c) = step(params, x[:, 1], state)
    yield Number("c[1][2][1]", "-.855544916718", c[2, 1].item())
    course = Draws(45)
    x, a0, (params, output) = course.rows(4, 13, 16), course.rows(3, 13), course.lstm(3, 4)
    a = apply(jaxnn.lstm(3), params, (x, (a0, np.zeros_like(a0))))
    yield from numbers("2021: a[2,1,4:6]", "-.01606022 .0243569", a[1, 4:6, 2])
    y = of_output(output, a)
    yield from numbers("2021: y[1,1,4:6]", ".70444592 .70648935", y[1, 4:6, 1])


def lstm_cell_backward() -> Iterator[Number]:
    """The cell alone, since the layer has no gradient dc of its last state."""
    course = Draws()
    x, a, c = (jnp.asarray(course.rows(n, 10)) for n in (3, 5, 5))
    params, _ = course.lstm()
    da, dc = jnp.asarray(course.rows(5, 10)), jnp.asarray(course.rows(5, 10))

    @jax.jit
    def backward(params: Any) -> Any:
        W, U, b = (jnp.asarray(params[name]) for name in "WUb")
        z = x @ W.T + jnp.broadcast_to(b, (10, 20))
        new, needs = CELL.forward(z, a @ U.T, (a, c))
        dz, (_, dc_prev) = CELL.backward(needs, (a, c), new, (da, dc))
        dparams = {"W": dz.T @ x, "U": dz.T @ a, "b": dz.sum(0)}
        return dparams, dz @ W, dz @ U, dc_prev

    dparams, dx, da_prev, dc_prev = backward(params)
    yield Number("dxt[1][2]", "3.23055911511", dx[2, 1].item())
    yield Number("da_prev[2][3]", "-.0639621419711", da_prev[3, 2].item())
    yield Number("dc_prev[2][3]", ".797522038797", dc_prev[3, 2].item())
    weights = {
        "f": (3, 1, "-.147954838164"),
        "i": (1, 2, "1.05749805523"),
        "c": (3, 1, "2.30456216369"),
        "o": (1, 2, ".331311595289"),
    }
    yield from of_gates(dparams, weights, ".18864637 -.40142491 .25587763 .13893342")


def draw_lstm_backward() -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """(params, x, a0, da) of ``lstm_backward``, the four steps on which the loss depends."""
    course = Draws()
    x, a0, (params, _) = course.rows(3, 10, 7), course.rows(5, 10), course.lstm(n_y=None)
    return params, x[:, :4], a0, course.rows(5, 10, 4)


def lstm_backward() -> Iterator[Number]:
    """A sequence: the gradients of all steps."""
    params, x, a0, da = draw_lstm_backward()
    state = (a0, np.zeros_like(a0))
    dparams, (dx, (da0, _)) = gradients(jaxnn.lstm(5), params, (x, state), da)
    yield from numbers("dx[1][2]", ".00218254 .28205375 -.48292508 -.43281115", dx[2, :, 1])
    yield Number("da0[2][3]", ".312770310257", da0[3, 2].item())
    weights = {
        "f": (3, 1, "-.0809802310938"),
        "i": (1, 2, ".40512433093"),
        "c": (3, 1, "-.0793746735512"),
        "o": (1, 2, ".038948775763"),
    }
    yield from of_gates(dparams, weights, "-.15745657 -.50848333 -.42510818 -.17958196")


SET = Set(
    name="recurrent",
    title="RNN and LSTM, forward and backward",
    source="DeepLearning.AI, Sequence Models, week 1",
    run=run,
)
