"""Networks as they are in training: their params are those of the network, their rules right."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from catnet.models.registry import AUGMENTATIONS
from catnet.models.regularized import augmented, dropped, replace
from catnet.training.augmentation.choices import FUNCTIONS

X = jax.random.normal(jax.random.key(0), (4, 6))
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)


@pytest.mark.usefixtures("compiled_quickly")
def test_dropout_of_the_input_is_that_of_dropout_before_the_layer() -> None:
    net = jaxnn.serial(jaxnn.dense(6), jaxnn.tanh, jaxnn.dense(2))
    with_dropout = replace(net, 2, dropped(net[2], 0.5))
    params, key = net.init(jax.random.key(1), X), jax.random.key(2)
    assert jax.tree.structure(with_dropout.init(jax.random.key(1), X)) == jax.tree.structure(params)
    np.testing.assert_array_equal(with_dropout.apply(params, X), net.apply(params, X))
    y, (mask, _) = dropped(net[2], 0.5).forward(params[2], X, key)
    assert {0.0, 2.0} == set(np.asarray(mask).ravel().tolist())
    np.testing.assert_array_equal(y, net[2].apply(params[2], X * mask))
    check = jaxnn.check_gradients(
        with_dropout, params, X, jnp.ones((4, 2)), jaxnn.mean_squared_error, key=key
    )
    assert check.ok, str(check)


def test_images_are_changed_in_training_only() -> None:
    net = jaxnn.serial(jaxnn.flatten, jaxnn.dense(1))
    changed = replace(net, 0, augmented(net[0], FUNCTIONS["mirror"], "mirror"))
    params = changed.init(jax.random.key(0), IMAGES)
    x = IMAGES.astype(np.float32) / 255
    np.testing.assert_allclose(changed.apply(params, IMAGES), net.apply(params, x), rtol=1e-5)
    y = changed.apply(params, IMAGES, jax.random.key(1))
    of_each = net.apply(params, x), net.apply(params, x[:, :, ::-1])
    mirrored = np.isclose(y, of_each[1], rtol=1e-4)
    assert np.all(np.isclose(y, of_each[0], rtol=1e-4) | mirrored)
    assert 0 < mirrored.sum() < len(y)
    cost_and_grads = jaxnn.value_and_grad(changed, jaxnn.mean_squared_error)
    _, grads = cost_and_grads(params, IMAGES, np.zeros((8, 1), np.float32), jax.random.key(1))
    seen = np.where(mirrored[:, :, None, None], x[:, :, ::-1], x).reshape(8, -1)
    np.testing.assert_allclose(grads[1]["W"], 2 * y.T @ seen / 8, rtol=1e-3, atol=1e-5)


def test_augmentations_have_the_names_of_the_option_and_none_changes_nothing() -> None:
    assert tuple(FUNCTIONS) == AUGMENTATIONS
    x = FUNCTIONS["none"](jax.random.key(0), jnp.asarray(IMAGES))
    np.testing.assert_allclose(x, IMAGES / 255, rtol=1e-6)
