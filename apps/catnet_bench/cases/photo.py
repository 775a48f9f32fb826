"""Case 5: the photo network in training and inference, against the same network in PyTorch."""

# pyright: reportMissingImports=false
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxnn
from catnet.training.photo.classes import Classes
from catnet.training.photo.config import PhotoConfig
from catnet.training.photo.state import make_state, network
from catnet.training.photo.steps import compile_steps
from catnet_bench.harness.case import Options
from catnet_bench.harness.report import Row, cores
from catnet_bench.harness.timing import Seconds
from catnet_bench.harness.worker import Contestant, race
from jaxnn.layer import Layer

MUST = 0.6  # of PyTorch's speed
RATE = 1e-3  # of Adam
STEPS = 4  # timed together: the first step after another contestant is slower


class Problem(NamedTuple):
    """A network, its parameters, and images to work on.

    Attributes:
        config: its widths and blocks.
        classes: number of classes.
        leaves: its parameters, in jaxnn's order and with its axes.
        images: (n, 64, 64, 3) uint8.
        labels: (n,) the class of each.
    """

    config: PhotoConfig
    classes: int
    leaves: list[np.ndarray]
    images: np.ndarray
    labels: np.ndarray

    @property
    def params(self) -> Any:
        """The parameters as jaxnn's pytree."""
        pixels = jax.ShapeDtypeStruct((64, 64, 3), "float32")
        like = jax.eval_shape(network(self.config, self.classes).init, jax.random.key(0), pixels)
        return jax.tree.unflatten(jax.tree.structure(like), map(jnp.asarray, self.leaves))

    @property
    def x(self) -> np.ndarray:
        """The images as the network sees them: float32 from 0 to 1."""
        return self.images.astype(np.float32) / 255


def make_problem(config: PhotoConfig, classes: int, all_images: int) -> Problem:
    """A problem of noise."""
    draw = np.random.default_rng(0)
    pixels = jax.ShapeDtypeStruct((64, 64, 3), "float32")
    leaves = jax.tree.leaves(draw_params(network(config, classes), pixels))
    images = draw.integers(0, 256, (all_images, 64, 64, 3), dtype=np.uint8)
    return Problem(config, classes, leaves, images, draw.integers(0, classes, all_images))


def draw_params(net: Layer, x: Any) -> Any:
    """Random parameters of a network for an input like x, drawn by NumPy; none of them is zero."""
    like = jax.eval_shape(net.init, jax.random.key(0), x)
    draw = np.random.default_rng(1)

    def leaf(like: jax.ShapeDtypeStruct) -> np.ndarray:
        values = draw.normal(size=like.shape)
        if len(like.shape) == 1:  # biases and scales
            values = 1 + 0.1 * values
        else:  # kernels (h, w, n_in, n_out) and matrices (n_out, n_in)
            values *= (like.shape[-1 if len(like.shape) == 4 else 0] / values.size) ** 0.5
        return values.astype(np.float32)

    return jax.tree.map(leaf, like)


def rows(options: Options) -> list[Row]:
    """Inference, gradients, and whole steps."""
    train = make_problem(PhotoConfig(), 200, 32 if options.quick else 128)
    answer = make_problem(PhotoConfig(), 200, 32 if options.quick else 256)
    modes = [("PyTorch", False)] + ([] if options.quick else [("PyTorch, torch.compile", True)])
    tasks: list[tuple[str, Problem, Callable[..., Any], Callable[..., Any]]] = [
        ("inference", answer, our_answers, torch_answers),
        ("forward and backward", train, our_gradients, torch_gradients),
        ("whole step with Adam", train, our_steps, torch_steps),
    ]
    results = []
    for what, problem, ours, theirs in tasks:
        each = {"jaxnn": Contestant(ours, (problem,))}
        each |= {name: Contestant(theirs, (problem, mode), "torch") for name, mode in modes}
        times, values = race(each, options.rounds, warm_up=2)
        check(what, values)
        count = len(problem.images)
        mine = speeds(times.pop("jaxnn"), count * STEPS)
        name = f"{what}, {count} images"
        for peer, seconds in times.items():
            bound = MUST if peer == "PyTorch" else None
            results.append(
                Row(name, "images/s", mine, peer, speeds(seconds, count * STEPS), at_least=bound)
            )
        if not times:
            results.append(Row(name, "images/s", mine))
    times, _ = race({"jaxnn": Contestant(our_real_steps, (train,))}, options.rounds)
    note = "augmentation, Muon and the moving average too"
    mine = speeds(times["jaxnn"], len(train.images) * STEPS)
    return [*results, Row("the step of catnet train --model photo", "images/s", mine, note=note)]


def speeds(seconds: Seconds, count: int) -> list[float]:
    """Images a second."""
    return [count / s for s in seconds]


def check(what: str, values: dict[str, list[np.ndarray]]) -> None:
    """Raise unless all contestants have the same values."""
    for name, theirs in values.items():
        for ours, leaf in zip(values["jaxnn"], theirs, strict=True):
            size = float(np.abs(ours).max())
            if not np.allclose(ours, leaf, rtol=0, atol=1e-3 * size + 1e-6):
                largest = np.abs(ours - leaf).max()
                raise AssertionError(f"{what}: {name} differs by {largest:.1e} of {size:.1e}")


