"""CS231n's assignments: layers on evenly spaced numbers, which need no generator.

L(a, b, shape) is ``linspace`` in a shape.  CS231n has x (N, D), W (D, H) and the gates i, f, o, g;
images are (N, C, H, W) and filters (F, C, H, W).

Source: Stanford's CS231n, assignments of 2021 (MIT), github:cs231n/cs231n.github.io @3d84654b.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn
from catnet.course.networks import apply
from catnet.course.record import Number, Options, Set, Table, numbers
from jaxnn import Masked


def spaced(low: float, high: float, *shape: int) -> np.ndarray:
    """L(low, high, shape)."""
    return np.linspace(low, high, int(np.prod(shape))).reshape(shape)


def with_our_gates(Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """The params of ``rnn`` or ``lstm``: transposed, with the gates in the order i, f, g, o."""
    if Wx.shape[1] > Wh.shape[0]:
        Wx, Wh, b = (
            np.concatenate([np.split(a, 4, axis=-1)[i] for i in (0, 1, 3, 2)], axis=-1)
            for a in (Wx, Wh, b)
        )
    return {"W": Wx.T, "U": Wh.T, "b": b}


def run(options: Options) -> Iterator[Table]:
    """A table of recurrent layers, a table of images, and a table of a two-layer network."""
    yield Table("recurrent layers, float64", [*rnn(), *lstm(), *captions()])
    yield Table("images, float64", list(images()))
    yield Table("two-layer network, Adam, float64", [*two_layers(), *adam()])


def rnn() -> Iterator[Number]:
    """One step, and a sequence."""
    params = with_our_gates(spaced(-0.1, 0.9, 10, 4), spaced(-0.3, 0.7, 4, 4), spaced(-0.2, 0.4, 4))
    h, _ = jax.jit(jaxnn.rnn_step)(params, spaced(-0.4, 0.7, 3, 10), spaced(-0.2, 0.5, 3, 4))  # type: ignore
    yield from numbers("rnn_step", """
        -.58172089 -.50182032 -.41232771 -.31410098 .66854692 .79562378 .87755553 .92795967
        .97934501 .99144213 .99646691 .99854353""", h)  # fmt: skip
    params = with_our_gates(spaced(-0.2, 0.4, 4, 5), spaced(-0.4, 0.1, 5, 5), spaced(-0.7, 0.1, 5))
    h = apply(jaxnn.rnn(5), params, (spaced(-0.1, 0.3, 2, 3, 4), spaced(-0.3, 0.1, 2, 5)))
    published = "-.51014825 -.30524429 -.06755202 .17806392 .40333043"
    yield from numbers("rnn", published, h[1, 2])


def lstm() -> Iterator[Number]:
    """One step, and a sequence."""
    Wx, Wh = spaced(-2.1, 1.3, 4, 20), spaced(-0.7, 2.2, 5, 20)
    params = with_our_gates(Wx, Wh, spaced(0.3, 0.7, 20))
    state = (spaced(-0.3, 0.7, 3, 5), spaced(-0.4, 0.9, 3, 5))
    h, (_, c) = jax.jit(jaxnn.lstm_step)(params, spaced(-0.4, 1.2, 3, 4), state)  # type: ignore
    yield from numbers("lstm_step: h", ".24635157 .28610883 .32240467 .35525807 .38474904", h[0])
    yield from numbers("lstm_step: c", ".32986176 .39145139 .451556 .51014116 .56717407", c[0])
    Wx, Wh = spaced(-0.2, 0.9, 5, 16), spaced(-0.3, 0.6, 4, 16)
    params, h0 = with_our_gates(Wx, Wh, spaced(0.2, 0.7, 16)), spaced(-0.4, 0.8, 2, 4)
    h = apply(jaxnn.lstm(4), params, (spaced(-0.4, 0.6, 2, 3, 5), (h0, np.zeros_like(h0))))
    yield from numbers("lstm", ".81733511 .83677871 .85403753 .86935314", h[1, 2])


def captions() -> Iterator[Number]:
    """An embedding; a network that describes an image: its loss over the words that are there."""
    tokens = np.array([[0, 3, 1, 2], [2, 1, 0, 3]])
    y = apply(jaxnn.embedding(5, 3), {"E": spaced(0, 1, 5, 3)}, tokens)
    yield from numbers("embedding: out[0,1]", ".64285714 .71428571 .78571429", y[0, 1])
    N, D, W, H, V, T = 10, 20, 30, 40, 3, 13
    names = np.arange(N * T).reshape(N, T) % V
    words, targets = names[:, :-1], names[:, 1:]

    def weight(*shape: int) -> np.ndarray:
        return spaced(-1.4, 1.3, *shape)

    for cell, k, low, high, published in (
        ("rnn", 1, -1.5, 0.3, "9.83235591003"),
        ("lstm", 4, -0.5, 1.7, "9.82445935443"),
    ):
        image_params = {"W": weight(D, H).T, "b": weight(H)}
        h0 = apply(jaxnn.dense(H), image_params, spaced(low, high, N, D))
        x = apply(jaxnn.embedding(V, W), {"E": weight(V, W)}, words)
        params = with_our_gates(weight(W, k * H), weight(H, k * H), weight(k * H))
        state = (h0, jnp.zeros_like(h0)) if cell == "lstm" else h0
        h = apply(getattr(jaxnn, cell)(H), params, (x, state))
        z = apply(jaxnn.dense(V), {"W": weight(H, V).T, "b": weight(V)}, h)
        there = targets != 0
        loss = jaxnn.masked_loss(jaxnn.softmax_cross_entropy)
        mean = loss(z, Masked(targets, there))  # type: ignore
        yield Number(f"captions, {cell}: loss", published, mean.item() * there.sum() / N)


def images() -> Iterator[Number]:
    """Convolution and max pooling."""
    x, W = spaced(-0.1, 0.5, 2, 3, 4, 4), spaced(-0.2, 0.3, 3, 3, 4, 4)
    params = {"W": W.transpose(2, 3, 1, 0), "b": spaced(-0.1, 0.2, 3)}
    y = apply(jaxnn.conv(3, 4, 2, ((1, 1), (1, 1))), params, x.transpose(0, 2, 3, 1))
    published = "-.08759809 -.10987781 -.18387192 -.2109216"
    yield from numbers("convolution: out[0,0]", published, y[0, :, :, 0])
    y = apply(jaxnn.max_pool(2), (), spaced(-0.3, 0.4, 2, 3, 4, 4).transpose(0, 2, 3, 1))
    published = "-.26315789 -.24842105 -.20421053 -.18947368"
    yield from numbers("max pooling: out[0,0]", published, y[0, :, :, 0])


def two_layers() -> Iterator[Number]:
    """5 → 50 → 7 with relu on three examples: scores, loss, and loss with ½ ΣW²."""
    D, H, C = 5, 50, 7
    W1, W2 = spaced(-0.7, 0.3, D, H), spaced(-0.3, 0.4, H, C)
    params = ({"W": W1.T, "b": spaced(-0.1, 0.9, H)}, (), {"W": W2.T, "b": spaced(-0.9, 0.1, C)})
    net = jaxnn.serial(jaxnn.dense(H), jaxnn.relu, jaxnn.dense(C))
    z = apply(net, params, spaced(-5.5, 4.5, D, 3).T)
    yield from numbers("scores[0]", """
        11.53165108 12.2917344 13.05181771 13.81190102 14.57198434 15.33206765 16.09215096
        """, z[0])  # fmt: skip
    loss = jaxnn.softmax_cross_entropy(z, np.array([0, 5, 1])).item()  # type: ignore
    yield Number("loss", "3.4702243556", loss)
    penalty = 0.5 * (np.sum(W1**2) + np.sum(W2**2))
    yield Number("loss with L2, 0.5 Σ W²", "26.5948426952", loss + penalty)


def adam() -> Iterator[Number]:
    """Step 6 of Adam."""
    w, dw = spaced(-0.4, 0.6, 4, 5), spaced(-0.6, 0.4, 4, 5)
    optimizer = optax.adam(0.01)
    moments, *rest = optimizer.init(w)  # type: ignore
    m, v = jnp.asarray(spaced(0.6, 0.9, 4, 5)), jnp.asarray(spaced(0.7, 0.5, 4, 5))
    state = (moments._replace(mu=m, nu=v, count=moments.count + 5), *rest)  # type: ignore
    step, _ = optimizer.update(dw, state)  # type: ignore
    published = "-.40094747 -.34836187 -.29577703 -.24319299 -.19060977"
    yield from numbers("Adam, t = 6: w[0]", published, (w + step)[0])


SET = Set(
    name="cs231n",
    title="layers, losses and Adam on evenly spaced numbers",
    source="Stanford's CS231n, assignments of 2021",
    run=run,
)
