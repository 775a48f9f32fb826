"""Every optimizer and transformation that optax exports trains through ``fit``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

import jaxnn
from jaxnn.training import minibatches

pytestmark = [
    pytest.mark.usefixtures("compiled_quickly"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:optax"),
]
NET = jaxnn.serial(jaxnn.dense(3), jaxnn.tanh, jaxnn.dense(1))
X = np.random.default_rng(0).normal(size=(8, 2)).astype(np.float32)
Y = X[:, :1] * X[:, 1:] + 1
START = NET.init(jax.random.key(0), X)
LOSS = jaxnn.mean_squared_error
SGD = optax.sgd(0.1)


def matrices(params):
    return jax.tree.map(lambda p: p.ndim > 1, params)


def kinds(params):
    return jax.tree.map(lambda p: "matrix" if p.ndim > 1 else "vector", params)


BY_NAME = {  # arguments that have no default, whoever takes them
    "adv_optimizer": SGD,
    "b1": 0.9,
    "base_optimizer": SGD,
    "clipping": 1.0,
    "decay": 0.9,
    "eta": 0.1,
    "every_k_schedule": 2,
    "freeze_mask": matrices,
    "gamma": 0.5,
    "inner": SGD,
    "inner_factory": None,
    "learning_rate": 0.1,
    "mask": matrices,
    "max_backtracking_steps": 3,
    "max_consecutive_errors": 3,
    "max_delta": 1.0,
    "max_linesearch_steps": 3,
    "max_norm": 1.0,
    "measure": optax.tree.norm,
    "measure_name": "norm",
    "measures": {"norm": optax.tree.norm},
    "opt": SGD,
    "optimizer": SGD,
    "should_transform_fn": lambda step, **more: step < 2,
    "step_size": 0.1,
    "step_size_fn": lambda count: 0.1,
    "threshold": 1.0,
    "tx": SGD,
    "weight_decay": 0.1,
}
OTHERWISE = {  # constructors with other arguments
    "add_noise": lambda: optax.add_noise(0.1, 0.5, jax.random.key(0)),
    "chain": lambda: optax.chain(optax.clip(1.0), SGD),
    "inject_hyperparams": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=0.1),
    "inject_stateful_hyperparams": lambda: optax.inject_stateful_hyperparams(optax.adam)(
        learning_rate=optax.linear_schedule(0.1, 0.0, 5)
    ),
    "multi_transform": lambda: optax.multi_transform({"matrix": SGD, "vector": SGD}, kinds),
    "named_chain": lambda: optax.named_chain(("clip", optax.clip(1.0)), ("sgd", SGD)),
    "noisy_sgd": lambda: optax.noisy_sgd(0.1, key=jax.random.key(0)),
    "partition": lambda: optax.partition({"matrix": optax.adam(0.1), "vector": SGD}, kinds),
    "stateless": lambda: optax.stateless(lambda updates, params: updates),
    "stateless_with_tree_map": lambda: optax.stateless_with_tree_map(lambda update, param: update),
}
NOT_FOR_FIT = {
    "GradientTransformation": "the type itself",
    "GradientTransformationExtraArgs": "the type itself",
    "differentially_private_aggregate": "takes a gradient for every example",
    "dpsgd": "takes a gradient for every example",
    "lookahead": "takes pairs of parameters",
    "scale_by_muon": "takes matrices only, which optax.contrib.muon gives it",
    "measure_with_ema": "measures trees of the structure of the parameters only",
}
WITHOUT_ANNOTATION = {
    "MultiSteps", "dog", "dowg", "hutchinson_estimator_diag_hessian", "monitor",
    "scale_by_factored_rms",
}  # fmt: skip


def exports() -> dict[str, Callable[..., Any]]:
    """What optax and optax.contrib export that makes a gradient transformation."""
    optimizers = {}
    for module in (optax, contrib):
        for name, value in vars(module).items():
            annotations = getattr(value, "__annotations__", {})
            if name in WITHOUT_ANNOTATION or "GradientTransformation" in str(
                annotations.get("return", value if isinstance(value, type) else "")
            ):
                optimizers[name] = value
    return {name: f for name, f in optimizers.items() if name[0] != "_" and name not in NOT_FOR_FIT}


def make(name: str, factory: Callable[..., Any]) -> Any:
    if name in OTHERWISE:
        return OTHERWISE[name]()
    parameters = inspect.signature(factory).parameters.values()
    return factory(**{p.name: BY_NAME[p.name] for p in parameters if p.default is p.empty})


COMBINED = {
    "adam, reduce_on_plateau": optax.chain(optax.adam(0.1), contrib.reduce_on_plateau()),
    "MultiSteps of what wants the cost": optax.MultiSteps(
        optax.chain(SGD, contrib.reduce_on_plateau()), 2
    ),
    "MultiSteps, as a transformation": optax.MultiSteps(SGD, 2).gradient_transformation(),
    "apply_if_finite of what wants the cost": optax.apply_if_finite(optax.polyak_sgd(), 3),
    "masked of what wants the cost": optax.masked(contrib.momo(), matrices),
    "line search that keeps its gradient": optax.chain(
        SGD, optax.scale_by_backtracking_linesearch(3, store_grad=True)
    ),
    "line search after the Hessian": optax.chain(
        contrib.sophia(0.1), optax.scale_by_backtracking_linesearch(3)
    ),
    "sam, opaque": contrib.sam(SGD, SGD, 2, opaque_mode=True),
    "sam in a chain": optax.chain(optax.clip(1.0), contrib.sam(SGD, SGD, 2)),
    "schedule-free": contrib.schedule_free(SGD, 0.1, b1=0.9),
}
EXPORTS = exports()


def test_the_list_is_as_long_as_what_optax_exports() -> None:
    assert len(EXPORTS) > 110
    assert {"adam", "lbfgs", "momo", "sam", "sophia", "muon", "MultiSteps"} <= EXPORTS.keys()


@pytest.mark.parametrize("name", [*EXPORTS, *COMBINED])
def test_every_optimizer_steps_through_fit(name: str) -> None:
    """Only traced: two chunks, the second with the state that the first left."""
    optimizer = COMBINED[name] if name in COMBINED else make(name, EXPORTS[name])
    for dtype in ("float32", "bfloat16"):
        params = jax.tree.map(lambda p: p.astype(dtype), START)  # noqa: B023
        state = optimizer.init(params)
        for start in (0, 3):
            with jax.numpy_rank_promotion("allow"):  # some need it
                after, state, costs = minibatches._fit.eval_shape(
                    minibatches.How(NET, LOSS, "hand", optimizer),
                    params,
                    state,
                    X,
                    Y,
                    np.zeros((3, 4), np.int32),
                    jax.random.key(0),
                    start,
                )
            assert costs.shape == (3,)
            assert jax.tree.map(lambda p: p.dtype, after) == jax.tree.map(lambda p: p.dtype, params)


def close(a: Any, b: Any, rtol: float) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 10), a, b)


def by_loop(optimizer: Any, steps: int) -> tuple[Any, list[float]]:
    """The same training as optax documents it, step by step."""
    params, state, costs = START, optimizer.init(START), []

    def value_fn(params):
        return LOSS(NET.apply(params, X), Y)

    @jax.jit
    def step(params, state):
        value, grad = jax.value_and_grad(value_fn)(params)
        updates, state = optimizer.update(
            grad, state, params, value=value, grad=grad, value_fn=value_fn
        )
        return optax.apply_updates(params, updates), state, value

    for _ in range(steps):
        params, state, value = step(params, state)
        costs.append(float(value))
    return params, costs


@pytest.mark.parametrize(
    "optimizer",
    [
        optax.lbfgs(),
        optax.chain(optax.sgd(3.0), contrib.reduce_on_plateau(patience=1, cooldown=0, factor=0.1)),
        optax.polyak_sgd(),
        optax.chain(SGD, optax.scale_by_backtracking_linesearch(5, store_grad=True)),
        contrib.momo_adam(),
    ],
    ids=["lbfgs", "reduce_on_plateau", "polyak_sgd", "backtracking", "momo_adam"],
)
def test_those_that_want_the_cost_do_what_they_do_in_a_loop(optimizer: Any) -> None:
    params, costs = jaxnn.fit(
        NET, LOSS, START, X, Y, optimizer=optimizer, batch_size=len(X), steps=6,
        key=jax.random.key(0), chunk=3,
    )  # fmt: skip
    expected, expected_costs = by_loop(optimizer, 6)
    np.testing.assert_allclose(costs, expected_costs, rtol=1e-3)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-3), params, expected
    )


def test_the_function_of_a_step_drops_the_same_units_as_its_cost() -> None:
    """The cost that an optimizer is given is its function's value at the parameters."""
    net = jaxnn.serial(jaxnn.dropout(0.5), jaxnn.dense(1))
    pairs = []

    def update(updates, state, params=None, *, value, grad, value_fn, **extra):
        jax.debug.callback(lambda *pair: pairs.append(pair), value, value_fn(params))
        return jax.tree.map(lambda g: -0.1 * g, grad), state

    jaxnn.fit(
        net, LOSS, net.init(jax.random.key(0), X), X, Y,
        optimizer=optax.GradientTransformationExtraArgs(optax.init_empty_state, cast(Any, update)),
        batch_size=4, steps=3, key=jax.random.key(0),
    )  # fmt: skip
    jax.effects_barrier()
    assert len(pairs) == 3
    assert len({float(value) for value, _ in pairs}) == 3
    np.testing.assert_allclose(*zip(*pairs, strict=True), rtol=1e-6)


def test_a_state_that_changes_with_the_first_update_is_as_in_a_loop() -> None:
    """It begins without arrays, and with numbers of Python, which become others."""

    def init(params):
        return {"count": 0, "nothing": None, "seen": {}}

    def update(updates, state, params=None):
        state = {"count": state["count"] + 0.5, "nothing": None, "seen": {"norm": jnp.ones(())}}
        return jax.tree.map(lambda g: -0.1 * state["count"] * g, updates), state

    optimizer, states = optax.GradientTransformation(init, update), []
    params, costs = jaxnn.fit(
        NET, LOSS, START, X, Y, optimizer=optimizer, batch_size=len(X), steps=5,
        key=jax.random.key(0), chunk=2, progress=lambda state, _: states.append(state),
    )  # fmt: skip
    assert [float(state.opt_state["count"]) for state in states] == [1.0, 2.0, 2.5]
    expected, state, step = START, init(START), jaxnn.value_and_grad(NET, LOSS)
    for cost in costs:
        value, grads = step(expected, X, Y)
        np.testing.assert_allclose(cost, value, rtol=1e-5)
        updates, state = update(grads, state)
        expected = optax.apply_updates(expected, updates)
    close(params, expected, rtol=1e-4)
