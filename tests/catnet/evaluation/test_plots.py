"""What the figures show, read back from the PNG files and from the figures' own text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("matplotlib", reason="needs matplotlib, of jaxnn[apps]")

from catnet.errors import UserError
from catnet.evaluation import plots
from catnet.evaluation.report import Evaluation, evaluate
from catnet.training.curves import Curves, Measure

CLASSES = ("non-cat", "cat")


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are written, for a look at what is in them."""
    kept = []
    write = plots._write

    def keep(path, figure):
        kept.append(figure)
        write(path, figure)

    monkeypatch.setattr(plots, "_write", keep)
    return kept


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def wrong(names: list[str]) -> tuple[dict[str, np.ndarray], Evaluation]:
    """As many mistakes as names, each image of one colour of its own."""
    n = len(names)
    images = {
        name: np.full((64, 64, 3), (200, 10 * (i % 25), 255 - 5 * i), np.uint8)
        for i, name in enumerate(names)
    }
    p = np.linspace(0.0, 0.4, n)
    return images, evaluate([1] * n, p, names, CLASSES)


def curve(costs, *measures: Measure) -> Curves:
    return Curves("validation", [float(cost) for cost in costs], [*measures])


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_costs_are_logarithmic_when_they_fall_by_ten(tmp_path, drawn) -> None:
    costs = np.geomspace(0.7, 0.069, 50)
    plots.learning_curves(tmp_path / "a.png", curve(costs), "deep, learning rate 0.0075")
    plots.learning_curves(tmp_path / "b.png", curve(costs[:40]), "stopped early")
    plots.learning_curves(tmp_path / "c.png", curve([0.7, 0.0]), "reached zero")
    assert [figure.axes[0].get_yscale() for figure in drawn] == ["log", "linear", "linear"]
    axes = drawn[0].axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), costs)
    assert axes.get_title() == "deep, learning rate 0.0075"
    assert pixels(tmp_path / "a.png").std() > 5


@pytest.mark.parametrize("costs", [[0.7], [0.7, np.nan], [np.inf, np.nan], [0.7, 1e30, np.inf]])
def test_curves_of_a_run_that_went_wrong(tmp_path, costs) -> None:
    plots.learning_curves(tmp_path / "cost.png", curve(costs), "diverged")
    assert pixels(tmp_path / "cost.png").std() > 1


def test_every_line_is_in_the_legend_and_the_kept_weights_are_marked(tmp_path, drawn) -> None:
    measures = [Measure(10, 0.8, 0.5, 0.75, 0.9), Measure(20, 0.9, 0.6, 0.7, 0.9)]
    curves = curve(np.linspace(0.7, 0.4, 20), *measures)
    plots.learning_curves(tmp_path / "a.png", curves, "deep", measures[0])
    above, below = drawn[0].axes
    assert texts(above) == ["training", "validation"]
    assert texts(below) == ["training", "validation", "weights kept: step 10"]
    assert (above.get_ylabel(), below.get_ylabel()) == ("cost (cross-entropy)", "accuracy (%)")
    np.testing.assert_array_equal(above.lines[1].get_xydata(), [[10, 0.5], [20, 0.6]])
    np.testing.assert_array_equal(below.lines[0].get_ydata(), [80, 90])
    np.testing.assert_array_equal(below.lines[1].get_ydata(), [75, 70])
    assert len({line.get_linestyle() for line in below.lines[:2]}) == 2  # without colours too


def test_two_runs_have_their_names_and_colours_in_one_figure(tmp_path, drawn) -> None:
    runs = {name: curve([0.7, 0.6], Measure(2, 0.8, 0.5, 0.7, 0.9)) for name in ("runs/a", "b")}
    plots.compare_curves(tmp_path / "a.png", runs, "two runs")
    above, _ = drawn[0].axes
    assert texts(above) == ["a, training", "a, validation", "b, training", "b, validation"]
    assert [line.get_color() for line in above.lines] == [plots.COLORS[0]] * 2 + [
        plots.COLORS[1]
    ] * 2


def test_the_costs_of_batches_have_a_running_mean(tmp_path, drawn) -> None:
    noise = np.random.default_rng(0).uniform(0.4, 0.6, 200)
    plots.learning_curves(tmp_path / "a.png", curve(noise), "batches")
    above = drawn[0].axes[0]
    assert texts(above)[:2] == ["training, each step", "training, running mean"]
    steps, means = above.lines[1].get_xydata().T
    assert (steps[0], means[0]) == (2, pytest.approx(noise[:4].mean()))
    assert (steps[-1], means[-1]) == (198, pytest.approx(noise[-4:].mean()))


def test_colours_differ_in_brightness_for_those_who_see_no_colours() -> None:
    rgb = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in plots.COLORS[:3]])
    luma = np.sort(rgb @ [0.299, 0.587, 0.114])
    assert np.diff(luma).min() > 10


