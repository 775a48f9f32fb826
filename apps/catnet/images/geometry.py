"""The geometry of an input: which part of a photo becomes the square that a network gets."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from catnet.images.size import SIZE

Rectangle: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


class Geometry(NamedTuple):
    """How a photo of any shape becomes a square; part of a model file.

    Training, evaluation and prediction of a model share it: ``decode(source, *geometry)``.

    Attributes:
        size: height and width of the square, in pixels.
        max_aspect: the ends of a photo whose sides differ by more than this factor are cut off;
            None keeps the whole photo.
    """

    size: int = SIZE
    max_aspect: float | None = None


WHOLE = Geometry()  # of the lecture's networks: the whole photo, squashed to 64×64


def find_middle(width: int, height: int, max_aspect: float | None) -> Rectangle:
    """The largest middle part of an image whose longer side is at most ``max_aspect`` × the other.

    This part is then squashed to a square.  A wide photo of a cat thus loses its ends before the
    cat becomes narrow.

    Args:
        width: of the image, in pixels.
        height: of the image, in pixels.
        max_aspect: 1 for the centred square; None for the whole image, however long it is.

    Example:
        >>> find_middle(1600, 900, 1.0)
        (350.0, 0.0, 1250.0, 900.0)
        >>> find_middle(1600, 900, 4 / 3)
        (200.0, 0.0, 1400.0, 900.0)
        >>> find_middle(1600, 900, None)
        (0.0, 0.0, 1600.0, 900.0)
    """
    if max_aspect is None:
        return 0.0, 0.0, float(width), float(height)
    wide, tall = min(width, height * max_aspect), min(height, width * max_aspect)
    left, top = (width - wide) / 2, (height - tall) / 2
    return left, top, left + wide, top + tall
