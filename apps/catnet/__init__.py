"""catnet: says whether an image shows a cat, and trains the networks that do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from catnet.models.classifier import Classifier, Prediction

__all__ = ["Classifier", "Prediction"]


def __getattr__(name: str) -> Any:
    # On first use, so that `catnet --help` does not wait for JAX.
    if name in __all__:
        from catnet.models import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module 'catnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
