"""The networks: gradients by hand, steps against whole sequences, and model files."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxnn
from catnet.errors import UserError
from jaxnn import LayerError, Masked
from seqnet.data.examples import examples
from seqnet.evaluation.accuracy import Accuracy, bigram_cost, cost_of_a_letter, measure
from seqnet.models import names, speech, text
from seqnet.models.model import Model, load
from seqnet.training import speech as speech_training
from seqnet.training.names import LOSS

KEY = jax.random.key(0)
TEXT = {
    "classes": ["bad", "good"],
    "n_grams": ["dull", "fine", "fine !"],
    "words": ["!", "dull", "fine"],
    "width": 4,
}
SPEECH = {"classes": ["no", "yes"], "width": 4}
NAMES = {"letters": ["a", "b", "c"], "width": 8}


def shortened(x: Masked, steps: int) -> Masked:
    return jax.tree.map(lambda a: a[:, :steps], x)


def parameters(net: Any, x: Any) -> Any:
    """Random parameters; nothing is compiled for them."""
    draw = np.random.default_rng(0)
    like = jax.eval_shape(net.init, KEY, x)
    return jax.tree.map(lambda p: jnp.asarray(draw.normal(0, 0.5, p.shape), p.dtype), like)


def case(kind: str) -> tuple[Any, Any, Any, Any]:
    """Network, input, targets and loss."""
    if kind == "text":
        x = text.encode(TEXT, ["fine !", "dull dull x"])
        return text.build(TEXT), tuple(shortened(a, 3) for a in x), np.array([1, 0]), None
    if kind == "speech":
        sounds = np.random.default_rng(0).standard_normal(700), np.ones(400)
        x = shortened(speech.encode(SPEECH, sounds), 5)
        return speech.build(SPEECH), x, np.array([1, 0]), None
    x, y = names.encode(NAMES, ["ab", "c"])
    return names.build(NAMES), x, y, LOSS


@pytest.mark.parametrize("kind", ["text", "speech", "names"])
def test_the_gradient_by_hand_is_that_of_jax(kind: str, compiled_quickly: None) -> None:
    """Of the whole network with dropout; its layers are checked one by one in tests/jaxnn."""
    net, x, y, loss = case(kind)
    loss = loss or jaxnn.softmax_cross_entropy
    params = parameters(net, x)
    cost, by_hand = jax.jit(jaxnn.value_and_grad(net, loss))(params, x, y, KEY)
    expected, by_jax = jax.jit(jaxnn.value_and_grad_by_jax(net, loss))(params, x, y, KEY)
    np.testing.assert_allclose(cost, expected, rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), by_hand, by_jax
    )


def test_the_rule_of_total_is_right(compiled_quickly: None) -> None:
    x = jaxnn.padded(np.random.default_rng(0).standard_normal((2, 3, 2)), np.array([3, 1]))
    report = jaxnn.check_gradients(
        text.total, (), x, np.array([1, 0]), jaxnn.softmax_cross_entropy, KEY
    )
    assert report.ok, report


def test_total_is_the_sum_of_the_valid_steps() -> None:
    x = Masked(jnp.array([[[1.0], [2.0], [np.nan]]]), jnp.array([[True, True, False]]))
    y, cache = text.total.forward((), x)
    assert y.tolist() == [[3.0]]
    assert text.total.backward((), cache, jnp.array([[5.0]]))[1].values.tolist() == [
        [[5.0], [5.0], [0.0]]
    ]
    y, cache = text.total.forward((), jnp.ones((2, 3, 1)))
    assert y.tolist() == [[3.0], [3.0]]
    assert text.total.backward((), cache, y)[1].shape == (2, 3, 1)
    with pytest.raises(LayerError, match=r"total: expected a mask \(1, 3\), got \(1,\)"):
        text.total.apply((), Masked(x.values, x.mask[:, 0]))


def test_bad_input_names_the_layer() -> None:
    net, x, _, _ = case("text")
    params = parameters(net, x)
    grams, sequences = x
    wrong = Masked(grams.values.at[0, 0].set(9), grams.mask)
    path = r"each\(tuple\)|each\(sum\)"
    with pytest.raises(
        LayerError,
        match=rf"({path})\[0\]\.serial\[0\]\.embedding\(4, 2\): expected tokens from 0 to 3, got 9",
    ):
        net.apply(params, (wrong, sequences))
    with pytest.raises(
        LayerError, match=rf"({path})\[1\]\.serial\[0\]\.embedding.*: expected a ma"
    ):
        net.apply(params, (grams, Masked(sequences.values, sequences.mask[:, :2])))


# ---- naive Bayes


def test_the_start_of_a_text_model_is_naive_bayes() -> None:
    texts, labels = ["fine !", "fine", "dull", "fine dull !"], np.array([1, 1, 0, 0])
    x, _ = text.encode(TEXT, texts)
    E = text.naive_bayes(x, labels, 3, 2)
    logs = np.log([[3 / 6, 1 / 6], [2 / 6, 3 / 6], [1 / 6, 2 / 6]])
    np.testing.assert_allclose(E[1:], logs - logs.mean(axis=1, keepdims=True), rtol=1e-6)
    assert not text.naive_bayes(x, labels, 3, 2)[0].any()
    bag = text.build(TEXT).layers[0]
    z = bag.apply(({"E": jnp.asarray(E)}, (), ()), x)
    np.testing.assert_allclose(z[0], E[2] + E[3], rtol=1e-6)


# ---- names


def test_steps_give_what_the_whole_sequence_gives(compiled_quickly: None) -> None:
    net, x, _, _ = case("names")
    params = parameters(net, x)
    step = jax.jit(functools.partial(names.step, net))
    whole = np.asarray(Model("names", NAMES, params).apply(x).values)
    mask = np.asarray(x.mask)
    state = jnp.zeros((2, NAMES["width"]))
    for t in range(4):
        z, state = step(params, x.values[:, t], state)
        there = mask[:, t]
        np.testing.assert_allclose(np.asarray(z)[there], whole[there, t], rtol=1e-5, atol=1e-6)


def test_written_names_follow_the_model(compiled_quickly: None) -> None:
    """At a low temperature they are the likeliest letters; equal keys write equal names."""
    net, x, _, _ = case("names")
    params = parameters(net, x)
    written = list(names.write(NAMES, params, 20, KEY))
    assert len(written) == 20
    assert all(0 < len(name) <= 60 and set(name) <= set("abc") for name in written)
    assert written == list(names.write(NAMES, params, 20, KEY))
    assert written != list(names.write(NAMES, params, 20, jax.random.key(1)))
    [cold] = set(names.write(NAMES, params, 3, KEY, temperature=1e-4))
    assert len(cold) < 60
    x, targets = names.encode(NAMES, [cold, cold])
    z = np.array(Model("names", NAMES, params).apply(x).values)[0, : len(cold) + 1]
    z[0, names.END] = -np.inf  # a name has a letter
    assert z.argmax(axis=-1).tolist() == targets[0, : len(cold) + 1].tolist()


def test_an_unknown_letter_is_one_line() -> None:
    with pytest.raises(UserError, match="name 'axb' has the letter 'x', the model knows abc"):
        names.encode(NAMES, ["axb"])


def test_the_cost_of_a_letter_is_that_of_the_letters_and_the_end(compiled_quickly: None) -> None:
    net, x, _, _ = case("names")
    params = parameters(net, x)
    cost = cost_of_a_letter(Model("names", NAMES, params), ["ab", "c"])
    z = np.asarray(Model("names", NAMES, params).apply(x).values, float)
    logs = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    expected = [logs[0, 0, 1], logs[0, 1, 2], logs[0, 2, 0], logs[1, 0, 3], logs[1, 1, 0]]
    assert cost == pytest.approx(-np.mean(expected), rel=1e-5)
    assert bigram_cost(["a"], ["a"]) == pytest.approx(-np.log(2 / 3))


# ---- speech


def test_a_variant_of_a_sound_is_another_sound_of_a_similar_length() -> None:
    draw = np.random.default_rng(0)
    sound = np.sin(np.arange(4000) / 3).astype(np.float32)
    variants = [speech_training.augment(sound, draw) for _ in range(20)]
    lengths = [len(v) for v in variants]
    assert len(set(lengths)) > 10
    assert 2300 < min(lengths) <= max(lengths) < 7500
    assert all(v.dtype == np.float32 and np.isfinite(v).all() for v in variants)
    assert len(speech_training.augment(sound[:1], draw)) > 0


# ---- answers and files


def saved(tmp_path: Path, kind: str = "text") -> tuple[Model, Path]:
    net, x, _, _ = case(kind)
    described = {"text": TEXT, "speech": SPEECH, "names": NAMES}[kind]
    model = Model(kind, described, parameters(net, x))
    model.save(tmp_path / "model.safetensors")
    return model, tmp_path / "model.safetensors"


def test_a_model_from_its_file_gives_the_same_answers(tmp_path: Path) -> None:
    model, file = saved(tmp_path)
    texts = ["fine !", "dull", "?"] * 30
    p = model.probabilities(texts)
    assert p.shape == (90, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    for path in (file, tmp_path):
        np.testing.assert_array_equal(load(path).probabilities(texts), p)
    np.testing.assert_allclose(model.probabilities(texts[:1]), p[:1], rtol=1e-5)


@pytest.mark.parametrize("kind", ["speech", "names"])
def test_the_file_of_every_kind_has_all_its_parameters(kind: str, tmp_path: Path) -> None:
    model, file = saved(tmp_path, kind)
    again = load(file)
    assert again.described == model.described
    jax.tree.map(np.testing.assert_array_equal, again.params, model.params)


@pytest.mark.parametrize(
    "change",
    [
        {"seqnet": "images"}, {"seqnet": 3}, {"width": 10**6}, {"width": 4.0}, {"words": [1, 2]},
        {"words": ["a", "a"]}, {"classes": ["one"]}, {"more": 1},
    ],
)  # fmt: skip
def test_a_foreign_model_is_one_line(change: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    jaxnn.save(file, (), {"seqnet": "text", **TEXT, **change})
    with pytest.raises(UserError, match=r"model .*a.safetensors: not a model of this seqnet"):
        load(file)


def test_a_damaged_or_missing_model_is_one_line(tmp_path: Path) -> None:
    _, file = saved(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"model .*: damaged, its arrays are not"):
        load(file)
    jaxnn.save(file, (), {"seqnet": "text", **TEXT})
    with pytest.raises(UserError, match=r"model .* is missing"):
        load(file)
    with pytest.raises(UserError, match=r"model .*nothing: No such file"):
        load(tmp_path / "nothing")


def test_accuracy_counts_right_answers_and_refuses_other_classes(tmp_path: Path) -> None:
    model, _ = saved(tmp_path)
    texts = ["fine !", "dull", "?"]
    answers = [model.classes[i] for i in model.probabilities(texts).argmax(axis=1)]
    labels = [answers[0], {"good": "bad", "bad": "good"}[answers[0]], "good"]
    expected = sum(a == b for a, b in zip(answers, labels, strict=True))
    assert measure(model, examples("x", texts, labels)) == Accuracy(expected, 3)
    with pytest.raises(UserError, match="the model has no class 'worse', it has bad, good"):
        measure(model, examples("x", texts[:2], ["bad", "worse"]))
    assert str(Accuracy(8, 10) + Accuracy(32, 40)) == "80.0% (67.0–88.8%, 40 of 50)"
