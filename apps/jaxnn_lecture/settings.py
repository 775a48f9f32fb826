"""The numbers of the chapters, from their defaults and ``--set NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Sequence

from catnet.errors import UserError
from catnet.terminal import format_exactly
from jaxnn_lecture.chapters import CHAPTERS, Setting


def read_settings(names: Sequence[str], words: Sequence[str]) -> dict[str, dict[str, float]]:
    """The settings of some chapters: their defaults, and the changes ``NAME=VALUE``.

    Raises:
        UserError: no chapter has a setting of this name, or its value is out of range.

    Example:
        >>> read_settings(["logistic"], ["steps=5"])["logistic"]["steps"]
        5
    """
    numbers = {
        name: {key: setting.default for key, setting in CHAPTERS[name].settings.items()}
        for name in names
    }
    for word in words:
        key, equals, value = word.partition("=")
        having = [name for name in names if key in CHAPTERS[name].settings]
        if not equals:
            raise UserError(f"--set {word}: expected NAME=VALUE, such as steps=100")
        if not having:
            known = sorted({key for name in names for key in CHAPTERS[name].settings})
            raise UserError(f"--set {word}: no chapter has {key!r}; they have {', '.join(known)}")
        for name in having:
            numbers[name][key] = _read_number(word, value, CHAPTERS[name].settings[key])
    return numbers


def _read_number(word: str, text: str, setting: Setting) -> float:
    kind = int if isinstance(setting.default, int) else float
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not setting.low <= value <= setting.high:
        what = "a whole number" if kind is int else "a number"
        low, high = format_exactly(setting.low), format_exactly(setting.high)
        raise UserError(f"--set {word}: expected {what} from {low} to {high}")
    return value
