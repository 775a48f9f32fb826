"""The lecture's three networks: logistic regression, one hidden layer, L layers."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from catnet.errors import UserError

if TYPE_CHECKING:
    from jaxnn import Layer

SIZE = 64  # pixels, height and width of every image
DEFAULT_HIDDEN = {"logistic": (), "shallow": (7,), "deep": (20, 7, 5)}
# The lecture's for its L layers; logistic regression oscillates unless it goes slower.
LEARNING_RATES = {"logistic": 0.002, "shallow": 0.0075, "deep": 0.0075}
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "identity", "gelu", "silu", "softplus")
STARTS = ("lecun", "he", "xavier", "large", "zeros")  # the ways weights may begin
OPTIMIZERS = ("gd", "momentum", "adam", "adamw", "rmsprop")
UNITS, LAYERS = 100_000, 100  # what asks for more is a slip, or a file made to do harm


def architecture(
    model: str, hidden: Sequence[int] | None = None, activation: str = "relu"
) -> dict[str, Any]:
    """A description of a network that JSON can hold; ``build`` makes the network from it.

    Args:
        model: "logistic", "shallow" or "deep".
        hidden: units of the hidden layers; the lecture's unless given: none, 7, or 20 7 5.
        activation: of the hidden layers, one of ``ACTIVATIONS``.

    Raises:
        UserError: when these do not fit together.

    Example:
        >>> architecture("shallow")
        {'model': 'shallow', 'hidden': [7], 'activation': 'relu'}
    """
    if model not in DEFAULT_HIDDEN:
        raise UserError(f"model {reprlib.repr(model)} is not one of {', '.join(DEFAULT_HIDDEN)}")
    if activation not in ACTIVATIONS:
        got = reprlib.repr(activation)
        raise UserError(f"activation {got} is not one of {', '.join(ACTIVATIONS)}")
    hidden = list(DEFAULT_HIDDEN[model] if hidden is None else hidden)
    if not _are_whole(hidden, 1, UNITS):
        raise UserError(f"--hidden {_words(hidden)}: a layer has from 1 to {UNITS} units")
    if len(hidden) > LAYERS:
        raise UserError(f"--hidden {_words(hidden)}: at most {LAYERS} layers")
    fits = {"logistic": not hidden, "shallow": len(hidden) == 1, "deep": len(hidden) > 1}
    if not fits[model]:
        wanted = {
            "logistic": "no hidden layers",
            "shallow": "one hidden layer",
            "deep": "at least two hidden layers",
        }[model]
        raise UserError(f"--hidden {_words(hidden)}: a {model} network has {wanted}; see --model")
    return {"model": model, "hidden": hidden, "activation": activation}


def build(described: dict[str, Any], start: str = "lecun") -> Layer:
    """The network of a description: images (..., 64, 64, 3) in [0, 1] to logits (..., 1).

    Args:
        described: what ``architecture`` returns.
        start: how the weights begin, one of ``STARTS``: normal with the variance 1 / n[l−1] as in
            the lecture's L-layer network (lecun), 2 / n[l−1] (he), 2 / (n[l−1] + n[l]) (xavier)
            or 1 (large), or all at zero.

    Example:
        >>> build(architecture("deep"))
        serial(flatten, dense(20), relu, dense(7), relu, dense(5), relu, dense(1))
    """
    import jaxnn

    wrong = UserError(f"its architecture is not one of this catnet: {reprlib.repr(described)}")
    if described.get("model") == "photo":
        from catnet.models.resnet import build_photo

        if not _is_photo(described):
            raise wrong
        return build_photo(described, _initializer(start))
    try:
        described = architecture(**described)
    except TypeError:
        raise wrong from None
    activation = getattr(jaxnn, described["activation"])
    W_init = _initializer(start)
    hidden = [
        layer
        for n_out in described["hidden"]
        for layer in (jaxnn.dense(n_out, W_init=W_init), activation)
    ]
    return jaxnn.serial(jaxnn.flatten, *hidden, jaxnn.dense(1, W_init=W_init))


def _initializer(start: str) -> Any:
    from jax.nn import initializers

    return {
        "lecun": initializers.lecun_normal(),
        "he": initializers.he_normal(),
        "xavier": initializers.glorot_normal(),
        "large": initializers.normal(1.0),
        "zeros": initializers.zeros,
    }[start]


def _is_photo(described: dict[str, Any]) -> bool:
    """Whether the numbers of a photo network go together, and none of them is absurd."""
    needed = ("classes", "cats", "widths", "blocks")
    if not set(needed) <= set(described) <= {*needed, "model", "mirrored", "views"}:
        return False
    if not _are_whole(described.get("views", []), 1, SIZE):
        return False
    classes, cats, widths, blocks = (described[name] for name in needed)
    return (
        _are_whole([classes], 2, UNITS)
        and _are_whole(cats, 0, classes - 1)
        and _are_whole(widths, 1, UNITS)
        and _are_whole(blocks, 0, LAYERS)
        and 0 < len(set(cats)) == len(cats) < classes
        and 0 < len(widths) == len(blocks)
        and len(widths) + sum(blocks) <= LAYERS
    )


def _are_whole(numbers: Any, low: int, high: int) -> bool:
    """Whether it is a list of whole numbers from low to high."""
    return isinstance(numbers, (list, tuple)) and all(
        type(n) is int and low <= n <= high for n in numbers
    )


def _words(numbers: Sequence[Any]) -> str:
    return " ".join([*map(reprlib.repr, numbers[:10]), *(["…"] if len(numbers) > 10 else [])])
