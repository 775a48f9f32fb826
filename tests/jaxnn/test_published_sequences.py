"""Published numbers of recurrent layers and attention, to the digits that were printed.

From the assignments of two courses: DeepLearning.AI's sequence models, whose numbers come from
``np.random.seed(1)``, and Stanford's CS231n, whose inputs are evenly spaced numbers.
"""

# Wrong types and NumPy's arrays are passed on purpose.
# pyright: reportArgumentType=false

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn import Layer, Masked
from jaxnn.layers.lstm import CELL

pytestmark = pytest.mark.usefixtures("compiled_quickly", "x64")
ORDER = ("i", "f", "c", "o")  # our gates i, f, g, o by the course's names


def equal(actual: Any, printed: str, digits: int = 8) -> None:
    """Equal but for one in the last digit: some numbers were printed without rounding."""
    np.testing.assert_allclose(
        np.ravel(actual), np.array(printed.split(), float), rtol=0, atol=1.01 * 10.0**-digits
    )


def softmax(z: Any) -> np.ndarray:
    return np.asarray(jax.nn.softmax(z))


class Course:
    """Draws in the course's order; x is (n_x, m, T) there, and (m, T, n_x) here."""

    def __init__(self, seed: int = 1) -> None:
        self.draw = np.random.RandomState(seed).randn

    def rows(self, *shape: int) -> np.ndarray:
        return np.moveaxis(self.draw(*shape), 0, -1)

    def rnn(self, n_a: int = 5, n_x: int = 3, n_y: int = 2, *, a_first: bool = True) -> Any:
        names = ("Waa", "Wax") if a_first else ("Wax", "Waa")
        W = {name: self.draw(n_a, n_x if name == "Wax" else n_a) for name in names}
        Wy, b, by = self.draw(n_y, n_a), self.draw(n_a, 1), self.draw(n_y, 1)
        return {"W": W["Wax"], "U": W["Waa"], "b": b[:, 0]}, {"W": Wy, "b": by[:, 0]}

    def lstm(self, n_a: int = 5, n_x: int = 3, n_y: int | None = 2) -> Any:
        """Each gate's W is [of a_prev, of x] side by side."""
        gates = {g: (self.draw(n_a, n_a + n_x), self.draw(n_a, 1)) for g in ("f", "i", "o", "c")}
        stacked = np.concatenate([gates[g][0] for g in ORDER])
        params = {"W": stacked[:, n_a:], "U": stacked[:, :n_a]}
        params["b"] = np.concatenate([gates[g][1][:, 0] for g in ORDER])
        if n_y is None:
            return params, None
        return params, {"W": self.draw(n_y, n_a), "b": self.draw(n_y, 1)[:, 0]}


def gradients(layer: Layer, params: Any, x: Any, dy: Any) -> tuple[Any, Any]:
    @jax.jit
    def run(params: Any, x: Any, dy: Any) -> Any:
        return layer.backward(params, layer.forward(params, x)[1], dy)

    return run(params, jax.tree.map(jnp.asarray, x), jnp.asarray(dy))


def of_y(output: Any, a: Any) -> np.ndarray:
    return softmax(jaxnn.dense(2).apply(output, a))


def test_rnn_cell() -> None:
    course = Course()
    x, a, (params, output) = course.rows(3, 10), course.rows(5, 10), course.rnn()
    a, _ = jaxnn.rnn_step(params, jnp.asarray(x), jnp.asarray(a))
    equal(a[:, 4], ".59584544 .18141802 .61311866 .99808218 .85016201 .99980978 -.18887155 "
                   ".99815551 .6531151 .82872037")  # fmt: skip
    equal(of_y(output, a)[:, 1], ".9888161 .01682021 .21140899 .36817467 .98988387 .88945212 "
                                 ".36920224 .9966312 .9982559 .17746526")  # fmt: skip


def test_rnn_forward() -> None:
    course = Course()
    x, a0, (params, output) = course.rows(3, 10, 4), course.rows(5, 10), course.rnn()
    a = jaxnn.rnn(5).apply(params, (x, a0))
    equal(a[1, :, 4], "-.99999375 .77911235 -.99861469 -.99833267")
    equal(of_y(output, a)[3, :, 1], ".79560373 .86224861 .11118257 .81515947")
    course = Course(17)
    x, a0, (params, _) = course.rows(4, 8, 13), course.rows(7, 8), course.rnn(7, 4, 3)
    equal(jaxnn.rnn(7).apply(params, (x, a0))[2, 2:6, 5],
          ".99999291 .99332189 .9921928 .99503445")  # fmt: skip


