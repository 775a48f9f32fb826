"""Saliency images: which pixels an answer depends on; and the filters of the first layer."""

from __future__ import annotations

import functools
import io
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from catnet.errors import UserError
from catnet.images.size import SIZE
from catnet.models import registry
from catnet.models.classifier import Classifier
from catnet.terminal import one_line
from jaxnn.files import write_atomically

SCALE = 4  # pixels of a drawing for one pixel of the network's input
GAP = 8  # between two images
LEGEND = 68  # height of the lines below a drawing
FILTER_LEGEND = ("grey: weight 0; brighter: positive; darker: negative", "each on its own scale")
STEM = 40  # characters of an image's name in the name of its saliency image


def saliency(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """Compute how strongly the answer depends on every pixel.

    The saliency is ``max over colours |∂s / ∂x|``, with s the logit and x the image, by the
    hand-written backward rules (Simonyan et al. 2013, arXiv:1312.6034).  With more than two
    classes, s is the logit of the class that the network answers.  With test-time augmentation, s
    is the mean over all copies, also for an image that is answered by its first view.

    Args:
        classifier: the model.
        images: (n, 64, 64, 3) uint8.

    Returns:
        (n, 64, 64) float32, not negative.
    """
    compute = _compile_saliency(json.dumps(classifier.architecture))
    x = images.astype(np.float32) / 255
    return np.stack([np.asarray(compute(classifier.params, image)) for image in x])


@functools.cache
def _compile_saliency(architecture: str) -> Callable[[Any, np.ndarray], Any]:
    """Compile the saliency of a network: (params, image in [0, 1]) → (64, 64)."""
    import jax
    import jax.numpy as jnp

    net = registry.build(json.loads(architecture))

    def compute(params: Any, image: jax.Array) -> jax.Array:
        logits, cache = net.forward(params, image)
        ds = jnp.ones_like(logits)
        if logits.size > 1:
            ds = jax.nn.one_hot(jnp.argmax(logits), logits.size, dtype=logits.dtype)
        _, dx = net.backward(params, cache, ds)
        return jnp.max(jnp.abs(dx), axis=-1)

    return jax.jit(compute)


def draw(image: np.ndarray, strength: np.ndarray, answer: str = "") -> Image.Image:
    """Draw the input of the network, and beside it a grey copy with the salient pixels in colour.

    Args:
        image: (64, 64, 3) uint8.
        strength: (64, 64), from ``saliency``.
        answer: of the model, for the line below the squares.

    Returns:
        An RGB image of the two squares, and below them the answer and the legend of the colours.
    """
    # The gradient of single pixels is noisy: smooth over 3×3.
    around = np.pad(strength, 1, mode="edge")
    n = len(strength)
    smooth = sum(around[i : i + n, j : j + n] for i in range(3) for j in range(3))
    top = np.quantile(smooth, 0.99)
    glow = np.clip(smooth / top, 0, 1)[..., None] if top > 0 else np.zeros((n, n, 1))
    grey = np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1)
    squares = _in_rows([image, _colour(grey, glow)], columns=2)
    return _add_legend(squares, answer, n)


def _colour(grey: np.ndarray, glow: np.ndarray) -> np.ndarray:
    """Grey pixels (..., 3) that glow from orange to yellow; glow (..., 1) is from 0 to 1."""
    hot = np.array([255.0, 90.0, 0.0]) + glow * np.array([0.0, 165.0, 60.0])
    return (grey * 0.6 * (1 - glow) + hot * glow).round().astype(np.uint8)


def _add_legend(squares: Image.Image, answer: str, side: int) -> Image.Image:
    """The squares, and below them the answer, what each square shows, and the colours."""
    width, height = squares.size
    sheet = Image.new("RGB", (width, height + LEGEND), "white")
    sheet.paste(squares)
    write = ImageDraw.Draw(sheet).text
    large, small = ImageFont.load_default(18), ImageFont.load_default(13)
    right = GAP + width // 2
    write((GAP, height), one_line(answer), "black", large)
    write((GAP, height + 26), f"what the network sees: {side} by {side} pixels", "black", small)
    write((right, height + 26), "the answer depends on a pixel", "black", small)
    bar = _colour(np.full((12, 120, 3), 128.0), np.linspace(0, 1, 120)[None, :, None])
    write((right, height + 44), "little", "black", small)
    sheet.paste(Image.fromarray(bar), (right + 38, height + 47))
    write((right + 164, height + 44), "most", "black", small)
    return sheet


