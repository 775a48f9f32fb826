"""A trained network with all that an answer needs: classes, calibration, threshold, name."""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import json
import math
import os
import reprlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from PIL.Image import Image

from catnet.errors import UserError
from catnet.images.decode import ImageError, decode_many, from_array, from_image
from catnet.images.paths import ImageFile, read
from catnet.models import registry
from catnet.terminal import one_line

SHIPPED = Path(__file__).with_name("model.safetensors")
# Images are always answered this many at a time, the last ones filled up with black: so
# an answer never depends on its neighbours, and nothing is compiled twice.
BATCH = 16


class Prediction(NamedTuple):
    """One answer.

    Attributes:
        path: of the image; None for one that was not given as a path.
        label: the name of its class, or None when there is no image.
        p_cat: the probability of class 1 (cat), or None.
        threshold: class 1 is answered from this probability on.
        model: the name of the model that answered.
        error: why there is no answer, or None.
        unsure: whether the label is little better than a guess.
    """

    path: str | None
    label: str | None
    p_cat: float | None
    threshold: float
    model: str
    error: str | None = None
    unsure: bool = False


@dataclass(frozen=True, repr=False)
class Classifier:
    """A network that answers with one of two class names.

    Attributes:
        architecture: what ``catnet.models.registry.build`` makes the network from.
        params: the network's parameters.
        classes: the names of class 0 and class 1.
        name: what answers are signed with.
        about: one sentence: what it was trained on.
        threshold: class 1 is answered from this probability on.
        slope: probability = σ(slope · logit + offset); fitted on validation data.
        offset: see slope.
        guess: between these two probabilities an answer counts as unsure; chosen on
            validation data.

    Example:
        >>> from catnet import Classifier
        >>> import numpy as np
        >>> black = np.zeros((64, 64, 3), np.uint8)
        >>> Classifier.load().predict([black])[0].label in ("cat", "non-cat")
        True
    """

    architecture: dict[str, Any]
    params: Any
    classes: tuple[str, str]
    name: str
    about: str
    threshold: float = 0.5
    slope: float = 1.0
    offset: float = 0.0
    guess: tuple[float, float] = (0.5, 0.5)

    def __repr__(self) -> str:
        import jax

        name, classes = reprlib.repr(self.name), reprlib.repr(self.classes)
        count = sum(leaf.size for leaf in jax.tree.leaves(self.params))
        return f"Classifier({name}, {classes}, {count:,} params, {reprlib.repr(self.architecture)})"

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Classifier:
        """Read a model file, or a run folder that has one.

        Args:
            path: the file or folder; the model shipped with the package unless given.

        Raises:
            UserError: no such file, damaged, or made for something else.
        """
        import jax

        import jaxnn

        file = SHIPPED if path is None else Path(path)
        if file.is_dir():
            file = file / "model.safetensors"
        try:
            fields = _checked(jaxnn.load_metadata(file))
            # Its shapes are what counts: random weights would take longer to trace, and for as
            # many images as will be answered at a time JAX remembers what it traced.
            net = registry.build(fields["architecture"], start="zeros")
            images = jax.ShapeDtypeStruct((BATCH, registry.SIZE, registry.SIZE, 3), "float32")
            like = jax.eval_shape(lambda: net.init(jax.random.key(0), images))
            params, _ = jaxnn.load(file, like)
        except OSError as error:
            raise UserError(f"model {file}: {error.strerror or error}") from None
        except jaxnn.ModelFileError as error:
            raise UserError(f"model {error}") from None
        except UserError as error:
            raise UserError(f"model {file}: {error}") from None
        # A file may hold half precision, to be small; answers are computed in float32.  In NumPy:
        # for JAX to do it, it would compile a program for each shape.
        with np.errstate(over="ignore"):
            params = jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float32), params)
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params)):
            raise UserError(f"model {file}: has weights that are not finite; train it again")
        params = jax.device_put(params)
        return cls(params=params, **fields)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file that ``load`` reads: whole, or not at all."""
        import jaxnn

        described = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name != "params"
        }
        jaxnn.save(path, self.params, {**described, **_PREPROCESSING})

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """The probability of class 1 for images (n, 64, 64, 3) uint8: (n,) float64.

        NaN where the weights are so large that the logit is not finite.
        """
        logits = self.logits(images)
        logits[~np.isfinite(logits)] = np.nan
        with np.errstate(over="ignore"):
            z = self.slope * logits + self.offset
        return 1 / (1 + np.exp(-np.clip(z, -500, 500)))

    def logits(self, images: np.ndarray) -> np.ndarray:
        """What the network says of images (n, 64, 64, 3) uint8, uncalibrated: (n,) float64."""
        if not len(images):
            return np.zeros(0)
        logits = _logits(json.dumps(self.architecture))
        views = 2 * len(self.architecture.get("views", ())) or 1  # each an image to the network
        size = max(1, BATCH // views)
        z = in_batches(lambda part: logits(self.params, part), images, size)
        return z[:, 0].astype(np.float64)

    def predict(self, images: Any, threshold: float | None = None) -> list[Prediction]:
        """Answer for one image or for many, in their order.

        An image is

        - a path: a ``str`` or a ``pathlib.Path``;
        - the content of an image file: ``bytes``, or a binary file that is open;
        - an image of Pillow's;
        - an array of uint8: (H, W) or (H, W, 1) grey, (H, W, 3) red, green, blue, or (H, W, 4)
          with opacity, which is laid over white.  Arrays of JAX and others will do.

        Many are a sequence, an iterator or a generator of such, of mixed kinds if need be, or
        one array (n, H, W, 1, 3 or 4).  Any height and width: they are squashed to 64×64.

        Args:
            images: one image, or many.
            threshold: class 1 is answered from this probability on; the model's unless given.

        Returns:
            A ``Prediction`` for each, also for one image; with ``error`` set where a file holds
            no image, or an array has another shape or dtype.

        Raises:
            TypeError: something is none of these, such as None, a number or a dict.
        """
        return list(self.answers(_each(images), threshold))

    def answers(
        self, found: Iterable[ImageFile | Given | Image], threshold: float | None = None
    ) -> Iterator[Prediction]:
        """Answers one after the other, while later images are still being decoded.

        With a threshold of the caller's own nothing is called unsure.
        """
        return (answer for answer, _ in self.seen(found, threshold))

    def seen(
        self, found: Iterable[ImageFile | Given | Image], threshold: float | None = None
    ) -> Iterator[tuple[Prediction, np.ndarray | None]]:
        """``answers``, each with the image (64, 64, 3) that the network saw, if there is one."""
        ahead, items = itertools.tee(map(_named, map(_squashed, found)))
        decoded = decode_many(item for _, item in ahead if not isinstance(item, _DONE))
        waiting: list[tuple[str | None, np.ndarray | ImageError]] = []
        for path, item in items:
            waiting.append((path, item if isinstance(item, _DONE) else next(decoded)[1]))
            if len(waiting) == BATCH:
                yield from self._answer(waiting, threshold)
                waiting.clear()
        yield from self._answer(waiting, threshold)

    def _answer(
        self, items: list[tuple[str | None, np.ndarray | ImageError]], threshold: float | None
    ) -> Iterator[tuple[Prediction, np.ndarray | None]]:
        low, high = self.guess if threshold is None else (1.0, 0.0)
        threshold = self.threshold if threshold is None else threshold
        images = [image for _, image in items if isinstance(image, np.ndarray)]
        p_cats = iter(self.probabilities(np.stack(images)) if images else ())
        for path, image in items:
            if isinstance(image, ImageError):
                yield Prediction(path, None, None, threshold, self.name, str(image)), None
            elif math.isnan(p_cat := float(next(p_cats))):
                error = "the model's answer is not a number; train it again"
                yield Prediction(path, None, None, threshold, self.name, error), image
            else:
                label = self.classes[int(p_cat >= threshold)]
                unsure = low < p_cat < high
                yield Prediction(path, label, p_cat, threshold, self.name, None, unsure), image


def in_batches(
    work: Callable[[np.ndarray], Any], images: np.ndarray, size: int = BATCH
) -> np.ndarray:
    """What ``work`` makes of images (n, 64, 64, 3), at least one, given as many at a time."""
    rows = []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        filled = np.zeros((size, *images.shape[1:]), images.dtype)
        filled[: len(part)] = part
        rows.append(np.asarray(work(filled))[: len(part)])
    return np.concatenate(rows)


# What the numbers of an image become before the network sees them; part of a model file.
_PREPROCESSING = {"size": registry.SIZE, "pixels": "divided by 255"}


@functools.cache
def _logits(architecture: str) -> Callable[[Any, np.ndarray], Any]:
    """The compiled network of a description: (params, images uint8) to logits (n, 1)."""
    import jax

    net = registry.build(json.loads(architecture))
    return jax.jit(lambda params, images: net.apply(params, images.astype("float32") / 255))


# An image as ``seen`` takes it: what is to be decoded, or has been, or could not be.
Given: TypeAlias = str | bytes | np.ndarray | ImageError
_DONE = (np.ndarray, ImageError)

_IMAGES = (
    "an image is a path, the bytes of a file, an open binary file, an image of Pillow's,"
    " or an array (H, W, 3) of uint8"
)


def _named(item: ImageFile | Given) -> tuple[str | None, Given]:
    if not isinstance(item, ImageFile):
        return None, item
    return item.path, item.source if item.error is None else ImageError(item.error)


def _each(images: Any) -> Iterable[ImageFile | Given | Image]:
    """What ``predict`` was given, image by image."""
    if _is_array(images):
        images = np.asarray(images)
        if images.ndim == 4:
            return images
        if images.ndim == 1 and images.dtype.kind in "OUT":  # objects, or names of files
            images = images.tolist()
    if (one := _one(images)) is not None:
        return [one]
    ordered = isinstance(images, Iterable) and not isinstance(images, (Mapping, set, frozenset))
    if not ordered or _is_array(images):
        raise TypeError(f"cannot predict {_shown(images)}: {_IMAGES}; or give a list of images")
    return _all_of(images)


def _all_of(images: Iterable[Any]) -> Iterator[ImageFile | Given | Image]:
    for i, image in enumerate(images):
        if (one := _one(image)) is None:
            raise TypeError(f"cannot predict image {i}, {_shown(image)}: {_IMAGES}")
        yield one


def _one(image: Any) -> ImageFile | Given | Image | None:
    """One image of any kind; None if it is something else."""
    if isinstance(image, (str, os.PathLike)):
        return ImageFile(os.fsdecode(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, Image):
        return image
    if _is_array(image):
        return np.asarray(image) if image.ndim else None
    if callable(getattr(image, "read", None)):  # here, not in a thread: it may come twice
        return _content(image)
    return None


def _is_array(value: Any) -> bool:
    return hasattr(value, "ndim") and hasattr(value, "dtype")


def _content(file: Any) -> bytes | ImageError:
    text = ImageError("a file opened as text; open it as binary, with 'rb'")
    if isinstance(file, io.TextIOBase):
        return text
    try:
        content = read(file)
    except ImageError as error:
        return error
    except ValueError as error:  # it is closed
        return ImageError(f"cannot be read: {one_line(str(error))}")
    return content if isinstance(content, bytes) else text


def _squashed(image: ImageFile | Given | Image) -> ImageFile | Given:
    """What is in memory already is squashed in this thread: Pillow's images are not for several."""
    try:
        if isinstance(image, np.ndarray):
            return from_array(image, registry.SIZE)
        if isinstance(image, Image):
            return from_image(image, registry.SIZE)
    except ImageError as error:
        return error
    return image


