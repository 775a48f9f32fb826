"""A trained model: its description, its parameters, and the file of both."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

import jaxnn
from catnet.errors import UserError
from catnet.progress import track
from jaxnn import Layer
from seqnet.models import names, speech, text

KINDS: dict[str, ModuleType] = {"text": text, "speech": speech, "names": names}
FILE = "model.safetensors"
BATCH = 64
WIDEST = 4096  # units: more is a malicious file


@dataclass(frozen=True)
class Model:
    """A trained network with all that a prediction needs.

    Attributes:
        kind: "text", "speech" or "names".
        described: the vocabulary, classes and sizes, for JSON; ``FIELDS`` of the kind's module.
        params: of the network.
    """

    kind: str
    described: dict[str, Any]
    params: Any

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; a model of names has none."""
        return tuple(self.described.get("classes", ()))

    def apply(self, x: Any) -> Any:
        """The output of the network for its input."""
        return _apply(KINDS[self.kind].build(self.described), self.params, x)

    def encode(self, items: Sequence[Any]) -> Any:
        """The input of the network for texts, sounds or names."""
        return KINDS[self.kind].encode(self.described, items)

    def probabilities(self, items: Sequence[Any]) -> np.ndarray:
        """The probability of each class (n, classes) for texts or sounds, n ≥ 1."""
        rows = []
        starts = range(0, len(items), BATCH)
        for start in track(starts, len(starts), "batches", "answering  "):
            batch = list(items[start : start + BATCH])
            filled = batch + batch[-1:] * (BATCH - len(batch))  # one size compiles once
            logits = self.apply(self.encode(filled))
            rows.append(np.asarray(logits, np.float64)[: len(batch)])
        logits = np.concatenate(rows)
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a model file for ``load``, atomically."""
        jaxnn.save(path, self.params, {"seqnet": self.kind, **self.described})


def load(path: str | os.PathLike[str]) -> Model:
    """Read a model file, or that of a run folder.

    Raises:
        UserError: the file does not exist, is damaged, or is no model of seqnet; one line.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    try:
        described = jaxnn.load_metadata(file)
        kind = described.pop("seqnet", None)
        if not isinstance(kind, str) or not _is_description(kind, described):
            raise UserError(f"model {file}: not a model of this seqnet; seqnet train makes one")
        module = KINDS[kind]
        examples = [""] if kind != "speech" else [np.zeros(1, np.float32)]
        net, x = module.build(described), module.encode(described, examples)
        x = x[0] if kind == "names" else x
        like = jax.eval_shape(lambda: net.init(jax.random.key(0), x))
        params, _ = jaxnn.load(file, like)
    except OSError as error:
        raise UserError(f"model {file}: {error.strerror or error}") from None
    except jaxnn.ModelFileError as error:
        raise UserError(f"model {error}") from None
    return Model(kind, described, params)


def _is_description(kind: str, described: dict[str, Any]) -> bool:
    """Whether the fields are those of the kind: lists of distinct strings, and sizes."""
    fields = KINDS[kind].FIELDS if kind in KINDS else {"unknown": None}
    if set(fields) != set(described):
        return False
    for name, value in described.items():
        if type(value) is not fields[name]:
            return False
        if isinstance(value, int) and not 4 <= value <= WIDEST:
            return False
        if isinstance(value, list) and not (
            all(isinstance(part, str) for part in value) and len(set(value)) == len(value)
        ):
            return False
    return len(described.get("classes", ("a", "b"))) >= 2


@functools.partial(jax.jit, static_argnums=0)
def _apply(net: Layer, params: Any, x: Any) -> Any:
    return net.apply(params, x)
