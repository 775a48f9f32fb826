"""From edges to parts: what the layers of catnet's convolutional network respond to.

The network gets each picture as prediction gives it: see :mod:`jaxnn_lecture.trunk`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxnn
from catnet.data.dataset import Dataset
from catnet.evaluation.saliency import draw_filters, filters
from catnet.images.size import SIZE
from catnet.models.classifier import Classifier
from catnet.models.inference import in_batches
from jaxnn_lecture.chapter import Claim, Figure
from jaxnn_lecture.mathml import plain
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.plots import bar_plot
from jaxnn_lecture.svg import number
from jaxnn_lecture.trunk import trunk, whole_views

TOP = 5  # pictures of a unit


class Stage(NamedTuple):
    """A place in the network: its name, and the layers of the trunk up to it.

    Attributes:
        window: pixels along one side that a unit depends on, at most 64, those of its input.
        stride: pixels between two units.
    """

    name: str
    layers: int
    window: int
    stride: int


def find_stages(trunk: Any, params: Any) -> list[Stage]:
    """The places after the first convolution and after the blocks of each size.

    The windows are those of the kernels in ``params``, arrays or their shapes; the strides are
    those of the layers' outputs.
    """
    stages, window, stride = [], 1, 1
    x = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), "float32")
    for i, (layer, p) in enumerate(zip(trunk.layers, params, strict=True)):
        kernels = [leaf.shape for leaf in jax.tree.leaves(p) if leaf.ndim == 4]
        window += sum(side - 1 for side, *_ in kernels) * stride
        x = jax.eval_shape(layer.apply, p, x)
        if not kernels:
            continue
        stride = SIZE // x.shape[1]
        if i == 0:
            stages.append(Stage("first convolution", 1, window, stride))
        elif layer.name == "residual" != trunk.layers[i + 1].name:
            stages.append(Stage(f"stage {len(stages)}", i + 1, min(window, SIZE), stride))
    return stages


def measure_layers(train_part: Dataset, test_part: Dataset, shown: int) -> Claim:
    """The claim about edges and parts, with ``shown`` units of every stage."""
    classifier = Classifier.load()
    layers, (params,) = trunk(classifier)
    [below] = layers.layers
    parts = [
        part._replace(images=whole_views(part.images, classifier))
        for part in (train_part, test_part)
    ]
    stages = find_stages(below, params)

    @jax.jit
    def responses(params: Any, images: Any) -> list[Any]:
        """(n, 2 channels) of every stage, means and maxima, and where the maxima are."""
        x, results = images.astype("float32") / 255, []
        for i, (layer, p) in enumerate(zip(below.layers, params, strict=True)):
            x = layer.apply(p, x)
            if any(stage.layers == i + 1 for stage in stages):
                flat = x.reshape(len(x), -1, x.shape[-1])
                top = jnp.max(flat, axis=1)
                results += [jnp.mean(flat, axis=1), top, jnp.argmax(flat, axis=1) * 1.0]
        return results

    panels = []
    found = [_collect(responses, params, part.images) for part in parts]
    colours, colours_test = (part.images.mean(axis=(1, 2)) / 255 for part in parts)
    accuracies = [_probe(colours, colours_test, train_part.labels, test_part.labels)]
    for k, stage in enumerate(stages):
        own, test = ([means, top] for means, top, _ in (part[3 * k : 3 * k + 3] for part in found))
        accuracies.append(
            _probe(np.hstack(own), np.hstack(test), train_part.labels, test_part.labels)
        )
        panels.append(_draw_units(stage, found[1][3 * k + 1], found[1][3 * k + 2], parts[1], shown))
    places = ["mean colour", *(stage.name for stage in stages)]
    bars = bar_plot(
        "Right test answers of a linear classifier on the outputs of each layer",
        "; ".join(f"{name}: {a:.1%}" for name, a in zip(places, accuracies, strict=True)),
        places,
        [round(100 * a, 1) for a in accuracies],
        "%",
    )
    windows = ", ".join(f"{s.name} {s.window}×{s.window}" for s in stages)
    return Claim(
        "The first layers find edges, later ones parts, the last ones whole figures.",
        f"The network is {classifier.name} of catnet, trained on photographs. Pixels that a unit "
        f"depends on: {windows}. A linear classifier on a layer's outputs tells "
        f"{plain(test_part.classes[1])} from {plain(test_part.classes[0])} better the later the "
        "layer: "
        + ", ".join(f"{name} {a:.1%}" for name, a in zip(places, accuracies, strict=True))
        + ". Whether a unit finds an ear is for the reader to see; this measures that later "
        "layers say more about the figure.",
        accuracies[-1] > accuracies[1] + 0.02 and stages[0].window < stages[1].window,
        figures=(
            Figure(
                "The weights of the first layer: one small picture for each unit; grey is 0.",
                (_draw_filters(filters(classifier)),),
            ),
            *(
                Figure(
                    f"{stage.name.capitalize()}: each row is a unit, with the parts of the test "
                    f"pictures ({stage.window}×{stage.window} pixels) that excite it most.",
                    (panel,),
                )
                for stage, panel in zip(stages, panels, strict=True)
            ),
            Figure("Right answers of a linear classifier by layer.", (bars,)),
        ),
    )


def _collect(responses: Any, params: Any, images: np.ndarray) -> list[np.ndarray]:
    """What ``responses`` gives for all images, in batches."""
    sizes: list[int] = []

    def joined(batch: Any) -> Any:
        parts = responses(params, batch)
        sizes[:] = [part.shape[1] for part in parts]
        return jnp.hstack(parts)

    together = in_batches(joined, images)
    return np.split(together, np.cumsum(sizes)[:-1], axis=1)


def _probe(x: np.ndarray, x_test: np.ndarray, labels: np.ndarray, labels_test: np.ndarray) -> float:
    """Test accuracy of logistic regression on standardized features."""
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    x, x_test = (((part - mean) / deviation).astype(np.float32) for part in (x, x_test))
    params, _ = jaxnn.gradient_descent(
        jaxnn.dense(1),
        jaxnn.binary_cross_entropy,
        {"W": np.zeros((1, x.shape[1]), np.float32), "b": np.zeros(1, np.float32)},
        x,
        labels[:, None].astype(np.float32),
        learning_rate=0.5,
        steps=500,
        in_row_space=False,
    )
    z = x_test @ np.asarray(params["W"])[0] + float(params["b"][0])
    return float(np.mean((z > 0) == (labels_test == 1)))


def _draw_units(stage: Stage, top: np.ndarray, where: np.ndarray, part: Dataset, shown: int) -> str:
    """Rows of pictures: for some units, the parts of pictures with the largest output."""
    count = min(shown, top.shape[1])
    units = np.linspace(0, top.shape[1] - 1, count).round().astype(int)
    across = SIZE // stage.stride
    rows = []
    for unit in units:
        best = np.argsort(-top[:, unit], kind="stable")[:TOP]
        crops = []
        for i in best:
            row, column = divmod(int(where[i, unit]), across)
            middle = [int((at + 0.5) * stage.stride) for at in (row, column)]
            half = stage.window // 2
            y, x = (int(np.clip(m - half, 0, SIZE - stage.window)) for m in middle)
            crops.append(part.images[i, y : y + stage.window, x : x + stage.window])
        rows.append(_in_row(crops))
    gap = np.full((2, rows[0].shape[1], 3), 255, np.uint8)
    sheet = np.concatenate([np.concatenate([row, gap]) for row in rows])[:-2]
    names = ", ".join(number(int(unit)) for unit in units)
    return picture(f"{stage.name}: units {names}", sheet, width=400)


def _in_row(crops: list[np.ndarray]) -> np.ndarray:
    """Pictures side by side on a common size, with gaps."""
    scale = max(1, SIZE // crops[0].shape[0])
    large = [np.repeat(np.repeat(crop, scale, axis=0), scale, axis=1) for crop in crops]
    gap = np.full((large[0].shape[0], 2, 3), 255, np.uint8)
    return np.concatenate([part for crop in large for part in (crop, gap)], axis=1)[:, :-2]


def _draw_filters(weights: np.ndarray) -> str:
    sheet = np.asarray(draw_filters(weights))
    return picture(f"The {len(weights)} filters of the first layer", sheet, width=400)