def _shown(value: Any) -> str:
    return f"{one_line(reprlib.repr(value))} ({type(value).__name__})"


def _checked(metadata: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Classifier from a model file's metadata, each of the kind it has to be."""
    if "architecture" not in metadata:
        raise UserError("is not a catnet model; catnet train makes one")
    for key, value in _PREPROCESSING.items():
        if metadata.get(key) != value:
            got = reprlib.repr(metadata.get(key))
            raise UserError(f"wants images with {key} {got}, not {value!r}")
    fields = {
        field.name: metadata.get(field.name, field.default)
        for field in dataclasses.fields(Classifier)
        if field.name != "params"
    }
    if unknown := sorted(set(metadata) - set(fields) - set(_PREPROCESSING)):
        raise UserError(f"has {reprlib.repr(unknown[0])}, which this catnet does not know; update")
    classes, guess = fields["classes"], fields["guess"]
    fits = (
        isinstance(fields["architecture"], dict)
        and isinstance(classes, list)
        and len(classes) == 2
        and all(map(_is_name, (*classes, fields["name"], fields["about"])))
        and classes[0] != classes[1]
        and all(_is_number(fields[name]) for name in ("slope", "offset"))
        and isinstance(guess, (list, tuple))
        and len(guess) == 2
        and all(_is_number(p) and 0 <= p <= 1 for p in (fields["threshold"], *guess))
    )
    if not fits:
        raise UserError("its metadata is not that of a catnet model; train it again")
    shown = {name: one_line(fields[name]) for name in ("name", "about")}
    return {**fields, **shown, "classes": tuple(classes), "guess": tuple(guess)}


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 2**16


def _is_number(value: Any) -> bool:
    """Whether it is a number in the range of float; there is no end to the integers of JSON."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max