def repeat(work: Callable[[], list[np.ndarray]]) -> Callable[[], list[np.ndarray]]:
    """The work, ``STEPS`` times."""
    return lambda: [work() for _ in range(STEPS)][-1]


# ---- jaxnn


def our_answers(problem: Problem) -> Callable[[], list[np.ndarray]]:
    """Logits."""
    run = jax.jit(network(problem.config, problem.classes).apply)
    params, x = problem.params, jnp.asarray(problem.x)
    return repeat(lambda: [np.asarray(run(params, x))])


def our_gradients(problem: Problem) -> Callable[[], list[np.ndarray]]:
    """The cost, and its gradients by hand."""
    net = network(problem.config, problem.classes)
    run = jax.jit(jaxnn.value_and_grad(net, jaxnn.softmax_cross_entropy))
    params, x, y = problem.params, jnp.asarray(problem.x), jnp.asarray(problem.labels)
    return repeat(lambda: [np.asarray(leaf) for leaf in jax.tree.leaves(run(params, x, y))])


def our_steps(problem: Problem) -> Callable[[], list[np.ndarray]]:
    """Costs of steps like those of ``jaxnn.fit``, always from the same parameters."""
    net = network(problem.config, problem.classes)
    cost_and_grads = jaxnn.value_and_grad(net, jaxnn.softmax_cross_entropy)
    adam = optax.adam(RATE)

    @jax.jit
    def run(params: Any, x: Any, y: Any) -> Any:
        def step(state: Any, _: None) -> Any:
            params, memory = state
            cost, grads = cost_and_grads(params, x, y)
            updates, memory = adam.update(grads, memory, params)
            return (optax.apply_updates(params, updates), memory), cost

        return jax.lax.scan(step, (params, adam.init(params)), length=STEPS)

    params, x, y = problem.params, jnp.asarray(problem.x), jnp.asarray(problem.labels)
    return lambda: [np.asarray(jax.block_until_ready(run(params, x, y))[1])]


def our_real_steps(problem: Problem) -> Callable[[], None]:
    """The steps of ``catnet train --model photo``."""
    names = tuple(map(str, range(problem.classes)))
    classes = Classes(names, (0, 1, 2), np.asarray(problem.labels))
    # Without the phase of light augmentation: nearly all steps are after it.
    config = dataclasses.replace(problem.config, light=0.0, settle=0.0)
    run = compile_steps(config, classes)
    state = make_state(config, problem.classes)
    prior = np.zeros(len(problem.labels), np.float32)
    batches = [
        np.stack([part] * STEPS)
        for part in (problem.images, (problem.labels < 3).astype(np.int8), problem.labels, prior)
    ]

    def work() -> None:
        nonlocal state
        state, costs = run(state, *batches)
        costs.block_until_ready()

    return work


# ---- PyTorch


def torch_network(problem: Problem, compiled: bool) -> tuple[Any, Any, Any]:
    """The network, images and labels for PyTorch, in its memory layout."""
    import torch

    from catnet_bench.peers import torch_photo

    torch.set_num_threads(cores())
    net = torch_photo.network(problem.config.widths, problem.config.blocks, problem.classes)
    net = torch_photo.load(net, problem.leaves)
    x = torch.from_numpy(problem.x).permute(0, 3, 1, 2)
    x = x.contiguous(memory_format=torch.channels_last)
    return torch.compile(net) if compiled else net, x, torch.from_numpy(problem.labels)


def torch_answers(problem: Problem, compiled: bool) -> Callable[[], list[np.ndarray]]:
    """Logits."""
    import torch

    net, x, _ = torch_network(problem, compiled)
    net.eval()

    def work() -> list[np.ndarray]:
        with torch.inference_mode():
            return [net(x).numpy()]

    return repeat(work)


def torch_gradients(problem: Problem, compiled: bool) -> Callable[[], list[np.ndarray]]:
    """The cost, and its gradients."""
    from torch.nn import functional

    from catnet_bench.peers import torch_photo

    net, x, y = torch_network(problem, compiled)

    def work() -> list[np.ndarray]:
        net.zero_grad()
        cost = functional.cross_entropy(net(x), y)
        cost.backward()
        return [cost.detach().numpy(), *torch_photo.gradients(net)]

    return repeat(work)


def torch_steps(problem: Problem, compiled: bool) -> Callable[[], list[np.ndarray]]:
    """Costs of steps, always from the same parameters."""
    import torch
    from torch.nn import functional

    from catnet_bench.peers import torch_photo

    net, x, y = torch_network(problem, compiled)

    def work() -> list[np.ndarray]:
        torch_photo.load(net, problem.leaves)
        adam = torch.optim.Adam(net.parameters(), lr=RATE, fused=True)
        costs = []
        for _ in range(STEPS):
            adam.zero_grad()
            cost = functional.cross_entropy(net(x), y)
            cost.backward()
            adam.step()
            costs.append(cost.detach())
        return [torch.stack(costs).numpy()]

    return work
