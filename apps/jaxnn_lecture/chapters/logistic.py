"""Chapter 2: logistic regression as one neuron, its cost, and descent on the cost surface."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.plane import plane
from jaxnn_lecture.plots import Line, line_plot
from jaxnn_lecture.svg import Axis, drawing, element, number, text

NEURON = jaxnn.dense(1)
GRID = 61  # points of the cost surface along each axis


def run(settings: Settings) -> Chapter:
    """The claims about the neuron, the loss, the surface, descent and the learning rate."""
    with jax.enable_x64(True):
        x, y = draw_examples(settings["examples"], settings["seed"])
        best, largest = find_minimum(x, y)
        surface = compute_surface(x, y, best)
        return Chapter(
            "logistic",
            CHAPTERS["logistic"].title,
            f"One input x and {len(x)} examples, so that the whole cost J(w, b) can be drawn. With "
            "12,288 inputs the formulas are the same.",
            (
                _neuron(),
                _loss(),
                _convex(x, y, best, surface),
                _descent(x, y, best, surface, settings),
                _rates(x, y, best, largest, settings),
            ),
        )


def draw_examples(m: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two classes on a line, which overlap: x (m, 1) and y (m, 1)."""
    rng = np.random.default_rng(seed)
    y = (np.arange(m) % 2).astype(float)
    return ((2 * y - 1) + 1.2 * rng.normal(size=m))[:, None], y[:, None]


