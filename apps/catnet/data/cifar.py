"""Read the binary batches of CIFAR-10 as images of cats and non-cats."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from catnet.errors import UserError
from catnet.images.reading import Readable

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
RECORD = 1 + 3 * SIDE**2  # a label, then the red, the green and the blue plane


def read_batch(name: PurePosixPath, file: Readable) -> Iterator[tuple[str, bytes]]:
    """Read one batch as PNG files ``train/non-cat/dog-1-00042.png``.

    ``data_batch_N.bin`` is the training part, ``test_batch.bin`` (number 0) the test part; other
    files have no images.  The numbers in the name are those of the batch and of the image.

    Raises:
        UserError: a record is truncated, or has an invalid label.
    """
    batch = re.fullmatch(r"(?:data_batch_(\d+)|test_batch)\.bin", name.name)
    if batch is None:
        return
    part = "train" if batch[1] else "test"
    number = 0
    while record := file.read(RECORD):
        if len(record) != RECORD or record[0] >= len(LABELS):
            raise UserError(f"{name}: image {number} is truncated or has an invalid label")
        kind = LABELS[record[0]]
        planes = np.frombuffer(record, np.uint8, offset=1).reshape(3, SIDE, SIDE)
        png = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0))).save(png, "PNG")
        folder = "cat" if kind == "cat" else "non-cat"
        yield f"{part}/{folder}/{kind}-{batch[1] or 0}-{number:05}.png", png.getvalue()
        number += 1
