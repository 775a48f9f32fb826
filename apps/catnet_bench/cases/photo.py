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
from catnet.training.resnet import Classes, PhotoConfig, compiled_steps, network, start
from catnet_bench.harness.case import Options
from catnet_bench.harness.report import Row, cores
from catnet_bench.harness.timing import Seconds
from catnet_bench.harness.worker import Contestant, race
from jaxnn.layer import Layer

MUST = 0.6  # of PyTorch's speed
RATE = 1e-3  # of Adam
STEPS = 4  # that are timed together: the first after another's turn is slower


class Problem(NamedTuple):
    """A network, its parameters, and images to work on.

    Attributes:
        config: its widths and blocks.
        classes: how many classes it tells apart.
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
        """The parameters as jaxnn's."""
        pixels = jax.ShapeDtypeStruct((64, 64, 3), "float32")
        like = jax.eval_shape(network(self.config, self.classes).init, jax.random.key(0), pixels)
        return jax.tree.unflatten(jax.tree.structure(like), map(jnp.asarray, self.leaves))

    @property
    def x(self) -> np.ndarray:
        """The images as the network sees them: float32 from 0 to 1."""
        return self.images.astype(np.float32) / 255


def problem(config: PhotoConfig, classes: int, all_images: int) -> Problem:
    """One of noise."""
    draw = np.random.default_rng(0)
    pixels = jax.ShapeDtypeStruct((64, 64, 3), "float32")
    leaves = jax.tree.leaves(drawn(network(config, classes), pixels))
    images = draw.integers(0, 256, (all_images, 64, 64, 3), dtype=np.uint8)
    return Problem(config, classes, leaves, images, draw.integers(0, classes, all_images))


def drawn(net: Layer, x: Any) -> Any:
    """Parameters of a network for such an input, by NumPy's dice: none of them is zero."""
    like = jax.eval_shape(net.init, jax.random.key(0), x)
    draw = np.random.default_rng(1)

    def leaf(of: jax.ShapeDtypeStruct) -> np.ndarray:
        values = draw.normal(size=of.shape)
        if len(of.shape) == 1:  # biases and scales
            values = 1 + 0.1 * values
        else:  # kernels (h, w, n_in, n_out) and matrices (n_out, n_in)
            values *= (of.shape[-1 if len(of.shape) == 4 else 0] / values.size) ** 0.5
        return values.astype(np.float32)

    return jax.tree.map(leaf, like)


def rows(options: Options) -> list[Row]:
    """Inference, gradients, and whole steps."""
    train = problem(PhotoConfig(), 200, 32 if options.quick else 128)
    answer = problem(PhotoConfig(), 200, 32 if options.quick else 256)
    modes = [("PyTorch", False)] + ([] if options.quick else [("PyTorch, torch.compile", True)])
    tasks: list[tuple[str, Problem, Callable[..., Any], Callable[..., Any]]] = [
        ("inference", answer, our_answers, torch_answers),
        ("forward and backward", train, our_gradients, torch_gradients),
        ("whole step with Adam", train, our_steps, torch_steps),
    ]
    found = []
    for what, given, ours, theirs in tasks:
        each = {"jaxnn": Contestant(ours, (given,))}
        each |= {name: Contestant(theirs, (given, mode), "torch") for name, mode in modes}
        taken, values = race(each, options.rounds, warm_up=2)
        check(what, values)
        count = len(given.images)
        mine = speeds(taken.pop("jaxnn"), count * STEPS)
        name = f"{what}, {count} images"
        for peer, seconds in taken.items():
            bound = MUST if peer == "PyTorch" else None
            found.append(
                Row(name, "images/s", mine, peer, speeds(seconds, count * STEPS), at_least=bound)
            )
        if not taken:
            found.append(Row(name, "images/s", mine))
    taken, _ = race({"jaxnn": Contestant(our_real_steps, (train,))}, options.rounds)
    note = "augmentation, Muon and the moving average too"
    mine = speeds(taken["jaxnn"], len(train.images) * STEPS)
    return [*found, Row("the step of catnet train --model photo", "images/s", mine, note=note)]


def speeds(seconds: Seconds, count: int) -> list[float]:
    """Images a second."""
    return [count / s for s in seconds]


