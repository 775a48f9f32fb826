"""``fit`` on an iterable of batches, and from a checkpoint in a file."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxnn
from jaxnn.training.minibatches import _batches

pytestmark = pytest.mark.usefixtures("compiled_quickly")

NET = jaxnn.serial(jaxnn.dense(4), jaxnn.dropout(0.2), jaxnn.tanh, jaxnn.dense(1))
RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 2)).astype(np.float32)
Y = (X[:, :1] * X[:, 1:] > 0).astype(np.float32)
START = NET.init(jax.random.key(0), X)
LOSS = jaxnn.binary_cross_entropy
HOW: dict[str, Any] = {"optimizer": optax.adam(0.01), "key": jax.random.key(3)}
BATCHES = [(X[i : i + 4], Y[i : i + 4]) for i in range(0, 12, 4)]


def same(a, b) -> bool:
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def test_batches_in_the_order_of_the_arrays_make_the_same_training() -> None:
    """Also the randomness of dropout is that of the step."""
    key_of_order, _ = jax.random.split(HOW["key"])
    order = _batches(key_of_order, 12, 4, 0, 7)
    params, costs = jaxnn.fit(NET, LOSS, START, X, Y, **HOW, batch_size=4, steps=7)
    ours = ((X[batch], Y[batch]) for batch in order)
    again, their_costs = jaxnn.fit(NET, LOSS, START, ours, **HOW, steps=7)
    np.testing.assert_allclose(their_costs, costs, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), again, params)


def test_a_list_is_repeated_and_a_generator_is_not() -> None:
    _, costs = jaxnn.fit(NET, LOSS, START, BATCHES, **HOW, steps=8)
    endless = itertools.cycle(BATCHES)
    _, expected = jaxnn.fit(NET, LOSS, START, endless, **HOW, steps=8)
    np.testing.assert_array_equal(costs, expected)
    assert next(endless) is BATCHES[8 % 3]  # no batch more is taken than there are steps
    states: list[jaxnn.State] = []
    with pytest.raises(ValueError, match="the batches ended after 3 of 8 steps; give more, or an"):
        jaxnn.fit(
            NET, LOSS, START, iter(BATCHES), **HOW, steps=8, chunk=2,
            progress=lambda state, costs: states.append(state),
        )  # fmt: skip
    assert [state.step for state in states] == [2, 3]


def test_batches_of_different_sizes() -> None:
    """The second batch is smaller; its cost is that of the formula."""
    net = jaxnn.dense(1)
    start = {"W": jnp.ones((1, 2)), "b": jnp.zeros(1)}
    how = {"optimizer": optax.sgd(0.0), "steps": 2, "key": jax.random.key(0)}
    batches = [(X[:5], Y[:5]), (X[5:7], Y[5:7])]
    _, costs = jaxnn.fit(net, jaxnn.mean_squared_error, start, batches, **how)
    of_each = (X.sum(axis=1, keepdims=True) - Y) ** 2
    np.testing.assert_allclose(costs, [of_each[:5].mean(), of_each[5:7].mean()], rtol=1e-6)


class Interrupted(Exception):
    """Ends a training in its progress."""


@settings(max_examples=12, deadline=None)
@given(
    stops=st.lists(st.integers(1, 7), max_size=3),
    chunk=st.sampled_from([2, 3]),
    kind=st.sampled_from(["arrays", "list", "generator"]),
)
def test_interrupted_and_resumed_from_a_file_is_uninterrupted_to_the_last_bit(
    stops: list[int], chunk: int, kind: str
) -> None:
    def fit(**more: Any) -> tuple[Any, Any]:
        how = {**HOW, "steps": 7, "chunk": chunk, **more}
        if kind == "arrays":
            return jaxnn.fit(NET, LOSS, START, X, Y, batch_size=5, **how)
        batches = BATCHES if kind == "list" else (BATCHES[i % 3] for i in itertools.count())
        return jaxnn.fit(NET, LOSS, START, batches, **how)

    whole, costs = fit()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.safetensors"
        for stop in stops:

            def progress(state: jaxnn.State, costs: Any, stop: int = stop) -> None:
                if state.step >= stop:
                    raise Interrupted

            with contextlib.suppress(Interrupted):
                fit(checkpoint=file, progress=progress)
        done = int(jaxnn.load(file)[0]["step"]) if file.exists() else 0
        params, rest = fit(checkpoint=file)
        assert same(params, whole)
        np.testing.assert_array_equal(rest, costs[done:])
        assert len(fit(checkpoint=file)[1]) == 0  # at its end


def test_a_finished_training_is_extended(tmp_path: Path) -> None:
    file = tmp_path / "state.safetensors"
    how = {**HOW, "batch_size": 5, "chunk": 3}
    jaxnn.fit(NET, LOSS, START, X, Y, **how, steps=3, checkpoint=file)
    params, costs = jaxnn.fit(NET, LOSS, START, X, Y, **how, steps=6, checkpoint=file)
    whole, all_costs = jaxnn.fit(NET, LOSS, START, X, Y, **how, steps=6)
    assert same(params, whole)
    np.testing.assert_array_equal(costs, all_costs[3:])


def test_the_checkpoint_of_another_training_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "state.safetensors"
    how = {**HOW, "batch_size": 5, "steps": 2, "checkpoint": file}
    jaxnn.fit(NET, LOSS, START, X, Y, **how)
    before = file.read_bytes()
    for change, line in [
        (
            {"batch_size": 4},
            "is the checkpoint of a training with batch_size 5, not 4; name another",
        ),
        ({"key": jax.random.key(4)}, r"with key \[0, 3\], not \[0, 4\]; name another file, or"),
        ({"gradient": "jax"}, "with gradient hand, not jax"),
        ({"state": jaxnn.State(0, START)}, "expected either a state or a checkpoint, got both"),
    ]:
        with pytest.raises(ValueError, match=line):
            jaxnn.fit(NET, LOSS, START, X, Y, **{**how, **change})
    with pytest.raises(jaxnn.ModelFileError, match=r"state\.safetensors"):
        jaxnn.fit(NET, LOSS, START, X, Y, **{**how, "optimizer": optax.sgd(0.1, momentum=0.9)})
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("examples", "more", "error", "line"),
    [
        ((X, Y), {}, ValueError, "expected a batch_size for arrays of examples"),
        (
            (BATCHES,),
            {"batch_size": 4},
            ValueError,
            "batch_size 4 is for arrays of examples; batch",
        ),
        (
            (X,),
            {},
            TypeError,
            r"expected targets y, or an iterable of batches \(x, y\), got ndarray",
        ),
        (({"x": X},), {}, TypeError, "got dict alone"),
        ((3,), {}, TypeError, "got int alone"),
        (
            ([(X, Y), X],),
            {},
            ValueError,
            r"expected batch 1 to be a pair \(x, y\), got ndarray of 12",
        ),
        (([(X, Y[:3])],), {}, ValueError, "as many targets as examples in each array, got 12 in x"),
        (([],), {}, ValueError, "the batches ended after 0 of 2 steps"),
    ],
)
def test_what_cannot_be_trained_on_is_named(examples, more, error, line) -> None:
    with pytest.raises(error, match=line):
        jaxnn.fit(NET, LOSS, START, *examples, **HOW, steps=2, **more)
