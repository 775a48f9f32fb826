"""The lecture's training run, written as users of each library write it.

Every function takes a file (images uint8, labels, and W and b of every layer), imports its
library, and returns the training: a function without arguments that gives the costs.  Full
batch, float32 by default, plain gradient descent with ``RATE``.
"""

# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from catnet_bench.harness.report import cores

RATE = 0.0075
Train = Callable[[], list[float]]
Layers = list[tuple[np.ndarray, np.ndarray]]


def read(file: Path, dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray, Layers]:
    """x (m, n) in [0, 1], y (m, 1), and (W, b) of every layer."""
    with np.load(file) as arrays:
        x = arrays["images"].reshape(len(arrays["images"]), -1).astype(dtype) / dtype(255)
        depth = sum(name.startswith("W") for name in arrays.files)
        layers = [
            (arrays[f"W{i}"].astype(dtype), arrays[f"b{i}"].astype(dtype)) for i in range(depth)
        ]
        return x, arrays["labels"][:, None].astype(dtype), layers


def ours(file: Path, steps: int) -> Train:
    """jaxnn."""
    import jaxnn

    x, y, layers = read(file)
    net = network(layers)

    def train() -> list[float]:
        params, costs = jaxnn.gradient_descent(
            net,
            jaxnn.binary_cross_entropy,
            as_params(layers),
            x,
            y,
            learning_rate=RATE,
            steps=steps,
        )
        params[0]["W"].block_until_ready()
        return costs.tolist()

    return train


def network(layers: Layers) -> Any:
    """jaxnn's network of these layers."""
    import jaxnn

    inner = [layer for W, _ in layers for layer in (jaxnn.dense(len(W)), jaxnn.relu)]
    return jaxnn.serial(*inner[:-1])


def as_params(layers: Layers) -> Any:
    """The layers as its parameters."""
    return tuple(p for W, b in layers for p in ({"W": W, "b": b}, ()))[:-1]


def numpy(file: Path, steps: int, dtype: str) -> Train:
    """The lecture's own code, examples in rows."""
    x, y, layers = read(file, np.dtype(dtype).type)

    def train() -> list[float]:
        weights = [[W.copy(), b.copy()] for W, b in layers]
        costs = []
        for _ in range(steps):
            a = [x]
            for W, b in weights[:-1]:
                a.append(np.maximum(a[-1] @ W.T + b, 0))
            W, b = weights[-1]
            z = a[-1] @ W.T + b
            costs.append(float(np.mean(np.logaddexp(0, z) - z * y)))
            dz = (1 / (1 + np.exp(-z)) - y) / y.dtype.type(len(x))
            for layer in reversed(range(len(weights))):
                W, b = weights[layer]
                dW, db = dz.T @ a[layer], dz.sum(axis=0)
                if layer:
                    dz = (dz @ W) * (a[layer] > 0)
                W -= y.dtype.type(RATE) * dW
                b -= y.dtype.type(RATE) * db
        return costs

    return train


def scan(file: Path, steps: int) -> Train:
    """JAX alone: jax.grad, and all steps in one lax.scan."""
    import jax
    import jax.numpy as jnp

    x, y, layers = read(file)

    @jax.jit
    def descend(layers: Any, x: Any, y: Any) -> Any:
        def cost(layers: Any) -> Any:
            a = x
            for W, b in layers[:-1]:
                a = jax.nn.relu(a @ W.T + b[None])
            W, b = layers[-1]
            z = a @ W.T + b[None]
            return jnp.mean(jax.nn.softplus(z) - z * y)

        def step(layers: Any, _: None) -> Any:
            value, grads = jax.value_and_grad(cost)(layers)
            return jax.tree.map(lambda p, g: p - RATE * g, layers, grads), value

        return jax.lax.scan(step, layers, length=steps)

    return lambda: jax.block_until_ready(descend(layers, x, y))[1].tolist()


