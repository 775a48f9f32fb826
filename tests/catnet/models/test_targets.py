"""The losses of two and of more classes, with and without weights."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from catnet.errors import UserError
from catnet.models.targets import choose_loss, make_targets
from catnet.training.class_weights import weigh_classes


@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("classes", [2, 3])
def test_a_weight_counts_an_example_several_times(classes: int) -> None:
    """Cost and gradient of whole weights are those of repeated examples, but for the mean."""
    rng = np.random.default_rng(0)
    labels = np.arange(6) % classes
    z = rng.normal(size=(6, 1 if classes == 2 else classes)).astype(np.float32)
    weights = np.arange(1.0, classes + 1)
    times = weights[labels].astype(int)
    y = make_targets(labels, classes, weights)
    loss, plain = choose_loss(classes, weighted=True), choose_loss(classes)
    repeated = make_targets(np.repeat(labels, times), classes)

    @jax.jit
    def compute():
        of_repeated = plain(np.repeat(z, times, axis=0), repeated) * times.sum() / 6
        return loss(z, y), of_repeated, loss.gradient(z, y), jax.grad(loss.value)(z, y)

    ours, of_repeated, gradient, of_jax = compute()
    np.testing.assert_allclose(ours, of_repeated, rtol=1e-6)
    np.testing.assert_allclose(gradient, of_jax, atol=1e-7)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    labels = np.array([0, 0, 0, 0, 1, 2, 2])
    expected = sklearn.compute_class_weight("balanced", classes=np.arange(3), y=labels)
    weights = weigh_classes("balanced", ("a", "b", "c"), labels)
    assert weights is not None
    np.testing.assert_allclose(weights, expected)


def test_weights_by_name_have_the_mean_one() -> None:
    labels = np.array([0, 0, 0, 1, 2])
    weights = weigh_classes((("B", 3.0),), ("a", "b", "c"), labels)
    assert weights is not None
    np.testing.assert_allclose(weights, np.array([1, 3, 1]) * 5 / 7)
    assert weights[labels].mean() == pytest.approx(1)
    assert weigh_classes((), ("a", "b", "c"), labels) is None


@pytest.mark.parametrize(
    ("weights", "line"),
    [
        ((("x", 2.0),), "--class-weights x=2: no such class; there are a and b"),
        ((("a", 2.0), ("A", 3.0)), "--class-weights A=3: A is given twice"),
        ((("a", 0.0), ("b", 0.0)), "--class-weights: all examples have weight 0"),
    ],
)
def test_wrong_weights_are_one_line(weights, line: str) -> None:
    with pytest.raises(UserError, match=line):
        weigh_classes(weights, ("a", "b"), np.array([0, 1]))
