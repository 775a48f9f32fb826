"""Gradients of layers over time: by hand, by JAX, and in Equinox, Flax and PyTorch.

Each function takes a ``Problem`` and returns work that computes the gradients of Σ w ∘ y, y the
output of the layer, with respect to its parameters and its input.  The results are in jaxnn's
order and have jaxnn's axes, so that they can be compared.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet_bench.harness.report import cores
from jaxnn.layer import Layer
from jaxnn.layers import pytorch as convert

HEADS = 8
LAYERS: dict[str, Callable[[int], Layer]] = {
    "lstm": jaxnn.lstm,
    "gru": jaxnn.gru,
    "attention": lambda n_out: jaxnn.attention(HEADS),
    "causal attention": lambda n_out: jaxnn.attention(HEADS, causal=True),
}
Work = Callable[[], list[np.ndarray]]


class Problem(NamedTuple):
    """A layer, its parameters, an input and the weights w.

    Attributes:
        kind: the layer.
        params: of jaxnn's layer, float32.
        x: (N, T, n_in).
        w: (N, T, n_out).
    """

    kind: Literal["lstm", "gru", "attention", "causal attention"]
    params: dict[str, np.ndarray]
    x: np.ndarray
    w: np.ndarray

    @property
    def layer(self) -> Layer:
        """jaxnn's layer."""
        return LAYERS[self.kind](self.w.shape[-1])


def make_problem(kind: Any, steps: int, examples: int, n_in: int, n_out: int) -> Problem:
    """A problem of random numbers."""
    draw = np.random.default_rng(0)
    x, w = draw.standard_normal((examples, steps, n_in)), draw.standard_normal((n_out,))
    params = LAYERS[kind](n_out).init(jax.random.key(0), jnp.asarray(x[:1, :1], jnp.float32))
    arrays = {name: np.asarray(p) for name, p in params.items()}
    w = np.broadcast_to(w, (examples, steps, n_out))
    return Problem(kind, arrays, x.astype(np.float32), w.astype(np.float32))


def by_hand(problem: Problem) -> Work:
    """jaxnn's rules."""
    layer = problem.layer

    def gradients(params: Any, x: Any, w: Any) -> Any:
        _, cache = layer.forward(params, x)
        return layer.backward(params, cache, w)

    return _run(gradients, problem)


def by_jax(problem: Problem) -> Work:
    """``jax.grad`` of jaxnn's forward pass."""
    return _run(_grad(problem.layer.apply), problem)


def equinox(problem: Problem) -> Work:
    """``jax.grad`` of Equinox's cell under ``lax.scan``, or of its attention."""
    import equinox as eqx

    n_in, n = problem.x.shape[-1], problem.w.shape[-1]
    key = jax.random.key(0)

    def cell(params: Any, x: Any) -> Any:
        build = eqx.nn.LSTMCell if problem.kind == "lstm" else eqx.nn.GRUCell
        where = ["weight_ih", "weight_hh", "bias"] + ["bias_n"] * (problem.kind == "gru")
        cell = eqx.tree_at(
            lambda c: [getattr(c, name) for name in where],
            build(n_in, n, key=key),
            [params[name] for name in ("W", "U", "b", "c")[: len(where)]],
        )

        def step(state: Any, x: Any) -> Any:
            state = cell(x, state)
            return state, state[0] if problem.kind == "lstm" else state

        zero = jnp.zeros(n)
        return jax.lax.scan(step, (zero, zero) if problem.kind == "lstm" else zero, x)[1]

    def attention(params: Any, x: Any) -> Any:
        biases = {"use_query_bias": True, "use_value_bias": True, "use_output_bias": True}
        layer = eqx.nn.MultiheadAttention(HEADS, n, **biases, key=key)
        layer = eqx.tree_at(
            lambda a: [
                *(p.weight for p in (a.query_proj, a.key_proj, a.value_proj, a.output_proj)),
                *(p.bias for p in (a.query_proj, a.value_proj, a.output_proj)),
            ],
            layer,
            [params[name] for name in ("W_q", "W_k", "W_v", "W_o", "b_q", "b_v", "b_o")],
        )
        mask = np.tri(len(x), dtype=bool) if problem.kind == "causal attention" else None
        return layer(x, x, x, mask=mask)

    one = attention if "attention" in problem.kind else cell
    return _run(_grad(jax.vmap(one, (None, 0))), problem)


