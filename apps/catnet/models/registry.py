"""Which networks there are, and how one is built from its description."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from catnet.errors import UserError
from catnet.images.geometry import Geometry
from catnet.images.size import SIZE

if TYPE_CHECKING:
    from jax.nn.initializers import Initializer

    from jaxnn import Layer
    from jaxnn.combinators.serial import Serial

DEFAULT_HIDDEN = {"logistic": (), "shallow": (7,), "deep": (20, 7, 5)}
# The lecture's value for L layers; logistic regression needs a smaller one, or it oscillates.
LEARNING_RATES = {"logistic": 0.002, "shallow": 0.0075, "deep": 0.0075}
ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky_relu", "identity", "gelu", "silu", "softplus")
INITIALIZATIONS = ("lecun", "he", "xavier", "large", "zeros")
OPTIMIZERS = ("gd", "momentum", "adam", "adamw", "rmsprop")
# Of training images, from none to the strongest; see ``catnet.training.augmentation.choices``.
AUGMENTATIONS = ("none", "mirror", "light", "full")
# Upper bounds: more is a typing error, or a malicious file.
UNITS, LAYERS, LARGEST = 100_000, 100, 512


def architecture(
    model: str,
    hidden: Sequence[int] | None = None,
    activation: str = "relu",
    classes: int = 2,
) -> dict[str, Any]:
    """Describe one of the lecture's networks in a dict for JSON; ``build`` makes the network.

    Args:
        model: "logistic", "shallow" or "deep".
        hidden: units of the hidden layers; the default is the lecture's: none, 7, or 20 7 5.
        activation: of the hidden layers, one of ``ACTIVATIONS``.
        classes: the number of classes; two have one logit, more have a logit each.

    Raises:
        UserError: the arguments contradict each other, or one is out of range.

    Example:
        >>> architecture("shallow")
        {'model': 'shallow', 'hidden': [7], 'activation': 'relu'}
        >>> architecture("logistic", classes=3)
        {'model': 'logistic', 'hidden': [], 'activation': 'relu', 'classes': 3}
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
    if not _are_whole([classes], 2, UNITS):
        raise UserError(f"classes {reprlib.repr(classes)}: a network has from 2 to {UNITS} classes")
    described = {"model": model, "hidden": hidden, "activation": activation}
    return described if classes == 2 else {**described, "classes": classes}


def refuse_stages(widths: Sequence[int], blocks: Sequence[int]) -> None:
    """Refuse a photo network that no model file may describe.

    Args:
        widths: channels of each stage.
        blocks: residual blocks of each stage.

    Raises:
        UserError: there are too many channels or blocks.

    Example:
        >>> refuse_stages((48, 96, 192), (2, 2, 2))
    """
    if not _are_whole(widths, 1, UNITS):
        raise UserError(f"--widths {_words(widths)}: a layer has from 1 to {UNITS} channels")
    most = LAYERS - len(blocks)
    if sum(blocks) > most:
        raise UserError(f"--blocks {_words(blocks)}: at most {most} residual blocks")


def count_classes(described: dict[str, Any]) -> int:
    """The number of classes of a description that ``build`` accepts.

    Example:
        >>> count_classes(architecture("deep")), count_classes(architecture("deep", classes=3))
        (2, 3)
    """
    return 2 if "cats" in described else described.get("classes", 2)


def read_geometry(described: dict[str, Any]) -> Geometry:
    """The geometry of the images that the network of a description gets.

    Example:
        >>> read_geometry(architecture("deep"))
        Geometry(size=64, max_aspect=None)
    """
    return Geometry(*described.get("geometry", ()))


def with_classes(described: dict[str, Any], classes: int) -> dict[str, Any]:
    """The description of the same network with a head for another number of classes."""
    # What makes an answer doubtful depends on the head.
    other = ("classes", "cats", "first_view")
    rest = {key: value for key, value in described.items() if key not in other}
    if classes == 2:
        return {**rest, "classes": 2, "cats": [1]} if rest["model"] == "photo" else rest
    return {**rest, "classes": classes}


class Network(NamedTuple):
    """A network without test-time augmentation, and where its head begins.

    Attributes:
        layers: ``layers[:head]`` compute the features of an image, ``layers[head:]`` the logits
            from the features; ``params[:head]`` and ``params[head:]`` are their params.
        head: index of the first layer of the head.
        first: indices of the params of the first layer with weights: (0, 0) is
            ``params[0][0]``.
    """

    layers: Serial
    head: int
    first: tuple[int, ...]


