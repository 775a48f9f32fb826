"""Names of dinosaurs, letter by letter: a recurrent network trained on one name a step.

1,536 names in lower case, shuffled after NumPy's seed 0.  Wax, Waa and Wya are 0.01 randn after the
seed 1, the biases are 0.  Step j takes the name j mod 1536.  The input is a vector of zeros
and the letters of the name; the targets are the letters and the end of the line.  The state before
the first letter is the last state of the step before.  The loss is the sum over the letters; each
entry of the gradient is clipped to ±5; the learning rate is 0.01.  Printed is the smoothed loss,
s := 0.999 s + 0.001 loss, which starts at −7 log(1/27).

A name is sampled letter by letter from the softmax; letter n of name k has the seed k + 2n.  After
step 12,000 the descent depends on rounding.

Source: DeepLearning.AI, "Sequence Models", week 1, "Dinosaurus Island"; run with its data in
github:jungsoh/rnn-character-level-language-model @b359fefb.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.course.files import DINOS
from catnet.course.record import Gradient, Number, Options, Set, Table
from catnet.progress import make_progress_reporter
from jaxnn import Masked

N_A, N_TOKENS = 50, 27  # units; the end of the line, and a to z
STEPS, EVERY = 12_001, 2_000
LEARNING_RATE = 0.01

# The smoothed loss at steps 0, 2000, …, 12000.
LOSSES = "23.087336 27.884160 25.901815 24.608779 24.070350 23.844446 23.291971"

SAMPLES = {
    2000: "Liusskeomnolxeros Hmdaairus Hytroligoraurus Lecalosapaus Xusicikoraurus "
    "Abalpsamantisaurus Tpraneronxeros",
    12000: "Onyxosaurus Kica Lustrepiosaurus Olaagrraiansaurus Yuspangosaurus Eealosaurus "
    "Trognesaurus",
}

RNN, OUTPUT = jaxnn.rnn(N_A), jaxnn.dense(N_TOKENS)
LOSS = jaxnn.masked_loss(jaxnn.softmax_cross_entropy)


def read_names(path: Path) -> list[str]:
    """The names in the order of training."""
    names = path.read_text().lower().splitlines()
    names = [name.strip() for name in names]
    np.random.RandomState(0).shuffle(names)
    return names


def encode(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Targets (names, T), 0 for the end of the line, and the number of letters with it."""
    lengths = np.array([len(name) + 1 for name in names])
    tokens = np.zeros((len(names), lengths.max()), int)
    for row, name in zip(tokens, names, strict=True):
        row[: len(name)] = [ord(letter) - ord("a") + 1 for letter in name]
    return tokens, lengths


def initialize() -> Any:
    """The params of the recurrent layer and of the dense layer after it."""
    rng = np.random.RandomState(1)
    W, U, V = (0.01 * rng.randn(*shape) for shape in ((N_A, N_TOKENS), (N_A, N_A), (N_TOKENS, N_A)))
    return {"W": W, "U": U, "b": np.zeros(N_A)}, {"W": V, "b": np.zeros(N_TOKENS)}


def step_loss(
    params: Any, tokens: jax.Array, length: jax.Array, a0: jax.Array, gradient: Gradient
) -> tuple[jax.Array, jax.Array, Any]:
    """(loss, last state, gradients) of one name, the lecture's three steps."""
    there = jnp.arange(len(tokens)) < length
    letters = jax.nn.one_hot(tokens[:-1], N_TOKENS, dtype=a0.dtype)
    x = Masked(jnp.concatenate([jnp.zeros((1, N_TOKENS)), letters]), there)

    def forward(params: Any) -> tuple[Any, Any, Any]:
        a, cache = RNN.forward(params[0], (x, a0))
        z, cache_z = OUTPUT.forward(params[1], a)
        return z, a, (cache, cache_z)

    z, a, (cache, cache_z) = forward(params)
    loss = LOSS(z, tokens) * length
    if gradient == "hand":
        dz = LOSS.gradient(z, tokens)
        d_output, da = OUTPUT.backward(params[1], cache_z, dz)
        d_rnn, _ = RNN.backward(params[0], cache, da)
        grads = jax.tree.map(lambda d: d * length, (d_rnn, d_output))
    else:
        grads = jax.grad(lambda params: LOSS(forward(params)[0], tokens) * length)(params)
    return loss, a.values[length - 1], grads


def train(names: list[str], steps: int, gradient: Gradient) -> Iterator[tuple[int, float, Any]]:
    """(step, smoothed loss, params) at steps 0, 2000, …"""
    tokens, lengths = map(jnp.asarray, encode(names))

    def step(j: jax.Array, carry: Any) -> Any:
        params, a0, smooth = carry
        name = j % len(names)
        loss, a0, grads = step_loss(params, tokens[name], lengths[name], a0, gradient)
        params = jax.tree.map(lambda p, dp: p - LEARNING_RATE * jnp.clip(dp, -5, 5), params, grads)
        return params, a0, 0.999 * smooth + 0.001 * loss

    @jax.jit
    def descend(carry: Any, first: jax.Array, count: jax.Array) -> Any:
        return jax.lax.fori_loop(first, first + count, step, carry)

    report = make_progress_reporter(steps, title="dinosaurs  ")
    start = jax.tree.map(jnp.asarray, initialize()), jnp.zeros(N_A), -7 * jnp.log(1 / N_TOKENS)
    carry = descend(start, jnp.asarray(0), jnp.asarray(1))
    for j in range(0, steps, EVERY):
        params, _, smooth = carry
        report(j + 1, float(smooth))
        yield j, float(smooth), params
        if j + 1 < steps:
            carry = descend(carry, jnp.asarray(j + 1), jnp.asarray(EVERY))


def sample(params: Any, seed: int) -> str:
    """A name: at most 50 letters, each drawn with its own seed."""
    a, x, letters = jnp.zeros(N_A), jnp.zeros(N_TOKENS), ""
    for n in range(50):
        y, a = jaxnn.rnn_step(params[0], x, a)
        p = np.asarray(jax.nn.softmax(OUTPUT.apply(params[1], y)))
        token = np.random.RandomState(seed + 2 * n).choice(N_TOKENS, p=p)
        if token == 0:
            break
        letters += chr(ord("a") + token - 1)
        x = jnp.zeros(N_TOKENS).at[token].set(1)
    return letters.capitalize()


def run(options: Options, steps: int = STEPS) -> Iterator[Table]:
    """A table of the losses and the sampled names.

    Args:
        steps: a test takes fewer.
    """
    names, rows, published = read_names(options.files[DINOS.name]), [], LOSSES.split()
    for j, smooth, params in train(names, steps, options.gradient):
        rows.append(Number(f"step {j}: loss", published[j // EVERY], smooth))
        for seed, name in enumerate(SAMPLES.get(j, "").split()):
            rows.append(Number(f"step {j}: name {seed}", name, sample(params, seed)))
    yield Table("names of dinosaurs: 27 → 50 → 27, float64", rows)


SET = Set(
    name="dinosaurs",
    title="names of dinosaurs, letter by letter: losses to step 12,000, sampled names",
    source="DeepLearning.AI, Sequence Models, week 1",
    run=run,
    needs=(DINOS,),
)
