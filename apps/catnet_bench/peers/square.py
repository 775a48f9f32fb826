"""The input of the photo network from a photo, as users of Pillow write it."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image


def square(image: Image.Image, model: dict[str, Any]) -> np.ndarray:
    """The input of the network from a photo: its middle as (size, size, 3) uint8."""
    size, max_aspect = model["network"].get("geometry", (64, None))
    width, height = image.size
    limit = max_aspect or max(width, height)
    wide, tall = min(width, height * limit), min(height, width * limit)
    left, top = (width - wide) / 2, (height - tall) / 2
    box = (left, top, left + wide, top + tall)
    return np.array(image.resize((size, size), Image.Resampling.BICUBIC, box=box))
