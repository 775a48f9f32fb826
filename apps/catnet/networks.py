"""The lecture's three networks: logistic regression, one hidden layer, L layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from catnet.errors import UserError

if TYPE_CHECKING:
    from jaxnn import Layer

SIZE = 64  # pixels, height and width of every picture
DEFAULT_HIDDEN = {"logistic": (), "shallow": (7,), "deep": (20, 7, 5)}
# The lecture's for its L layers; logistic regression oscillates unless it goes slower.
LEARNING_RATES = {"logistic": 0.002, "shallow": 0.0075, "deep": 0.0075}
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "identity", "gelu", "silu", "softplus")
STARTS = ("lecun", "he", "xavier", "large", "zeros")  # the ways weights may begin
OPTIMIZERS = ("gd", "momentum", "adam", "adamw", "rmsprop")


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
        raise UserError(f"model {model!r} is not one of {', '.join(DEFAULT_HIDDEN)}")
    if activation not in ACTIVATIONS:
        raise UserError(f"activation {activation!r} is not one of {', '.join(ACTIVATIONS)}")
    hidden = list(DEFAULT_HIDDEN[model] if hidden is None else hidden)
    if any(not isinstance(n, int) or not 1 <= n <= 100_000 for n in hidden):
        raise UserError(f"--hidden {_words(hidden)}: a layer has from 1 to 100000 units")
    fits = {"logistic": not hidden, "shallow": len(hidden) == 1, "deep": len(hidden) > 1}
    if not fits[model]:
        wanted = {"logistic": "no", "shallow": "one", "deep": "at least two"}[model]
        raise UserError(
            f"--hidden {_words(hidden)}: a {model} network has {wanted} hidden layers; see --model"
        )
    return {"model": model, "hidden": hidden, "activation": activation}


def build(described: dict[str, Any], start: str = "lecun") -> Layer:
    """The network of a description: pictures (..., 64, 64, 3) in [0, 1] to logits (..., 1).

    Args:
        described: what ``architecture`` returns.
        start: how the weights of the lecture's networks begin, one of ``STARTS``: normal with
            the variance 1 / n[l−1] as in the lecture's L-layer network (lecun), 2 / n[l−1]
            (he), 2 / (n[l−1] + n[l]) (xavier) or 1 (large), or all at zero.

    Example:
        >>> build(architecture("deep"))
        serial(flatten, dense(20), relu, dense(7), relu, dense(5), relu, dense(1))
    """
    import jaxnn

    if described.get("model") == "photo":
        from catnet.photo.network import build_photo

        return build_photo(described)
    try:
        described = architecture(**described)
    except TypeError:
        raise UserError(f"its architecture is not one of this catnet: {described}") from None
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


def _words(numbers: Sequence[Any]) -> str:
    return " ".join(map(str, numbers))
