"""Weights of PyTorch's layers as params, and back.

Both are dicts of NumPy arrays: what ``{name: t.numpy() for name, t in module.state_dict()
.items()}`` is for a module.  PyTorch itself is not needed.  A layer with these params computes
what the module computes, with ``batch_first=True``.

PyTorch has two biases where one is enough: from PyTorch they are added up, and to PyTorch the
second is 0.  The bias of an attention's keys changes nothing; it is left out, and to PyTorch 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from jaxnn.layer import LayerError, Params

Arrays = Mapping[str, ArrayLike]
NumpyArrays = dict[str, np.ndarray]


def recurrent_from_pytorch(arrays: Arrays, layer: int = 0, *, reverse: bool = False) -> NumpyArrays:
    """Params of ``rnn`` or ``lstm`` from the weights of ``torch.nn.RNN`` (tanh) or ``LSTM``.

    The gates of the LSTM have the same order in both: i, f, g, o.

    Args:
        arrays: ``weight_ih_l0`` and so on, by PyTorch's names.
        layer: which one, of a module of several; they are a ``serial`` here.
        reverse: whether the one that runs backwards, of a bidirectional module.

    Returns:
        ``{"W": …, "U": …, "b": …}`` for ``rnn(n)`` or ``lstm(n)``.

    Raises:
        LayerError: when an array is missing.

    Example:
        >>> import numpy as np
        >>> from jaxnn.layers.pytorch import recurrent_from_pytorch
        >>> arrays = {"weight_ih_l0": np.ones((8, 3)), "weight_hh_l0": np.ones((8, 2)),
        ...           "bias_ih_l0": np.ones(8), "bias_hh_l0": np.ones(8)}
        >>> params = recurrent_from_pytorch(arrays)
        >>> params["W"].shape, params["b"].tolist()[:2]
        ((8, 3), [2.0, 2.0])
    """
    W, U, b_ih, b_hh = _recurrent(arrays, layer, reverse)
    return {"W": W, "U": U, "b": b_ih + b_hh}


def recurrent_to_pytorch(params: Params, layer: int = 0, *, reverse: bool = False) -> NumpyArrays:
    """Weights of ``torch.nn.RNN`` or ``LSTM`` from the params of ``rnn`` or ``lstm``.

    The way back from ``recurrent_from_pytorch``.
    """
    b = np.asarray(params["b"])
    return _named(layer, reverse, params["W"], params["U"], b, np.zeros_like(b))


def gru_from_pytorch(arrays: Arrays, layer: int = 0, *, reverse: bool = False) -> NumpyArrays:
    """Params of ``gru`` from the weights of ``torch.nn.GRU``; arguments as for the others."""
    W, U, b_ih, b_hh = _recurrent(arrays, layer, reverse)
    n = U.shape[1]
    before = np.concatenate([b_hh[: 2 * n], np.zeros(n, b_hh.dtype)])
    return {"W": W, "U": U, "b": b_ih + before, "c": b_hh[2 * n :]}


def gru_to_pytorch(params: Params, layer: int = 0, *, reverse: bool = False) -> NumpyArrays:
    """Weights of ``torch.nn.GRU`` from the params of ``gru``."""
    c = np.asarray(params["c"])
    b_hh = np.concatenate([np.zeros(2 * len(c), c.dtype), c])
    return _named(layer, reverse, params["W"], params["U"], params["b"], b_hh)


def attention_from_pytorch(arrays: Arrays, prefix: str = "") -> NumpyArrays:
    """Params of ``attention`` from the weights of ``torch.nn.MultiheadAttention``.

    Args:
        arrays: ``in_proj_weight`` and so on, by PyTorch's names; of a module with ``kdim``,
            ``q_proj_weight`` and so on.
        prefix: the text before each name, ``"self_attn."``.

    Returns:
        Params for ``attention(heads)``; of a module without biases, they are 0.

    Raises:
        LayerError: when an array is missing.
    """
    get = _getter(arrays, prefix)
    if f"{prefix}in_proj_weight" in arrays:
        W_q, W_k, W_v = np.split(get("in_proj_weight"), 3)
    else:
        W_q, W_k, W_v = (get(f"{what}_proj_weight") for what in "qkv")
    n = len(W_q)
    zeros = np.zeros(3 * n, W_q.dtype)
    biased = f"{prefix}in_proj_bias" in arrays
    b_q, _, b_v = np.split(get("in_proj_bias") if biased else zeros, 3)
    b_o = get("out_proj.bias") if biased else zeros[:n]
    weights = {"W_q": W_q, "W_k": W_k, "W_v": W_v, "W_o": get("out_proj.weight")}
    return {**weights, "b_q": b_q, "b_v": b_v, "b_o": b_o}


def attention_to_pytorch(params: Params, prefix: str = "") -> NumpyArrays:
    """Weights of ``torch.nn.MultiheadAttention`` from the params of ``attention``."""
    p = {name: np.asarray(value) for name, value in params.items()}
    parts = [p["W_q"], p["W_k"], p["W_v"]]
    if all(W.shape == p["W_q"].shape for W in parts):
        weights = {"in_proj_weight": np.concatenate(parts)}
    else:
        weights = {f"{what}_proj_weight": W for what, W in zip("qkv", parts, strict=True)}
    bias = np.concatenate([p["b_q"], np.zeros_like(p["b_q"]), p["b_v"]])
    out = {"out_proj.weight": p["W_o"], "out_proj.bias": p["b_o"]}
    return {prefix + name: a for name, a in {**weights, "in_proj_bias": bias, **out}.items()}


def transformer_block_from_pytorch(
    arrays: Arrays, prefix: str = "", *, norm_first: bool = False, rate: float = 0.0
) -> Params:
    """Params of ``transformer_block`` from those of ``torch.nn.TransformerEncoderLayer``.

    Args:
        arrays: ``self_attn.in_proj_weight`` and so on, by PyTorch's names.
        prefix: the text before each name, ``"layers.0."``.
        norm_first: as the module has it; PyTorch's default is False.
        rate: as ``transformer_block`` has it: layers of dropout have a place in the params.

    Returns:
        Params for ``transformer_block(n, heads, n_hidden=…, norm_first=norm_first,
        activation=relu, rate=rate)``; PyTorch's activation is relu unless told.

    Raises:
        LayerError: when an array is missing.
    """
    get = _getter(arrays, prefix)
    norms = [{"gamma": get(f"norm{i}.weight"), "beta": get(f"norm{i}.bias")} for i in (1, 2)]
    first, last = ({"W": get(f"linear{i}.weight"), "b": get(f"linear{i}.bias")} for i in (1, 2))
    drop = ((),) if rate else ()
    looking = (attention_from_pytorch(arrays, f"{prefix}self_attn."), *drop)
    mlp = (first, (), last, *drop)
    if norm_first:
        return (norms[0], *looking), (norms[1], *mlp)
    return looking, norms[0], mlp, norms[1]


def transformer_block_to_pytorch(
    params: Params, prefix: str = "", *, norm_first: bool = False
) -> NumpyArrays:
    """Weights of ``torch.nn.TransformerEncoderLayer`` from the params of ``transformer_block``."""
    if norm_first:
        (norm1, looking, *_), (norm2, first, _, last, *_) = params
    else:
        (looking, *_), norm1, (first, _, last, *_), norm2 = params
    arrays = attention_to_pytorch(looking, f"{prefix}self_attn.")
    for i, (dense, norm) in enumerate([(first, norm1), (last, norm2)], start=1):
        arrays[f"{prefix}linear{i}.weight"] = np.asarray(dense["W"])
        arrays[f"{prefix}linear{i}.bias"] = np.asarray(dense["b"])
        arrays[f"{prefix}norm{i}.weight"] = np.asarray(norm["gamma"])
        arrays[f"{prefix}norm{i}.bias"] = np.asarray(norm["beta"])
    return arrays


def _recurrent(arrays: Arrays, layer: int, reverse: bool) -> list[np.ndarray]:
    """W, U and both biases, which are 0 where the module has none."""
    get, end = _getter(arrays, ""), _suffix(layer, reverse)
    W, U = get(f"weight_ih{end}"), get(f"weight_hh{end}")
    if f"bias_ih{end}" not in arrays:
        return [W, U, *(np.zeros(len(W), W.dtype) for _ in range(2))]
    return [W, U, get(f"bias_ih{end}"), get(f"bias_hh{end}")]


def _named(layer: int, reverse: bool, *arrays: Any) -> NumpyArrays:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    end = _suffix(layer, reverse)
    return {name + end: np.asarray(a) for name, a in zip(names, arrays, strict=True)}


def _suffix(layer: int, reverse: bool) -> str:
    return f"_l{layer}" + "_reverse" * reverse


def _getter(arrays: Arrays, prefix: str) -> Callable[[str], np.ndarray]:
    def get(name: str) -> np.ndarray:
        if prefix + name not in arrays:
            raise LayerError(
                f"weights from PyTorch: expected an array {prefix}{name}, got {sorted(arrays)}"
            )
        return np.asarray(arrays[prefix + name])

    return get