def test_rnn_cell_backward() -> None:
    course = Course()
    x, a, (params, _) = course.rows(3, 10), course.rows(5, 10), course.rnn(a_first=False)
    dparams, (dx, da) = gradients(
        jaxnn.rnn(5), params, (x[:, None], a), course.rows(5, 10)[:, None]
    )
    equal(dx[2, 0, 1], "-1.3872130506", 10)
    equal(da[3, 2], "-.152399493774", 12)
    equal(dparams["W"][3, 1], ".410772824935", 12)
    equal(dparams["U"][1, 2], "1.15034506685", 11)
    equal(dparams["b"][4], ".20023491")


def test_rnn_backward() -> None:
    course = Course()
    x, a0, (params, _) = course.rows(3, 10, 4), course.rows(5, 10), course.rnn(a_first=False)
    dparams, (dx, da0) = gradients(jaxnn.rnn(5), params, (x, a0), course.rows(5, 10, 4))
    equal(dx[2, :, 1], "-2.07101689 -.59255627 .02466855 .01483317")
    equal(da0[3, 2], "-.314942375127", 12)
    equal(dparams["W"][3, 1], "11.2641044965", 10)
    equal(dparams["U"][1, 2], "2.30333312658", 11)
    equal(dparams["b"][4], "-.74747722")


def test_lstm_cell() -> None:
    course = Course()
    x, a, c = course.rows(3, 10), course.rows(5, 10), course.rows(5, 10)
    params, output = course.lstm()
    a, (_, c) = jaxnn.lstm_step(params, jnp.asarray(x), (jnp.asarray(a), jnp.asarray(c)))
    equal(a[:, 4], "-.66408471 .0036921 .02088357 .22834167 -.85575339 .00138482 .76566531 "
                   ".34631421 -.00215674 .43827275")  # fmt: skip
    equal(c[:, 2], ".63267805 1.00570849 .35504474 .20690913 -1.64566718 .11832942 .76449811 "
                   "-.0981561 -.74348425 -.26810932")  # fmt: skip
    equal(of_y(output, a)[:, 1], ".79913913 .15986619 .22412122 .15606108 .97057211 .31146381 "
                                 ".00943007 .12666352 .39380172 .07828381")  # fmt: skip


def test_lstm_forward() -> None:
    course = Course()
    x, a0, (params, output) = course.rows(3, 10, 7), course.rows(5, 10), course.lstm()
    a = jaxnn.lstm(5).apply(params, (x, (a0, np.zeros_like(a0))))
    equal(a[3, 6, 4], ".172117767533", 12)
    equal(of_y(output, a)[4, 3, 1], ".95087346185", 11)
    _, (_, c) = jaxnn.lstm_step(params, jnp.asarray(x[:, 0]), (a0, np.zeros_like(a0)))
    _, (_, c) = jaxnn.lstm_step(params, jnp.asarray(x[:, 1]), (a[:, 0], c))
    equal(c[2, 1], "-.855544916718", 12)
    course = Course(45)
    x, a0, (params, _) = course.rows(4, 13, 16), course.rows(3, 13), course.lstm(3, 4)
    equal(jaxnn.lstm(3).apply(params, (x, (a0, np.zeros_like(a0))))[1, 4:6, 2],
          "-.01606022 .0243569")  # fmt: skip


def test_lstm_cell_backward() -> None:
    """The cell alone, since the layer has no gradient dc of its last state."""
    course = Course()
    x, a, c = course.rows(3, 10), course.rows(5, 10), course.rows(5, 10)
    params, _ = course.lstm()
    da, dc = jnp.asarray(course.rows(5, 10)), jnp.asarray(course.rows(5, 10))

    W, U, b = (jnp.asarray(params[name]) for name in "WUb")
    z = x @ W.T + jnp.broadcast_to(b, (10, 20))
    new, needs = CELL.forward(z, a @ U.T, (a, c))
    dz, (_, dc_prev) = CELL.backward(needs, (a, c), new, (da, dc))
    da_prev, dx = dz @ U, dz @ W
    dparams = {"W": dz.T @ x, "U": dz.T @ a, "b": dz.sum(0)}
    equal(dx[2, 1], "3.23055911511", 11)
    equal(da_prev[3, 2], "-.0639621419711", 13)
    equal(dc_prev[3, 2], ".797522038797", 12)
    equal_gates(dparams, {"f": (3, 1, "-.147954838164"), "i": (1, 2, "1.05749805523"),
                          "c": (3, 1, "2.30456216369"), "o": (1, 2, ".331311595289")},
                {"f": ".18864637", "i": "-.40142491", "c": ".25587763",
                 "o": ".13893342"})  # fmt: skip


