"""The metadata of a model file: the fields of a classifier, checked."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from catnet.errors import UserError
from catnet.models import registry
from catnet.terminal import one_line

# How pixels become numbers; part of a model file.
PREPROCESSING = {"pixels": "divided by 255"}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 2**16


def _is_number(value: Any) -> bool:
    """Whether it is a number in the range of float; integers of JSON may be larger."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _is_probability(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_pair(of: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(of, value))


# Field of a Classifier → check of its value in the metadata of a model file.
_CHECKS: dict[str, Callable[[Any], bool]] = {
    "architecture": lambda value: isinstance(value, dict),
    "classes": lambda value: (
        isinstance(value, (list, tuple))
        and 2 <= len(value) <= registry.UNITS
        and all(map(_is_text, value))
        and len({*value}) == len(value)
    ),
    "name": _is_text,
    "about": _is_text,
    "threshold": _is_probability,
    "slope": _is_number,
    "offset": _is_number,
    "confidence_band": lambda value: _is_pair(_is_probability, value),
}


def read_fields(metadata: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Classifier, from the metadata of a model file.

    Args:
        metadata: of the file.
        defaults: of the fields that older files do not have.

    Raises:
        UserError: a field is missing, unknown or wrong, or the preprocessing is another.
    """
    if "architecture" not in metadata:
        raise UserError("is not a catnet model; catnet train makes one")
    for key, value in PREPROCESSING.items():
        if metadata.get(key) != value:
            other = reprlib.repr(metadata.get(key))
            raise UserError(f"expects images with {key} {other}, not {value!r}")
    if unknown := sorted({*metadata} - {*_CHECKS} - {*PREPROCESSING} - {"size"}):
        raise UserError(f"has {reprlib.repr(unknown[0])}, which this catnet does not know; update")
    fields = {name: metadata.get(name, defaults[name]) for name in _CHECKS}
    for name, is_right in _CHECKS.items():
        if not is_right(fields[name]):
            raise UserError(f"its metadata have a wrong value of {name}; train it again")
    lines = {name: one_line(fields[name]) for name in ("name", "about")}
    pairs = {name: tuple(fields[name]) for name in ("classes", "confidence_band")}
    return {**fields, **lines, **pairs}
