"""The photo network: its rules by hand, its descriptions."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxnn
from catnet.errors import UserError
from catnet.models import registry
from catnet.models import test_time_augmentation as tta
from catnet.models.classifier import Classifier
from catnet.models.registry import build
from catnet.models.resnet import log_odds, photo_loss, targets, weigh
from jaxnn import Layer, LayerError
from jaxnn.gradients.check import GradientCheck

pytestmark = pytest.mark.usefixtures("compiled_quickly")
TINY = {"model": "photo", "widths": [4, 6], "blocks": [1, 0], "classes": 5, "cats": [1, 3]}


def test_log_odds_is_the_probability_of_the_group(x64) -> None:
    z = np.random.default_rng(0).normal(size=(6, 5))
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p = softmax[:, [1, 3]].sum(axis=1)
    s = log_odds([1, 3], 5).apply((), jnp.asarray(z))
    np.testing.assert_allclose(s[:, 0], np.log(p / (1 - p)), rtol=1e-12)


def test_log_odds_of_large_logits_are_those_of_sums_in_the_exponent(x64) -> None:
    z = 1e4 * np.random.default_rng(0).normal(size=(6, 5))
    expected = np.logaddexp.reduce(z[:, [1, 3]], 1) - np.logaddexp.reduce(z[:, [0, 2, 4]], 1)
    s = log_odds([1, 3], 5).apply((), jnp.asarray(z))
    np.testing.assert_allclose(s[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_the_loss_by_hand_has_the_gradient_of_jax_and_is_finite(size: float, x64) -> None:
    z = size * jax.random.normal(jax.random.key(0), (6, 5))
    cat, fine = jnp.array([0, 1, 0, 1, 1, 0]), jnp.array([0, 1, -1, -1, 3, 4])
    y = targets(cat, fine, jnp.array([0.0, 0.0, -2.0, -2.0, 1.0, 1.0]), 5, 0.1)
    loss = photo_loss([1, 3], 5, 0.5)
    assert np.isfinite(loss(z, y))
    np.testing.assert_allclose(loss.gradient(z, y), jax.grad(loss)(z, y), rtol=1e-9, atol=1e-12)


def test_weights_of_images_are_those_of_their_costs(x64) -> None:
    """An image of weight w costs w times as much; the gradient is that of JAX."""
    z = jax.random.normal(jax.random.key(0), (2, 5))
    cat, fine, prior = jnp.array([0, 1]), jnp.array([0, 3]), jnp.array([1.0, -2.0])
    loss = photo_loss([1, 3], 5, 0.5)

    def cost(i: int) -> jax.Array:
        one = slice(i, i + 1)
        return loss(z[one], targets(cat[one], fine[one], prior[one], 5, 0.1))

    y = weigh(targets(cat, fine, prior, 5, 0.1), jnp.array([0.5, 3.0]), cats=True)
    np.testing.assert_allclose(loss(z, y), (0.5 * cost(0) + 3 * cost(1)) / 2, rtol=1e-6)
    np.testing.assert_allclose(loss.gradient(z, y), jax.grad(loss)(z, y), rtol=1e-5, atol=1e-7)


def test_targets_are_distributions_where_the_fine_class_is_known() -> None:
    y = targets(np.array([1, 0]), np.array([3, -1]), np.zeros(2), 5, 0.1)
    np.testing.assert_allclose(y.fine.sum(axis=1), [1, 0], rtol=1e-6)
    np.testing.assert_allclose(y.cat[:, 0], [0.95, 0.05], rtol=1e-6)


def test_logits_that_know_nothing_cost_least_where_the_prior_is_how_frequent_cats_are(x64) -> None:
    """Of 4 images one is a cat: z without a word for or against cats is then the best."""
    cat, nothing = jnp.array([1, 0, 0, 0]), jnp.full(4, -1)
    y = targets(cat, nothing, jnp.full(4, jnp.log(1 / 3)), 2, 0.0)
    loss = photo_loss([1], 2, 0.5)
    z = jnp.zeros((4, 2))
    assert loss(z, y) == pytest.approx(-np.log(0.25) / 4 - np.log(0.75) * 3 / 4, rel=1e-6)
    np.testing.assert_allclose(loss.gradient(z, y).sum(axis=0), 0, atol=1e-7)


def test_every_rule_of_the_network_is_right() -> None:
    check = check_at_random_params(build(TINY), jax.random.uniform(jax.random.key(0), (2, 8, 8, 3)))
    assert check.ok, str(check)


def test_the_rule_of_test_time_augmentation_is_right() -> None:
    net = jaxnn.serial(jaxnn.flatten, jaxnn.dense(1), jaxnn.tanh)
    x = jax.random.uniform(jax.random.key(0), (2, 64, 64, 1))
    check = check_at_random_params(tta.test_time_augmentation(net, (64, 40), 64), x)
    assert check.ok, str(check)
    x = jax.random.uniform(jax.random.key(0), (2, 80, 80, 1))
    check = check_at_random_params(tta.test_time_augmentation(net, (80, 50), 80), x)
    assert check.ok, str(check)


def check_at_random_params(net: Layer, x: jax.Array) -> GradientCheck:
    params = jax.jit(net.init)(jax.random.key(1), x)
    # The last convolution of a block starts at zero, where its neighbours' gradients are zero.
    params = jax.tree.map(lambda p: p + 0.1 * jnp.cos(jnp.arange(p.size)).reshape(p.shape), params)
    y = jnp.array([[0.0], [1.0]])
    return jaxnn.check_gradients(net, params, x, y, jaxnn.binary_cross_entropy)


def test_an_answer_is_the_mean_over_the_copies_that_pillow_makes() -> None:
    net = build(TINY)
    x = np.random.default_rng(0).random((3, 64, 64, 3), np.float32)
    params = net.init(jax.random.key(1), x)
    closer = np.stack([middle(image, 48) for image in x])
    seen = [view for image in (x, closer) for view in (image, image[:, :, ::-1])]
    mean = sum(net.apply(params, view) for view in seen) / 4
    both = build({**TINY, "test_time_augmentation": [64, 48]})
    np.testing.assert_allclose(both.apply(params, x), mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(both.apply(params, x[:, :, ::-1]), mean, rtol=1e-4, atol=1e-5)
    large = np.random.default_rng(0).random((3, 96, 96, 3), np.float32)
    seen = [view for side in (96, 66) for view in [np.stack([middle(x, side) for x in large])]]
    mean = sum(net.apply(params, v) + net.apply(params, v[:, :, ::-1]) for v in seen) / 4
    both = build({**TINY, "geometry": [96, 1.15], "test_time_augmentation": [96, 66]})
    np.testing.assert_allclose(both.apply(params, large), mean, rtol=1e-4, atol=1e-5)
    images = (large * 255).round().astype(np.uint8)
    close = np.concatenate([[middle(x / 255, side) for x in images] for side in (96, 66)])
    assert np.abs(tta.views(images, (96, 66)) / 255 - close).max() < 0.51 / 255
    mirrored = build({**TINY, "test_time_augmentation": [64]})
    once = (net.apply(params, x) + net.apply(params, x[:, :, ::-1])) / 2
    np.testing.assert_allclose(mirrored.apply(params, x), once, rtol=1e-5, atol=1e-6)


def middle(image: np.ndarray, part: int) -> np.ndarray:
    """The middle of an image at 64×64, resized by Pillow."""
    edge, end = (len(image) - part) // 2, (len(image) + part) // 2
    box, bilinear = (edge, edge, end, end), Image.Resampling.BILINEAR
    channels = [
        Image.fromarray(image[..., c].astype(np.float32)).resize((64, 64), bilinear, box=box)
        for c in range(3)
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


@pytest.mark.parametrize(
    "change",
    [
        {"cats": []},
        {"widths": [4]},
        {"classes": "many"},
        {"test_time_augmentation": [65]},
        {"views": [64]},
        {"geometry": [96, None]},
    ],
)
def test_descriptions_that_are_none_are_refused(change: dict) -> None:
    with pytest.raises(UserError, match="its architecture is not one of this catnet"):
        registry.build({**TINY, **change})


def test_the_shipped_model_is_shown_layer_by_layer_and_names_a_wrong_size() -> None:
    classifier = Classifier.load()
    net = registry.build(classifier.architecture)
    table = jaxnn.summary(net, jax.ShapeDtypeStruct((1, 96, 96, 3), jnp.float32))
    assert table.rows[0].path == "test_time_augmentation[0].serial[0].serial[0].conv(48)"
    assert table.rows[-1].output == (4, 1)  # each image is shown four times
    leaves = jax.tree.leaves(classifier.params)
    assert (
        table.parameters == sum(row.parameters for row in table.rows) == sum(map(np.size, leaves))
    )
    assert max(map(len, str(table).splitlines())) < 160
    with pytest.raises(LayerError) as error:
        net.apply(classifier.params, jnp.ones((63, 63, 3)))
    line = "test_time_augmentation: expected input (..., 96, 96, C), got (63, 63, 3)"
    assert str(error.value) == line
