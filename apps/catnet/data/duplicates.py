"""Telling the same image again: hashes of pixels, near-duplicates, and groups of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

# Of 80,000 photographs the pairs that are one image differ in at most 8 bits and a mean
# square of 27² of 255; those that differ in 10 bits and 30² are rare and mostly not.
MAX_BITS = 10
MAX_DISTANCE = 30.0
_WINDOWS = range(0, 64, 4)  # where the parts of a hash begin by which images are compared
_WIDTH = 12  # bits of such a part
_NEIGHBOURS = 64  # with how many of those that share a part an image is compared
# Root mean square of 255 at 64×64.  Copies in other sizes and JPEG qualities differ by at most 13,
# drawings that only look alike by 20 or more; no pair of 23,000 photographs is between 7 and 33.
MAX_IMAGE_DISTANCE = 16.0
_CHUNK = 4096  # images whose fingerprints are taken at a time

Image = Callable[[int], np.ndarray]  # from an image's number to its pixels, (64, 64, 3) uint8


class Fingerprints(NamedTuple):
    """Of n images.

    Attributes:
        content: (n,) uint64, hashes of all pixels.
        perceptual: (n,) uint64, signs of the lowest frequencies.
        thumbs: (n, 8, 8, 3) uint8, thumbnails.
    """

    content: np.ndarray
    perceptual: np.ndarray
    thumbs: np.ndarray


def fingerprints(images: np.ndarray) -> Fingerprints:
    """Content hashes, perceptual hashes and thumbnails.

    A perceptual hash holds the signs of the 8×8 lowest frequencies, the constant one left out,
    of a 16×16 grey image's DCT-II (after Zauner 2010, who compares with the median).

    Args:
        images: (n, 64, 64, 3) uint8, at least one.
    """
    starts = range(0, len(images), _CHUNK)
    chunks = [_fingerprints(images[start : start + _CHUNK]) for start in starts]
    return Fingerprints(*map(np.concatenate, zip(*chunks, strict=True)))


def _fingerprints(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    content = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images]
    small = images.reshape(-1, 16, 4, 16, 4, 3).mean(axis=(2, 4), dtype=np.float32)
    grey = small @ np.array([0.299, 0.587, 0.114], np.float32)
    u, i = np.mgrid[:8, :16]
    cosines = np.cos((2 * i + 1) * u * math.pi / 32).astype(np.float32)
    signs = (cosines @ grey @ cosines.T).reshape(-1, 64) > 1e-2  # rounding is not a sign
    signs[:, 0] = False
    thumbs = small.reshape(-1, 8, 2, 8, 2, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    perceptual = np.packbits(signs, axis=1).view(np.uint64)[:, 0]
    return np.frombuffer(b"".join(content), np.uint64), perceptual, thumbs


def near_duplicates(perceptual: np.ndarray, thumbs: np.ndarray) -> np.ndarray:
    """Pairs of images that look the same.

    Two do if their perceptual hashes differ in at most 10 of 64 bits and their thumbnails by
    at most 30 of 255 (root mean square): the first alone would join flat images, the second
    alone dim ones.  Only those are compared whose hashes agree in 12 neighbouring bits, and are
    near in order: so a pair that differs in many bits may be missed, and a crowd of equal hashes
    becomes a chain.

    Args:
        perceptual: (n,) uint64.
        thumbs: (n, 8, 8, 3) uint8.

    Returns:
        (pairs, 2) int64, the smaller number first, sorted.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
        >>> images[2] = images[0] // 8 * 8
        >>> _, perceptual, thumbs = fingerprints(images)
        >>> near_duplicates(perceptual, thumbs).tolist()
        [[0, 2]]
    """
    found = [np.empty((0, 2), np.int64)]
    for start in _WINDOWS:
        turned = (perceptual >> np.uint64(start)) | (perceptual << np.uint64((64 - start) % 64))
        part = turned & np.uint64(2**_WIDTH - 1)
        order = np.lexsort((perceptual, part))
        hashes, parts = perceptual[order], part[order]
        for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            close = np.bitwise_count(hashes[step:] ^ hashes[:-step]) <= MAX_BITS
            near = np.flatnonzero(close & (parts[step:] == parts[:-step]))
            found.append(np.sort(np.stack([order[near], order[near + step]], axis=1), axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    a, b = thumbs[pairs[:, 0]].astype(np.float32), thumbs[pairs[:, 1]].astype(np.float32)
    distance = np.sqrt(np.mean((a - b) ** 2, axis=(1, 2, 3)))
    return pairs[distance <= MAX_DISTANCE]


def groups(prints: Fingerprints, image: Image | None = None) -> np.ndarray:
    """Which images are one: equal, nearly equal, or joined by a chain of such pairs.

    Args:
        prints: of n images.
        image: gives the pixels of an image; near-duplicates are then joined only if they differ
            by at most ``MAX_IMAGE_DISTANCE``.  Without it, hash and thumbnail decide.

    Returns:
        (n,) uint64, the smallest content hash of each image's group, whatever the order.
    """
    content, which, near = _near(prints, image)
    parent = np.arange(len(content))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in near:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return content[[root(i) for i in range(len(content))]][which]


def pairs(prints: Fingerprints, image: Image, boundary: int) -> Iterator[tuple[int, int, bool]]:
    """The pairs that :func:`groups` joins, and whether the two are equal; the smaller number first.

    Equal images are a chain.  Images nearly equal are named by the first of those equal to them,
    before and from the boundary.

    Args:
        prints: of n images.
        image: gives the pixels of an image.
        boundary: the number of the first image of the second part.
    """
    content, which, near = _near(prints, image)
    order = np.argsort(which, kind="stable")
    equal = which[order[1:]] == which[order[:-1]]
    for a, b in zip(order[:-1][equal].tolist(), order[1:][equal].tolist(), strict=True):
        yield a, b, True
    named: list[list[int]] = [[] for _ in content]
    for start, end in ((0, boundary), (boundary, len(which))):
        for i, number in zip(*np.unique(which[start:end], return_index=True), strict=True):
            named[i].append(start + int(number))
    found = [(min(i, j), max(i, j)) for a, b in near for i in named[a] for j in named[b]]
    for a, b in sorted(found):
        yield a, b, False


def _near(
    prints: Fingerprints, image: Image | None
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """The different contents, which of them each image has, and which are near-duplicates."""
    # By content: identical images are one, and the order of the images is gone.
    content, first, which = np.unique(prints.content, return_index=True, return_inverse=True)
    near = near_duplicates(prints.perceptual[first], prints.thumbs[first]).tolist()
    numbers = first.tolist()
    confirmed = [
        (a, b)
        for a, b in near
        if image is None or _distance(image(numbers[a]), image(numbers[b])) <= MAX_IMAGE_DISTANCE
    ]
    return content, which, confirmed


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float32) - b) ** 2)))