def write_explanation(folder: Path, number: int, name: str, image: Image.Image) -> Path:
    """Write a saliency image as ``NUMBER-NAME.png``; equal names differ in the number."""
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(name).stem)[:STEM]
    path = folder / f"{number:04}-{stem or 'image'}.png"
    _write(path, image)
    return path


def new_folder(path: str) -> Path:
    """Make the folder for saliency images; it may exist if it is empty."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UserError(f"--explain {path}: has files in it already; choose a new folder")
    except FileExistsError:
        raise UserError(f"--explain {path}: is a file; choose a new folder") from None
    except OSError as error:
        raise UserError(f"--explain {path}: cannot be made ({error.strerror})") from None
    return folder


def filters(classifier: Classifier) -> np.ndarray:
    """Return the weights of the first layer, one filter for each of its units or channels.

    Returns:
        (count, height, width, 3) float32, weights of red, green and blue.
    """
    params = classifier.params
    for index in registry.network(classifier.architecture).first:
        params = params[index]
    W = np.asarray(params["W"], np.float32)
    if W.ndim == 4:  # a convolution: (height, width, 3, count)
        return W.transpose(3, 0, 1, 2)
    return W.reshape(-1, SIZE, SIZE, 3)  # a dense layer: (count, pixels · 3)


def as_shades(weights: np.ndarray) -> np.ndarray:
    """Filters (count, height, width, 3) as uint8, each on its own scale; grey is 0.

    Example:
        >>> as_shades(np.array([[[[-2.0, 0.0, 1.0]]]])).tolist()
        [[[[0, 128, 191]]]]
    """
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    scaled = 127.5 * (1 + weights / np.where(largest > 0, largest, 1))
    return scaled.round().astype(np.uint8)


def draw_filters(weights: np.ndarray, title: str = "") -> Image.Image:
    """Draw filters side by side, each on its own scale; grey is 0, brighter is positive.

    Args:
        weights: of ``filters``.
        title: a line below the filters.
    """
    columns = math.ceil(math.sqrt(len(weights)))
    scale = max(1, round(SCALE * 16 / weights.shape[1]))
    squares = _in_rows(list(as_shades(weights)), columns, scale)
    if not title:
        return squares
    font, lines = ImageFont.load_default(13), [one_line(title), *FILTER_LEGEND]
    wide = max(int(font.getlength(line)) for line in lines) + 2 * GAP
    size = (max(squares.width, wide), squares.height + 18 * len(lines))
    sheet = Image.new("RGB", size, "white")
    sheet.paste(squares)
    for i, line in enumerate(lines):
        ImageDraw.Draw(sheet).text((GAP, squares.height - 4 + 18 * i), line, "black", font)
    return sheet


def refuse_out(path: str, option: str = "--out") -> None:
    """Refuse a path for a new drawing, which ``option`` has given.

    Raises:
        UserError: it exists, or its name does not end in ``.png``.
    """
    if Path(path).suffix.lower() != ".png":
        raise UserError(f"{option} {path}: the drawing is a PNG; choose a name that ends in .png")
    if os.path.lexists(path):
        raise UserError(f"{option} {path}: exists already; choose another name")


def write_filters(path: str, image: Image.Image) -> None:
    """Write the drawing of ``draw_filters``; an existing file is not overwritten."""
    refuse_out(path)
    _write(Path(path), image)


def _in_rows(images: list[np.ndarray], columns: int, scale: int = SCALE) -> Image.Image:
    height, width = (n * scale + GAP for n in images[0].shape[:2])
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * width + GAP, rows * height + GAP), "white")
    for i, image in enumerate(images):
        tile = Image.fromarray(image)
        tile = tile.resize((tile.width * scale, tile.height * scale), Image.Resampling.NEAREST)
        sheet.paste(tile, (GAP + i % columns * width, GAP + i // columns * height))
    return sheet


def _write(path: Path, image: Image.Image) -> None:
    data = io.BytesIO()
    image.save(data, "PNG")
    try:
        write_atomically(path, data.getvalue())
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
