"""The character model: the probability of the next letter of a name, and names drawn from it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.errors import UserError
from catnet.terminal import one_line
from jaxnn import Layer, Masked
from jaxnn.layer import Array, Key, Params
from seqnet.data.text import LONGEST_NAME
from seqnet.features.words import ROUND

#: What a model file has to contain, besides the parameters.
FIELDS = {"letters": list, "width": int}

BLOCK = 1000  # names that are written side by side
END = 0  # the token before the first letter and after the last one; letter i has token i + 1


def build(described: dict[str, Any]) -> Layer:
    """The network: ``Masked`` tokens (N, T) → logits of the next token (N, T, letters + 1)."""
    n_tokens, width = len(described["letters"]) + 1, described["width"]
    return jaxnn.serial(
        jaxnn.embedding(n_tokens, width // 4),
        jaxnn.gru(width),
        jaxnn.dropout(0.2),
        jaxnn.dense(n_tokens),
    )


def encode(described: dict[str, Any], names: Sequence[str]) -> tuple[Masked, np.ndarray]:
    """Input and targets: END and the letters of each name; the letters and END.

    Raises:
        UserError: a name has a letter that the model does not know.

    Example:
        >>> x, y = encode({"letters": ["a", "b"]}, ["ab", "b"])
        >>> x.values[:, :4].tolist(), y[:, :4].tolist()
        ([[0, 1, 2, 0], [0, 2, 0, 0]], [[1, 2, 0, 0], [2, 0, 0, 0]])
    """
    token = {letter: i for i, letter in enumerate(described["letters"], 1)}
    lengths = np.array([len(name) + 1 for name in names], np.int32)
    targets = np.zeros((len(names), -(-int(lengths.max()) // ROUND) * ROUND), np.int32)
    for row, name in zip(targets, names, strict=True):
        if unknown := set(name) - set(token):
            known = one_line("".join(token))
            raise UserError(
                f"name {one_line(name)!r} has the letter {min(unknown)!r}, the model knows {known}"
            )
        row[: len(name)] = [token[letter] for letter in name]
    inputs = np.pad(targets, ((0, 0), (1, 0)))[:, :-1]
    return jaxnn.padded(inputs, lengths), targets


def step(net: Layer, params: Params, tokens: Array, state: Array | None) -> tuple[Array, Array]:
    """One step of the network: logits of the next tokens (N, letters + 1), and the new state.

    Args:
        net: what ``build`` returns.
        params: of the network.
        tokens: (N,) the tokens of this step.
        state: of the GRU after the step before, (N, width); None at the first step.
    """
    of_letters, of_gru, _, of_dense = params
    letters, _, _, dense = net.layers
    h, state = jaxnn.gru_step(of_gru, letters.apply(of_letters, tokens), state)
    return dense.apply(of_dense, h), state


def write(
    described: dict[str, Any], params: Params, count: int, key: Key, temperature: float = 1.0
) -> Iterator[str]:
    """Draw names letter by letter; a letter costs one step, however long the name is.

    Args:
        described: of the model.
        params: of the network.
        count: the number of names.
        key: of the random numbers; equal keys give equal names.
        temperature: divides the logits: below 1 names are more likely, above 1 more varied.

    Returns:
        ``count`` names of 1 to ``LONGEST_NAME`` letters.
    """
    for start in range(0, count, BLOCK):
        block = min(BLOCK, count - start)
        yield from _write_block(
            described, params, block, jax.random.fold_in(key, start), temperature
        )


def _write_block(
    described: dict[str, Any], params: Params, count: int, key: Key, temperature: float
) -> Iterator[str]:
    """Draw all names of a block side by side."""
    net = build(described)
    tokens, state = jnp.full(count, END), jnp.zeros((count, described["width"]))
    drawn = []
    for i in range(LONGEST_NAME):
        key_i = jax.random.fold_in(key, i)
        tokens, state = _draw(net, params, tokens, state, key_i, temperature, i == 0)
        drawn.append(np.asarray(tokens))
        if (np.array(drawn) == END).any(axis=0).all():
            break
    for row in np.array(drawn).T.tolist():
        length = row.index(END) if END in row else len(row)
        yield "".join(described["letters"][token - 1] for token in row[:length])


@functools.partial(jax.jit, static_argnums=0)
def _draw(
    net: Layer,
    params: Params,
    tokens: Array,
    state: Array,
    key: Key,
    temperature: Array,
    first: Array,
) -> tuple[Array, Array]:
    logits, state = step(net, params, tokens, state)
    is_end = jnp.arange(logits.shape[-1]) == END
    forbidden = jnp.broadcast_to(is_end & first, logits.shape)  # a name has a letter
    logits = jnp.where(forbidden, -jnp.inf, logits / temperature)
    return jax.random.categorical(key, logits), state
