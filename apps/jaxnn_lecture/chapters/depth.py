"""Chapter 7: what depth and width do to decision boundaries, and what they cost."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import numpy as np

import jaxnn
from catnet.course import planar, synthetic
from catnet.course.networks import as_params, network, share_right
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.html import details, table, widget
from jaxnn_lecture.networks import descend, draw_boundary
from jaxnn_lecture.plots import Line, line_plot
from jaxnn_lecture.svg import number

DEPTHS = (0, 1, 2, 5)
WIDTHS = (1, 2, 3, 4, 5, 20, 50)
BITS = 8  # inputs of the parity network; a power of two
TEETH = 6  # layers of the sawtooth network


def run(settings: Settings) -> Chapter:
    """The claims about depth, width, circuits and linear pieces; the playground."""
    with jax.enable_x64(True):
        return Chapter(
            "depth",
            CHAPTERS["depth"].title,
            "The course's flower: 400 points in the plane, two classes in alternating petals.",
            (_depths(settings), _widths(settings), _parity(), _sawtooth()),
        )


def playground_data(seed: int) -> dict[str, Any]:
    """The data of the playground: 200 points of each kind, rounded to three digits."""
    rng = np.random.RandomState(seed)
    flower = tuple(part[::2] for part in planar.draw_flower())
    square = rng.uniform(-1, 1, (200, 2))
    kinds = {
        "flower": flower,
        "moons": synthetic.draw_moons(200, 0.15, rng),
        "circles": synthetic.draw_circles(200, 0.08, rng, factor=0.5),
        "xor": (square, (square[:, :1] * square[:, 1:] < 0).astype(float)),
    }
    return {
        name: {"X": x.round(3).tolist(), "Y": y[:, 0].astype(int).tolist()}
        for name, (x, y) in kinds.items()
    }


def _depths(settings: Settings) -> Claim:
    x, y = planar.draw_flower()
    rights, panels = [], []
    for depth in DEPTHS:
        net, params, _ = descend((2, *[settings["units"]] * depth, 1), jaxnn.tanh, x, y, settings)
        rights.append(share_right(net, params, x, y))
        name = "logistic regression" if not depth else f"{depth} hidden layer{'s' * (depth > 1)}"
        panels.append(draw_boundary(name, net, params, x, y, rights[-1]))
    words = ", ".join(
        f"{right:.1%} with {depth}" for depth, right in zip(DEPTHS, rights, strict=True)
    )
    return Claim(
        "Logistic regression draws a straight line; hidden layers bend it.",
        f"Right answers after {settings['steps']} steps, {settings['units']} units a layer: "
        f"{words} hidden layers.",
        rights[0] < 0.6 and rights[1] > rights[0] + 0.2 and max(rights[2:]) >= rights[1] - 0.01,
        figures=(
            Figure(
                "No, one, two and five hidden layers; the black line is where the answer changes.",
                (*panels,),
            ),
            Figure(
                "A playground: choose the data, the network and the learning rate, and train it in "
                "the page. A darker ground is a larger ŷ. The page's own code computes it, with "
                "rules that are checked against jaxnn's.",
                (widget("playground", playground_data(settings["seed"])),),
                scripts=("network", "playground"),
            ),
        ),
    )


def _widths(settings: Settings) -> Claim:
    x, y = planar.draw_flower()
    x_new, y_new = planar.draw_flower(seed=(settings["seed"] + 100) % 2**32)
    rows, shares = [], []
    for units in WIDTHS:
        net, params, costs = descend((2, units, 1), jaxnn.tanh, x, y, settings, scale="0.01")
        shares.append((share_right(net, params, x, y), share_right(net, params, x_new, y_new)))
        own, new = shares[-1]
        rows.append([str(units), f"{costs[-1]:.4f}", f"{own:.1%}", f"{new:.1%}"])
    own, new = np.array(shares).T
    figure = line_plot(
        "Share of right answers by the number of hidden units",
        "; ".join(
            f"{u} units: {a:.1%}, new points {b:.1%}"
            for u, a, b in zip(WIDTHS, own, new, strict=True)
        ),
        [
            Line(WIDTHS, 100 * own, "the 400 points", 0, markers=True),
            Line(WIDTHS, 100 * new, "400 new points", 1, markers=True),
        ],
        "hidden units",
        "right, in percent",
        log_x=True,
    )
    numbers = table(
        "One hidden layer, by its size", ["units", "cost", "right", "right of new points"], rows
    )
    best = WIDTHS[int(np.argmax(new))]
    return Claim(
        "A few hidden units are enough; many more do not help.",
        f"One unit has {own[0]:.1%} right, five have {own[4]:.1%}, fifty {own[-1]:.1%}. Of 400 new "
        f"points of the same kind, {best} units have the most right, {new.max():.1%}; fifty "
        f"have {new[-1]:.1%}.",
        bool(own[4] > own[0] + 0.1 and new[-1] <= new[2:6].max() + 0.005),
        figures=(
            Figure("Each dot is a network; the scale of the units is logarithmic.", (figure,)),
            Figure("The numbers.", (details("All sizes", numbers),)),
        ),
    )


def parity_networks(bits: int) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Three ReLU networks for the parity of bits, as (W, b) of every layer.

    A tree of XORs, x ⊕ y = relu(x + y) − 2 relu(x + y − 1); a unit for each odd combination of
    bits; and a zigzag of the sum of all bits.
    """
    tree, n, combine = [], bits, np.eye(bits)
    while n > 1:
        W, b = np.zeros((n, n)), np.zeros(n)
        for pair in range(n // 2):
            W[2 * pair : 2 * pair + 2, 2 * pair : 2 * pair + 2] = 1
            b[2 * pair + 1] = -1
        tree.append((W @ combine, b))
        combine = np.kron(np.eye(n // 2), [[1.0, -2.0]])
        n //= 2
    tree.append((combine, np.zeros(1)))
    odd = np.array([c for c in itertools.product((0, 1), repeat=bits) if sum(c) % 2])
    gates = [(2.0 * odd - 1, 1.0 - odd.sum(axis=1)), (np.ones((1, len(odd))), np.zeros(1))]
    slopes = np.array([[1.0, *(2.0 * (-1) ** k for k in range(1, bits))]])
    zigzag = [(np.ones((bits, bits)), -np.arange(bits, dtype=float)), (slopes, np.zeros(1))]
    return {"tree of XORs": tree, "a unit for each odd case": gates, "zigzag of the sum": zigzag}


def _parity() -> Claim:
    x = np.array(list(itertools.product((0.0, 1.0), repeat=BITS)))
    y = x.sum(axis=1) % 2
    rows, units = [], {}
    exact = True
    for name, layers in parity_networks(BITS).items():
        sizes = [BITS, *(len(b) for _, b in layers)]
        z = np.asarray(network(sizes).apply(as_params(layers), x))[:, 0]
        error = float(np.abs(z - y).max())
        exact &= error < 1e-12
        units[name] = sum(sizes[1:-1])
        rows.append([name, str(len(layers) - 1), str(units[name]), number(error)])
    figure = table(
        f"Networks with ReLU that compute the parity of {BITS} bits",
        ["network", "hidden layers", "hidden units", "error"],
        rows,
    )
    tree, gates, zigzag = units.values()
    return Claim(
        f"The parity of {BITS} bits needs few units in a deep network, but with one hidden layer "
        "exponentially many.",
        f"On all {len(x)} inputs the three networks are {'exact' if exact else 'not exact'}. The "
        f"deep tree has {tree} hidden units. One hidden layer of logic gates needs $2^{{n-1}}$ = "
        f"{gates}, as the lecture says. But a unit with ReLU is more than a gate: {zigzag} of "
        "them, each of the sum of all bits, are enough.",
        exact and tree < gates and zigzag >= gates,
        formulas=(r"y = x_1 \text{ XOR } x_2 \text{ XOR } \dots \text{ XOR } x_n",),
        figures=(Figure("Weights set by hand, not trained.", (figure,)),),
    )


def sawtooth_network(layers: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The tent 2 relu(x) − 4 relu(x − ½) applied to itself: two units a layer."""
    first, b = np.ones((2, 1)), np.array([0.0, -0.5])
    tent = np.array([[2.0, -4.0]])
    return [(first, b), *[(first @ tent, b)] * (layers - 1), (tent, np.zeros(1))]


def count_pieces(z: np.ndarray) -> int:
    """The number of straight pieces of values on a regular grid."""
    bends = np.abs(np.diff(z, 2)) > 1e-9
    return 1 + int(np.sum(bends))


def _sawtooth() -> Claim:
    x = np.linspace(0, 1, 2 ** (TEETH + 3) + 1)[:, None]
    lines, pieces = [], []
    for i, depth in enumerate((1, 3, TEETH)):
        layers = sawtooth_network(depth)
        sizes = [1, *(len(b) for _, b in layers)]
        z = np.asarray(network(sizes).apply(as_params(layers), x))[:, 0]
        pieces.append(count_pieces(z))
        lines.append(
            Line(x[::2, 0], z[::2], f"{depth} layer{'s' * (depth > 1)}, {pieces[-1]} pieces", i)
        )
    panels = [
        line_plot(
            f"The function of {line.label}",
            "A sawtooth between 0 and 1.",
            [line._replace(style=0)],
            "x",
            "output",
            width=320,
            height=230,
        )
        for line in lines
    ]
    shallow = 2 * TEETH + 1
    return Claim(
        "There are functions that a small deep network computes and a shallow one only with "
        "exponentially more units.",
        f"A tent applied to itself: with {TEETH} layers of 2 units, {2 * TEETH} in all, the "
        f"function has {pieces[-1]} straight pieces (counted). One hidden layer of "
        f"{2 * TEETH} units with ReLU bends at most {2 * TEETH} times, so it has at most {shallow} "
        f"pieces; it needs {pieces[-1] - 1} units.",
        pieces[-1] == 2**TEETH and pieces[-1] > shallow,
        figures=(Figure("One, three and six layers of two units.", (*panels,)),),
    )
