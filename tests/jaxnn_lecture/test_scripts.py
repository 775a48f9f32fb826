"""The JavaScript of the page against jaxnn, to 1e-12 in float64; it runs in Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import jax
import numpy as np
import pytest

import jaxnn
from catnet.course.networks import network
from jaxnn_lecture.networks import layer_gradients
from jaxnn_lecture.page import read_script

ACTIVATIONS = ("tanh", "sigmoid", "relu", "leaky_relu", "identity")
RATE, STEPS = 0.3, 40
SIZES = ([2, 1], [2, 4, 1], [2, 5, 3, 1])

CODE = """
const results = [];
for (const {sizes, activation} of JSON.parse(cases)) {
  const start = network.init(sizes, activation, 7);
  const run = network.forward(start, activation, X);
  const back = network.backward(start, activation, X, Y, run);
  let params = start;
  const costs = [];
  for (let k = 0; k < STEPS; k++) {
    const done = network.step(params, activation, X, Y, RATE);
    params = done.params;
    costs.push(done.cost);
  }
  results.push({start, run, back, params, costs});
}
console.log(JSON.stringify(results));
"""


@pytest.fixture(scope="module")
def examples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(30, 2))
    return x, (x[:, :1] * x[:, 1:] > 0).astype(float)


@pytest.fixture(scope="module")
def results(examples: tuple[np.ndarray, np.ndarray]) -> dict[tuple[str, int], Any]:
    node = shutil.which("node")
    if not node:
        pytest.skip("needs Node.js: there is no program node")
    x, y = examples
    cases = [{"sizes": s, "activation": a} for a in ACTIVATIONS for s in SIZES]
    head = {"X": x.tolist(), "Y": y[:, 0].tolist(), "STEPS": STEPS, "RATE": RATE}
    constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in head.items())
    text = (
        f"{read_script('network')}{constants}const cases = {json.dumps(json.dumps(cases))};{CODE}"
    )
    done = subprocess.run([node, "-"], input=text, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return {(c["activation"], len(c["sizes"])): one for c, one in zip(cases, found, strict=True)}


def as_params(layers: Any) -> Any:
    """The script's parameters as those of ``network``."""
    params = [p for one in layers for p in ({k: np.array(v, float) for k, v in one.items()}, ())]
    return tuple(params[:-1])


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.usefixtures("x64", "compiled_quickly")
def test_the_script_computes_and_trains_as_jaxnn(
    results: Any, examples: tuple[np.ndarray, np.ndarray], activation: str, sizes: list[int]
) -> None:
    x, y = examples
    one = results[activation, len(sizes)]
    net: Any = network(sizes, getattr(jaxnn, activation))
    start, L, m = as_params(one["start"]), len(sizes) - 1, len(x)
    outputs, gradients = layer_gradients(net, start, x, y)
    _, grads = jaxnn.value_and_grad(net, jaxnn.binary_cross_entropy)(start, x, y)
    for layer in range(L):
        script = one["run"], one["back"]
        close(script[0]["Z"][layer], outputs[2 * layer])
        last = layer == L - 1
        a = jax.nn.sigmoid(outputs[-1]) if last else outputs[2 * layer + 1]
        close(script[0]["A"][layer], a)
        close(script[1]["dZ"][layer], m * gradients[2 * layer])
        close(script[1]["dW"][layer], grads[2 * layer]["W"])
        close(script[1]["db"][layer], grads[2 * layer]["b"])
    params, costs = jaxnn.gradient_descent(
        net, jaxnn.binary_cross_entropy, start, x, y, learning_rate=RATE, steps=STEPS
    )
    close(one["costs"], costs)
    jax.tree.map(close, as_params(one["params"]), params)


def close(a: Any, b: Any) -> None:
    np.testing.assert_allclose(np.array(a), np.asarray(b), rtol=0, atol=1e-12)


def test_the_random_start_has_the_size_of_its_initialization(results: Any) -> None:
    W = np.concatenate([np.ravel(results["relu", 4]["start"][0]["W"])])
    assert len(set(W)) == len(W)
    assert 0.2 < W.std() < 2.5  # He: √(2 / 2) = 1
