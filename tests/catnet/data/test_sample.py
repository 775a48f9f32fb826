"""The drawn sample: the same everywhere, balanced, and not to be told by colour or position."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from catnet.data import sample
from catnet.data.dataset import Dataset
from catnet.data.sample import coats, light
from catnet.data.sample.dice import Dice
from catnet.data.sample.raster import SIZE, Pen
from catnet.errors import UserError

FOLDER = Path(__file__).parents[3] / "data" / "sample"


class Parts(NamedTuple):
    train: Dataset
    test: Dataset


@pytest.fixture(scope="module")
def parts() -> Parts:
    return Parts(*sample.load())


def all_images(folder: Path) -> dict[str, np.ndarray]:
    """Path below the folder -> pixels, of every file in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    decoded = {}
    for path in files:
        with Image.open(path) as image:
            decoded[path.relative_to(folder).as_posix()] = np.array(image)
    return decoded


def test_the_folder_holds_every_image_that_is_drawn(parts):
    names = [*parts.train.names, *parts.test.names]
    images = [*parts.train.images, *parts.test.images]
    stored = all_images(FOLDER)
    assert sorted(stored) == sorted(names)
    different = [
        name for name, image in zip(names, images, strict=True)
        if not np.array_equal(stored[name], image)
    ]  # fmt: skip
    assert different == []


def test_the_folder_is_at_most_3_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.png")) <= 3_000_000


def test_shapes_labels_and_names_agree(parts):
    for part, images, labels, names in (
        ("train", parts.train.images, parts.train.labels, parts.train.names),
        ("test", parts.test.images, parts.test.labels, parts.test.names),
    ):
        assert images.shape == (len(names), 64, 64, 3)
        assert images.dtype == np.uint8
        assert labels.mean() == 0.5
        assert list(names) == sorted(set(names))
        for name, label in zip(names, labels, strict=True):
            top, folder, file = name.split("/")
            kind = file.split("-")[0]
            assert top == part
            assert folder == ("cat" if label else "non-cat")
            assert (kind == "cat") == bool(label)
        counts = Counter(name.split("/")[2].split("-")[0] for name in names)
        assert set(counts) == set(sample.KINDS)
        others = len(names) // 2 // 9
        assert all(counts[kind] == others for kind in sample.KINDS[2:])
        assert counts["dog"] == 2 * others


def test_no_image_comes_twice(parts):
    digests = {
        hashlib.sha256(image.tobytes()).digest()
        for image in [*parts.train.images, *parts.test.images]
    }
    assert len(digests) == len(parts.train.names) + len(parts.test.names)


def test_a_name_says_how_to_draw_its_image(parts):
    for name, image in list(zip(parts.test.names, parts.test.images, strict=True))[::37]:
        kind, seed = Path(name).stem.split("-")
        np.testing.assert_array_equal(sample.draw(kind, int(seed)), image)


@pytest.mark.parametrize("kind", sample.KINDS)
def test_a_seed_decides_the_image_and_no_other(kind):
    first, other = sample.draw(kind, 5), sample.draw(kind, 6)
    np.testing.assert_array_equal(sample.draw(kind, 5), first)
    assert (first != other).any()


def test_colour_and_mean_image_do_not_give_the_label_away(parts):
    """What a classifier knows without looking at shapes: next to nothing."""

    def colours(images: np.ndarray) -> np.ndarray:
        flat = images.reshape(len(images), -1, 3) / 255
        return np.column_stack((flat.mean(1), flat.std(1), np.ones(len(flat))))

    sign = 2 * parts.train.labels - 1
    weights = np.linalg.lstsq(colours(parts.train.images), sign, rcond=None)[0]
    by_colour = (colours(parts.test.images) @ weights > 0) == parts.test.labels
    assert by_colour.mean() < 0.6

    train = parts.train.images[:, ::2, ::2].reshape(len(sign), -1).astype(float)
    test = parts.test.images[:, ::2, ::2].reshape(len(by_colour), -1).astype(float)
    away = [((test - train[sign == s].mean(0)) ** 2).sum(1) for s in (-1, 1)]
    by_mean = (away[1] < away[0]) == parts.test.labels
    assert by_mean.mean() < 0.6


