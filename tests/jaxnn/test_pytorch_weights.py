"""Layers with PyTorch's weights give PyTorch's outputs and gradients, in float64."""

# Wrong types and NumPy's arrays are passed on purpose.
# pyright: reportArgumentType=false

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from jaxnn import Layer, LayerError
from jaxnn.layers import pytorch

torch: Any = pytest.importorskip("torch", reason="needs PyTorch, of the extra bench")
pytestmark = pytest.mark.usefixtures("compiled_quickly", "x64")

LENGTHS = (5, 2, 3)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(1)


def randomized(module: Any) -> Any:
    """Every weight drawn, also those that PyTorch sets to 0 or 1."""
    module = module.double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(0.4 * torch.randn(p.shape, dtype=torch.float64))
    return module


def arrays_of(module: Any) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


def gradients_of(module: Any) -> dict[str, np.ndarray]:
    return {name: p.grad.numpy() for name, p in module.named_parameters()}


def by_hand(layer: Layer, params: Any, x: Any, dy: np.ndarray) -> tuple[Any, Any, Any]:
    def run(params: Any, x: Any) -> Any:
        y, cache = layer.forward(params, x)
        return y, *layer.backward(params, cache, dy)

    return jax.jit(run)(jax.tree.map(jnp.asarray, params), jax.tree.map(jnp.asarray, x))


def assert_equal(actual: Any, expected: Any) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def draw(*shape: int) -> Any:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


