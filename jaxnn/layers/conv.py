"""The convolutional layer; ``jaxnn.kernels.conv.forms`` computes its three products."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jaxnn.kernels.conv.forms import convolve, convolve_backward
from jaxnn.kernels.geometry import (
    Geometry,
    Padding,
    Size,
    check_padding,
    expect_count,
    height_width,
    pads_in_pixels,
)
from jaxnn.kernels.window import as_images, with_batch_of
from jaxnn.layer import (
    Array,
    Key,
    Layer,
    LayerError,
    Shaped,
    constructor,
    expect,
    expect_input,
    expect_params,
    sum_dtype,
)
from jaxnn.sharding import data_parallel

Initializer = initializers.Initializer


@constructor
def conv(
    n_out: int,
    window: Size = 3,
    stride: Size = 1,
    padding: Padding = "SAME",
    groups: int = 1,
    *,
    standardize: bool = False,
    bias: bool = True,
    W_init: Initializer = initializers.he_normal(),  # noqa: B008 - a constant function
    b_init: Initializer = initializers.zeros,
) -> Layer:
    """Each output pixel is a weighted sum of the input pixels in a window around it.

    With stride s and x zero outside the image; p, q run over output pixels, i, j over the
    window, and lo is the padding above and to the left::

        forward    y[p, q] = Σ_ij x[s p + i − lo, s q + j − lo] W[i, j] + b
        backward   dW[i, j] = Σ_pq x[s p + i − lo, s q + j − lo]ᵀ dy[p, q]   over examples too
                   db = Σ_pq dy[p, q]
                   dx[u, v] = Σ_ij dy[(u − i + lo) / s, (v − j + lo) / s] W[i, j]ᵀ
                   over the i, j for which s divides both: dy with s − 1 zeros between
                   its pixels, convolved with the kernel rotated by 180°

    With ``groups=g``, the k-th of g equal groups of output channels depends only on the k-th group
    of input channels.  With one group for each input channel it is the depthwise convolution.

    With ``standardize``, the filter of each output channel has mean 0 and length 1:
    Ŵ = v / r replaces W, where v = W − mean(W) and r = √(Σ v² + 1e-8)::

        backward   dv = (dŴ − Ŵ Σ dŴ Ŵ) / r,   dW = dv − mean(dv)

    Args:
        n_out: output channels.
        window: height and width of the window, or one number for both.
        stride: step of the window from one output pixel to the next.
        padding: ``"SAME"`` (output size is input size / stride, rounded up), ``"VALID"``
            (none) or ``((above, below), (left, right))`` in pixels.
        groups: number of groups of channels; divides the input channels and ``n_out``.
        standardize: whether to standardize the filters.
        bias: whether to add b.  A normalization directly after the layer makes b superfluous.
        W_init: an initializer of ``jax.nn.initializers`` for (h, w, C_in / groups, n_out).
        b_init: initializer of the bias.

    Returns:
        A layer (..., H, W, C_in) → (..., H', W', n_out) with params
        ``{"W": (h, w, C_in / groups, n_out), "b": (n_out,)}``, without b if ``bias`` is False;
        float32, or float64 when JAX's x64 is on.  Sums are in float32 at least and rounded
        to the dtype of the input.

    Raises:
        LayerError: when an argument is not of its kind, the input is not (..., H, W, C_in) of a
            floating dtype or smaller than the window, or the groups do not divide the channels.

    Source: LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition";
    groups: Krizhevsky et al. 2012; standardization: Qiao et al. 2019, arXiv:1903.10520, with
    the scale of Brock et al. 2021, arXiv:2101.08692.

    Example:
        A window that copies the pixel to the left::

            >>> import jax.numpy as jnp, jaxnn
            >>> layer = jaxnn.conv(1, (1, 2), padding=((0, 0), (1, 0)), bias=False)
            >>> params = {"W": jnp.array([1.0, 0.0]).reshape(1, 2, 1, 1)}
            >>> x = jnp.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
            >>> y, cache = layer.forward(params, x)
            >>> y.ravel().tolist()
            [0.0, 1.0, 2.0]
            >>> dparams, dx = layer.backward(params, cache, jnp.ones_like(y))
            >>> dparams["W"].ravel().tolist(), dx.ravel().tolist()
            ([3.0, 6.0], [1.0, 1.0, 0.0])
    """
    n_out = expect_count("conv", "n_out", n_out)
    name = f"conv({n_out})"
    groups = expect_count(name, "groups", groups)
    if n_out % groups:
        raise LayerError(f"{name}: expected groups that divide the {n_out} outputs, got {groups}")
    k, s = height_width(name, "window", window), height_width(name, "stride", stride)
    padding = check_padding(name, padding)
    names = ("W", "b") if bias else ("W",)

    def init(key: Key, x: Shaped) -> dict[str, Array]:
        expect_input(name, x, "H", "W", "C_in")
        n_in = x.shape[-1]
        expect(n_in > 0 and n_in % groups == 0, name, f"channels that {groups} groups divide", x)
        dtype = jnp.zeros(()).dtype
        key_W, key_b = jax.random.split(key)
        W = W_init(key_W, (*k, n_in // groups, n_out), dtype)
        return {"W": W, "b": b_init(key_b, (n_out,), dtype)} if bias else {"W": W}

    def kernel(params: dict[str, Array], dtype: jnp.dtype) -> Array:
        W = _standardize(params["W"])[0] if standardize else params["W"]
        return W.astype(dtype)

    def geometry(x: Array) -> Geometry:
        return Geometry(s, pads_in_pixels(name, x, k, s, padding), groups)

    def forward(params: dict[str, Array], x: Array, key: Key | None = None) -> tuple[Array, Array]:
        W, *_ = expect_params(name, params, *names)
        expect_input(name, x, "H", "W", W.shape[2] * groups)
        b = params["b"].astype(sum_dtype(x.dtype)) if bias else None
        y = convolve(as_images(x), kernel(params, x.dtype), b, geometry(x))
        return with_batch_of(x, y), x

    def backward(params: dict[str, Array], x: Array, dy: Array) -> tuple[dict[str, Array], Array]:
        dy = as_images(dy)
        dW, dx = convolve_backward(as_images(x), kernel(params, x.dtype), dy, geometry(x))
        dparams = {"W": _standardize_backward(params["W"], dW) if standardize else dW}
        if bias:
            dparams["b"] = jnp.sum(dy, axis=(0, 1, 2), dtype=sum_dtype(dy.dtype))
        return {n: d.astype(params[n].dtype) for n, d in dparams.items()}, dx.reshape(x.shape)

    return data_parallel(Layer(name, init, forward, backward), 3)


def _standardize(W: Array) -> tuple[Array, Array]:
    """(Ŵ, r): each filter with mean 0 and length 1, and the length of W − mean(W)."""
    over, W = (0, 1, 2), W.astype(sum_dtype(W.dtype))
    v = W - jnp.broadcast_to(jnp.mean(W, over, keepdims=True), W.shape)
    r = jnp.sqrt(jnp.sum(v * v, over, keepdims=True) + 1e-8)
    r = jnp.broadcast_to(r, W.shape)
    return v / r, r


def _standardize_backward(W: Array, dW_hat: Array) -> Array:
    """dW from dŴ; the formula is in ``conv``."""
    over = (0, 1, 2)
    W_hat, r = _standardize(W)
    dW_hat = dW_hat.astype(r.dtype)
    along = jnp.sum(dW_hat * W_hat, over, keepdims=True)
    dv = (dW_hat - W_hat * jnp.broadcast_to(along, W.shape)) / r
    return dv - jnp.broadcast_to(jnp.mean(dv, over, keepdims=True), W.shape)
