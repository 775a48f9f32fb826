"""Chapter 5: one hidden layer with every number of its forward and backward pass."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

import jaxnn
from catnet.course.networks import as_params, initialize, network
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.html import details, table, widget
from jaxnn_lecture.networks import descend, layer_gradients
from jaxnn_lecture.plots import Line, line_plot
from jaxnn_lecture.svg import number

SIZES = (2, 3, 1)
X = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])  # 1 where the two numbers differ: XOR
NET = network(SIZES, jaxnn.tanh)


def run(settings: Settings) -> Chapter:
    """The claims about the six formulas, the dimensions, the gradient check and descent."""
    with jax.enable_x64(True):
        layers = initialize(SIZES, "sqrt", seed=settings["seed"])
        return Chapter(
            "hidden",
            CHAPTERS["hidden"].title,
            "A network small enough to read every number: two inputs, three hidden units with "
            "tanh, one output; four examples, whose label is 1 where the two inputs differ. One "
            "neuron cannot learn that.",
            (
                _formulas(layers, settings),
                _dimensions(layers),
                _check(layers),
                _descent(settings),
            ),
        )


def by_formulas(layers: Any) -> dict[str, np.ndarray]:
    """The lecture's formulas in NumPy, examples in columns; the names are the lecture's."""
    (W1, b1), (W2, b2) = ((W, b[:, None]) for W, b in layers)
    A0, y, m = X.T, Y.T, len(X)
    Z1 = W1 @ A0 + b1
    A1 = np.tanh(Z1)
    Z2 = W2 @ A1 + b2
    A2 = 1 / (1 + np.exp(-Z2))
    dZ2 = A2 - y
    dW2 = dZ2 @ A1.T / m
    db2 = dZ2.sum(axis=1, keepdims=True) / m
    dZ1 = (W2.T @ dZ2) * (1 - A1**2)
    dW1 = dZ1 @ A0.T / m
    db1 = dZ1.sum(axis=1, keepdims=True) / m
    return {
        "Z[1]": Z1, "A[1]": A1, "Z[2]": Z2, "A[2]": A2, "dZ[2]": dZ2, "dW[2]": dW2,
        "db[2]": db2, "dZ[1]": dZ1, "dW[1]": dW1, "db[1]": db1,
    }  # fmt: skip


def by_jaxnn(layers: Any) -> dict[str, np.ndarray]:
    """The same from jaxnn's layers, in the lecture's layout and with its dZ = A − Y."""
    params, m = as_params(layers), len(X)
    (Z1, A1, Z2), (dZ1, _, dZ2) = layer_gradients(NET, params, X, Y)
    _, grads = jaxnn.value_and_grad(NET, jaxnn.binary_cross_entropy)(params, X, Y)
    columns = {
        "Z[1]": Z1.T, "A[1]": A1.T, "Z[2]": Z2.T, "A[2]": jax.nn.sigmoid(Z2).T,
        "dZ[2]": m * dZ2.T, "dW[2]": grads[2]["W"], "db[2]": grads[2]["b"][:, None],
        "dZ[1]": m * dZ1.T, "dW[1]": grads[0]["W"], "db[1]": grads[0]["b"][:, None],
    }  # fmt: skip
    return {name: np.asarray(value) for name, value in columns.items()}


def stepper_data(layers: Any, learning_rate: float) -> dict[str, Any]:
    """The examples and the network of the drawing that the reader steps through."""
    return {
        "X": X.tolist(),
        "Y": Y[:, 0].tolist(),
        "params": [{"W": W.tolist(), "b": b.tolist()} for W, b in layers],
        "rate": learning_rate,
        "activation": "tanh",
    }


def _formulas(layers: Any, settings: Settings) -> Claim:
    ours, lecture = by_jaxnn(layers), by_formulas(layers)
    by_jax = jaxnn.value_and_grad_by_jax(NET, jaxnn.binary_cross_entropy)
    _, grads = by_jax(as_params(layers), X, Y)
    pairs = {"dW[1]": grads[0]["W"], "db[1]": grads[0]["b"][:, None]}
    pairs |= {"dW[2]": grads[2]["W"], "db[2]": grads[2]["b"][:, None]}
    worst = max(float(np.abs(ours[name] - lecture[name]).max()) for name in ours)
    to_jax = max(float(np.abs(ours[name] - np.asarray(g)).max()) for name, g in pairs.items())
    rows = [
        [name, f"({', '.join(map(str, a.shape))})", number(float(np.abs(a - lecture[name]).max())),
         "; ".join(", ".join(f"{v:.3f}".replace("-", "−") for v in row) for row in a)]
        for name, a in ours.items()
    ]  # fmt: skip
    numbers = table(
        "All numbers at the start, by jaxnn; rows are separated by semicolons",
        ["", "shape", "difference", "values"],
        rows,
    )
    return Claim(
        "Backpropagation is these formulas, from right to left; nothing else is needed.",
        f"jaxnn's layers and the lecture's formulas in NumPy differ by at most {number(worst)} in "
        f"every number, and the gradients from jax.grad by at most {number(to_jax)}.",
        worst < 1e-12 and to_jax < 1e-12,
        formulas=(
            r"Z^{[1]} = W^{[1]} X + b^{[1]} \quad A^{[1]} = \tanh(Z^{[1]})",
            r"Z^{[2]} = W^{[2]} A^{[1]} + b^{[2]} \quad A^{[2]} = \sigma(Z^{[2]})",
            r"dZ^{[2]} = A^{[2]} - Y",
            r"dW^{[2]} = \frac{1}{m} dZ^{[2]} A^{[1] T} \quad "
            r"db^{[2]} = \frac{1}{m} \sum_{i=1}^{m} dz^{[2](i)}",
            r"dZ^{[1]} = W^{[2] T} dZ^{[2]} \circ g'(Z^{[1]})",
            r"dW^{[1]} = \frac{1}{m} dZ^{[1]} X^T \quad "
            r"db^{[1]} = \frac{1}{m} \sum_{i=1}^{m} dz^{[1](i)}",
        ),
        figures=(
            Figure(
                "The network with its numbers. On an edge is its weight, and below it, in italics, "
                "the weight's gradient; dashed edges have negative weights. A node is darker the "
                "larger its activation. Move the slider to go forward and backward.",
                (widget("stepper", stepper_data(layers, settings["learning_rate"])),),
                scripts=("network", "stepper"),
            ),
            Figure("The same numbers for reading.", (details("All numbers as a table", numbers),)),
        ),
    )


def _dimensions(layers: Any) -> Claim:
    ours = by_jaxnn(layers)
    shapes = {name: value.shape for name, value in ours.items()}
    shapes |= {f"W[{i + 1}]": W.shape for i, (W, _) in enumerate(layers)}
    shapes |= {f"b[{i + 1}]": (len(b), 1) for i, (_, b) in enumerate(layers)}
    pairs = [(f"{v}[{i}]", f"d{v}[{i}]") for i in (1, 2) for v in "WbZ"]

    def words(name: str) -> str:
        return f"({', '.join(map(str, shapes[name]))})"

    rules = {"W": "$(n^{[l]}, n^{[l-1]})$", "b": "$(n^{[l]}, 1)$", "Z": "$(n^{[l]}, m)$"}
    rows = [[f"{a} and {b}", rules[a[0]], words(a), words(b)] for a, b in pairs]
    return Claim(
        "A gradient has the dimensions of what it belongs to: dW those of W, db of b, dZ of Z.",
        f"All {len(pairs)} pairs have equal shapes, with m = {len(X)} and the sizes "
        f"{' → '.join(map(str, SIZES))}.",
        all(shapes[a] == shapes[b] for a, b in pairs),
        figures=(Figure("Dimensions.", (table("", ["", "rule", "value", "gradient"], rows),)),),
    )


def _check(layers: Any) -> Claim:
    """The difference quotient against the rule, as the width of the quotient changes."""
    params = as_params(layers)
    W = params[0]["W"]
    _, grads = jaxnn.value_and_grad(NET, jaxnn.binary_cross_entropy)(params, X, Y)
    exact = float(grads[0]["W"][0, 0])

    def cost(w: float) -> float:
        moved = W.copy()
        moved[0, 0] = w
        return float(jaxnn.binary_cross_entropy(NET.apply(({**params[0], "W": moved}, *params[1:]), X), Y))  # fmt: skip  # noqa: E501

    widths = 10.0 ** np.arange(-11, 0)
    w = float(W[0, 0])
    one = [abs((cost(w + e) - cost(w)) / e - exact) for e in widths]
    two = [abs((cost(w + e) - cost(w - e)) / (2 * e) - exact) for e in widths]
    figure = line_plot(
        "The error of a difference quotient by its width ε",
        f"The two-sided quotient is best near ε = {number(widths[int(np.argmin(two))])} with an "
        f"error of {number(min(two))}; smaller ε are worse, because of rounding.",
        [Line(widths, one, "one-sided", 0, True), Line(widths, two, "two-sided", 1, True)],
        "ε",
        "error of dW[1]₁₁",
        log_x=True,
        log_y=True,
    )
    report = jaxnn.check_gradients(NET, params, X, Y, jaxnn.binary_cross_entropy)
    return Claim(
        "Gradient checking: the two-sided difference quotient agrees with the backward pass, and "
        "is more exact than the one-sided one.",
        f"At best the two-sided quotient is within {number(min(two))} of the rule, the one-sided "
        f"one within {number(min(one))}. jaxnn.check_gradients compares every entry of every "
        f"gradient with jax.vjp and such quotients: {'all pass' if report.ok else 'some fail'}.",
        min(two) < min(one) and report.ok,
        formulas=(
            r"\frac{\partial J}{\partial w} \approx "
            r"\frac{J(w + \text{ε}) - J(w - \text{ε})}{2 \text{ε}}",
        ),
        figures=(Figure("Both scales are logarithmic.", (figure,)),),
    )


def _descent(settings: Settings) -> Claim:
    steps = settings["steps"]
    net, params, costs = descend(SIZES, jaxnn.tanh, X, Y, settings)
    answers = np.asarray(jax.nn.sigmoid(net.apply(params, X)))[:, 0]
    _, _, single = descend((2, 1), jaxnn.tanh, X, Y, settings, scale="0")
    right = int(np.sum((answers > 0.5) == (Y[:, 0] > 0.5)))
    figure = line_plot(
        "Cost by step on the four examples",
        f"With a hidden layer the cost falls from {costs[0]:.3f} to {costs[-1]:.3f}; one neuron "
        f"stays at {single[-1]:.3f}.",
        [
            Line(np.arange(steps), costs, "one hidden layer", 0),
            Line(np.arange(steps), single, "one neuron", 1),
        ],
        "step",
        "cost J",
        y_range=(0.0, float(max(costs.max(), single.max())) * 1.05),
    )
    return Claim(
        "One hidden layer learns what one neuron cannot.",
        f"After {steps} steps the predictions are {', '.join(f'{a:.3f}' for a in answers)} for the "
        f"labels {', '.join(f'{y:.0f}' for y in Y[:, 0])}: {right} of 4 right, cost "
        f"{costs[-1]:.4f}. One neuron ends at {single[-1]:.4f}; log 2 = 0.6931 is the cost of "
        "always saying ½.",
        right == 4 and bool(single[-1] > 0.69),
        figures=(Figure("The same descent as the buttons above.", (figure,)),),
    )