def find_minimum(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """(w, b) of the lowest cost by Newton's method, and the largest curvature there."""
    point = np.zeros(2)
    for _ in range(50):
        g, h = (np.asarray(f(point, x, y)) for f in (_slope, _curvature))
        point = point - np.linalg.solve(h + 1e-12 * np.eye(2), g)
    return point, float(np.linalg.eigvalsh(np.asarray(_curvature(point, x, y))).max())


def _cost(point: Any, x: Any, y: Any) -> Any:
    params = {"W": point[:1, None], "b": point[1:]}
    return jaxnn.binary_cross_entropy(NEURON.apply(params, x), y)


def _squared_error(point: Any, x: Any, y: Any) -> Any:
    a = jax.nn.sigmoid(NEURON.apply({"W": point[:1, None], "b": point[1:]}, x))
    return jnp.mean((a - y) ** 2) / 2


_slope = jax.jit(jax.grad(_cost))
_curvature = jax.jit(jax.hessian(_cost))


def descend(
    x: np.ndarray, y: np.ndarray, start: Any, learning_rate: float, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """The path (steps + 1, 2) of (w, b), and the cost at each of its points."""
    points, costs = _descend(x, y, start, learning_rate, steps)
    return np.asarray(points), np.asarray(costs)


@functools.partial(jax.jit, static_argnames="steps")
def _descend(x: Any, y: Any, start: Any, learning_rate: Any, steps: int) -> tuple[Any, Any]:
    params = {"W": start[:1][None], "b": start[1:]}
    step = jaxnn.value_and_grad(NEURON, jaxnn.binary_cross_entropy)

    def update(params: Any, _: Any) -> tuple[Any, Any]:
        cost, grads = step(params, x, y)
        point = jnp.concatenate([params["W"][0], params["b"]])
        return jax.tree.map(lambda p, g: p - learning_rate * g, params, grads), (point, cost)

    return jax.lax.scan(update, params, None, steps + 1)[1]


def _neuron() -> Claim:
    w, b, x = np.array([[0.5, -1.0]]), np.array([0.25]), np.array([[1.5, 0.4]])
    z = float(NEURON.apply({"W": w, "b": b}, x)[0, 0])
    a = float(jaxnn.sigmoid.apply((), jnp.array(z)))
    expected = 0.5 * 1.5 - 1.0 * 0.4 + 0.25
    by_hand = 1 / (1 + np.exp(-expected))
    parts = [
        element("path", d="M62 52L190 90M62 142L190 104", class_="edge"),
        element("path", d="M290 97H330M404 97H424", class_="edge"),
        text(30, 57, "x₁ = 1.5", "middle"),
        text(30, 147, "x₂ = 0.4", "middle"),
        text(118, 50, "w₁ = 0.5"),
        text(118, 158, "w₂ = −1"),
        element("rect", x=190, y=62, width=100, height=70, rx=35, class_="bar", fill="none",
                stroke="currentColor"),
        text(240, 92, "z = wᵀx + b", "middle"),
        text(240, 114, f"= {number(z)}", "middle"),
        text(240, 154, "b = 0.25", "middle"),
        element("rect", x=330, y=62, width=74, height=70, rx=35, class_="bar", fill="none",
                stroke="currentColor"),
        text(367, 92, "σ(z)", "middle"),
        text(367, 114, f"= {a:.3f}", "middle"),
        text(430, 102, "ŷ"),
    ]  # fmt: skip
    figure = drawing(
        "A neuron with two inputs",
        f"The inputs 1.5 and 0.4 are weighted by 0.5 and −1; with b = 0.25 z is {number(z)}, and "
        f"σ(z) is {a:.3f}.",
        446,
        170,
        "".join(parts),
    )
    difference = max(abs(z - expected), abs(a - by_hand))
    return Claim(
        r"The neuron computes a probability: $\hat{y} = \sigma(w^T x + b)$",
        f"z = {number(z)} and ŷ = {a:.4f}, as computed by hand from the formula; the difference is "
        f"{number(difference)}.",
        difference < 1e-12 and 0 < a < 1,
        formulas=(r"z = w^T x + b", r"\sigma(z) = \frac{1}{1 + e^{-z}}"),
        figures=(Figure("One neuron with its numbers.", (figure,)),),
    )


def _loss() -> Claim:
    a = np.linspace(0.005, 0.995, 199)
    z = np.log(a / (1 - a))
    each = jax.jit(jax.vmap(jaxnn.binary_cross_entropy))
    losses = [np.asarray(each(z[:, None], np.full((len(z), 1), y))) for y in (1.0, 0.0)]
    figure = line_plot(
        "The loss of one example as ŷ moves",
        "For y = 1 the loss falls from above 5 at ŷ = 0.005 to almost 0 at ŷ = 0.995; for y = 0 it "
        "is the mirror image. They cross at ŷ = 0.5 with the loss log 2.",
        [Line(a, losses[0], "y = 1", 0), Line(a, losses[1], "y = 0", 1)],
        "prediction ŷ",
        "loss",
    )
    falls, rises = np.all(np.diff(losses[0]) < 0), np.all(np.diff(losses[1]) > 0)
    low, middle, high = (losses[0][i] for i in (1, 99, 197))
    return Claim(
        r"If $y = 1$, the loss wants $\hat{y}$ large; if $y = 0$, it wants $\hat{y}$ small.",
        f"For y = 1 the loss is {low:.2f} at ŷ = {a[1]:.2f}, {middle:.3f} at 0.5 (log 2) and "
        f"{high:.3f} at {a[197]:.2f}, and falls all the way; for y = 0 it rises all the way.",
        bool(falls and rises),
        formulas=(
            r"\mathcal L(\hat{y}, y) = -(y \log \hat{y} + (1 - y) \log(1 - \hat{y}))",
            r"J(w, b) = \frac{1}{m} \sum_{i=1}^{m} \mathcal L(\hat{y}^{(i)}, y^{(i)})",
        ),
        figures=(Figure("The loss of one example.", (figure,)),),
    )


class Surface(NamedTuple):
    """The cost around its minimum: axes, the points of a grid (GRID², 2), and J (GRID²,) there."""

    w: Axis
    b: Axis
    points: np.ndarray
    J: np.ndarray


def compute_surface(x: np.ndarray, y: np.ndarray, best: np.ndarray) -> Surface:
    """The surface of the cross-entropy."""
    reach = max(3.0, 1.5 * float(np.abs(best).max()))
    w, b = Axis(best[0] - reach, best[0] + reach, "w"), Axis(best[1] - reach, best[1] + reach, "b")
    ws, bs = np.linspace(w.low, w.high, GRID), np.linspace(b.low, b.high, GRID)
    points = np.stack(np.meshgrid(ws, bs), axis=-1).reshape(-1, 2)
    return Surface(w, b, points, _compute_costs(_cost, points, x, y))


def _compute_costs(cost: Any, points: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(cost, (0, None, None)))(points, x, y))


def _convex(x: np.ndarray, y: np.ndarray, best: np.ndarray, surface: Surface) -> Claim:
    w, b, points, entropy = surface
    error = _compute_costs(_squared_error, points, x, y)
    panels, lowest = [], []
    for name, cost, J in (
        ("cross-entropy", _cost, entropy),
        ("squared error", _squared_error, error),
    ):
        H = np.asarray(jax.jit(jax.vmap(jax.hessian(cost), (0, None, None)))(points, x, y))
        lowest.append(float(np.linalg.eigvalsh(H).min()))
        panels.append(
            plane(
                f"The cost surface of the {name}",
                f"J over w and b, dark where it is high, with level lines; lowest near w = "
                f"{best[0]:.2f}, b = {best[1]:.2f}.",
                w,
                b,
                shades=J.reshape(GRID, GRID),
                levels=np.quantile(J, [0.02, 0.1, 0.25, 0.45, 0.65, 0.85]).tolist(),
                width=300,
                height=290,
            )
        )
    return Claim(
        "With this loss J(w, b) is convex, one bowl with one minimum; with the squared error of "
        "ŷ it is not.",
        f"The least curvature (eigenvalue of the Hessian matrix) at {GRID * GRID:,} points: "
        f"{number(lowest[0])} for the cross-entropy, so it bends upwards everywhere; "
        f"{number(lowest[1])} for the squared error, so it bends downwards somewhere.",
        lowest[0] > -1e-12 and lowest[1] < -1e-6,
        figures=(
            Figure("J(w, b) of the cross-entropy (first) and of the squared error.", (*panels,)),
        ),
    )


def _descent(
    x: np.ndarray, y: np.ndarray, best: np.ndarray, surface: Surface, settings: Settings
) -> Claim:
    w, b, _, J = surface
    reach = 0.9 * (w.high - best[0])
    starts = [best + reach * np.array(corner) for corner in ((-1, -1), (-1, 1), (1, -1))]
    alpha, steps = settings["learning_rate"], settings["steps"]
    paths = [descend(x, y, start, alpha, steps) for start in starts]
    far = max(float(np.linalg.norm(points[-1] - best)) for points, _ in paths)
    begin = max(float(np.linalg.norm(points[0] - best)) for points, _ in paths)
    lines = [
        Line(points[:, 0], points[:, 1], f"start {i + 1}", i, markers=True)
        for i, (points, _) in enumerate(paths)
    ]
    figure = plane(
        "Gradient descent on the cost surface",
        f"Three paths from three corners walk down to the minimum at w = {best[0]:.2f}, b = "
        f"{best[1]:.2f}.",
        w,
        b,
        shades=J.reshape(GRID, GRID),
        levels=np.quantile(J, [0.02, 0.1, 0.25, 0.45, 0.65, 0.85]).tolist(),
        lines=lines,
    )
    return Claim(
        "Gradient descent takes the steepest way down, and from any start arrives at the same "
        "minimum.",
        f"With α = {number(alpha)}, three starts at a distance of up to {begin:.1f} are at most "
        f"{number(far)} from the minimum (found by Newton's method) after {steps} steps. The "
        f"surface is flat near the minimum: the cost there is within "
        f"{number(max(float(c[-1]) for _, c in paths) - float(_cost(best, x, y)))} of the lowest.",
        far < 0.1 * begin,
        formulas=(
            r"w := w - \alpha \frac{\partial J}{\partial w} \quad "
            r"b := b - \alpha \frac{\partial J}{\partial b}",
        ),
        figures=(Figure("Each dot is a step.", (figure,)),),
    )


def _rates(
    x: np.ndarray, y: np.ndarray, best: np.ndarray, largest: float, settings: Settings
) -> Claim:
    """Far too small, the reader's, and both sides of the limit 2 / (largest curvature)."""
    limit = 2 / largest
    steps, start = settings["steps"], np.zeros(2)
    rates = (limit / 500, settings["learning_rate"], limit * 1.5)
    runs = [descend(x, y, start, rate, steps) for rate in rates]
    lowest = float(_cost(best, x, y))
    labels = [f"α = {number(float(f'{rate:.3g}'))}" for rate in rates]
    figure = line_plot(
        "Cost by step for three learning rates",
        "; ".join(
            f"{label}: from {costs[0]:.3f} to {costs[-1]:.3f}"
            for label, (_, costs) in zip(labels, runs, strict=True)
        ),
        [
            Line(np.arange(steps + 1), costs, label, i)
            for i, (label, (_, costs)) in enumerate(zip(labels, runs, strict=True))
        ],
        "step",
        "cost J",
    )
    gaps = [float(costs[-1]) - lowest for _, costs in runs]
    return Claim(
        "Too small a learning rate is slow; too large a one overshoots and never arrives.",
        f"After {steps} steps the cost is above its minimum {lowest:.4f} by {number(gaps[0])} "
        f"({labels[0]}), {number(gaps[1])} ({labels[1]}) and {number(gaps[2])} ({labels[2]}). "
        f"The limit is 2 / (largest curvature at the minimum) = {number(limit)}: above it, a step "
        "overshoots the minimum by more than it was away.",
        gaps[1] < gaps[0] and gaps[1] < gaps[2] and gaps[2] > 1e-4,
        figures=(Figure("Three learning rates from w = b = 0.", (figure,)),),
    )
