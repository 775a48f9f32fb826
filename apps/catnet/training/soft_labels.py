"""Soft labels: the probabilities that a larger network, the teacher, gives to the images.

Training on them is knowledge distillation (Hinton et al. 2015, arXiv:1503.02531): a probability of
many classes says more about an image than one label, and the teacher corrects wrong labels.  The
teacher takes no part in prediction.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from catnet.errors import UserError
from jaxnn.files import write_atomically


class SoftLabels(NamedTuple):
    """The soft labels of images.

    Attributes:
        content: (n,) uint64, sorted: the hash of each image, as in ``table.Table``.
        probabilities: (n, classes) float16; each row adds up to 1.
        names: the names of the classes.
        cats: indices of the classes that are cats.
    """

    content: np.ndarray
    probabilities: np.ndarray
    names: tuple[str, ...]
    cats: tuple[int, ...]

    def of(self, content: np.ndarray) -> np.ndarray:
        """The rows of some images, (m, classes) float16; zeros for those without a soft label."""
        at = np.minimum(np.searchsorted(self.content, content), len(self.content) - 1)
        known = self.content[at] == content
        rows = np.zeros((len(content), len(self.names)), np.float16)
        rows[known] = self.probabilities[at[known]]
        return rows


def save(file: str | os.PathLike[str], labels: SoftLabels) -> None:
    """Write a file for :func:`load`; ``labels.content`` may have any order."""
    order, content = np.argsort(labels.content), io.BytesIO()
    np.savez(
        content,
        content=labels.content[order],
        probabilities=labels.probabilities[order],
        names=np.array(labels.names),
        cats=np.array(labels.cats, np.int32),
    )
    write_atomically(file, content.getvalue())


def load(file: str | os.PathLike[str]) -> SoftLabels:
    """Read the soft labels of a file.

    Raises:
        UserError: the file cannot be read, or has another form.
    """
    try:
        with np.load(Path(file), allow_pickle=False) as arrays:
            content, probabilities = arrays["content"], arrays["probabilities"]
            names, cats = arrays["names"].tolist(), arrays["cats"].tolist()
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or error}") from None
    except (KeyError, ValueError, EOFError, BadZipFile, AttributeError, TypeError) as error:
        raise UserError(f"{file}: not a file of soft labels ({error}); write it again") from None
    fits = (
        content.dtype == np.uint64
        and probabilities.dtype == np.float16
        and probabilities.shape == (len(content), len(names))
        and len(content) > 0
        and bool((content[1:] > content[:-1]).all())
        and 0 < len(cats) < len(names)
        and all(0 <= cat < len(names) for cat in cats)
        and bool(np.isfinite(probabilities).all())
    )
    if not fits:
        raise UserError(f"{file}: its soft labels have another form; write the file again")
    return SoftLabels(content, probabilities, tuple(names), tuple(cats))
