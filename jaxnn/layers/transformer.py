"""The transformer's block, of the combinators."""

from __future__ import annotations

from jaxnn.combinators.serial import Serial, residual, serial
from jaxnn.layer import Layer, LayerError, constructor
from jaxnn.layers.activations import gelu
from jaxnn.layers.attention import attention
from jaxnn.layers.dense import dense
from jaxnn.layers.dropout import dropout
from jaxnn.layers.norm import layer_norm


@constructor
def transformer_block(
    n: int,
    heads: int,
    *,
    n_hidden: int | None = None,
    causal: bool = False,
    norm_first: bool = True,
    activation: Layer = gelu,
    rate: float = 0.0,
    epsilon: float = 1e-5,
) -> Layer:
    """Attention between steps, then two dense layers within each, with paths around both.

    ::

        norm first    a = x + attention(norm(x)),   y = a + mlp(norm(a))
        norm last     a = norm(x + attention(x)),   y = norm(a + mlp(a))
                      mlp = dense(n_hidden), activation, dense(n)
        backward      as of ``serial`` and ``residual``

    Args:
        n: features of the input.
        heads: of the attention; they divide n.
        n_hidden: units between the two dense layers; 4 n unless given.
        causal: whether a step may only look at itself and at those before it.
        norm_first: today's order; the paper, and PyTorch unless told, has the norm last.
        activation: between the two dense layers.
        rate: of dropout before each addition; 0 leaves the layers out.
        epsilon: of the two ``layer_norm``.

    Returns:
        A chain of layers (..., T, n) → (..., T, n); the input may be ``Masked``.  It has no
        rule of its own: it is ``serial`` of ``residual`` and ``layer_norm``, and its params
        are theirs.

    Raises:
        LayerError: when the heads do not divide n, or the input does not fit.

    Source: Vaswani et al. 2017, arXiv:1706.03762; norm first: Xiong et al. 2020,
    arXiv:2002.04745.

    Example:
        >>> import jax, jax.numpy as jnp, jaxnn
        >>> block, x = jaxnn.transformer_block(4, 2), jnp.ones((5, 7, 4))
        >>> block.apply(block.init(jax.random.key(0), x), x).shape
        (5, 7, 4)
    """
    name = f"transformer_block({n}, {heads})"
    if n < 1 or heads < 1 or n % heads:
        raise LayerError(f"{name}: expected features that the heads divide")
    looking = (attention(heads, causal=causal),)
    mlp = (dense(n_hidden or 4 * n), activation, dense(n))
    drop = (dropout(rate),) if rate else ()
    return _chain(norm_first, (*looking, *drop), (*mlp, *drop), layer_norm(epsilon=epsilon))


def _chain(
    norm_first: bool, looking: tuple[Layer, ...], mlp: tuple[Layer, ...], norm: Layer
) -> Serial:
    if norm_first:
        return serial(residual(norm, *looking), residual(norm, *mlp))
    return serial(residual(*looking), norm, residual(*mlp), norm)
