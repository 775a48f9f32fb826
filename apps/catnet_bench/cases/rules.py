"""Case 8: every rule by hand against jax.vjp of the same forward pass in plain JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.training.photo.config import PhotoConfig
from catnet_bench.cases.photo import draw_params
from catnet_bench.cases.tax import check
from catnet_bench.harness.case import Options
from catnet_bench.harness.report import Row
from catnet_bench.harness.timing import alternate, per_call
from catnet_bench.peers import plain
from jaxnn.layer import Layer

PEER = "jax.vjp of plain JAX"


class Rule(NamedTuple):
    """A layer in both forms.

    Attributes:
        name: the name in the table.
        layer: jaxnn's layer.
        forward: the same in plain JAX, for the same parameters.
        shape: the shape of one example.
    """

    name: str
    layer: Layer
    forward: plain.Forward
    shape: tuple[int, ...]


def rows(options: Options) -> list[Row]:
    """Forward and backward pass of the layers of the photo network, and of other image layers."""
    examples = 16 if options.quick else 128
    rules = rules_of(PhotoConfig().widths)
    return [row for rule in rules for row in compare(rule, examples, options)]


def rules_of(widths: tuple[int, ...], size: int = 64) -> list[Rule]:
    """Convolutions of the photo network at these widths, other convolutions, other layers."""
    first, pixels = widths[0], size // 4
    results = [Rule("conv 8×8, stride 4", jaxnn.conv(first, 8, 4), plain.conv(4), (size, size, 3))]
    for stage, width in enumerate(widths):
        if stage:
            before = (pixels, pixels, widths[stage - 1])
            results.append(
                Rule("conv 2×2, stride 2", jaxnn.conv(width, 2, 2), plain.conv(2), before)
            )
            pixels //= 2
        shape = (pixels, pixels, width)
        results.append(Rule("conv 3×3", jaxnn.conv(width), plain.conv(), shape))
        results.append(Rule("rms_norm", jaxnn.rms_norm(), plain.rms_norm, shape))
    shape = (size // 4, size // 4, first)
    depthwise, standardized = jaxnn.conv(first, groups=first), jaxnn.conv(first, standardize=True)
    return [
        *results,
        Rule("conv 1×1", jaxnn.conv(first, 1), plain.conv(), shape),
        Rule("conv 3×3 in 2 groups", jaxnn.conv(first, groups=2), plain.conv(groups=2), shape),
        Rule("conv 3×3, depthwise", depthwise, plain.conv(groups=first), shape),
        Rule("conv 3×3, standardized", standardized, plain.conv(standardize=True), shape),
        Rule("space_to_depth(2)", jaxnn.space_to_depth(2), plain.space_to_depth(2), shape),
        Rule("layer_norm", jaxnn.layer_norm(), plain.layer_norm, shape),
        Rule("group_norm(4)", jaxnn.group_norm(4), plain.group_norm(4), shape),
        Rule("max_pool", jaxnn.max_pool(), plain.max_pool, shape),
        Rule("average_pool", jaxnn.average_pool(), plain.average_pool, shape),
        Rule("global_average_pool", jaxnn.global_average_pool, plain.global_average_pool, shape),
    ]


def compare(rule: Rule, examples: int, options: Options) -> list[Row]:
    """The rows of a rule: forward and backward pass."""
    draw = np.random.default_rng(0)
    x = jnp.asarray(draw.normal(size=(examples, *rule.shape)), jnp.float32)
    params = jax.tree.map(jnp.asarray, draw_params(rule.layer, x))
    forward = jax.jit(rule.layer.forward), jax.jit(lambda p, x: jax.vjp(rule.forward, p, x))
    backward = jax.jit(rule.layer.backward), jax.jit(lambda pull, dy: pull(dy))
    (y, cache), (y_plain, pull) = (run(params, x) for run in forward)
    dy = jnp.asarray(draw.normal(size=y.shape), jnp.float32)
    check(y, y_plain)
    check(backward[0](params, cache, dy), backward[1](pull, dy))
    work = {
        "forward": [lambda run=run: run(params, x) for run in forward],
        "backward": [lambda: backward[0](params, cache, dy), lambda: backward[1](pull, dy)],
    }
    name = f"{rule.name}, {'×'.join(map(str, rule.shape))} to {y.shape[-1]}"
    results = []
    for what, (ours, theirs) in work.items():
        each = {"ours": _time(ours, options), "theirs": _time(theirs, options)}
        times = alternate(each, options.rounds)
        results.append(Row(f"{name}, {what}", "s", times["ours"], PEER, times["theirs"]))
    return results


def _time(work: Callable[[], Any], options: Options) -> Callable[[], float]:
    return per_call(lambda: jax.block_until_ready(work()), options.least)