def check(what: str, values: dict[str, list[np.ndarray]]) -> None:
    """Raise unless all have found the same."""
    for name, theirs in values.items():
        for ours, leaf in zip(values["jaxnn"], theirs, strict=True):
            size = float(np.abs(ours).max())
            if not np.allclose(ours, leaf, rtol=0, atol=1e-3 * size + 1e-6):
                largest = np.abs(ours - leaf).max()
                raise AssertionError(f"{what}: {name} differs by {largest:.1e} of {size:.1e}")


def again(work: Callable[[], list[np.ndarray]]) -> Callable[[], list[np.ndarray]]:
    """The work, ``STEPS`` times."""
    return lambda: [work() for _ in range(STEPS)][-1]


# ---- jaxnn


def our_answers(given: Problem) -> Callable[[], list[np.ndarray]]:
    """Logits."""
    run = jax.jit(network(given.config, given.classes).apply)
    params, x = given.params, jnp.asarray(given.x)
    return again(lambda: [np.asarray(run(params, x))])


def our_gradients(given: Problem) -> Callable[[], list[np.ndarray]]:
    """The cost, and its gradients by hand."""
    net = network(given.config, given.classes)
    run = jax.jit(jaxnn.value_and_grad(net, jaxnn.softmax_cross_entropy))
    params, x, y = given.params, jnp.asarray(given.x), jnp.asarray(given.labels)
    return again(lambda: [np.asarray(leaf) for leaf in jax.tree.leaves(run(params, x, y))])


def our_steps(given: Problem) -> Callable[[], list[np.ndarray]]:
    """Costs of some steps of ``jaxnn.fit``'s kind, always from the same start."""
    net = network(given.config, given.classes)
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

    params, x, y = given.params, jnp.asarray(given.x), jnp.asarray(given.labels)
    return lambda: [np.asarray(jax.block_until_ready(run(params, x, y))[1])]


def our_real_steps(given: Problem) -> Callable[[], None]:
    """The steps that ``catnet train --model photo`` makes."""
    names = tuple(map(str, range(given.classes)))
    classes = Classes(names, (0, 1, 2), np.asarray(given.labels))
    # Past the share of light augmentation, as nearly all steps are.
    config = dataclasses.replace(given.config, light=0.0, settle=0.0)
    run = compiled_steps(config, classes)
    state = start(config, given.classes)
    prior = np.zeros(len(given.labels), np.float32)
    stacked = [
        np.stack([part] * STEPS)
        for part in (given.images, (given.labels < 3).astype(np.int8), given.labels, prior)
    ]

    def work() -> None:
        nonlocal state
        state, costs = run(state, *stacked)
        costs.block_until_ready()

    return work


# ---- PyTorch


def torch_network(given: Problem, compiled: bool) -> tuple[Any, Any, Any]:
    """The network, images and labels, as PyTorch likes them."""
    import torch

    from catnet_bench.peers import torch_photo

    torch.set_num_threads(cores())
    net = torch_photo.network(given.config.widths, given.config.blocks, given.classes)
    net = torch_photo.load(net, given.leaves)
    x = torch.from_numpy(given.x).permute(0, 3, 1, 2)
    x = x.contiguous(memory_format=torch.channels_last)
    return torch.compile(net) if compiled else net, x, torch.from_numpy(given.labels)


def torch_answers(given: Problem, compiled: bool) -> Callable[[], list[np.ndarray]]:
    """Logits."""
    import torch

    net, x, _ = torch_network(given, compiled)
    net.eval()

    def work() -> list[np.ndarray]:
        with torch.inference_mode():
            return [net(x).numpy()]

    return again(work)


def torch_gradients(given: Problem, compiled: bool) -> Callable[[], list[np.ndarray]]:
    """The cost, and its gradients."""
    from torch.nn import functional

    from catnet_bench.peers import torch_photo

    net, x, y = torch_network(given, compiled)

    def work() -> list[np.ndarray]:
        net.zero_grad()
        cost = functional.cross_entropy(net(x), y)
        cost.backward()
        return [cost.detach().numpy(), *torch_photo.gradients(net)]

    return again(work)


def torch_steps(given: Problem, compiled: bool) -> Callable[[], list[np.ndarray]]:
    """Costs of some steps, always from the same start."""
    import torch
    from torch.nn import functional

    from catnet_bench.peers import torch_photo

    net, x, y = torch_network(given, compiled)

    def work() -> list[np.ndarray]:
        torch_photo.load(net, given.leaves)
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
