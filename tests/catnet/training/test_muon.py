"""Muon, compared with the singular value decomposition and with optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax.contrib import MuonDimensionNumbers
from optax.contrib import muon as optax_muon

from catnet.training.muon import A, B, C, muon, orthogonalize


@pytest.mark.parametrize("shape", [(6, 6), (5, 40), (40, 5), (1, 9)])
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_the_singular_values_are_those_of_the_polynomial(shape, spread) -> None:
    rng = np.random.default_rng(0)
    U, s, Vt = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    s = s * np.exp(-spread * np.linspace(0, 1, len(s)))
    sigma = s / np.linalg.norm(s)
    for _ in range(5):
        sigma = A * sigma + B * sigma**3 + C * sigma**5
    found = orthogonalize(jnp.asarray((U * s) @ Vt, jnp.float32))
    np.testing.assert_allclose(found, (U * sigma) @ Vt, atol=2e-4)


def test_nothing_is_divided_by_zero() -> None:
    assert not np.asarray(orthogonalize(jnp.zeros((3, 4)))).any()


def test_the_steps_are_those_of_optax_once_its_bias_is_forgotten() -> None:
    """optax corrects the bias of the momentum, which fades: 0.95^400 is 1e-9."""
    rng = np.random.default_rng(1)
    params = {
        "kernel": jnp.asarray(rng.standard_normal((3, 3, 4, 6)), jnp.float32),
        "W": jnp.asarray(rng.standard_normal((5, 6)), jnp.float32),
        "b": jnp.zeros(5),
    }
    axes = {
        "kernel": MuonDimensionNumbers((0, 1, 2), 3),
        "W": MuonDimensionNumbers((1,), 0),
        "b": None,
    }
    rate = optax.schedules.constant_schedule(0.1)
    ours = muon(rate, 0.01)
    theirs = optax_muon(
        rate,
        weight_decay=0.01,
        adam_weight_decay=0.0,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=axes,
    )

    def run(descent: optax.GradientTransformation) -> dict:
        def step(state, key):
            grads = jax.tree.map(
                lambda p: jax.random.normal(key, p.shape) + jnp.arange(p.size).reshape(p.shape) / 9,
                params,
            )
            updates, state = descent.update(grads, state, params)
            return state, updates

        keys = jax.random.split(jax.random.key(0), 400)
        _, updates = jax.lax.scan(step, descent.init(params), keys)
        return jax.tree.map(lambda leaf: leaf[-1], updates)

    found, expected = jax.jit(lambda: (run(ours), run(theirs)))()
    for name in params:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-3, atol=2e-4)
