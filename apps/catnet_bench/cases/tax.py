"""Case 6: the overhead of jaxnn over the same mathematics written directly in JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course.networks import as_params, initialize
from catnet.course.networks import network as lecture_network
from catnet.training.photo.config import PhotoConfig
from catnet.training.photo.state import network as photo_network
from catnet_bench.cases.lecture import SIZES
from catnet_bench.cases.photo import make_problem
from catnet_bench.harness.case import Options, course
from catnet_bench.harness.report import Row
from catnet_bench.harness.timing import alternate, per_call, time_once
from catnet_bench.peers import plain
from jaxnn.layer import Layer
from jaxnn.losses import Loss

RATE = 0.0075
CLASSES = 200


class Subject(NamedTuple):
    """A network in both forms, with examples and targets.

    Attributes:
        name: the name of the network.
        net: jaxnn's network.
        forward: the same network in plain JAX, for the same parameters.
        loss: the loss of its output.
        params: the initial parameters.
        x: examples.
        y: targets.
    """

    name: str
    net: Layer
    forward: plain.Forward
    loss: Loss
    params: Any
    x: Any
    y: Any


def rows(options: Options) -> list[Row]:
    """Steps, gradients, compilation and memory of the lecture's and of the photo network."""
    images, labels, _ = course(options.data)
    x = images.reshape(len(images), -1).astype(np.float32) / 255
    subjects = (
        lecture(SIZES, x, labels),
        photo(PhotoConfig(), CLASSES, 16 if options.quick else 128),
    )
    return [row for subject in subjects for row in compare(subject, options)]


def lecture(sizes: tuple[int, ...], x: np.ndarray, labels: np.ndarray) -> Subject:
    """The lecture's network on all examples (m, n)."""
    params = jax.tree.map(
        lambda p: jnp.asarray(p, jnp.float32), as_params(initialize(sizes, "sqrt"))
    )
    x_device, y = jnp.asarray(x), jnp.asarray(labels[:, None], jnp.float32)
    name = f"{'-'.join(map(str, sizes))}, {len(x)} examples"
    net, loss = lecture_network(sizes), jaxnn.binary_cross_entropy
    return Subject(name, net, plain.lecture, loss, params, x_device, y)


def photo(config: PhotoConfig, classes: int, images: int) -> Subject:
    """The photo network on a batch."""
    problem = make_problem(config, classes, images)
    net, forward = photo_network(config, classes), plain.photo(config.blocks)
    name = f"photo network, {images} images"
    x, y = jnp.asarray(problem.x), jnp.asarray(problem.labels)
    return Subject(name, net, forward, jaxnn.softmax_cross_entropy, problem.params, x, y)


def compare(subject: Subject, options: Options) -> list[Row]:
    """The rows of one network."""
    arguments = subject.params, subject.x, subject.y
    by_hand = jaxnn.value_and_grad(subject.net, subject.loss)
    by_jax = jaxnn.value_and_grad_by_jax(subject.net, subject.loss)
    in_plain = jax.value_and_grad(lambda p, x, y: subject.loss(subject.forward(p, x), y))
    results = []
    for what, ours, peer, theirs, at_most in (
        ("step", step(by_hand), "plain JAX, jax.grad", step(in_plain), 1.03),
        ("gradient", by_hand, "jax.grad of these layers", by_jax, 1.05),
    ):
        pair = {"ours": jax.jit(ours), "theirs": jax.jit(theirs)}
        check(*(run(*arguments) for run in pair.values()))
        contestants = {
            "time": {name: time_calls(run, arguments, options.least) for name, run in pair.items()},
            "compilation": {
                "ours": time_compilation(ours, arguments),
                "theirs": time_compilation(theirs, arguments),
            },
        }
        for measured, bound in (("time", at_most), ("compilation", 1.2)):
            seconds = alternate(contestants[measured], options.rounds)
            name = f"{subject.name}: {what}, {measured}"
            results.append(Row(name, "s", seconds["ours"], peer, seconds["theirs"], at_most=bound))
        memory = [[temporary_bytes(run, arguments)] for run in pair.values()]
        name = f"{subject.name}: {what}, memory"
        results.append(Row(name, "bytes", memory[0], peer, memory[1], at_most=1))
    return results


def time_calls(run: Callable[..., Any], arguments: Any, least: float) -> Callable[[], float]:
    """A contestant: calls of a compiled function."""
    return per_call(lambda: jax.block_until_ready(run(*arguments)), least)


def time_compilation(function: Callable[..., Any], arguments: Any) -> Callable[[], float]:
    """A contestant: trace and compile a function, with empty caches."""

    def compile_anew() -> None:
        jax.clear_caches()
        jax.jit(lambda *args: function(*args)).lower(*arguments).compile()

    return time_once(compile_anew)


def temporary_bytes(run: Any, arguments: Any) -> float:
    """Temporary memory of a compiled program, without its arguments and results."""
    return float(run.lower(*arguments).compile().memory_analysis().temp_size_in_bytes)


def step(cost_and_grads: Callable[..., Any]) -> Callable[..., Any]:
    """The lecture's update with these gradients: (params, x, y) → (params, cost)."""

    def update(params: Any, x: Any, y: Any) -> Any:
        cost, grads = cost_and_grads(params, x, y)
        return jax.tree.map(lambda p, dp: p - RATE * dp, params, grads), cost

    return update


def check(ours: Any, theirs: Any) -> None:
    """Raise unless all leaves are close."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        size = float(jnp.abs(b).max())
        if not np.allclose(a, b, rtol=0, atol=1e-3 * size + 1e-6):
            raise AssertionError(
                f"values differ by {float(jnp.abs(a - b).max()):.1e} of {size:.1e}"
            )