def equal_gates(dparams: Any, weights: dict[str, Any], biases: dict[str, str]) -> None:
    n = len(dparams["b"]) // 4
    side_by_side = np.concatenate([dparams["U"], dparams["W"]], axis=1)
    for gate, (i, j, printed) in weights.items():
        digits = len(printed.split(".")[1])
        equal(side_by_side[ORDER.index(gate) * n + i, j], printed, digits)
    for gate, printed in biases.items():
        equal(dparams["b"][ORDER.index(gate) * n + 4], printed)


def test_lstm_backward_through_time() -> None:
    """Until 2020 the course expected the numbers without the gradient of the steps before."""
    course = Course()
    x, a0, (params, _) = course.rows(3, 10, 7), course.rows(5, 10), course.lstm(n_y=None)
    da = course.rows(5, 10, 4)  # of the first four steps
    state = (a0, np.zeros_like(a0))
    dparams, (dx, (da0, _)) = gradients(jaxnn.lstm(5), params, (x[:, :4], state), da)
    equal(dx[2, :, 1], ".00218254 .28205375 -.48292508 -.43281115")
    equal(da0[3, 2], ".312770310257", 12)
    equal_gates(dparams, {"f": (3, 1, "-.0809802310938"), "i": (1, 2, ".40512433093"),
                          "c": (3, 1, "-.0793746735512"), "o": (1, 2, ".038948775763")},
                {"f": "-.15745657", "i": "-.50848333", "c": "-.42510818",
                 "o": "-.17958196"})  # fmt: skip


# ---- attention


def test_attention_of_three_queries_and_four_keys() -> None:
    """q, k and v are given: the memory is k beside v, and the weights pick them out of it.

    The numbers were printed from float32, which has seven digits.
    """
    q = np.array([[1, 0, 1, 1], [0, 1, 1, 1], [1, 0, 0, 1]], float)
    k = np.array([[1, 1, 0, 1], [1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 1]], float)
    v = np.array([[0, 0], [1, 0], [1, 0], [1, 1]], float)

    def attend(v: np.ndarray, mask: Any = None) -> np.ndarray:
        width = v.shape[1]
        pick_v = np.concatenate([np.zeros((width, 4)), np.eye(width)], axis=1)
        zeros = np.zeros(4)
        params = {
            "W_q": np.eye(4),
            "W_k": np.eye(4, 4 + width),
            "W_v": np.pad(pick_v, ((0, 4 - width), (0, 0))),
            "W_o": np.eye(4),
            **{"b_q": zeros, "b_v": zeros, "b_o": zeros},
        }
        memory = np.concatenate([k, v], axis=1)
        memory = memory if mask is None else Masked(memory, mask)
        return np.asarray(jaxnn.attention(1).apply(params, (q, memory)))

    equal(attend(v)[:, :2], ".74105227 .15705977 .7227253 .16817567 .6637989 .2039163", 7)
    equal(attend(np.eye(4)), ".2589478 .42693272 .15705977 .15705977 .2772748 .2772748 .2772748 "
                             ".16817567 .33620113 .33620113 .12368149 .2039163", 7)  # fmt: skip
    equal(attend(np.eye(4), np.array([True, True, False, True])),
          ".3071959 .5064804 0 .18632373 " + 2 * ".38365173 .38365173 0 .23269655 ", 7)  # fmt: skip


# ---- evenly spaced numbers: x (N, D), W (D, k H), gates i, f, o, g


def spaced(low: float, high: float, *shape: int) -> np.ndarray:
    return np.linspace(low, high, int(np.prod(shape))).reshape(shape)


