"""The classifier: a trained network with its class names, calibration and threshold."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import reprlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL.Image import Image

from catnet.data.class_names import Names
from catnet.errors import UserError
from catnet.images.decode import ImageError
from catnet.images.decode_many import decode_many
from catnet.images.geometry import Geometry
from catnet.images.paths import ImageFile
from catnet.models import registry
from catnet.models.inference import BATCH, compute_logits
from catnet.models.inputs import DECODED, Source, iterate_images, resize_in_memory, split_path
from catnet.models.metadata import PREPROCESSING, read_fields

SHIPPED = Path(__file__).with_name("model.safetensors")


class Prediction(NamedTuple):
    """The answer for one image.

    Attributes:
        path: of the image; None for an image in memory.
        label: the name of its class; None when the image could not be read.
        probability: of the label; None when the image could not be read.
        probabilities: of each class, by its name; None when the image could not be read.
        threshold: two classes: the label is the second class from its probability of this on.
            More classes: a label with a lower probability is unsure.
        model: the name of the model.
        error: why there is no answer, or None.
        unsure: whether the answer is little better than a guess; see ``Classifier``.
    """

    path: str | None
    label: str | None
    probability: float | None
    probabilities: dict[str, float] | None
    threshold: float
    model: str
    error: str | None = None
    unsure: bool = False


@dataclass(frozen=True, repr=False)
class Classifier:
    """A trained network that classifies images into two or more classes.

    Attributes:
        architecture: the description that ``catnet.models.registry.build`` builds the network from.
        params: the network's parameters.
        classes: the names of the classes, in the order of their labels.
        name: the name of the model, part of every answer.
        about: one sentence: what it was trained on.
        threshold: two classes: the label is class 1 from this probability on.  More classes: a
            label with a lower probability is unsure; 0 before it is chosen on other images than
            the training images.
        slope: two classes: probability of class 1 = σ(slope · logit + offset); more classes:
            probabilities = softmax(slope · logits).  Fitted on other images than the training
            images.
        offset: see slope.
        confidence_band: two classes: an answer with a probability of class 1 between these two is
            unsure; chosen on other images than the training images.

    Example:
        >>> from catnet import Classifier
        >>> import numpy as np
        >>> black = np.zeros((64, 64, 3), np.uint8)
        >>> Classifier.load().predict([black])[0].label in ("cat", "non-cat")
        True
    """

    architecture: dict[str, Any]
    params: Any
    classes: Names
    name: str
    about: str
    threshold: float = 0.5
    slope: float = 1.0
    offset: float = 0.0
    confidence_band: tuple[float, float] = (0.5, 0.5)

    def __repr__(self) -> str:
        import jax

        name, classes = reprlib.repr(self.name), reprlib.repr(self.classes)
        count = sum(leaf.size for leaf in jax.tree.leaves(self.params))
        return f"Classifier({name}, {classes}, {count:,} params, {reprlib.repr(self.architecture)})"

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Classifier:
        """Read a model file, or the model file of a run folder.

        Args:
            path: the file or folder; the default is the model shipped with the package.

        Raises:
            UserError: the file does not exist, is damaged, or is not a catnet model.
        """
        import jax

        import jaxnn

        file = SHIPPED if path is None else Path(path)
        if file.is_dir():
            file = file / "model.safetensors"
        try:
            metadata = jaxnn.load_metadata(file)
            defaults = {field.name: field.default for field in dataclasses.fields(cls)}
            fields = read_fields(metadata, defaults)
            # Only the shapes matter: zeros are faster to trace than random weights, and JAX
            # reuses the trace for the first batch of this size.
            net = registry.build(fields["architecture"], initialization="zeros")
            if registry.count_classes(fields["architecture"]) != len(fields["classes"]):
                raise UserError("its metadata have a wrong value of classes; train it again")
            size = registry.read_geometry(fields["architecture"]).size
            if metadata.get("size", size) != size:
                raise UserError("its metadata have a wrong value of size; train it again")
            images = jax.ShapeDtypeStruct((BATCH, size, size, 3), "float32")
            like = jax.eval_shape(lambda: net.init(jax.random.key(0), images))
            params, _ = jaxnn.load(file, like)
        except OSError as error:
            raise UserError(f"model {file}: {error.strerror or error}") from None
        except jaxnn.ModelFileError as error:
            raise UserError(f"model {error}") from None
        except UserError as error:
            raise UserError(f"model {file}: {error}") from None
        # A small file holds float16; the network computes in float32.  NumPy converts, since JAX
        # (0.10.2) would compile a program for each shape.
        with np.errstate(over="ignore"):
            params = jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float32), params)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            raise UserError(f"model {file}: has weights that are NaN or infinite; train it again")
        params = jax.device_put(params)
        return cls(params=params, **fields)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file for ``load``; the write is atomic."""
        import jaxnn

        described = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "params"
        }
        jaxnn.save(path, self.params, {**described, **PREPROCESSING, "size": self.geometry.size})

    @property
    def geometry(self) -> Geometry:
        """The geometry of the images in ``logits`` and ``probabilities``."""
        return registry.read_geometry(self.architecture)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Compute the probabilities of images (n, size, size, 3) uint8: (n, classes) float64.

        The probabilities are NaN where a logit is not finite, because of very large weights.
        """
        logits = self.logits(images)
        two = logits.ndim == 1
        logits[~np.isfinite(logits if two else logits.sum(axis=1))] = np.nan
        with np.errstate(over="ignore"):
            z = self.slope * logits + (self.offset if two else 0.0)
        if two:
            p = 1 / (1 + np.exp(-np.clip(z, -500, 500)))
            return np.stack([1 - p, p], axis=1)
        z = np.clip(z - z.max(axis=1, keepdims=True), -500, 0)
        e = np.exp(z)
        return e / e.sum(axis=1, keepdims=True)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Compute the logits, before calibration, of images (n, size, size, 3) uint8.

        Returns:
            Two classes: (n,) float64, the logits of class 1; more: (n, classes).
        """
        two = len(self.classes) == 2
        if not len(images):
            return np.zeros(0 if two else (0, len(self.classes)))
        z = compute_logits(self.architecture, self.params, images)
        return (z[:, 0] if two else z).astype(np.float64)

    def predict(self, images: Any, threshold: float | None = None) -> list[Prediction]:
        """Classify one image or many, in their order.

        An image is one of

        - a path: a ``str`` or a ``pathlib.Path``;
        - the content of an image file: ``bytes``, or a binary file that is open;
        - a Pillow image;
        - an array of uint8: (H, W) or (H, W, 1) grey, (H, W, 3) red, green, blue, or (H, W, 4)
          with opacity, which is laid over white.  Arrays of JAX and other libraries work too.

        Many images are a sequence, an iterator or a generator of these, also of mixed kinds, or
        one array (n, H, W, 1, 3 or 4).  Images of any height and width are resized as the
        model's ``geometry`` says.

        Args:
            images: one image, or many.
            threshold: two classes: the label is class 1 from this probability on; more classes: a
                label with a lower probability is unsure.  The default is the model's.

        Returns:
            A list with a ``Prediction`` for each image; ``error`` is set where a file holds no
            image, or an array has another shape or dtype.

        Raises:
            TypeError: an item is none of these, such as None, a number or a dict.
        """
        return list(self.stream(iterate_images(images), threshold))

    def stream(
        self, images: Iterable[ImageFile | Source | Image], threshold: float | None = None
    ) -> Iterator[Prediction]:
        """Yield the answers in order, while later images are still being decoded."""
        return (answer for answer, _ in self.stream_with_images(images, threshold))

    def stream_with_images(
        self, images: Iterable[ImageFile | Source | Image], threshold: float | None = None
    ) -> Iterator[tuple[Prediction, np.ndarray | None]]:
        """``stream``, each answer with the input of the network (size, size, 3), or None."""
        resized = (resize_in_memory(image, self.geometry) for image in images)
        ahead, items = itertools.tee(map(split_path, resized))
        waiting = (item for _, item in ahead if not isinstance(item, DECODED))
        decoded = decode_many(waiting, *self.geometry)
        batch: list[tuple[str | None, np.ndarray | ImageError]] = []
        for path, item in items:
            batch.append((path, item if isinstance(item, DECODED) else next(decoded)[1]))
            if len(batch) == BATCH:
                yield from self._answer(batch, threshold)
                batch.clear()
        yield from self._answer(batch, threshold)

    def _answer(
        self, items: list[tuple[str | None, np.ndarray | ImageError]], threshold: float | None
    ) -> Iterator[tuple[Prediction, np.ndarray | None]]:
        threshold = self.threshold if threshold is None else threshold
        low, high = shift_band(self.confidence_band, self.threshold, threshold)
        images = [image for _, image in items if isinstance(image, np.ndarray)]
        rows = iter(self.probabilities(np.stack(images)) if images else ())
        for path, image in items:
            if isinstance(image, ImageError):
                yield Prediction(path, None, None, None, threshold, self.name, str(image)), None
                continue
            p = next(rows).tolist()
            if math.isnan(p[0]):
                error = "the model's logit is NaN or infinite; train the model again"
                yield Prediction(path, None, None, None, threshold, self.name, error), image
                continue
            label = int(p[1] >= threshold) if len(p) == 2 else p.index(max(p))
            unsure = low < p[1] < high if len(p) == 2 else p[label] < threshold
            named = dict(zip(self.classes, p, strict=True))
            answer = Prediction(
                path, self.classes[label], p[label], named, threshold, self.name, None, unsure
            )
            yield answer, image


def shift_band(band: tuple[float, float], before: float, after: float) -> tuple[float, float]:
    """Shift a confidence band with the threshold: its ends keep their distances in log-odds.

    Args:
        band: two probabilities.
        before: the threshold that the band was chosen for.
        after: another threshold; 0 and 1, which leave no choice, have an empty band.

    Example:
        >>> [round(end, 4) for end in shift_band((0.2, 0.8), 0.5, 0.8)]
        [0.5, 0.9412]
        >>> shift_band((0.2, 0.8), 0.5, 1.0)
        (1.0, 1.0)
    """
    if before == after:
        return band
    if not 0 < before < 1 or not 0 < after < 1:
        return (after, after)
    ratio = after / (1 - after) * (1 - before) / before
    low, high = (ratio * p / (ratio * p + 1 - p) for p in band)
    return low, high