def flax(problem: Problem) -> Work:
    """``jax.grad`` of Flax's ``RNN``, or of its attention."""
    from flax import linen

    n = problem.w.shape[-1]

    def recurrent(params: Any, x: Any) -> Any:
        gates = "ifgo" if problem.kind == "lstm" else "rzn"
        W, U, b = (jnp.split(params[name], len(gates)) for name in "WUb")
        cells = {f"i{g}": {"kernel": W[k].T} for k, g in enumerate(gates)}
        cells |= {f"h{g}": {"kernel": U[k].T} for k, g in enumerate(gates)}
        for k, g in enumerate(gates):
            cells[f"h{g}" if problem.kind == "lstm" else f"i{g}"]["bias"] = b[k]
        if problem.kind == "gru":
            cells["hn"]["bias"] = params["c"]
        cell = linen.OptimizedLSTMCell(n) if problem.kind == "lstm" else linen.GRUCell(n)
        return linen.RNN(cell).apply({"params": {"cell": cells}}, x)

    def attention(params: Any, x: Any) -> Any:
        heads = {"query": "q", "key": "k", "value": "v"}
        leaves = {
            name: {
                "kernel": params[f"W_{p}"].T.reshape(n, HEADS, -1),
                "bias": params.get(f"b_{p}", jnp.zeros(n)).reshape(HEADS, -1),
            }
            for name, p in heads.items()
        }
        leaves["out"] = {
            "kernel": params["W_o"].T.reshape(HEADS, -1, n),
            "bias": params["b_o"],
        }
        mask = linen.make_causal_mask(x[..., 0]) if problem.kind == "causal attention" else None
        layer = linen.MultiHeadDotProductAttention(HEADS)
        return layer.apply({"params": leaves}, x, x, mask=mask)

    return _run(_grad(attention if "attention" in problem.kind else recurrent), problem)


def pytorch(problem: Problem) -> Work:
    """PyTorch's layer and its autograd."""
    import torch

    torch.set_num_threads(cores())
    n_in, n = problem.x.shape[-1], problem.w.shape[-1]
    x, w = torch.tensor(problem.x, requires_grad=True), torch.tensor(problem.w)
    if "attention" in problem.kind:
        layer: Any = torch.nn.MultiheadAttention(n, HEADS, batch_first=True)
        arrays = convert.attention_to_pytorch(problem.params)
    elif problem.kind == "lstm":
        layer = torch.nn.LSTM(n_in, n, batch_first=True)
        arrays = convert.recurrent_to_pytorch(problem.params)
    else:
        layer = torch.nn.GRU(n_in, n, batch_first=True)
        arrays = convert.gru_to_pytorch(problem.params)
    layer.load_state_dict({name: torch.tensor(np.array(a)) for name, a in arrays.items()})
    causal = problem.kind == "causal attention"
    mask = torch.nn.Transformer.generate_square_subsequent_mask(x.shape[1]) if causal else None

    def work() -> list[np.ndarray]:
        layer.zero_grad()
        x.grad = None
        if "attention" in problem.kind:
            y, _ = layer(x, x, x, need_weights=False, attn_mask=mask, is_causal=causal)
        else:
            y, _ = layer(x)
        (y * w).sum().backward()
        grads = {name: p.grad.numpy() for name, p in layer.named_parameters()}
        ours = _torch_gradients(problem, grads, n)
        assert x.grad is not None
        return [*(ours[name] for name in sorted(problem.params)), x.grad.numpy()]

    return work


def _torch_gradients(problem: Problem, grads: dict[str, Any], n: int) -> dict[str, Any]:
    """PyTorch's gradients by jaxnn's names."""
    if "attention" not in problem.kind:
        names = {"W": "weight_ih_l0", "U": "weight_hh_l0", "b": "bias_ih_l0"}
        ours = {name: grads[theirs] for name, theirs in names.items()}
        return ours | ({"c": grads["bias_hh_l0"][2 * n :]} if problem.kind == "gru" else {})
    W_q, W_k, W_v = np.split(grads["in_proj_weight"], 3)
    b_q, _, b_v = np.split(grads["in_proj_bias"], 3)
    W_o, b_o = grads["out_proj.weight"], grads["out_proj.bias"]
    return {"W_q": W_q, "W_k": W_k, "W_v": W_v, "W_o": W_o, "b_q": b_q, "b_v": b_v, "b_o": b_o}


def _grad(apply: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return jax.grad(lambda p, x, w: jnp.sum(w * apply(p, x)), argnums=(0, 1))


def _run(gradients: Callable[..., Any], problem: Problem) -> Work:
    run = jax.jit(gradients)
    arguments = jax.tree.map(jnp.asarray, (problem.params, problem.x, problem.w))
    return lambda: [np.asarray(leaf) for leaf in jax.tree.leaves(run(*arguments))]