def network(described: dict[str, Any], initialization: str = "lecun") -> Network:
    """Build the layers of a network, without test-time augmentation; see ``build``.

    Example:
        >>> layers, head, _ = network(architecture("deep"))
        >>> layers[:head]
        serial(flatten, dense(20), relu, dense(7), relu, dense(5), relu)
        >>> layers[head:]
        serial(dense(1))
    """
    import jaxnn

    W_init = initializer(initialization)
    error = UserError(f"its architecture is not one of this catnet: {reprlib.repr(described)}")
    if described.get("model") == "photo":
        from catnet.models.resnet import photo_network

        if not _is_photo(described):
            raise error
        return Network(photo_network(described, W_init), head=1, first=(0, 0))
    try:
        described = architecture(**described)
    except TypeError:
        raise error from None
    activation = getattr(jaxnn, described["activation"])
    features: list[Layer] = [jaxnn.flatten]
    for n_out in described["hidden"]:
        features += [jaxnn.dense(n_out, W_init=W_init), activation]
    outputs = described.get("classes", 1)
    layers = jaxnn.serial(*features, jaxnn.dense(outputs, W_init=W_init))
    return Network(layers, head=len(features), first=(1,))


def build(described: dict[str, Any], initialization: str = "lecun") -> Layer:
    """Build the network of a description: images (..., 64, 64, 3) in [0, 1] → logits (..., 1).

    The images may have another size; see ``read_geometry``.  With more than two classes the logits
    are (..., classes).  ``first_view`` is for :mod:`catnet.models.inference`.

    Args:
        described: what ``architecture`` returns, or the description of a photo network.
        initialization: of the weights, one of ``INITIALIZATIONS``: normal with the variance
            1 / n[l−1] as in the lecture's L-layer network (lecun), 2 / n[l−1] (he),
            2 / (n[l−1] + n[l]) (xavier) or 1 (large), or zeros.

    Raises:
        UserError: the description is not that of a network.

    Example:
        >>> build(architecture("deep"))
        serial(flatten, dense(20), relu, dense(7), relu, dense(5), relu, dense(1))
    """
    net = network(described, initialization).layers
    if not (sides := described.get("test_time_augmentation")):
        return net
    from catnet.models.test_time_augmentation import test_time_augmentation

    return test_time_augmentation(net, tuple(sides), read_geometry(described).size)


def initializer(initialization: str) -> Initializer:
    """The initializer of a name in ``INITIALIZATIONS``; see ``build``."""
    from jax.nn import initializers

    return {
        "lecun": initializers.lecun_normal(),
        "he": initializers.he_normal(),
        "xavier": initializers.glorot_normal(),
        "large": initializers.normal(1.0),
        "zeros": initializers.zeros,
    }[initialization]


def _is_photo(described: dict[str, Any]) -> bool:
    """Whether this describes a photo network, with numbers in a sensible range."""
    needed = ("classes", "widths", "blocks")
    extra = ("cats", "model", "geometry", "test_time_augmentation", "first_view")
    if not set(needed) <= set(described) <= {*needed, *extra}:
        return False
    sides, geometry = described.get("test_time_augmentation", []), described.get("geometry", [SIZE])
    if not isinstance(geometry, (list, tuple)) or not _is_geometry(*geometry):
        return False
    if not _are_whole(sides, 1, geometry[0]) or (geometry[0] != SIZE and not sides):
        return False
    if "first_view" in described and not (sides and _is_view(described["first_view"], geometry[0])):
        return False
    classes, widths, blocks = (described[name] for name in needed)
    cats = described.get("cats", [0])
    return (
        _are_whole([classes], 2 if "cats" in described else 3, UNITS)
        and _are_whole(cats, 0, classes - 1)
        and _are_whole(widths, 1, UNITS)
        and _are_whole(blocks, 0, LAYERS)
        and 0 < len(set(cats)) == len(cats) < classes
        and 0 < len(widths) == len(blocks)
        and len(widths) + sum(blocks) <= LAYERS
    )


def _is_view(view: Any, size: int) -> bool:
    """Whether it is a side of at most ``size`` pixels and a doubt."""
    if not isinstance(view, (list, tuple)) or len(view) != 2:
        return False
    side, doubt = view
    return _are_whole([side], 1, size) and type(doubt) in (int, float) and 0 <= doubt < 1e6


def _is_geometry(size: Any = None, max_aspect: Any = None, *more: Any) -> bool:
    whole = _are_whole([size], SIZE, LARGEST) and size % 16 == 0
    aspect = max_aspect is None or (type(max_aspect) in (int, float) and 1 <= max_aspect < 1e6)
    return whole and aspect and not more


def _are_whole(numbers: Any, low: int, high: int) -> bool:
    """Whether ``numbers`` is a list of whole numbers from low to high."""
    return isinstance(numbers, (list, tuple)) and all(
        type(n) is int and low <= n <= high for n in numbers
    )


def _words(numbers: Sequence[Any]) -> str:
    return " ".join([*map(reprlib.repr, numbers[:10]), *(["…"] if len(numbers) > 10 else [])])
