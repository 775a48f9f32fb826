"""Pictures: arrays of pixels inside of an SVG."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

from jaxnn_lecture.svg import drawing, element, text


def picture(title: str, pixels: Any, caption: str = "", width: float = 200) -> str:
    """A picture with sharp pixels, and a caption below it; uint8, (H, W) or (H, W, 3)."""
    rows, columns = np.shape(pixels)[:2]
    tall = width * rows / columns
    words = caption.split("\n") if caption else []
    content = element(
        "image", href=data_uri(pixels), width=width, height=tall, class_="pixels",
        preserveAspectRatio="none",
    )  # fmt: skip
    content += "".join(
        text(width / 2, tall + 18 + i * 19, line, "middle") for i, line in enumerate(words)
    )
    extra = 6 + 19 * len(words) if words else 0
    return drawing(title, caption.replace("\n", ", "), width, tall + extra, content)


def data_uri(pixels: Any) -> str:
    """Pixels as a PNG in a ``data:`` address."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
