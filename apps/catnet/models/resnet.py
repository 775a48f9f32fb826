"""The photo network: logits of many classes in training; for two classes, one log-odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn.initializers import Initializer, he_normal, zeros

import jaxnn
from catnet.models.targets import weighted_binary_cross_entropy
from jaxnn import Layer, Loss, binary_cross_entropy, dense, serial, softmax_cross_entropy
from jaxnn.combinators.serial import Serial
from jaxnn.layer import Array, Key, constructor, expect_input, no_params

HE = he_normal()


@constructor
def trunk(widths: Sequence[int], blocks: Sequence[int], W_init: Initializer = HE) -> Layer:
    """Images (..., 64, 64, 3) to features (..., widths[-1]).

    A stem of windows 8×8, four pixels apart, then a stage of residual blocks at 16×16, 8×8 and
    4×4.  A convolution with windows 2×2, two pixels apart, halves the size between stages.  The
    last convolution of a block starts at zero, so that every block starts as the identity
    (Goyal et al. 2017, arXiv:1706.02677).

    Args:
        widths: channels of each stage.
        blocks: how many blocks each stage has.
        W_init: initialization of the kernels that do not start at zero.
    """
    layers: list[Layer] = [jaxnn.conv(widths[0], window=8, stride=4, W_init=W_init)]
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        if stage:
            layers += [jaxnn.rms_norm(), jaxnn.conv(width, window=2, stride=2, W_init=W_init)]
        layers += [_block(width, W_init)] * count
    return jaxnn.serial(*layers, jaxnn.rms_norm(), jaxnn.global_average_pool)


def _block(width: int, W_init: Initializer) -> Layer:
    return jaxnn.residual(
        jaxnn.rms_norm(),
        jaxnn.conv(width, W_init=W_init),
        jaxnn.relu,
        jaxnn.conv(width, W_init=zeros),
    )


def photo_network(described: dict[str, Any], W_init: Initializer = HE) -> Serial:
    """The layers of a photo network: images (..., 64, 64, 3) in [0, 1] → logits (..., 1).

    Args:
        described: widths, blocks, classes, and cats: which of the classes are cats.  Without
            cats, the logits are (..., classes).
        W_init: initialization of the weights.
    """
    classes = described["classes"]
    features = trunk(tuple(described["widths"]), tuple(described["blocks"]), W_init)
    head = [dense(classes, W_init=W_init)]
    if "cats" in described:
        head.append(log_odds(tuple(described["cats"]), classes))
    return serial(features, *head)


class Targets(NamedTuple):
    """The targets of a batch of images.

    Attributes:
        cat: (n, 1), 1 for a cat, 0 for anything else; in between with label smoothing.  With class
            weights (n, 2): [w (1 − y), w y].
        fine: (n, classes), a distribution over the fine classes; all 0 where it is unknown.
        prior: (n, 1), the prior log-odds of a cat among the sampled images of the same source.
    """

    cat: Array
    fine: Array
    prior: Array


@constructor
def log_odds(group: Sequence[int], classes: int) -> Layer:
    """The log-odds of a group of classes, from the logits of all classes.

    The probability of the group is P = Σ_group softmax(z), and its log-odds log P / (1 − P) are
    the difference of two log-sum-exps::

        forward    s = log Σ_in e^z − log Σ_out e^z
        backward   dz = ds · softmax_in(z)   on the group
                   dz = −ds · softmax_out(z)  on the others

    Args:
        group: indices of its classes.
        classes: the number of classes.

    Returns:
        A layer (..., classes) → (..., 1) without parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> from catnet.models.resnet import log_odds
        >>> log_odds([0, 1], 4).apply((), jnp.zeros(4)).tolist()
        [0.0]
    """
    name = f"log_odds({len(group)} of {classes})"
    inside = np.isin(np.arange(classes), group)
    sides = np.where(np.stack([inside, ~inside]), 0, -np.inf)  # (2, classes): a row for each sum

    def forward(params: tuple[()], z: Array, key: Key | None = None) -> tuple[Array, Array]:
        expect_input(name, z, classes)
        both = jnp.broadcast_to(sides.astype(z.dtype), (*z.shape[:-1], *sides.shape))
        both = both + z[..., None, :]
        largest = lax.stop_gradient(jnp.max(both, axis=-1, keepdims=True))
        terms = jnp.exp(both - largest)
        total = jnp.sum(terms, axis=-1, keepdims=True)
        s = jnp.log(total[..., 0, :] / total[..., 1, :]) + largest[..., 0, :] - largest[..., 1, :]
        return s, terms / total

    def backward(params: tuple[()], softmax: Array, ds: Array) -> tuple[tuple[()], Array]:
        return (), ds * (softmax[..., 0, :] - softmax[..., 1, :])

    return Layer(name, no_params, forward, backward)


def photo_loss(cats: Sequence[int], classes: int, fine_weight: float) -> Loss:
    """The cost of the cat label, plus the weighted cost of the fine class where it is known.

    ::

        z′   = z + y.prior at the cat classes
        cost = binary_cross_entropy(log_odds(z′), y.cat)
               + fine_weight · softmax_cross_entropy(z′, y.fine)

    The prior absorbs the frequency of cats in each source.  It is left out in prediction: z itself
    assumes a prior of ½ (logit adjustment, Menon et al. 2021, arXiv:2007.07314).

    Args:
        cats: indices of the fine classes that are cats.
        classes: the number of fine classes.
        fine_weight: weight of the cost of the fine class.

    Returns:
        A loss of (logits (n, classes), ``Targets``).
    """
    odds = log_odds(cats, classes)

    is_cat = np.isin(np.arange(classes), cats)[None]

    def of_cat(y: Targets) -> Loss:
        return binary_cross_entropy if y.cat.shape[-1] == 1 else weighted_binary_cross_entropy

    # The cost is computed in float32, whatever the precision of the network.
    def shifted(z: Array, y: Targets) -> Array:
        return z.astype(jnp.promote_types(z.dtype, jnp.float32)) + y.prior * is_cat

    def value(z: Array, y: Targets) -> Array:
        z = shifted(z, y)
        s = odds.apply((), z)
        return of_cat(y)(s, y.cat) + fine_weight * softmax_cross_entropy(z, y.fine)

    def gradient(z: Array, y: Targets) -> Array:
        dtype = z.dtype
        z = shifted(z, y)
        s, cache = odds.forward((), z)
        _, dz = odds.backward((), cache, of_cat(y).gradient(s, y.cat))
        return (dz + fine_weight * softmax_cross_entropy.gradient(z, y.fine)).astype(dtype)

    return Loss("photo_loss", value, gradient)


def _fine_value(z: Array, y: Targets) -> Array:
    return softmax_cross_entropy(z, y.fine)


def _fine_gradient(z: Array, y: Targets) -> Array:
    return softmax_cross_entropy.gradient(z, y.fine)


#: The loss of more than two classes, which are the fine classes: their softmax cross-entropy.
fine_loss = Loss("fine_loss", _fine_value, _fine_gradient)


def targets(cat: Any, fine: Any, prior: Any, classes: int, smoothing: float) -> Targets:
    """Make the targets of labels, with label smoothing.

    Args:
        cat: (n,) 0 or 1.
        fine: (n,) index of the fine class, −1 where it is unknown; or (n, classes) soft labels, 0
            where they are unknown.
        prior: (n,) prior log-odds of a cat; see ``Targets``.
        classes: the number of fine classes.
        smoothing: the share of a label that goes to the other classes.
    """
    y = jnp.asarray(cat, jnp.float32)[:, None]
    fine = jnp.asarray(fine)
    one_hot = fine.astype(jnp.float32) if fine.ndim == 2 else jax.nn.one_hot(fine, classes)
    known = jnp.max(one_hot, axis=1, keepdims=True) > 0
    smooth = one_hot * (1 - smoothing) + known * smoothing / classes
    return Targets(
        y * (1 - smoothing) + smoothing / 2, smooth, jnp.asarray(prior, jnp.float32)[:, None]
    )


def weigh(y: Targets, weights: Any, cats: bool) -> Targets:
    """The targets with a weight in the cost for each image.

    Args:
        y: of ``targets``.
        weights: (n,).
        cats: whether the label cat has a cost of its own; else only the fine classes have one.
    """
    w = jnp.asarray(weights, jnp.float32)[:, None]
    cat = w * jnp.concatenate([1 - y.cat, y.cat], axis=1) if cats else y.cat
    return y._replace(cat=cat, fine=w * y.fine)
