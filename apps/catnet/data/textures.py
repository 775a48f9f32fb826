"""Images without objects: drawn textures and scrambled photographs.

A network that is trained only on photographs of objects classifies a grey cloud as fur.  Some
textures in every batch, as non-cats, prevent this.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image, ImageDraw

from catnet.data.cache import Cache
from catnet.data.class_names import enumerate_names, is_anything_else
from catnet.data.duplicates import compute_fingerprints
from catnet.data.split import TRAIN, split
from catnet.data.table import Table
from catnet.errors import UserError
from catnet.images.decode import resize_squares
from catnet.images.geometry import WHOLE, Geometry
from catnet.images.size import SIZE

NAME = "textures"
LARGE = 4 * SIZE  # shapes are drawn at this size, then scaled down for smooth edges


def add_textures(cache: Cache, count: int) -> Cache:
    """Add the source ``textures`` to a cache: ``count`` images, all of them non-cats.

    Raises:
        UserError: the first class does not mean everything except cats.
    """
    if not count:
        return cache
    if len(cache.classes) != 2 or not is_anything_else(cache.classes[0]):
        raise UserError(
            f"--textures: textures are none of the classes {enumerate_names(cache.classes)}; "
            "they need the classes non-cat and cat: leave the option out"
        )
    scrambled = count // 3
    geometry = Geometry(cache.images[0].shape[1])
    drawn = resize_squares(draw_textures(count - scrambled), geometry)
    images = np.concatenate([drawn, scramble_photographs(cache, scrambled)])
    content, perceptual, thumbs = compute_fingerprints(resize_squares(images, WHOLE))
    more = Table(
        labels=np.zeros(count, np.int16),
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


def scramble_photographs(cache: Cache, count: int, seed: int = 0) -> np.ndarray:
    """Change photographs of the training part so that they show no objects.

    The changes alternate: an image with random phases (its spectrum stays, so it has the texture
    of fur without a shape), an image with shuffled blocks, and a magnified piece of a non-cat.

    Args:
        cache: the photographs.
        count: the number of images.
        seed: of all randomness.

    Returns:
        (count, size, size, 3) uint8, of the size of the photographs.
    """
    rng = np.random.default_rng(seed)
    train = split(cache.table) == TRAIN
    non_cats = train & (cache.table.labels == 0)
    kinds = ((_scramble_phases, train), (_shuffle_blocks, train), (_magnify_piece, non_cats))
    images = np.empty((count, *cache.images[0].shape[1:]), np.uint8)
    for kind, (change, mask) in enumerate(kinds):
        indices = rng.choice(np.flatnonzero(mask), len(images[kind :: len(kinds)]))
        for i, image in enumerate(cache.take(indices)):
            images[kind + i * len(kinds)] = _to_uint8(change(rng, image / 255))
    return images


def _scramble_phases(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Add the same random phases to the spectra of all channels, so that the colours stay."""
    waves = np.fft.rfft2(image, axes=(0, 1))
    size = len(image)
    phase = np.fft.rfft2(rng.standard_normal((size, size, 1)), axes=(0, 1))
    phase[0, 0] = 1
    return np.fft.irfft2(waves * phase / np.abs(phase), s=(size, size), axes=(0, 1))