def torch(file: Path, steps: int) -> Train:
    """PyTorch: nn.Sequential and optim.SGD."""
    import torch
    from torch import nn

    torch.set_num_threads(cores())
    x, y, layers = read(file)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    modules = [m for W, _ in layers for m in (nn.Linear(W.shape[1], len(W)), nn.ReLU())]
    net: Any = nn.Sequential(*modules[:-1])
    criterion = nn.BCEWithLogitsLoss()

    def train() -> list[float]:
        with torch.no_grad():
            for linear, (W, b) in zip(net[::2], layers, strict=True):
                linear.weight.copy_(torch.from_numpy(W))
                linear.bias.copy_(torch.from_numpy(b))
        descent = torch.optim.SGD(net.parameters(), lr=RATE)
        costs = []
        for _ in range(steps):
            descent.zero_grad()
            cost = criterion(net(x), y)
            cost.backward()
            descent.step()
            costs.append(cost.detach())
        return torch.stack(costs).tolist()

    return train


def equinox(file: Path, steps: int) -> Train:
    """Equinox: a jitted step with optax, called in a loop."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    x, y, layers = read(file)
    x, y = jnp.asarray(x), jnp.asarray(y)
    descent = optax.sgd(RATE)

    def linear(W: np.ndarray, b: np.ndarray) -> Any:
        blank = eqx.nn.Linear(W.shape[1], len(W), key=jax.random.key(0))
        where = lambda layer: (layer.weight, layer.bias)  # noqa: E731
        return eqx.tree_at(where, blank, (jnp.asarray(W), jnp.asarray(b)))

    inner = [m for W, b in layers for m in (linear(W, b), eqx.nn.Lambda(jax.nn.relu))]
    model = eqx.nn.Sequential(inner[:-1])

    @eqx.filter_value_and_grad
    def cost_and_grads(model: Any, x: Any, y: Any) -> Any:
        return optax.sigmoid_binary_cross_entropy(jax.vmap(model)(x), y).mean()

    @eqx.filter_jit
    def step(model: Any, state: Any, x: Any, y: Any) -> Any:
        cost, grads = cost_and_grads(model, x, y)
        updates, state = descent.update(grads, state)
        return eqx.apply_updates(model, updates), state, cost

    def train() -> list[float]:
        current, state = model, descent.init(eqx.filter(model, eqx.is_array))
        costs = []
        for _ in range(steps):
            current, state, cost = step(current, state, x, y)
            costs.append(cost)
        return [float(cost) for cost in costs]

    return train


def flax(file: Path, steps: int) -> Train:
    """Flax nnx: a jitted step with optax, called in a loop."""
    import jax.numpy as jnp
    import optax
    from flax import nnx

    x, y, layers = read(file)
    x, y = jnp.asarray(x), jnp.asarray(y)

    def linear(W: np.ndarray, b: np.ndarray) -> Any:
        layer: Any = nnx.Linear(W.shape[1], len(W), rngs=nnx.Rngs(0))
        layer.kernel[...], layer.bias[...] = jnp.asarray(W.T), jnp.asarray(b)
        return layer

    @nnx.jit
    def step(model: Any, descent: Any, x: Any, y: Any) -> Any:
        def cost(model: Any) -> Any:
            return optax.sigmoid_binary_cross_entropy(model(x), y).mean()

        value, grads = nnx.value_and_grad(cost)(model)
        descent.update(model, grads)
        return value

    def train() -> list[float]:
        inner = [m for W, b in layers for m in (linear(W, b), nnx.relu)]
        model = nnx.Sequential(*inner[:-1])
        descent = nnx.Optimizer(model, optax.sgd(RATE), wrt=nnx.Param)
        cached = nnx.cached_partial(step, model, descent)
        costs = [cached(x, y) for _ in range(steps)]
        return [float(cost) for cost in costs]

    return train


def sklearn(file: Path, steps: int) -> Train:
    """scikit-learn's MLPClassifier, from its own initial weights."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    x, y, layers = read(file)
    # max_iter ends the training before it converges.
    warnings.simplefilter("ignore", ConvergenceWarning)

    def train() -> list[float]:
        model = MLPClassifier(
            hidden_layer_sizes=[len(W) for W, _ in layers[:-1]],
            solver="sgd",
            momentum=0.0,
            alpha=0.0,
            learning_rate_init=RATE,
            batch_size=len(x),  # type: ignore[arg-type] - an int or "auto"
            shuffle=False,
            max_iter=steps,
            tol=0.0,
            n_iter_no_change=steps,
            random_state=1,
        )
        return model.fit(x, y[:, 0]).loss_curve_

    return train