RECURRENT = {
    "RNN": (jaxnn.rnn, pytorch.recurrent_from_pytorch, pytorch.recurrent_to_pytorch),
    "LSTM": (jaxnn.lstm, pytorch.recurrent_from_pytorch, pytorch.recurrent_to_pytorch),
    "GRU": (jaxnn.gru, pytorch.gru_from_pytorch, pytorch.gru_to_pytorch),
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_layers_from_a_state(kind: str) -> None:
    build, from_pytorch, to_pytorch = RECURRENT[kind]
    module = randomized(getattr(torch.nn, kind)(3, 4, batch_first=True))
    x, states = draw(2, 5, 3), [draw(1, 2, 4) for _ in range(1 + (kind == "LSTM"))]
    y, _ = module(x, tuple(states) if len(states) > 1 else states[0])
    dy = torch.cos(y).detach()
    y.backward(dy)
    params = from_pytorch(arrays_of(module))
    numpy_states = tuple(s.detach().numpy()[0] for s in states)
    state = numpy_states if len(states) > 1 else numpy_states[0]
    ours, dparams, (dx, dstate) = by_hand(build(4), params, (x.detach().numpy(), state), dy.numpy())
    assert_equal((ours, dx), (y.detach().numpy(), x.grad.numpy()))
    assert_equal(jax.tree.leaves(dstate), [s.grad.numpy()[0] for s in states])
    gradients = gradients_of(module)
    for name, theirs in {"W": "weight_ih_l0", "U": "weight_hh_l0", "b": "bias_ih_l0"}.items():
        assert_equal(dparams[name], gradients[theirs])
    if kind == "GRU":
        assert_equal(dparams["c"], gradients["bias_hh_l0"][-4:])
    assert_equal(from_pytorch(to_pytorch(params)), params)
    module.load_state_dict({k: torch.tensor(a) for k, a in to_pytorch(params).items()})
    again = module(x, tuple(states) if len(states) > 1 else states[0])[0]
    assert_equal(again.detach().numpy(), y.detach().numpy())


@pytest.mark.parametrize("kind", RECURRENT)
def test_padded_batches_in_two_layers_and_both_directions(kind: str) -> None:
    """PyTorch's packed sequences are the independent answer for masks."""
    build, from_pytorch, _ = RECURRENT[kind]
    module = randomized(
        getattr(torch.nn, kind)(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    )
    x = draw(3, 5, 3)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    y = torch.nn.utils.rnn.pad_packed_sequence(module(packed)[0], batch_first=True)[0]
    dy = torch.cos(3 * y).detach()
    y.backward(dy)
    net = jaxnn.serial(*(jaxnn.bidirectional(build(4), build(4)) for _ in range(2)))
    arrays = arrays_of(module)
    params = tuple(
        (from_pytorch(arrays, i), ((), from_pytorch(arrays, i, reverse=True), ())) for i in range(2)
    )
    masked = jaxnn.padded(x.detach().numpy(), np.array(LENGTHS))
    ours, dparams, dx = by_hand(net, params, masked, jaxnn.Masked(jnp.asarray(dy.numpy()), None))
    assert_equal((ours.values, dx.values), (y.detach().numpy(), x.grad.numpy()))
    gradients = gradients_of(module)
    assert_equal(dparams[1][1][1]["U"], gradients["weight_hh_l1_reverse"])
    assert_equal(dparams[0][0]["W"], gradients["weight_ih_l0"])


@pytest.mark.parametrize("masks", ["none", "causal", "padding"])
def test_attention(masks: str) -> None:
    module = randomized(torch.nn.MultiheadAttention(6, 3, batch_first=True))
    x = draw(3, 5, 6)
    there = np.arange(5) < np.array(LENGTHS)[:, None]
    mask = {
        "causal": {"attn_mask": torch.triu(torch.ones(5, 5), 1).bool()},
        "padding": {"key_padding_mask": torch.tensor(~there)},
    }.get(masks, {})
    y = module(x, x, x, need_weights=False, **mask)[0]
    dy = torch.cos(y).detach()
    dy[~torch.tensor(there)] = 0
    y.backward(dy)
    params = pytorch.attention_from_pytorch(arrays_of(module))
    values: Any = x.detach().numpy()
    values = jaxnn.Masked(values, there) if masks == "padding" else values
    dy_ours = jaxnn.Masked(dy.numpy(), None) if masks == "padding" else dy.numpy()
    ours, dparams, dx = by_hand(
        jaxnn.attention(3, causal=masks == "causal"), params, values, dy_ours
    )
    expected = y.detach().numpy()
    if masks == "padding":
        ours, dx, expected = ours.values, dx.values, np.where(there[..., None], expected, 0)
    assert_equal((ours, dx), (expected, x.grad.numpy()))
    # A gradient of params is one of weights, too; that of the keys' bias is 0.
    assert_equal(dict(pytorch.attention_to_pytorch(dparams)), gradients_of(module))
    assert_equal(pytorch.attention_from_pytorch(pytorch.attention_to_pytorch(params)), params)


def test_attention_to_a_memory_of_another_width() -> None:
    module = randomized(torch.nn.MultiheadAttention(4, 2, kdim=3, vdim=3, batch_first=True))
    x, memory = draw(2, 5, 4), draw(2, 7, 3)
    y = module(x, memory, memory, need_weights=False)[0]
    dy = torch.cos(y).detach()
    y.backward(dy)
    params = pytorch.attention_from_pytorch(arrays_of(module))
    pair = (x.detach().numpy(), memory.detach().numpy())
    ours, dparams, dx = by_hand(jaxnn.attention(2), params, pair, dy.numpy())
    assert_equal((ours, dx), (y.detach().numpy(), (x.grad.numpy(), memory.grad.numpy())))
    assert_equal(dict(pytorch.attention_to_pytorch(dparams)), gradients_of(module))


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer_block(norm_first: bool) -> None:
    module = randomized(
        torch.nn.TransformerEncoderLayer(
            6, 2, 5, dropout=0, batch_first=True, norm_first=norm_first
        )
    )
    x = draw(2, 4, 6)
    y = module(x)
    dy = torch.cos(y).detach()
    y.backward(dy)
    params = pytorch.transformer_block_from_pytorch(arrays_of(module), norm_first=norm_first)
    layer = jaxnn.transformer_block(6, 2, n_hidden=5, norm_first=norm_first, activation=jaxnn.relu)
    ours, dparams, dx = by_hand(layer, params, x.detach().numpy(), dy.numpy())
    assert_equal((ours, dx), (y.detach().numpy(), x.grad.numpy()))
    weights = pytorch.transformer_block_to_pytorch(dparams, norm_first=norm_first)
    assert_equal(weights, gradients_of(module))


def test_modules_without_biases_and_arrays_that_are_missing() -> None:
    module = randomized(torch.nn.GRU(3, 4, bias=False))
    params = pytorch.gru_from_pytorch(arrays_of(module))
    assert params["b"].tolist() == [0] * 12
    assert params["c"].tolist() == [0] * 4
    module = randomized(torch.nn.MultiheadAttention(4, 2, bias=False))
    assert pytorch.attention_from_pytorch(arrays_of(module))["b_o"].tolist() == [0] * 4
    with pytest.raises(LayerError, match=r"expected an array weight_ih_l1, got \['bias_hh_l0'"):
        pytorch.recurrent_from_pytorch(arrays_of(torch.nn.LSTM(3, 4)), 1)