def _shuffle_blocks(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Shuffle blocks of a sixteenth to a quarter of the side."""
    count = int(rng.choice([16, 8, 4]))
    side = len(image) // count
    blocks = image.reshape(count, side, count, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    blocks = rng.permutation(blocks).reshape(count, count, side, side, 3)
    return blocks.swapaxes(1, 2).reshape(image.shape)


def _magnify_piece(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Magnify a square piece, whose side is a quarter to a half of the image."""
    size = len(image)
    side = int(rng.integers(size // 4, size // 2 + 1))
    top, left = rng.integers(0, size - side + 1, 2).tolist()
    piece = Image.fromarray(_to_uint8(image[top : top + side, left : left + side]))
    return np.asarray(piece.resize((size, size), Image.Resampling.BICUBIC)) / 255


def draw_textures(count: int, seed: int = 0) -> np.ndarray:
    """Draw textures; their kinds alternate.

    Args:
        count: the number of images.
        seed: of all randomness.

    Returns:
        (count, 64, 64, 3) uint8.
    """
    rng = np.random.default_rng(seed)
    kinds = (
        _draw_clouds,
        _draw_gradient,
        _draw_gratings,
        _draw_clouds,
        _draw_tiles,
        _draw_shapes,
        _draw_strokes,
    )
    return np.stack([_to_uint8(kinds[i % len(kinds)](rng)) for i in range(count)])


def _to_uint8(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 255, 0, 255).round().astype(np.uint8)


def _draw_gradient(rng: np.random.Generator) -> np.ndarray:
    """A linear or radial gradient between two colours, sometimes with noise."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    if rng.random() < 0.5:
        angle = rng.uniform(0, 2 * np.pi)
        position = x * np.cos(angle) + y * np.sin(angle)
    else:
        position = np.hypot(x - rng.random(), y - rng.random()) * rng.uniform(0.5, 2)
    cloud = rng.uniform(0, 0.3) * _draw_noise(rng, 1)[..., 0] * (rng.random() < 0.5)
    return _add_noise(rng, _map_to_colours(rng, np.clip(position + cloud, 0, 1)))


def _draw_clouds(rng: np.random.Generator) -> np.ndarray:
    """Noise with a falling spectrum, from white to smooth; grey with probability ½."""
    grey, colours = _draw_noise(rng, 1), _draw_noise(rng, 3)
    weight = 0.0 if rng.random() < 0.5 else rng.random()
    pattern = (1 - weight) * grey + weight * colours
    contrast = rng.uniform(0.05, 0.35)
    return rng.uniform(0.2, 0.8) + contrast * pattern * _choose_tint(rng)


def _draw_noise(rng: np.random.Generator, channels: int) -> np.ndarray:
    """Noise of mean 0 and variance 1 with the spectrum 1 / f^β, stretched along an axis."""
    frequency = np.fft.fftfreq(SIZE)
    stretch = np.exp(rng.uniform(-1, 1))
    f = np.hypot(frequency[:, None] * stretch, frequency[None] / stretch)
    f[0, 0] = np.inf
    white = rng.standard_normal((SIZE, SIZE, channels))
    spectrum = np.fft.fft2(white, axes=(0, 1)) / (f ** rng.uniform(0, 3))[..., None]
    noise = np.fft.ifft2(spectrum, axes=(0, 1)).real
    return noise / noise.std()


def _draw_gratings(rng: np.random.Generator) -> np.ndarray:
    """One or two sets of stripes, bent, with noise."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    pattern = np.zeros((SIZE, SIZE))
    for _ in range(rng.integers(1, 3)):
        angle, waves = rng.uniform(0, np.pi), rng.uniform(1, 24)
        along = x * np.cos(angle) + y * np.sin(angle)
        bend = rng.uniform(0, 0.5) * _draw_noise(rng, 1)[..., 0] * (rng.random() < 0.5)
        pattern += np.sin(2 * np.pi * waves * along + bend + rng.uniform(0, 6))
    pattern = pattern * rng.uniform(0.5, 4)
    return _add_noise(rng, _map_to_colours(rng, 1 / (1 + np.exp(-pattern))))


def _draw_tiles(rng: np.random.Generator) -> np.ndarray:
    """Bricks, boards or a chess board: rows of tiles of different shades, with joints."""
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
    return _add_noise(rng, _map_to_colours(rng, pattern))


def _draw_shapes(rng: np.random.Generator) -> np.ndarray:
    """Overlapping rectangles, ellipses and triangles."""
    image = Image.new("RGB", (LARGE, LARGE), _choose_colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 24)):
        corners = rng.integers(-LARGE // 4, LARGE * 5 // 4, (3, 2))
        low, high = corners[:2].min(axis=0), corners[:2].max(axis=0) + 1
        box = (*low.tolist(), *high.tolist())
        kind = rng.integers(3)
        if kind == 0:
            draw.rectangle(box, fill=_choose_colour(rng))
        elif kind == 1:
            draw.ellipse(box, fill=_choose_colour(rng))
        else:
            draw.polygon([tuple(corner) for corner in corners.tolist()], fill=_choose_colour(rng))
    return _add_noise(rng, _scale_down(image))


def _draw_strokes(rng: np.random.Generator) -> np.ndarray:
    """Lines and curves on paper, as in a sketch."""
    light = rng.random() < 0.8
    image = Image.new("RGB", (LARGE, LARGE), "white" if light else _choose_colour(rng))
    draw = ImageDraw.Draw(image)
    ink = "black" if rng.random() < 0.6 else _choose_colour(rng)
    for _ in range(rng.integers(3, 40)):
        start, turns = rng.uniform(0, LARGE, 2), rng.normal(0, LARGE / 10, (rng.integers(2, 12), 2))
        points = [tuple(p) for p in (start + np.cumsum(turns, axis=0)).tolist()]
        draw.line(points, fill=ink, width=int(rng.integers(1, 12)), joint="curve")
    return _add_noise(rng, _scale_down(image))


def _scale_down(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX)) / 255


def _add_noise(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Add weak noise with probability 0.7."""
    return image + rng.uniform(0, 0.12) * _draw_noise(rng, 1) * (rng.random() < 0.7)


def _map_to_colours(rng: np.random.Generator, pattern: np.ndarray) -> np.ndarray:
    """Map 0 … 1 to a gradient between two random colours, with probability ½ of one hue."""
    first = rng.random(3)
    second = first * rng.uniform(0.2, 1.8) if rng.random() < 0.5 else rng.random(3)
    if rng.random() < 0.3:
        first, second = np.full(3, first[0]), np.full(3, second[0])
    return first + pattern[..., None] * (second - first)


def _choose_tint(rng: np.random.Generator) -> np.ndarray:
    return 1 + 0.3 * rng.uniform(-1, 1, 3) * (rng.random() < 0.5)


def _choose_colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return (red, green, blue) if rng.random() < 0.7 else (red, red, red)
