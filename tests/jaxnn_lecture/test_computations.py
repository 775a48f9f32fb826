"""What the chapters compute, against other computations of the same."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import numpy as np
import pytest
from lecture import descend as numpy_descend

import jaxnn
from catnet.course.networks import as_params, initialize, network
from jaxnn_lecture import training
from jaxnn_lecture.chapters import applications, sentiment, translation
from jaxnn_lecture.drawn import applications as drawn
from jaxnn_lecture.drawn import digits, numerals, reviews, tones
from jaxnn_lecture.networks import layer_gradients


def test_the_loop_and_the_vectorized_formulas_are_one_step_of_descent() -> None:
    from jaxnn_lecture.chapters.gradients import by_loop, vectorized

    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(5, 7)), rng.normal(size=5)
    Y = (rng.random((1, 7)) > 0.5).astype(float)
    [(W, b)], costs = numpy_descend([(w[None], np.array([0.1]))], X, Y, 1.0, 1)
    for J, dw, db in (by_loop(w, 0.1, X, Y), vectorized(w, 0.1, X, Y)):
        np.testing.assert_allclose([J, *dw, db], [costs[0], *(w - W[0]), 0.1 - b[0]], atol=1e-12)


@pytest.mark.usefixtures("x64", "compiled_quickly")
def test_the_gradients_of_the_layers_are_those_of_jax() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 2)), (rng.random((6, 1)) > 0.5).astype(float)
    sizes = (2, 3, 3, 1)
    net: Any = network(sizes, jaxnn.tanh)
    params = as_params(initialize(sizes, "sqrt"))
    outputs, gradients = layer_gradients(net, params, x, y)
    for i in range(len(sizes) - 2):
        rest, rest_params = net[2 * i + 1 :], params[2 * i + 1 :]

        def cost(a: jax.Array, rest=rest, rest_params=rest_params) -> jax.Array:
            return jaxnn.binary_cross_entropy(rest.apply(rest_params, a), y)

        np.testing.assert_allclose(gradients[2 * i], jax.grad(cost)(outputs[2 * i]), atol=1e-14)


@pytest.mark.usefixtures("x64", "compiled_quickly")
def test_the_minimum_of_the_cost_surface_is_flat() -> None:
    from jaxnn_lecture.chapters.logistic import draw_examples, find_minimum

    x, y = draw_examples(40, 1)
    point, largest = find_minimum(x, y)
    a = 1 / (1 + np.exp(-(point[0] * x + point[1])))
    np.testing.assert_allclose([((a - y) * x).mean(), (a - y).mean()], 0, atol=1e-9)
    r = (a * (1 - a))[:, 0]
    h = np.array([[r @ x[:, 0] ** 2, r @ x[:, 0]], [r @ x[:, 0], r.sum()]]) / len(x)
    np.testing.assert_allclose(largest, np.linalg.eigvalsh(h)[-1], rtol=1e-9)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_parity_networks_compute_the_parity(bits: int) -> None:
    from jaxnn_lecture.chapters.depth import parity_networks

    x = np.array(list(itertools.product((0.0, 1.0), repeat=bits)))
    expected = np.bitwise_xor.reduce(x.astype(int), axis=1)
    for name, layers in parity_networks(bits).items():
        a = x
        for i, (W, b) in enumerate(layers):
            a = a @ W.T + b
            a = np.maximum(a, 0) if i < len(layers) - 1 else a
        assert np.array_equal(a[:, 0], expected), name


def test_the_sawtooth_has_twice_as_many_pieces_with_each_layer() -> None:
    from jaxnn_lecture.chapters.depth import count_pieces, sawtooth_network

    x = np.linspace(0, 1, 513)[:, None]
    for depth in (1, 2, 5):
        a = x
        *hidden, (W_last, b_last) = sawtooth_network(depth)
        for W, b in hidden:
            a = np.maximum(0, a @ W.T + b)
        z = (a @ W_last.T + b_last)[:, 0]
        expected = x[:, 0]
        for _ in range(depth):
            expected = 1 - np.abs(1 - 2 * expected)
        np.testing.assert_allclose(z, expected, atol=1e-12)
        assert count_pieces(z) == 2**depth


def test_the_window_of_a_unit_is_counted_layer_by_layer() -> None:
    from catnet.models.resnet import trunk
    from jaxnn_lecture.chapters.cat_layers import find_stages

    net: Any = trunk((2, 2), (1, 1))
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), "float32")
    stages = find_stages(net, jax.eval_shape(net.init, jax.random.key(0), images))
    assert [(s.name, s.layers, s.window, s.stride) for s in stages] == [
        ("first convolution", 1, 8, 4),
        ("stage 1", 2, 24, 4),
        ("stage 2", 5, 60, 8),
    ]


@pytest.mark.parametrize("task", applications.TASKS, ids=lambda task: task.application)
def test_both_networks_of_an_application_fit_its_data(task: applications.Task) -> None:
    x, y = task.draw(5, np.random.default_rng(0))
    for net, inputs in ((task.net, x), (task.plain, task.view(x))):
        shapes = jax.eval_shape(lambda net=net, inputs=inputs: net.init(jax.random.key(0), inputs))
        gradient = jax.eval_shape(jaxnn.value_and_grad(net, task.loss), shapes, inputs, y)
        assert jax.tree.structure(gradient[1]) == jax.tree.structure(shapes)


def test_the_drawn_data_have_the_labels_that_they_show() -> None:
    rng = np.random.default_rng(0)
    x, y = drawn.draw_signs(200, rng, range(3))
    corners = x[:, :-2, :-2] + x[:, :-2, 2:] + x[:, 2:, :-2] + x[:, 2:, 2:]
    sides = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    slanting = corners[:, :, :3].max(axis=(1, 2)) > sides[:, :, :3].max(axis=(1, 2))
    assert np.mean(slanting == (y > 0.5)) > 0.95
    x, y = drawn.draw_tags(200, rng)
    ink = np.array([tag.count("#") for tag in drawn.TAGS.values()])
    np.testing.assert_allclose(x.sum(axis=(1, 2, 3)), ink[y], atol=12 * 0.25 * 4)
    (image, distance), y = drawn.draw_cars(50, rng)
    columns = image[:, :, :, 0].max(axis=1).argmax(axis=1)
    assert np.array_equal(y[:, 1:], distance)
    np.testing.assert_allclose(y[:, 0], distance[:, 0] * (columns - 5.5) / 6, atol=1e-6)
    (features, ad), y = drawn.draw_clicks(200, rng)
    years = np.abs(47.5 + 32.5 * features[:, 0] - (20 + 5 * ad))
    evening = features[:, 1] >= 8 / 12
    assert np.array_equal(y[:, 0] > 0.5, np.where(evening, years < 20, years < 10))


def test_a_house_is_priced_by_the_least_squares_of_the_others() -> None:
    from catnet.course.housing import HOUSES
    from jaxnn_lecture.chapters.housing import measure_houses

    rows = np.array([row.split(",") for row in HOUSES.split()], float)
    ones = np.insert(rows[:, :2], 0, 1, axis=1)
    hat = ones @ np.linalg.pinv(ones)
    errors = (rows[:, 2] - hat @ rows[:, 2]) / (1 - np.diag(hat))  # the formula of leave-one-out
    houses = measure_houses()
    np.testing.assert_allclose(houses.answers, rows[:, 2] - errors, rtol=1e-4)
    assert houses.linear == pytest.approx(1 - np.mean(errors**2) / rows[:, 2].var(), abs=1e-4)


def test_numbers_are_spelled_in_both_languages() -> None:
    pairs = [numerals.spell(n) for n in range(1, numerals.MOST + 1)]
    for words in (numerals.GERMAN, numerals.ENGLISH):
        assert len(set(words)) == len(words)
    assert len({pair.english for pair in pairs}) == len({pair.german for pair in pairs}) == 9999
    assert max(len(pair.german) for pair in pairs) == translation.LONGEST
    english = {7: "seven end", 19: "nineteen end", 30: "thirty end", 1001: "one thousand one end"}
    german = {1: "eins end", 21: "ein und zwanzig end", 612: "sechs hundert zwölf end"}
    assert all(" ".join(pairs[n - 1].english) == text for n, text in english.items())
    assert all(" ".join(pairs[n - 1].german) == text for n, text in german.items())
    meanings: dict[str, set[str]] = {}
    for pair in pairs:
        for word, place in zip(pair.english, pair.alignment, strict=True):
            meanings.setdefault(word, set()).add(pair.german[place])
    assert meanings.pop("one") == {"eins", "ein"}
    assert all(len(words) == 1 for words in meanings.values())


@pytest.mark.usefixtures("x64", "compiled_quickly")
def test_the_shown_attention_weights_are_those_of_the_network() -> None:
    numbers = translation.encode([4321, 7])
    net = translation.TRANSLATOR
    params = net.init(jax.random.key(0), numbers.x)
    weights = translation.attention_weights(params, numbers.x)
    np.testing.assert_allclose(weights.sum(axis=-1), 1)
    assert not weights[1, :, 2:].any()  # sieben end, and padding
    _, memory = net.layers[0].apply(params[0], numbers.x)
    _, p, last = jax.tree.map(np.asarray, params)
    o = weights @ (np.asarray(memory.values) @ p["W_v"].T + p["b_v"]) @ p["W_o"].T + p["b_o"]
    z = o @ last["W"].T + last["b"]
    mask = np.asarray(numbers.y.mask)
    np.testing.assert_allclose(net.apply(params, numbers.x).values[mask], z[mask], atol=1e-12)


def stars_of(text: str) -> int:
    """The law of the reviews, clause by clause."""
    total = 0
    for clause in text.lower().rstrip(".").split(", but "):
        words = clause.replace(",", "").split()
        sign = 1 if set(words) & set(reviews.GOOD) else -1
        turned = bool(set(words) & {"lacking", "without", "nothing", "hardly"})
        total += sign * (-1 if turned else 1) * (2 if "completely" in words else 1)
    return 3 + total


def test_reviews_follow_the_law_as_the_lectures_do() -> None:
    drawn_ones = reviews.draw_reviews(500, np.random.default_rng(0))
    for text, stars in (*drawn_ones, *reviews.LECTURE):
        assert stars == stars_of(text), text
    assert {stars for _, stars in drawn_ones} == {1, 2, 3, 4, 5}
    assert not {text for text, _ in drawn_ones} & {text for text, _ in reviews.LECTURE}


@pytest.mark.usefixtures("compiled_quickly")
def test_a_bag_of_words_does_not_see_their_order() -> None:
    vocabulary = ["good", "lacking", "in", "soup"]
    x, stars = sentiment.encode(
        [("Lacking in good soup", 1), ("in soup lacking good", 3)], vocabulary
    )
    assert stars.tolist() == [0, 2]
    for net, same in ((sentiment.bag_of_words(5), True), (sentiment.recurrent(5), False)):
        z = net.apply(net.init(jax.random.key(0), x), x)
        assert np.allclose(z[0], z[1], atol=1e-6) is same


def test_a_spoken_word_has_its_formants_in_order() -> None:
    sound = tones.speak("ui", 120.0, 1.0, 0.5, np.random.default_rng(0))
    for half, formant in ((sound[:1500], 800), (sound[-1500:], 2300)):
        power = np.abs(np.fft.rfft(half)) ** 2
        f = np.fft.rfftfreq(len(half), 1 / tones.RATE)
        assert abs(f[f > 600][power[f > 600].argmax()] - formant) < 150


def test_drawn_digits_are_near_those_without_variations() -> None:
    images, labels = digits.draw_digits(300, np.random.default_rng(0))
    assert images.shape == (300, 16, 16, 1)
    means = np.stack([images[labels == k].mean(axis=0) for k in range(10)]).reshape(10, -1)
    flat = images.reshape(300, -1).astype(float)
    nearest = ((flat[:, None] - means) ** 2).sum(axis=-1).argmin(axis=1)
    assert np.mean(nearest == labels) > 0.6


def test_scores_are_shares() -> None:
    x = np.array([[0.0], [1.0], [2.0], [3.0]], np.float32)
    params = {"W": np.array([[1.0]], np.float32), "b": np.array([-1.5], np.float32)}
    labels = np.array([[0.0], [1.0], [1.0], [1.0]])
    assert training.score(jaxnn.dense(1), jaxnn.binary_cross_entropy, params, x, labels) == 0.75
    numbers = np.array([[-1.5], [-0.5], [0.5], [3.5]])
    explained = 1 - (4 / 4) / np.mean((numbers - 0.5) ** 2)
    found = training.score(jaxnn.dense(1), jaxnn.mean_squared_error, params, x, numbers)
    assert found == pytest.approx(explained)