def test_figures_are_as_often_light_on_dark_as_dark_on_light(parts):
    images = parts.train.images.mean(-1)
    middle = images[:, 24:40, 24:40].mean((1, 2))
    corners = np.concatenate((images[:, :6, :6], images[:, :6, -6:]), axis=2).mean((1, 2))
    for label in (0, 1):
        lighter = (middle > corners)[parts.train.labels == label].mean()
        assert 0.4 < lighter < 0.6


def test_unknown_kinds_are_refused_by_name():
    with pytest.raises(UserError, match=r"'unicorn'.*cat, dog"):
        sample.draw("unicorn", 0)


def test_write_refuses_a_folder_with_something_in_it(tmp_path):
    keep = tmp_path / "holiday.txt"
    keep.write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        sample.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.txt"]
    assert keep.read_text() == "mine"


# The rasteriser, against areas and places known from geometry.


def painted(paint) -> np.ndarray:
    """Coverage of each pixel by what ``paint(pen)`` paints in white, (SIZE, SIZE)."""
    canvas = np.zeros((SIZE, SIZE, 3))
    paint(Pen(canvas, x=31.3, y=32.6, scale=20.0, angle=0.3, mirror=True))
    return canvas[..., 0]


WHITE = (1.0, 1.0, 1.0)
SHAPES = {
    "ellipse": (lambda pen: pen.ellipse(0, 0, 1.2, 0.7, WHITE, rim=0), np.pi * 1.2 * 0.7),
    "stroke": (
        lambda pen: pen.stroke(((-0.5, -0.2), (0.7, 0.3)), 0.3, 0.3, WHITE, rim=0),
        0.6 * 1.3 + np.pi * 0.09,
    ),
    "polygon": (
        lambda pen: pen.polygon(((-1, -1), (1, -1), (1, 1), (0, 0), (-1, 1)), WHITE, rim=0),
        3.0,
    ),
    "rounded": (
        lambda pen: pen.polygon(
            ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)), WHITE, rounding=0.2, rim=0
        ),
        1 + 4 * 0.2 + np.pi * 0.04,
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_covers_its_area(name):
    paint, area = SHAPES[name]
    assert painted(paint).sum() == pytest.approx(area * 20**2, rel=0.01)


def test_a_mirrored_turned_frame_puts_a_point_where_the_formula_says():
    cover = painted(lambda pen: pen.frame(0.8, -0.5, 0.5).ellipse(0.4, 0, 0.2, 0.2, WHITE, rim=0))
    rows, columns = np.indices(cover.shape) + 0.5
    c, s = np.cos(0.3), np.sin(0.3)
    u, v = 0.8 + 0.5 * 0.4, -0.5
    x, y = (cover * columns).sum() / cover.sum(), (cover * rows).sum() / cover.sum()
    assert x == pytest.approx(31.3 - 20 * (c * u - s * v), abs=0.02)
    assert y == pytest.approx(32.6 + 20 * (s * u + c * v), abs=0.02)


def test_painting_beyond_the_canvas_changes_nothing_and_does_not_fail():
    for u, v in ((9, 0), (-9, 0), (0, 9), (0, -9)):
        assert painted(lambda pen, u=u, v=v: pen.ellipse(u, v, 1, 1, WHITE, rim=0)).max() == 0


def test_rounding_survives_a_last_bit():
    """Every level an image can hold lies far from the borders between levels."""
    levels = np.arange(0, 255, light.STEP, dtype=float)
    canvas = np.broadcast_to(levels[:, None, None] / levels[-1], (len(levels), 1, 3))
    for nudge in (-1e-9, 0, 1e-9):
        np.testing.assert_array_equal(light.to_uint8(canvas + nudge)[:, 0, 0], levels)


def test_light_coats_are_lighter_than_dark_ones():
    shades = {
        shade: [sum(coats.choose_fur(Dice(seed), light=shade)) / 3 for seed in range(50)]
        for shade in (True, False)
    }
    assert min(shades[True]) > max(shades[False])
