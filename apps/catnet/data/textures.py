"""Images of nothing: drawn from a seed, or what is left of photographs taken apart.

A network that has seen only photographs of things takes a grey cloud for fur.  Some of these in
every batch, as non-cats, cure it.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from catnet.data.cache import Cache, Table
from catnet.data.class_names import is_anything_else
from catnet.data.duplicates import fingerprints
from catnet.data.split import TRAIN, split
from catnet.errors import UserError
from catnet.images.size import SIZE

NAME = "textures"
LARGE = 4 * SIZE  # shapes are drawn this large, then made smaller, for smooth edges


def with_textures(cache: Cache, count: int) -> Cache:
    """The cache with one more source, ``textures``: that many images, all of them non-cats.

    Raises:
        UserError: the first class is not of all that is no cat, so they belong to neither.
    """
    if not count:
        return cache
    if not is_anything_else(cache.classes[0]):
        raise UserError(
            f"--textures: images of nothing are neither {' nor '.join(cache.classes)}; "
            "they are for the classes non-cat and cat: leave the option out"
        )
    broken = count // 3
    images = np.concatenate([textures(count - broken), remains(cache, broken)])
    content, perceptual, thumbs = fingerprints(images)
    more = Table(
        labels=np.zeros(count, np.int8),
        fine=np.full(count, -1, np.int16),
        sources=np.full(count, len(cache.sources), np.int16),
        strata=np.full(count, len(cache.strata), np.int16),
        held_out=np.zeros(count, bool),
        content=content,
        perceptual=perceptual,
        thumbs=thumbs,
        names=[f"{NAME}/{i}" for i in range(count)],
    )
    columns = {
        field.name: np.concatenate([getattr(cache.table, field.name), getattr(more, field.name)])
        for field in dataclasses.fields(Table)
        if field.name != "names"
    }
    return dataclasses.replace(
        cache,
        images=(*cache.images, images),
        table=Table(**columns, names=[*cache.table.names, *more.names]),
        sources=(*cache.sources, NAME),
        strata=(*cache.strata, f"{NAME}/non-cat"),
    )


def remains(cache: Cache, count: int, seed: int = 0) -> np.ndarray:
    """Photographs that are learnt from, taken apart until they show nothing.

    In turn: any image with the phases of its waves scrambled (its spectrum stays, so it has
    the fineness of fur and no shape), one with its blocks shuffled, and the middle of a non-cat
    magnified.

    Args:
        cache: where the photographs are.
        count: how many.
        seed: the same one makes the same images.

    Returns:
        (count, 64, 64, 3) uint8.
    """
    rng = np.random.default_rng(seed)
    learnt = split(cache.table) == TRAIN
    non_cats = learnt & (cache.table.labels == 0)
    kinds = ((_scrambled, learnt), (_shuffled, learnt), (_magnified, non_cats))
    made = np.empty((count, SIZE, SIZE, 3), np.uint8)
    for kind, (change, chosen) in enumerate(kinds):
        numbers = rng.choice(np.flatnonzero(chosen), len(made[kind :: len(kinds)]))
        for i, image in enumerate(cache.take(numbers)):
            made[kind + i * len(kinds)] = _uint8(change(rng, image / 255))
    return made


def _scrambled(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Every wave moved, by the same way in all channels, so that colours stay together."""
    waves = np.fft.rfft2(image, axes=(0, 1))
    phase = np.fft.rfft2(rng.standard_normal((SIZE, SIZE, 1)), axes=(0, 1))
    phase[0, 0] = 1
    return np.fft.irfft2(waves * phase / np.abs(phase), s=(SIZE, SIZE), axes=(0, 1))


