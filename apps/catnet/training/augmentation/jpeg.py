"""JPEG compression of random images: its lossy part."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from catnet.training.augmentation.rows import materialize
from catnet.training.augmentation.strength import Strength, between
from jaxnn.layer import Array

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma
# ITU-T T.81, tables K.1 and K.2: quantisation of luminance and chrominance at quality 50.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)
TABLES = np.array([LUMINANCE, CHROMINANCE, CHROMINANCE], np.float32).reshape(3, 64)
# ITU-T T.871: red, green, blue to luma and two colour differences, and back.
TO_YCC = np.array([GREY, (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312)], np.float32)
TO_RGB = np.linalg.inv(TO_YCC)


def random_recompress(key: Array, x: Array, strength: Strength) -> Array:
    """Compress the first images of the batch again, with the block grid at a random place."""
    count = round(strength.recompress * len(x))
    if count == 0:
        return x
    u = jax.random.uniform(key, (count + 2,))
    quality = between(strength.quality, u[2:])
    # One place for the batch: one for each image would cost more than the rest of the function.
    down, right = (8 * u[:2]).astype(jnp.int32)
    part = jnp.roll(x[:count], (down, right), (1, 3))
    part = jnp.roll(recompress(part, quality), (-down, -right), (1, 3))
    return materialize(jnp.concatenate([part, x[count:]]))


def recompress(x: Array, quality: Array) -> Array:
    """Quantize as JPEG does: chrominance at half the resolution, DCT of 8×8 blocks.

    Args:
        x: ``(n, H, 3, W)`` in [0, 1]; H and W are multiples of 8.
        quality: ``(n,)``, 1 to 100; scales the tables as libjpeg does.

    Returns:
        ``(n, H, 3, W)`` in [0, 1].
    """
    n, height, _, width = x.shape
    scale = jnp.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None]
    tables = jnp.clip(jnp.floor((TABLES[None] * scale + 50) / 100), 1, 255)[:, :, None, :]
    level = jnp.array([128.0, 0.0, 0.0])[None, None, :, None]  # luma is stored minus 128
    ycc = across_channels(jnp.asarray(TO_YCC)[None], x) * 255.0 - level
    blocks = ycc.reshape(n, height // 8, 8, 3, width // 8, 8).transpose(0, 3, 1, 4, 2, 5)
    basis, mask = jnp.asarray(_cosines()), jnp.asarray(_mask())[None, :, None, :]
    coefficients = blocks.reshape(n, 3, -1, 64) @ basis.T
    coefficients = jnp.round(coefficients / tables) * (tables * mask)
    blocks = (coefficients @ basis).reshape(n, 3, height // 8, width // 8, 8, 8)
    ycc = blocks.transpose(0, 2, 4, 1, 3, 5).reshape(x.shape) + level
    return jnp.clip(across_channels(jnp.asarray(TO_RGB)[None], ycc) / 255.0, 0.0, 1.0)


def _cosines() -> np.ndarray:
    """The two-dimensional DCT-II of a block as one orthonormal matrix, (64, 64)."""
    u, i = np.mgrid[:8, :8]
    one = np.where(u == 0, math.sqrt(1 / 8), 0.5) * np.cos((2 * i + 1) * u * math.pi / 16)
    return np.kron(one, one).astype(np.float32)


def _mask() -> np.ndarray:
    """The coefficients that are kept, (3, 64): for chrominance the lower half of each axis."""
    half = np.zeros((8, 8), np.float32)
    half[:4, :4] = 1
    return np.stack([np.ones(64, np.float32), half.ravel(), half.ravel()])


def across_channels(matrix: Array, x: Array) -> Array:
    """``matrix (n or 1, 3, 3)`` times the channels of x ``(n, H, 3, W)``; XLA fuses the sums."""
    red, green, blue = (matrix[:, None, :, j, None] * x[:, :, j, None] for j in range(3))
    return red + green + blue
