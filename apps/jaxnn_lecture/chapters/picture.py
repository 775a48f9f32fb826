"""Chapter 1: a picture is a column of numbers, and many pictures are a matrix."""

from __future__ import annotations

import jax
import numpy as np

import jaxnn
from catnet.errors import UserError
from catnet.terminal import shorten
from jaxnn_lecture.chapter import Chapter, Claim, Figure, Settings
from jaxnn_lecture.chapters import CHAPTERS
from jaxnn_lecture.html import details, table
from jaxnn_lecture.pictures import picture
from jaxnn_lecture.svg import number

PRINTED = 12228  # the lecture's n_x; 64 · 64 · 3 is 12288
CROP = 6  # rows and columns of the numbers that are shown


def run(settings: Settings) -> Chapter:
    """The claims about one picture, its unrolling, and the matrix of all examples."""
    train, _, source = settings.load_images()
    m = min(settings["examples"], len(train.labels))
    if settings["example"] >= len(train.labels):
        raise UserError(
            f"--set example={settings['example']}: there are {len(train.labels)} pictures; "
            "choose a smaller number"
        )
    image = train.images[settings["example"]]
    chosen = np.linspace(0, len(train.labels) - 1, m).round().astype(int)
    return Chapter(
        "picture",
        CHAPTERS["picture"].title,
        f"The computer sees numbers. The pictures are {source}: {len(train.labels):,} to train on, "
        "64 by 64 pixels each.",
        (
            _channels(image),
            _unrolled(image),
            _matrix(train.images[chosen], train.labels[chosen], train.classes),
            _order(train.images, train.labels, settings),
        ),
    )


def _channels(image: np.ndarray) -> Claim:
    names = ("red", "green", "blue")
    panels = [picture("The picture", image, "the picture")]
    panels += [
        picture(f"Its {name} matrix", image[..., c], f"{name}: mean {number(image[..., c].mean())}")
        for c, name in enumerate(names)
    ]
    middle = image.shape[0] // 2
    rows = [
        [f"row {middle + i}", *(str(int(v)) for v in image[middle + i, middle : middle + CROP, 0])]
        for i in range(CROP)
    ]
    header = ["red", *(f"column {middle + j}" for j in range(CROP))]
    corner = table("Red numbers at the middle of the picture", header, rows)
    shape, low, high = image.shape, int(image.min()), int(image.max())
    return Claim(
        "An image is three matrices of the size of the image: red, green and blue intensities.",
        f"The file's array has the shape {shape[0]}×{shape[1]}×{shape[2]} and whole numbers from "
        f"{low} to {high}; a byte can have 0 to 255.",
        shape[2] == 3 and image.dtype == np.uint8,
        figures=(
            Figure(
                "The picture and its three matrices; brighter is a larger number.",
                (*panels,),
                small=True,
            ),
            Figure("A part of one matrix.", (details("The numbers", corner),)),
        ),
    )


def _unrolled(image: np.ndarray) -> Claim:
    x = image.reshape(-1)
    first = [f"{x[i]}" for i in range(6)]
    places = [f"{name}, pixel {1 + i}" for i in range(2) for name in ("red", "green", "blue")]
    rows = [["x", *first, "…", str(x[-1])], ["from", *places, "…", f"blue, pixel {len(x) // 3}"]]
    header = ["number", *map(str, range(1, 7)), "…", str(len(x))]
    column = table("The vector x, lying down", header, rows)
    return Claim(
        f"Unrolled into one column, the picture is a vector x of $n_x = 64 \\times 64 \\times 3 = "
        f"{PRINTED}$ numbers.",
        f"The vector has {len(x)} numbers. The slides print {PRINTED}: one digit is wrong, since "
        f"64 · 64 · 3 = {64 * 64 * 3}.",
        len(x) == PRINTED,
        formulas=(rf"x \in \R^{{n_x}} \quad n_x = {len(x)}",),
        figures=(Figure("Where the numbers of x come from.", (column,)),),
    )


def _matrix(images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> Claim:
    m = len(images)
    X, Y = images.reshape(m, -1).T / 255, labels[None].astype(float)
    strips = X.reshape(96, -1, m).mean(axis=1)  # 96 rows, each the mean of 128 numbers
    panels = [
        picture(
            f"Example {i + 1}, {classes[label]}", image, f"y = {label}\n{shorten(classes[label])}"
        )
        for i, (image, label) in enumerate(zip(images[:8], labels[:8], strict=True))
    ]
    matrix = picture(
        f"The matrix X of {m} examples: a column for each",
        np.uint8(np.repeat(strips, 96 // m + 1, axis=1) * 255),
        f"X: {X.shape[0]:,} rows (here 96 means),\n{m} columns, one an example",
        width=280,
    )
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(1, len(X))) / 111, rng.normal(size=1)
    in_columns = W @ X + b[:, None]
    with jax.enable_x64(True):
        in_rows = np.asarray(jaxnn.dense(1).apply({"W": W, "b": b}, X.T))
    difference = np.abs(in_columns.T - in_rows).max()
    return Claim(
        "The examples are the columns of X, $(n_x, m)$; their labels are the row Y, $(1, m)$",
        f"X has the shape {X.shape[0]}×{X.shape[1]}, Y {Y.shape[0]}×{Y.shape[1]}. jaxnn, as other "
        "libraries, has the examples in rows. It is the same computation: with random weights, "
        f"the Z of both formulas differ by at most {number(difference)}.",
        X.shape == (64 * 64 * 3, m) and Y.shape == (1, m) and bool(difference < 1e-12),
        formulas=(r"Z = W X + b", r"Z^T = X^T W^T + b^T"),
        figures=(
            Figure("Some examples with their labels.", (*panels,), small=True),
            Figure("The same and further examples as the columns of X.", (matrix,)),
        ),
    )


def _order(images: np.ndarray, labels: np.ndarray, settings: Settings) -> Claim:
    """Logistic regression on x unrolled pixel by pixel, and channel by channel."""
    y = labels[:, None].astype(float)
    by_pixel = images.reshape(len(images), -1) / 255
    by_channel = images.transpose(0, 3, 1, 2).reshape(len(images), -1) / 255
    results = []
    with jax.enable_x64(True):
        for x in (by_pixel, by_channel):
            start = {"W": np.zeros((1, x.shape[1])), "b": np.zeros(1)}
            _, costs = jaxnn.gradient_descent(
                jaxnn.dense(1),
                jaxnn.binary_cross_entropy,
                start,
                x,
                y,
                learning_rate=settings["learning_rate"],
                steps=settings["steps"],
            )
            results.append(np.asarray(costs))
    difference = np.abs(results[0] - results[1]).max()
    first = by_pixel[0] * 255, by_channel[0] * 255
    return Claim(
        "Which pixel comes first in x does not matter, if it is the same for all pictures.",
        "The lecture unrolls first all red numbers, then green, then blue; jaxnn unrolls pixel by "
        f"pixel. The costs of {settings['steps']} steps of logistic regression on "
        f"{len(images):,} pictures, unrolled in both ways, differ by at most "
        f"{number(difference)}; the last cost is {number(results[0][-1])}.",
        bool(difference < 1e-9),
        figures=(
            Figure(
                "The vector x of the first picture, 192 numbers a row, in both orders.",
                (
                    picture("x, pixel by pixel", first[0].reshape(64, 192), "pixel by pixel"),
                    picture("x, channel by channel", first[1].reshape(64, 192), "red, green, blue"),
                ),
            ),
        ),
    )
