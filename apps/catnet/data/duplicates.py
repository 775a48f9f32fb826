"""Find duplicates and near-duplicates by hashes, thumbnails and pixels."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

# Measured on 80,000 photographs: near-duplicates differ in at most 8 bits and a root mean square
# of 27 of 255; pairs with 10 bits and 30 are rare and mostly different images.
MAX_BITS = 10
MAX_DISTANCE = 30.0
# The first bits of the windows of a hash; images with an equal window are compared.
_WINDOWS = range(0, 64, 4)
_WIDTH = 12  # bits of a window
_NEIGHBOURS = 64  # an image is compared with this many images that have an equal window
# Root mean square of 255 at 64×64.  Copies in other sizes and JPEG qualities differ by at most 13,
# similar drawings by 20 or more; of 23,000 photographs, no pair is between 7 and 33.
MAX_IMAGE_DISTANCE = 16.0
_CHUNK = 4096  # images in a chunk

GetImage = Callable[[int], np.ndarray]  # from an index to the pixels, (64, 64, 3) uint8


class Fingerprints(NamedTuple):
    """The fingerprints of n images.

    Attributes:
        content: (n,) uint64, hashes of all pixels.
        perceptual: (n,) uint64, signs of the lowest frequencies.
        thumbs: (n, 8, 8, 3) uint8, thumbnails.
    """

    content: np.ndarray
    perceptual: np.ndarray
    thumbs: np.ndarray


def compute_fingerprints(images: np.ndarray) -> Fingerprints:
    """Compute content hashes, perceptual hashes and thumbnails.

    A perceptual hash has the signs of the 8×8 lowest frequencies of the DCT-II of the image at
    16×16 in grey, without the constant one (after Zauner 2010, who compares with the median).

    Args:
        images: (n, 64, 64, 3) uint8, at least one.
    """
    starts = range(0, len(images), _CHUNK)
    chunks = [_fingerprint_chunk(images[start : start + _CHUNK]) for start in starts]
    return Fingerprints(*map(np.concatenate, zip(*chunks, strict=True)))


def hash_pixels(images: np.ndarray) -> np.ndarray:
    """Hash all pixels of each image: (n,) uint64."""
    content = [hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images]
    return np.frombuffer(b"".join(content), np.uint64)


def _fingerprint_chunk(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    small = images.reshape(-1, 16, 4, 16, 4, 3).mean(axis=(2, 4), dtype=np.float32)
    grey = small @ np.array([0.299, 0.587, 0.114], np.float32)
    u, i = np.mgrid[:8, :16]
    cosines = np.cos((2 * i + 1) * u * math.pi / 32).astype(np.float32)
    signs = (cosines @ grey @ cosines.T).reshape(
        -1, 64
    ) > 1e-2  # so that rounding errors do not decide the sign
    signs[:, 0] = False
    thumbs = small.reshape(-1, 8, 2, 8, 2, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    perceptual = np.packbits(signs, axis=1).view(np.uint64)[:, 0]
    return hash_pixels(images), perceptual, thumbs


def find_near_duplicates(perceptual: np.ndarray, thumbs: np.ndarray) -> np.ndarray:
    """Find pairs of images that look the same.

    Two images look the same if their perceptual hashes differ in at most 10 of 64 bits and their
    thumbnails by at most 30 of 255 (root mean square).  The hashes alone would join flat images,
    and the thumbnails alone would join dark images.

    Two images are compared only if their hashes agree in a window of 12 bits and are neighbours in
    the sorted order.  So a pair that differs in many bits may be missed, and many equal hashes
    give a chain of pairs.

    Args:
        perceptual: (n,) uint64.
        thumbs: (n, 8, 8, 3) uint8.

    Returns:
        (pairs, 2) int64, the smaller index first, sorted.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
        >>> images[2] = images[0] // 8 * 8
        >>> _, perceptual, thumbs = compute_fingerprints(images)
        >>> find_near_duplicates(perceptual, thumbs).tolist()
        [[0, 2]]
    """
    candidates = [np.empty((0, 2), np.int64)]
    for start in _WINDOWS:
        rotated = (perceptual >> np.uint64(start)) | (perceptual << np.uint64((64 - start) % 64))
        part = rotated & np.uint64(2**_WIDTH - 1)
        order = np.lexsort((perceptual, part))
        hashes, parts = perceptual[order], part[order]
        for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
            close = np.bitwise_count(hashes[step:] ^ hashes[:-step]) <= MAX_BITS
            near = np.flatnonzero(close & (parts[step:] == parts[:-step]))
            pair = np.stack([order[near], order[near + step]], axis=1)
            candidates.append(np.sort(pair, axis=1))
    pairs = np.unique(np.concatenate(candidates), axis=0)
    a, b = thumbs[pairs[:, 0]].astype(np.float32), thumbs[pairs[:, 1]].astype(np.float32)
    distance = np.sqrt(np.mean((a - b) ** 2, axis=(1, 2, 3)))
    return pairs[distance <= MAX_DISTANCE]


def find_groups(prints: Fingerprints, get_image: GetImage | None = None) -> np.ndarray:
    """Find groups of images that are equal, nearly equal, or joined by a chain of such pairs.

    Args:
        prints: the fingerprints of n images.
        get_image: returns the pixels of an image; near-duplicates are then joined only if they
            differ by at most ``MAX_IMAGE_DISTANCE``.  If it is None, hash and thumbnail decide.

    Returns:
        (n,) uint64, the smallest content hash in the group of each image.
    """
    content, index, near = _join_equal(prints, get_image)
    parent = np.arange(len(content))

    def find_root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in near:
        low, high = sorted((find_root(a), find_root(b)))
        parent[high] = low
    return content[[find_root(i) for i in range(len(content))]][index]


def find_pairs(
    prints: Fingerprints, get_image: GetImage, boundary: int
) -> Iterator[tuple[int, int, bool]]:
    """Find the pairs that :func:`find_groups` joins, and whether they are equal.

    The smaller index is first.  k equal images give a chain of k - 1 pairs.  For near-duplicates,
    only the first of several equal images in each part is used.

    Args:
        prints: the fingerprints of n images.
        get_image: returns the pixels of an image.
        boundary: the index of the first image of the second part.
    """
    content, index, near = _join_equal(prints, get_image)
    order = np.argsort(index, kind="stable")
    equal = index[order[1:]] == index[order[:-1]]
    for a, b in zip(order[:-1][equal].tolist(), order[1:][equal].tolist(), strict=True):
        yield a, b, True
    first: list[list[int]] = [[] for _ in content]  # of each content, the first image of each part
    for start, end in ((0, boundary), (boundary, len(index))):
        for i, offset in zip(*np.unique(index[start:end], return_index=True), strict=True):
            first[i].append(start + int(offset))
    pairs = [(min(i, j), max(i, j)) for a, b in near for i in first[a] for j in first[b]]
    for a, b in sorted(pairs):
        yield a, b, False


def _join_equal(
    prints: Fingerprints, get_image: GetImage | None
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Join equal images: the unique contents, the index of each image in them, near-duplicates."""
    # Sorted by content, so the result does not depend on the order of the images.
    content, first, index = np.unique(prints.content, return_index=True, return_inverse=True)
    near = find_near_duplicates(prints.perceptual[first], prints.thumbs[first]).tolist()
    if get_image is None:
        return content, index, [(a, b) for a, b in near]
    images = first.tolist()
    pairs = [
        (a, b)
        for a, b in near
        if _compute_distance(get_image(images[a]), get_image(images[b])) <= MAX_IMAGE_DISTANCE
    ]
    return content, index, pairs


def _compute_distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float32) - b) ** 2)))
