"""The logits of images: the first view, the copies where it is doubtful, batches of one size."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from PIL import Image

from catnet.errors import UserError
from catnet.models import registry
from catnet.models.inference import BATCH, compute_logits

PHOTO = {
    "model": "photo",
    "widths": [4, 6],
    "blocks": [1, 0],
    "geometry": [96, 1.15],
    "test_time_augmentation": [96, 58],
}
TWO = {**PHOTO, "classes": 5, "cats": [1, 3]}
MANY = {**PHOTO, "classes": 4}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """More than a batch, of noise on different grounds."""
    draw = np.random.default_rng(0)
    ground = draw.integers(0, 200, (BATCH + 5, 1, 1, 3))
    return (ground + draw.integers(0, 56, (BATCH + 5, 96, 96, 3))).astype(np.uint8)


def see_middle(images: np.ndarray, side: int) -> np.ndarray:
    """The middle of images at 64×64, resized by Pillow, in [0, 1]."""
    edge, bilinear = (96 - side) / 2, Image.Resampling.BILINEAR
    box = (edge, edge, 96 - edge, 96 - edge)
    channels = [
        np.asarray(Image.fromarray(image[..., c]).resize((64, 64), bilinear, box=box))
        for image in images.astype(np.float32) / 255
        for c in range(3)
    ]
    return np.reshape(channels, (len(images), 3, 64, 64)).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("described", [TWO, MANY])
def test_doubtful_images_are_seen_in_all_copies_and_the_others_once(described, images) -> None:
    net = registry.network(described).layers
    shape = jax.ShapeDtypeStruct((64, 64, 3), "float32")
    params = jax.tree.map(lambda leaf: 3 * leaf, net.init(jax.random.key(0), shape))
    once, whole, close = (
        np.asarray(net.apply(params, see_middle(images, side))) for side in (80, 96, 58)
    )
    mirrored = [net.apply(params, see_middle(images, side)[:, :, ::-1]) for side in (96, 58)]
    mean = (whole + close + sum(map(np.asarray, mirrored))) / 4
    in_order = np.sort(once, axis=1)
    margin = np.abs(once[:, 0]) if described is TWO else in_order[:, -1] - in_order[:, -2]
    doubt = float(np.median(margin)) + 1e-3
    expected = np.where(margin[:, None] < doubt, mean, once)
    assert 0 < np.sum(margin < doubt) < len(images)

    viewed = {**described, "first_view": [80, doubt]}
    z = compute_logits(viewed, params, images)
    np.testing.assert_allclose(z, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        compute_logits(described, params, images), mean, rtol=1e-3, atol=1e-4
    )
    alone = [compute_logits(viewed, params, image[None])[0] for image in images]
    np.testing.assert_array_equal(z, alone)


@pytest.mark.parametrize("view", [[97, 1.0], [80, -1], [80, "2"], [80], 80, [80.0, 1]])
def test_first_views_that_are_none_are_refused(view) -> None:
    with pytest.raises(UserError, match="its architecture is not one of this catnet"):
        registry.build({**TWO, "first_view": view})
    without = {key: value for key, value in TWO.items() if key != "test_time_augmentation"}
    with pytest.raises(UserError, match="its architecture"):
        registry.build({**without, "geometry": [64], "first_view": [60, 1.0]})


def test_a_new_head_has_no_first_view() -> None:
    viewed = {**TWO, "first_view": [80, 2.0]}
    assert "first_view" not in registry.with_classes(viewed, 2)