def _shuffled(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Blocks of 4×4 to 16×16 in another order."""
    side = int(rng.choice([4, 8, 16]))
    count = SIZE // side
    blocks = image.reshape(count, side, count, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    blocks = rng.permutation(blocks).reshape(count, count, side, side, 3)
    return blocks.swapaxes(1, 2).reshape(SIZE, SIZE, 3)


def _magnified(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """A piece of a quarter to a half of the sides."""
    side = int(rng.integers(SIZE // 4, SIZE // 2 + 1))
    top, left = rng.integers(0, SIZE - side + 1, 2).tolist()
    piece = Image.fromarray(_uint8(image[top : top + side, left : left + side]))
    return np.asarray(piece.resize((SIZE, SIZE), Image.Resampling.BICUBIC)) / 255


def textures(count: int, seed: int = 0) -> np.ndarray:
    """Draw textures of all kinds in turn.

    Args:
        count: how many.
        seed: the same one draws the same images.

    Returns:
        (count, 64, 64, 3) uint8.
    """
    rng = np.random.default_rng(seed)
    kinds = (_clouds, _plain, _gratings, _clouds, _tiles, _shapes, _strokes)
    return np.stack([_uint8(kinds[i % len(kinds)](rng)) for i in range(count)])


def _uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 255, 0, 255).round().astype(np.uint8)


def _plain(rng: np.random.Generator) -> np.ndarray:
    """One colour passing into another along a line or from a point, perhaps clouded."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        way = x * np.cos(angle) + y * np.sin(angle)
    else:
        way = np.hypot(x - rng.random(), y - rng.random()) * rng.uniform(0.5, 2)
    cloud = rng.uniform(0, 0.3) * _noise(rng, 1)[..., 0] * (rng.random() < 0.5)
    return _rough(rng, _between_colours(rng, np.clip(way + cloud, 0, 1)))


def _clouds(rng: np.random.Generator) -> np.ndarray:
    """Noise whose amplitudes fall with frequency, from white to smooth; grey as often as not."""
    grey, own = _noise(rng, 1), _noise(rng, 3)
    share = 0.0 if rng.random() < 0.5 else rng.random()
    pattern = (1 - share) * grey + share * own
    contrast = rng.uniform(0.05, 0.35)
    return rng.uniform(0.2, 0.8) + contrast * pattern * _tint(rng)


def _noise(rng: np.random.Generator, channels: int) -> np.ndarray:
    """Noise of mean 0 and variance 1, its spectrum like 1 / f^β, perhaps stretched one way."""
    frequency = np.fft.fftfreq(SIZE)
    stretch = np.exp(rng.uniform(-1, 1))
    f = np.hypot(frequency[:, None] * stretch, frequency[None] / stretch)
    f[0, 0] = np.inf
    white = rng.standard_normal((SIZE, SIZE, channels))
    spectrum = np.fft.fft2(white, axes=(0, 1)) / (f ** rng.uniform(0, 3))[..., None]
    noise = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return noise / noise.std()


def _gratings(rng: np.random.Generator) -> np.ndarray:
    """Stripes, or two sets of them across each other, waved and rough."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    pattern = np.zeros((SIZE, SIZE))
    for _ in range(rng.integers(1, 3)):
        angle, waves = rng.uniform(0, np.pi), rng.uniform(1, 24)
        along = x * np.cos(angle) + y * np.sin(angle)
        bend = rng.uniform(0, 0.5) * _noise(rng, 1)[..., 0] * (rng.random() < 0.5)
        pattern += np.sin(2 * np.pi * waves * along + bend + rng.uniform(0, 6))
    pattern = pattern * rng.uniform(0.5, 4)
    return _rough(rng, _between_colours(rng, 1 / (1 + np.exp(-pattern))))


def _tiles(rng: np.random.Generator) -> np.ndarray:
    """Bricks, boards or a chess board: rows of tiles, each a little different, with joints."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    if rng.random() < 0.5:
        y, x = x, y
    height, width = rng.uniform(4, 24), rng.uniform(4, 40)
    row = np.floor((y + rng.uniform(0, height)) / height)
    place = (x + rng.uniform(0, width) + rng.choice([0, 0.5, 0.3]) * width * row) / width
    shade = rng.random((64, 64))[row.astype(int) % 64, np.floor(place).astype(int) % 64]
    joint = (place % 1 * width < rng.uniform(0, 3)) | (
        (y / height) % 1 * height < rng.uniform(0, 3)
    )
    pattern = np.where(joint, rng.random(), 0.5 + rng.uniform(0.1, 0.5) * (shade - 0.5))
    return _rough(rng, _between_colours(rng, pattern))


def _shapes(rng: np.random.Generator) -> np.ndarray:
    """Rectangles, ellipses and triangles over each other."""
    image = Image.new("RGB", (LARGE, LARGE), _colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 24)):
        corners = rng.integers(-LARGE // 4, LARGE * 5 // 4, (3, 2))
        low, high = corners[:2].min(axis=0), corners[:2].max(axis=0) + 1
        box = (*low.tolist(), *high.tolist())
        kind = rng.integers(3)
        if kind == 0:
            draw.rectangle(box, fill=_colour(rng))
        elif kind == 1:
            draw.ellipse(box, fill=_colour(rng))
        else:
            draw.polygon([tuple(corner) for corner in corners.tolist()], fill=_colour(rng))
    return _rough(rng, _small(image))


def _strokes(rng: np.random.Generator) -> np.ndarray:
    """Lines and curves on paper, as in a sketch or on a page."""
    light = rng.random() < 0.8
    image = Image.new("RGB", (LARGE, LARGE), "white" if light else _colour(rng))
    draw = ImageDraw.Draw(image)
    ink = "black" if rng.random() < 0.6 else _colour(rng)
    for _ in range(rng.integers(3, 40)):
        start, turns = rng.uniform(0, LARGE, 2), rng.normal(0, LARGE / 10, (rng.integers(2, 12), 2))
        points = [tuple(p) for p in (start + np.cumsum(turns, axis=0)).tolist()]
        draw.line(points, fill=ink, width=int(rng.integers(1, 12)), joint="curve")
    return _rough(rng, _small(image))


def _small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX)) / 255


def _rough(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """With a little noise over it, more often than not."""
    return image + rng.uniform(0, 0.12) * _noise(rng, 1) * (rng.random() < 0.7)


def _between_colours(rng: np.random.Generator, pattern: np.ndarray) -> np.ndarray:
    """0 and 1 become two colours: of one hue as often as not."""
    first = rng.random(3)
    second = first * rng.uniform(0.2, 1.8) if rng.random() < 0.5 else rng.random(3)
    if rng.random() < 0.3:
        first, second = np.full(3, first[0]), np.full(3, second[0])
    return first + pattern[..., None] * (second - first)


def _tint(rng: np.random.Generator) -> np.ndarray:
    return 1 + 0.3 * rng.uniform(-1, 1, 3) * (rng.random() < 0.5)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return (red, green, blue) if rng.random() < 0.7 else (red, red, red)
