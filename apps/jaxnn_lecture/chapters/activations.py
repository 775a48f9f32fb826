"""Chapter 4: activations with their derivatives, linear ones, and vanishing gradients."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course import synthetic
from catnet.course.networks import as_params, initialize, network, share_right
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.networks import descend, draw_boundary, layer_gradients
from jaxnn_lecture.plots import Line, line_plot
from jaxnn_lecture.svg import number


class Activation(NamedTuple):
    """An activation: its layer, and the formulas of g and g′ in LaTeX."""

    layer: jaxnn.Layer
    function: str
    slope: str


ACTIVATIONS = {
    "sigmoid": Activation(jaxnn.sigmoid, r"a = \frac{1}{1 + e^{-z}}", r"g'(z) = a (1 - a)"),
    "tanh": Activation(jaxnn.tanh, r"a = \frac{e^z - e^{-z}}{e^z + e^{-z}}", r"g'(z) = 1 - a^2"),
    "ReLU": Activation(
        jaxnn.relu, r"a = \max(0, z)", r"g'(z) = 0 \text{ if } z < 0, 1 \text{ if } z > 0"
    ),
    "leaky ReLU": Activation(
        jaxnn.leaky_relu,
        r"a = \max(0.01 z, z)",
        r"g'(z) = 0.01 \text{ if } z < 0, 1 \text{ if } z > 0",
    ),
}


def run(settings: Settings) -> Chapter:
    """The claims about derivatives, linear activations and vanishing gradients."""
    with jax.enable_x64(True):
        x, y = synthetic.draw_moons(200, 0.15, np.random.RandomState(settings["seed"]))
        return Chapter(
            "activations",
            CHAPTERS["activations"].title,
            "The four activations of the lecture, forward and backward as jaxnn computes them.",
            (
                _derivatives(),
                _sigmoid_is_flat(),
                _linear(x, y, settings),
                _vanishing(x, y, settings),
            ),
        )


def slope_by_hand(layer: jaxnn.Layer, z: Any) -> np.ndarray:
    """g'(z) from the layer's backward pass: dz of da = 1."""
    _, cache = layer.forward((), jnp.asarray(z))
    return np.asarray(layer.backward((), cache, jnp.ones_like(z))[1])


def _derivatives() -> Claim:
    z = np.linspace(-5, 5, 202)  # without 0, where ReLU has a kink
    panels, worst = [], 0.0
    for name, activation in ACTIVATIONS.items():
        layer = activation.layer
        a, slope = np.asarray(layer.apply((), z)), slope_by_hand(layer, z)
        by_jax = jax.vmap(jax.grad(lambda v, layer=layer: layer.apply((), v)))(jnp.asarray(z))
        worst = max(worst, float(np.abs(slope - np.asarray(by_jax)).max()))
        panels.append(
            line_plot(
                name,
                f"g rises from {number(a[0])} at z = −5 to {number(a[-1])} at 5; g′ is "
                f"{number(slope[0])} at −5, at most {number(slope.max())}, {number(slope[-1])} "
                "at 5.",
                [Line(z, a, f"{name} g(z)", 0), Line(z, slope, "g′(z)", 1)],
                "z",
                "",
                width=300,
                height=230,
            )
        )
    return Claim(
        "The derivatives are as drawn; those of sigmoid and tanh are functions of a alone.",
        f"jaxnn's rules by hand and jax.grad differ by at most {number(worst)} at {len(z)} points "
        "from −5 to 5. At z = 0 ReLU has no derivative; jaxnn takes 0.",
        worst < 1e-12,
        formulas=tuple(rf"{one.function} \quad {one.slope}" for one in ACTIVATIONS.values()),
        figures=(Figure("g (solid) and its derivative (dashed).", (*panels,)),),
    )


def _sigmoid_is_flat() -> Claim:
    z = np.array([-10.0, 0.0, 10.0])
    sigmoid, tanh = slope_by_hand(jaxnn.sigmoid, z), slope_by_hand(jaxnn.tanh, z)
    expected = np.array([[0, 0.25, 0], [0, 1, 0]])
    worst = float(np.abs(np.stack([sigmoid, tanh]) - expected).max())
    ends = np.linspace(0.01, 10, 200)
    figure = line_plot(
        "The slopes of sigmoid and tanh far from 0",
        f"Both fall by a constant factor with every step of z: at z = 10 they are "
        f"{number(sigmoid[2])} and {number(tanh[2])}.",
        [
            Line(ends, slope_by_hand(jaxnn.sigmoid, ends), "sigmoid", 0),
            Line(ends, slope_by_hand(jaxnn.tanh, ends), "tanh", 1),
            Line(ends, slope_by_hand(jaxnn.relu, ends), "ReLU", 2),
        ],
        "z",
        "g′(z)",
        log_y=True,
    )
    return Claim(
        r"At $z = 10$ and $z = -10$ the slopes of sigmoid and tanh are about 0; at $z = 0$ they "
        r"are $\frac{1}{4}$ and 1.",
        f"sigmoid: {', '.join(map(number, sigmoid))}; tanh: {', '.join(map(number, tanh))} at "
        "z = −10, 0, 10.",
        worst < 1e-4,
        figures=(Figure("The slope on a logarithmic scale.", (figure,)),),
    )


def _linear(x: np.ndarray, y: np.ndarray, settings: Settings) -> Claim:
    sizes = (2, 8, 8, 1)
    layers = initialize(sizes, "sqrt", seed=settings["seed"])
    deep = network(sizes, jaxnn.identity)
    z = np.asarray(deep.apply(as_params(layers), x))
    W, b = layers[0]
    for W_next, b_next in layers[1:]:
        W, b = W_next @ W, W_next @ b + b_next
    single = np.asarray(jaxnn.dense(1).apply({"W": W, "b": b}, x))
    difference = float(np.abs(z - single).max())
    results = {}
    for name, hidden, activation in (
        ("one neuron", (2, 1), jaxnn.tanh),
        ("three linear layers", sizes, jaxnn.identity),
        ("three layers with tanh", sizes, jaxnn.tanh),
    ):
        net, params, _ = descend(hidden, activation, x, y, settings)
        right = share_right(net, params, x, y)
        results[name] = right, draw_boundary(name, net, params, x, y, right)
    rights = {name: right for name, (right, _) in results.items()}
    same = abs(rights["three linear layers"] - rights["one neuron"]) <= 0.02
    return Claim(
        "With linear activations, however many layers, the network is one linear layer.",
        r"The network 2 → 8 → 8 → 1 and the single layer with $W' = W^{[3]} W^{[2]} W^{[1]}$ "
        f"differ by at most {number(difference)}. Trained for {settings['steps']} steps: "
        + ", ".join(f"{name} {right:.1%} right" for name, right in rights.items())
        + ".",
        difference < 1e-12 and same,
        formulas=(
            r"W' = W^{[3]} W^{[2]} W^{[1]}",
            r"b' = W^{[3]} (W^{[2]} b^{[1]} + b^{[2]}) + b^{[3]}",
        ),
        figures=(
            Figure(
                "One neuron, three linear layers, three layers with tanh: only the last bends "
                "its boundary.",
                tuple(panel for _, panel in results.values()),
            ),
        ),
    )


def measure_gradients(
    x: np.ndarray, y: np.ndarray, depth: int, units: int, seed: int
) -> dict[str, np.ndarray]:
    """The root mean square of dZ of every layer, by activation; the first layer first."""
    norms = {}
    sizes = (2, *[units] * (depth - 1), 1)
    for name, activation in ACTIVATIONS.items():
        scale = "he" if "ReLU" in name else "sqrt"
        params = as_params(initialize(sizes, scale, seed=seed))
        _, gradients = layer_gradients(network(sizes, activation.layer), params, x, y)
        norms[name] = np.array([float(jnp.sqrt(jnp.mean(dz**2))) for dz in gradients[::2]])
    return norms


def _vanishing(x: np.ndarray, y: np.ndarray, settings: Settings) -> Claim:
    depth, units = settings["layers"], 20
    norms = measure_gradients(x, y, depth, units, settings["seed"])
    number_of_layer = np.arange(1, depth + 1)
    figure = line_plot(
        f"The size of dZ in a network of {depth} layers",
        "; ".join(
            f"{name}: {number(n[0])} in layer 1, {number(n[-1])} in layer {depth}"
            for name, n in norms.items()
        ),
        [
            Line(number_of_layer, n, name, i, markers=True)
            for i, (name, n) in enumerate(norms.items())
        ],
        "layer l",
        "root mean square of dZ",
        log_y=True,
    )
    shrink = {name: float((n[-2] / n[0]) ** (1 / (depth - 2))) for name, n in norms.items()}
    return Claim(
        "With sigmoid the gradients vanish in the first layers of a deep network; ReLU keeps them.",
        f"Before training, from one hidden layer to the one before it, dZ becomes "
        f"{shrink['sigmoid']:.2f} times smaller with sigmoid (the slope is at most ¼), "
        f"{shrink['tanh']:.2f} with tanh and {shrink['ReLU']:.2f} with ReLU. In the first of "
        f"{depth} layers it is {number(norms['sigmoid'][0])} with sigmoid and "
        f"{number(norms['ReLU'][0])} with ReLU. These are the numbers that jaxnn's backward pass "
        "hands from layer to layer.",
        bool(norms["sigmoid"][0] < 0.01 * norms["ReLU"][0]) and shrink["ReLU"] < 2,
        formulas=(r"dZ^{[l]} = W^{[l+1] T} \, dZ^{[l+1]} \circ g'(Z^{[l]})",),
        figures=(
            Figure(
                f"Networks with {depth - 1} hidden layers of {units} units at their random start.",
                (figure,),
            ),
        ),
    )