def with_our_gates(Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    if Wx.shape[1] > Wh.shape[0]:  # i, f, o, g to i, f, g, o
        Wx, Wh, b = (
            np.concatenate([np.split(a, 4, axis=-1)[i] for i in (0, 1, 3, 2)], axis=-1)
            for a in (Wx, Wh, b)
        )
    return {"W": Wx.T, "U": Wh.T, "b": b}


def test_spaced_rnn() -> None:
    params = with_our_gates(spaced(-0.1, 0.9, 10, 4), spaced(-0.3, 0.7, 4, 4), spaced(-0.2, 0.4, 4))
    h, _ = jaxnn.rnn_step(params, spaced(-0.4, 0.7, 3, 10), spaced(-0.2, 0.5, 3, 4))
    equal(h, "-.58172089 -.50182032 -.41232771 -.31410098 .66854692 .79562378 .87755553 .92795967 "
             ".97934501 .99144213 .99646691 .99854353")  # fmt: skip
    params = with_our_gates(spaced(-0.2, 0.4, 4, 5), spaced(-0.4, 0.1, 5, 5), spaced(-0.7, 0.1, 5))
    h = jaxnn.rnn(5).apply(params, (spaced(-0.1, 0.3, 2, 3, 4), spaced(-0.3, 0.1, 2, 5)))
    equal(h[1, 2], "-.51014825 -.30524429 -.06755202 .17806392 .40333043")


def test_spaced_lstm() -> None:
    params = with_our_gates(
        spaced(-2.1, 1.3, 4, 20), spaced(-0.7, 2.2, 5, 20), spaced(0.3, 0.7, 20)
    )
    state = (spaced(-0.3, 0.7, 3, 5), spaced(-0.4, 0.9, 3, 5))
    h, (_, c) = jaxnn.lstm_step(params, spaced(-0.4, 1.2, 3, 4), state)
    equal(h[0], ".24635157 .28610883 .32240467 .35525807 .38474904")
    equal(c[0], ".32986176 .39145139 .451556 .51014116 .56717407")
    params = with_our_gates(
        spaced(-0.2, 0.9, 5, 16), spaced(-0.3, 0.6, 4, 16), spaced(0.2, 0.7, 16)
    )
    h0 = spaced(-0.4, 0.8, 2, 4)
    h = jaxnn.lstm(4).apply(params, (spaced(-0.4, 0.6, 2, 3, 5), (h0, np.zeros_like(h0))))
    equal(h[1, 2], ".81733511 .83677871 .85403753 .86935314")


def test_spaced_embedding() -> None:
    params = {"E": spaced(0, 1, 5, 3)}
    y = jaxnn.embedding(5, 3).apply(params, np.array([[0, 3, 1, 2], [2, 1, 0, 3]]))
    equal(y[0, 1], ".64285714 .71428571 .78571429")


@pytest.mark.parametrize(
    ("cell", "published"), [("rnn", "9.83235591003"), ("lstm", "9.82445935443")]
)
def test_captions(cell: str, published: str) -> None:
    """A network that describes an image: its loss over the words that are there."""
    N, D, W, H, V, T = 10, 20, 30, 40, 3, 13
    k = 4 if cell == "lstm" else 1
    low, high = (-0.5, 1.7) if cell == "lstm" else (-1.5, 0.3)
    weight = lambda *shape: spaced(-1.4, 1.3, *shape)  # noqa: E731
    captions = np.arange(N * T).reshape(N, T) % V
    words, targets = captions[:, :-1], captions[:, 1:]
    image_params = {"W": weight(D, H).T, "b": weight(H)}
    h0 = jaxnn.dense(H).apply(image_params, spaced(low, high, N, D))
    x = jaxnn.embedding(V, W).apply({"E": weight(V, W)}, words)
    params = with_our_gates(weight(W, k * H), weight(H, k * H), weight(k * H))
    state = (h0, jnp.zeros_like(h0)) if cell == "lstm" else h0
    h = getattr(jaxnn, cell)(H).apply(params, (x, state))
    z = jaxnn.dense(V).apply({"W": weight(H, V).T, "b": weight(V)}, h)
    loss = jaxnn.masked_loss(jaxnn.softmax_cross_entropy)
    there = targets != 0
    equal(loss(z, Masked(targets, there)) * there.sum() / N, published, 11)
