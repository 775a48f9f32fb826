"""The page's two interactive figures in a browser: the slider and the playground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from headless import Page

from catnet.course.networks import initialize
from jaxnn_lecture import page
from jaxnn_lecture.chapter import Chapter, Claim, Figure
from jaxnn_lecture.chapters import depth, hidden
from jaxnn_lecture.html import widget

FAULTS = Path(__file__).with_name("faults.js").read_text()
RATE = 0.5
LAYERS = initialize(hidden.SIZES, "sqrt")
STAGES = (
    ["X"], ["W[1]", "X", "b[1]", "Z[1]"], ["Z[1]", "A[1]"], ["W[2]", "A[1]", "b[2]", "Z[2]"],
    ["Z[2]", "A[2]"], ["A[2]", "Y", "dZ[2]"], ["dZ[2]", "A[1]", "dW[2]", "db[2]"],
    ["W[2]", "dZ[2]", "A[1]", "dZ[1]"], ["dZ[1]", "X", "dW[1]", "db[1]"],
)  # fmt: skip
GIVEN = {"X": hidden.X.T, "Y": hidden.Y.T}
GIVEN |= {f"W[{i}]": W for i, (W, _) in enumerate(LAYERS, start=1)}
GIVEN |= {f"b[{i}]": b[:, None] for i, (_, b) in enumerate(LAYERS, start=1)}


@pytest.fixture
def opened(browser: Page, tmp_path: Path, request: pytest.FixtureRequest) -> Page:
    """The browser with a page of one figure, at the width of the test's parameter."""
    width, name = request.param
    data = hidden.stepper_data(LAYERS, RATE) if name == "stepper" else depth.playground_data(1)
    figure = Figure("", (widget(name, data),), scripts=("network", name))
    claims = (Claim("a claim", "a number", True, figures=(figure,)),)
    file = tmp_path / "page.html"
    file.write_text(page.render([Chapter("x", "X", "", claims)]), "utf-8")
    browser.problems.clear()
    browser.resize(width, 900)
    browser.open(file)
    return browser


def click(browser: Page, text: str) -> None:
    code = f"[...document.querySelectorAll('button')].find(b => b.textContent === '{text}').click()"
    browser.evaluate(code)


def status(browser: Page) -> str:
    return browser.evaluate("document.querySelector('.status').textContent")


def shown(browser: Page) -> dict[str, np.ndarray]:
    """The matrices beside the drawing, by their name; their captions have their dimensions."""
    code = """[...document.querySelectorAll('.matrices table')].map(t => [t.caption.textContent,
      [...t.rows].map(r => [...r.cells].map(c => parseFloat(c.textContent.replace("−", "-"))))])"""
    found = {}
    for caption, rows in browser.evaluate(code):
        name, _, rest = caption.partition(" (")
        found[name] = np.array(rows)
        assert rest.partition(")")[0] == ", ".join(map(str, found[name].shape))
    return found


@pytest.mark.parametrize("opened", [(360, "stepper"), (1200, "stepper")], indirect=True)
def test_the_slider_shows_the_numbers_of_every_stage(opened: Page) -> None:
    expected = {**GIVEN, **hidden.by_formulas(LAYERS)}
    for stage, names in enumerate(STAGES):
        opened.evaluate(
            f"{{const r = document.querySelector('input'); r.value = {stage};"
            "r.dispatchEvent(new Event('input'))}"
        )
        matrices = shown(opened)
        assert list(matrices) == names
        for name, values in matrices.items():
            np.testing.assert_allclose(values, expected[name], atol=0.006)
        assert opened.evaluate(FAULTS) == []
    assert opened.problems == []


@pytest.mark.parametrize("opened", [(1200, "stepper")], indirect=True)
def test_the_buttons_step_and_train(opened: Page) -> None:
    assert "stage 4 of 8" in status(opened)
    click(opened, "Back")
    assert "stage 3 of 8" in status(opened)
    for _ in range(7):
        click(opened, "Next")
    assert "stage 8 of 8" in status(opened)
    click(opened, "Take 100")
    layers = LAYERS
    for _ in range(100):
        g = hidden.by_formulas(layers)
        layers = [
            (W - RATE * g[f"dW[{i}]"], b - RATE * g[f"db[{i}]"][:, 0])
            for i, (W, b) in enumerate(layers, start=1)
        ]
    a, y = hidden.by_formulas(layers)["A[2]"][0], hidden.Y[:, 0]
    cost = -np.mean(y * np.log(a) + (1 - y) * np.log(1 - a))
    assert f"J = {cost:.4f} after 100 steps" in status(opened)
    click(opened, "Start again")
    assert "after 0 steps" in status(opened)
    assert opened.problems == []


