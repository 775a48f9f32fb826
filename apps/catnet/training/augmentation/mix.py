"""Mixup and cutmix: two images blended, and their targets in proportion."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from catnet.training.augmentation.rectangles import rectangles
from jaxnn.layer import Array


@partial(jax.jit, static_argnames=("mixup", "cutmix"))
def mix(
    key: Array, images: Array, targets: Any, mixup: float = 0.0, cutmix: float = 0.0
) -> tuple[Array, Any]:
    """Blend a share of the images with the image before, and their targets in proportion.

    Mixup (Zhang et al. 2018) is ``λ x + (1 − λ) x′``; cutmix (Yun et al. 2019) pastes a
    rectangle of x′ that covers 1 − λ of x.  λ is uniform on [0, 1].

    Args:
        key: of ``jax.random``.
        images: ``(n, H, W, 3)``, in random order.
        targets: a tree of floating arrays ``(n, ...)``: probabilities, weights.
        mixup: share of the images for mixup.
        cutmix: share of the images for cutmix; the sum of the two is at most 1.

    Returns:
        ``images`` and ``targets`` blended.
    """
    n, height, width, _ = images.shape
    which, lam, *corner = jax.random.uniform(key, (4, n))
    box = rectangles(corner, 1.0 - lam, jnp.ones(n), height, width)  # (n, H, W)
    cut = (which >= mixup) & (which < mixup + cutmix)
    blend = jnp.where(which < mixup, lam, 1.0)  # weight of x in each pixel
    keep = jnp.where(cut[:, None, None] & box, 0.0, blend[:, None, None])
    share = jnp.where(cut, 1.0 - jnp.mean(box, axis=(1, 2)), blend)

    def blend_with_previous(value: Array, keep: Array) -> Array:
        return keep * value + (1.0 - keep) * jnp.roll(value, 1, axis=0)

    def blend_target(target: Array) -> Array:
        return blend_with_previous(target, share.reshape(n, *[1] * (target.ndim - 1)))

    return blend_with_previous(images, keep[..., None]), jax.tree.map(blend_target, targets)