def test_confusion_matrix_shows_counts_and_shares(tmp_path, drawn) -> None:
    plots.confusion_matrix(tmp_path / "c.png", np.array([[9, 8], [2, 31]]), CLASSES)
    axes = drawn[0].axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "9\n53%",
        (1, 0): "8\n47%",
        (0, 1): "2\n6%",
        (1, 1): "31\n94%",
    }
    assert drawn[0].get_suptitle() == "40 of 50 images right\ncount, and share of the true class"
    assert [text.get_text() for text in axes.get_xticklabels()] == [*CLASSES]
    assert [text.get_text() for text in axes.get_yticklabels()] == [*CLASSES]
    image = pixels(tmp_path / "c.png").astype(int)
    # The cell of 31 cats (94%) is darker than that of 2 (6%): below on the right and on the left.
    height, width, _ = image.shape
    assert image[height * 3 // 4, width * 9 // 10].sum() < 400
    assert image[height * 3 // 4, width * 2 // 10].sum() > 600


def test_confusion_matrix_of_one_class(tmp_path) -> None:
    plots.confusion_matrix(tmp_path / "c.png", [[0, 0], [1, 4]], CLASSES)
    assert pixels(tmp_path / "c.png").std() > 5


def test_mistakes_shows_the_worst_with_truth_and_probability(tmp_path, drawn) -> None:
    images, result = wrong([f"some/where/{i}.png" for i in range(30)])
    plots.mistakes(tmp_path / "m.png", images, result)
    captions = [axes.get_title() for axes in drawn[0].axes]
    assert len(captions) == 24
    assert captions[0] == "0.png\nis cat\nnon-cat: 100.0%"
    assert captions[23] == "23.png\nis cat\nnon-cat: 68.3%"
    assert drawn[0].get_suptitle().startswith("The worst 24 of 30 mistakes in 30 examples:")
    for axes, name in zip(drawn[0].axes, images, strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), images[name])
    colours = {tuple(colour) for colour in pixels(tmp_path / "m.png").reshape(-1, 3)}
    assert {tuple(image[0, 0]) for image in list(images.values())[:24]} <= colours


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_mistakes_of_any_number(tmp_path, drawn, count) -> None:
    images, result = wrong([f"{i}.png" for i in range(count)])
    plots.mistakes(tmp_path / "m.png", images, result)
    assert len(drawn[0].axes) == count
    assert drawn[0].get_suptitle().startswith(f"All mistakes in {count} examples:")


def test_no_mistakes_are_said_to_be_none(tmp_path, drawn) -> None:
    plots.mistakes(tmp_path / "m.png", {}, evaluate([0, 1], [0, 1], ["a", "b"], CLASSES))
    assert [text.get_text() for text in drawn[0].texts] == ["No mistakes in 2 examples"]
    assert pixels(tmp_path / "m.png").std() > 1


def test_any_name_can_be_drawn(tmp_path, drawn) -> None:
    names = ["$x^{$.png", "猫.png", "a\nb.png", "\udc80.png", "long" * 20 + ".png", "/"]
    images, result = wrong(names)
    plots.mistakes(tmp_path / "m.png", images, result)
    first = [axes.get_title().split("\n")[0] for axes in drawn[0].axes]
    assert first == [
        *("$x^{$.png", "猫.png", r"a\nb.png", r"\udc80.png", "…onglonglonglonglong.png", "/"),
    ]
    plots.compare_curves(tmp_path / "c.png", {"$_$": curve([1.0]), "猫": curve([2.0])}, "$\\frac{$")
    plots.confusion_matrix(tmp_path / "c.png", np.eye(2, dtype=int), ("$_$", "猫"))


def test_a_file_is_replaced_whole_or_not(tmp_path, monkeypatch) -> None:
    path = tmp_path / "m.png"
    path.write_bytes(b"old")
    images, result = wrong(["a.png"])
    with pytest.raises(KeyError):
        plots.mistakes(path, {}, result)
    assert path.read_bytes() == b"old"
    plots.mistakes(path, images, result)
    pixels(path)
    assert list(tmp_path.iterdir()) == [path]


def test_the_same_numbers_make_the_same_file(tmp_path) -> None:
    for name in ("a.png", "b.png"):
        plots.confusion_matrix(tmp_path / name, np.array([[3, 1], [0, 2]]), CLASSES)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_no_window_system_is_loaded(tmp_path) -> None:
    code = (
        "from catnet.evaluation import plots; assert 'matplotlib' not in sys.modules;"
        "from catnet.training.curves import Curves;"
        f"plots.learning_curves({str(tmp_path / 'c.png')!r}, Curves('test', [1.0, 0.5]), 'x');"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    code = f"import sys; sys.path[:] = {[entry for entry in sys.path if entry]!r}; {code}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_remedy_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"pip install 'jaxnn\[apps\]'"):
        plots.learning_curves(tmp_path / "c.png", curve([1.0]), "x")
    assert not list(tmp_path.iterdir())