@pytest.mark.parametrize("opened", [(360, "playground"), (1200, "playground")], indirect=True)
def test_the_playground_trains_what_the_reader_chooses(opened: Page) -> None:
    def cost() -> float:
        return float(opened.evaluate("document.querySelector('.widget').dataset.cost"))

    def choose(number: int, value: str) -> None:
        opened.evaluate(
            f"{{const s = document.querySelectorAll('select')[{number}]; s.value = '{value}';"
            "s.dispatchEvent(new Event('change'))}"
        )

    start = cost()
    click(opened, "100 steps")
    assert status(opened).startswith("Step 100: cost J = ")
    assert cost() < start
    for number, value in enumerate(("circles", "2", "6", "leaky_relu", "0.1")):
        choose(number, value)
    assert status(opened).startswith("Step 0:")
    click(opened, "Train")
    opened.wait("+document.querySelector('.widget').dataset.steps > 60")
    click(opened, "Pause")
    assert cost() < 0.69
    assert opened.evaluate(FAULTS) == []
    choose(0, "flower")
    choose(1, "0")
    assert opened.evaluate("document.querySelectorAll('select')[2].disabled")
    click(opened, "One step")
    assert status(opened).startswith("Step 1:")
    assert opened.problems == []


@pytest.mark.parametrize("opened", [(1200, "playground")], indirect=True)
def test_a_learning_rate_too_large_is_said(opened: Page) -> None:
    opened.evaluate(
        "for (const [i, value] of [[1, '5'], [2, '10'], [3, 'identity'], [4, '3']]) {"
        "const s = document.querySelectorAll('select')[i]; s.value = value;"
        "s.dispatchEvent(new Event('change'))}"
    )
    click(opened, "100 steps")
    assert "the learning rate is too large" in status(opened)
    assert opened.problems == []


@pytest.mark.parametrize("opened", [(1200, "playground")], indirect=True)
def test_the_cost_curve_has_every_cost_at_its_step(opened: Page) -> None:
    opened.evaluate(
        "for (const [i, value] of [[0, 'moons'], [1, '0'], [4, '0.01']]) {"
        "const s = document.querySelectorAll('select')[i]; s.value = value;"
        "s.dispatchEvent(new Event('change'))}"
    )
    for _ in range(60):  # after 4,000 steps every second cost is dropped
        click(opened, "100 steps")
    heights, costs, high = opened.evaluate(
        """(() => {
          const d = document.querySelector("path.line.s0").getAttribute("d");
          const points = d.slice(1).split("L").map(p => p.split(" ").map(Number));
          const all = document.querySelector('[data-widget] script').textContent;
          const {X, Y} = JSON.parse(all).moons, costs = [];
          let params = network.init([2, 1], "tanh", 1);
          for (let k = 0; k < 6000; k++) {
            const done = network.step(params, "tanh", X, Y, 0.01);
            params = done.params;
            costs.push(done.cost);
          }
          const high = Math.max(0.7, ...costs);
          const at = points.map(([x]) => costs[Math.min(5999, Math.round((x - 46) / 250 * 6000))]);
          return [points.map(p => p[1]), at, high];
        })()"""
    )
    np.testing.assert_allclose((180 - np.array(heights)) / 150 * high, costs, atol=0.002)


@pytest.mark.parametrize("opened", [(1200, "stepper")], indirect=True)
def test_what_is_folded_is_open_in_print(opened: Page) -> None:
    opened.evaluate("document.body.insertAdjacentHTML('beforeend', '<details>more</details>')")
    state = "document.querySelector('details').open"
    opened.evaluate(f"addEventListener('beforeprint', () => {{ window.seen = {state}; }})")
    opened.call("Page.printToPDF")
    assert opened.evaluate("window.seen") is True
    assert opened.evaluate(state) is False
