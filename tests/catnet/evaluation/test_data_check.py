"""The report on DATA names what was planted in it, nothing else, and changes nothing."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import jax
import numpy as np
import pytest
from PIL import Image

from catnet.cli import main
from catnet.data import dataset, sample
from catnet.errors import UserError
from catnet.evaluation.data_check import Check, check
from catnet.images.decode import ImageError, read_dimensions
from catnet.models import registry
from catnet.models.classifier import Classifier


def write(path: Path, image: np.ndarray, size: tuple[int, int] = (64, 64), **how: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).resize(size).save(path, **how)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Drawn images, all different: 6 cats and 4 dogs to train on, 3 and 2 to test on."""
    top = tmp_path / "data"
    for part, first, cats, dogs in (("train", 0, 6, 4), ("test", 50, 3, 2)):
        for kind, folder, n in (("cat", "cat", cats), ("dog", "non-cat", dogs)):
            for i in range(first, first + n):
                write(top / part / folder / f"{kind}{i}.png", sample.draw(kind, i))
    return top


@pytest.fixture
def brightness() -> Classifier:
    """A model that calls bright images cats."""
    described = registry.architecture("logistic", (), "relu")
    net = registry.build(described)
    params = net.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 64, 64, 3), "float32"))
    flat = jax.tree.map(lambda leaf: leaf * 0 + (80 / 12288 if leaf.size > 1 else -40), params)
    return Classifier(described, flat, ("non-cat", "cat"), "brightness", "made by hand")


def pairs(result: Check, top: Path) -> list[tuple[str, str, bool, bool, bool]]:
    def short(name: str) -> str:
        return str(Path(name).relative_to(top))

    return [(short(pair.first), short(pair.second), *pair[2:]) for pair in result.pairs]


def test_nothing_is_wrong(data: Path) -> None:
    result = check(data)
    assert result.parts == {"train": {"non-cat": 4, "cat": 6}, "test": {"non-cat": 2, "cat": 3}}
    assert (result.left_out, result.pairs, result.small, result.suspects) == ([], [], [], [])
    assert result.sizes == (64, 64, 64, 64)
    assert result.ok
    assert "train 4 (40%) 6 (60%) 10" in " ".join(str(result).split())
    assert "sizes: 64 × 64 pixels" in str(result)
    assert "contradicted" not in str(result)


def test_the_drawn_sample_has_no_image_twice() -> None:
    result = check(Path(__file__).parents[3] / "data" / "sample")
    assert result.parts["train"] == {"non-cat": 360, "cat": 360}
    assert result.pairs == []


def test_every_kind_of_duplicate_is_found(data: Path) -> None:
    write(data / "train/cat/z-same.png", sample.draw("cat", 1))
    write(data / "test/non-cat/z-wrong.png", sample.draw("cat", 2))
    write(data / "test/non-cat/z-jpeg.jpg", sample.draw("dog", 3), (100, 100), quality=60)
    write(data / "train/non-cat/z-small.jpg", sample.draw("dog", 0), (64, 64), quality=50)
    result = check(data)
    assert sorted(pairs(result, data)) == [
        ("train/cat/cat1.png", "train/cat/z-same.png", True, False, True),
        ("train/cat/cat2.png", "test/non-cat/z-wrong.png", True, True, False),
        ("train/non-cat/dog0.png", "train/non-cat/z-small.jpg", False, False, True),
        ("train/non-cat/dog3.png", "test/non-cat/z-jpeg.jpg", False, True, True),
    ]
    assert not result.ok
    printed = str(result)
    for title in (
        *("the same, in both parts: 1", "nearly the same, in both parts: 1"),
        *("the same, twice in one part: 1", "nearly the same, twice in one part: 1"),
    ):
        assert f"\n{title}\n" in printed
    assert "z-wrong.png  (in different classes)" in printed


def test_an_image_that_is_there_often_is_a_chain(data: Path) -> None:
    for i in range(4):
        write(data / f"train/cat/again{i}.png", sample.draw("cat", 50))
    result = check(data)
    assert len(result.pairs) == 4
    assert [pair.across for pair in result.pairs] == [False, False, False, True]


def test_duplicates_in_one_part_are_no_failure(data: Path, capsys) -> None:
    write(data / "train/cat/z-same.png", sample.draw("cat", 1))
    assert check(data).ok
    assert main.main(["data", "check", str(data)]) == 0
    write(data / "test/cat/z-same.png", sample.draw("cat", 1))
    assert main.main(["data", "check", str(data)]) == 1


def test_what_cannot_be_used_is_named_with_the_reason(data: Path, capsys) -> None:
    (data / "train/cat/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of an image")
    (data / "train/cat/empty.png").write_bytes(b"")
    write(data / "train/stray.png", sample.draw("cat", 90))
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert main.main(["data", "check", str(data)]) == 1
    printed = capsys.readouterr().out
    assert "cannot be used: 3" in printed
    assert f"{data}/train/cat/broken.jpg: " in printed
    assert f"{data}/train/cat/empty.png: empty file" in printed
    assert "stray.png: not in a class folder" in printed
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_what_is_no_image_is_listed_and_no_failure(data: Path, tmp_path: Path, capsys) -> None:
    write(data / "train/cat/@eaDir/cat0.png/thumb.png", sample.draw("cat", 0), (40, 40))
    (data / "notes.txt").write_text("x")
    (data / "train/Thumbs.db").write_bytes(b"x")
    (data / "train/cat/cat0.png").rename(data / "train/cat/noext")
    names = [f"{data}/{name}" for name in ("notes.txt", "train/Thumbs.db", "train/cat/@eaDir")]
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for path in sorted(data.rglob("*")):
            archive.write(path, path.relative_to(data))
    for where in (data, tmp_path / "d.zip"):
        assert main.main(["data", "check", str(where)]) == 0
        printed = capsys.readouterr().out
        listed = [name.replace(str(data), str(where)) for name in names]
        assert sorted(check(where).others) == listed
        assert "cannot be used: 0\nnot images: 3\n" in printed
        assert all(f"\n  {name}\n" in printed for name in listed)
        assert "ignored, not images: 1 .db, 1 .txt, 1 folder @eaDir" in printed
        assert check(where).parts["train"] == {"non-cat": 4, "cat": 6}
        assert check(where).sizes == (64, 64, 64, 64)


@pytest.mark.parametrize(
    ("name", "content"),
    [("y.cr2", b"II*\0" + bytes(60)), ("y", b"8BPS\0\1"), ("y.heic", b"x"), ("y.jpg_large", b"x")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_looks_like_an_image_and_cannot_be_used_is_a_failure(
    data: Path, name: str, content: bytes
) -> None:
    (data / "train/cat" / name).write_bytes(content)
    result = check(data)
    assert not result.ok
    [line] = result.left_out
    assert line.startswith(f"{data}/train/cat/{name}: ")
    assert result.others == []


def test_the_automatic_test_part_has_no_pair_across(tmp_path: Path) -> None:
    for i in range(12):
        for size, quality in ((200, 95), (120, 50)):
            kind = "cat" if i % 2 else "dog"
            path = tmp_path / kind / f"{i}-{size}.jpg"
            write(path, sample.draw(kind, i), (size, size), quality=quality)
    whole, _ = dataset.load(tmp_path)
    assert len(check(tmp_path).pairs) == 12
    for seed in range(3):
        for part, data in zip(("train", "test"), dataset.split(whole, seed=seed), strict=True):
            with h5py.File(tmp_path / f"{seed}{part}.h5", "w") as file:
                file[f"{part}_set_x"], file[f"{part}_set_y"] = data.images, data.labels
                file["list_classes"] = np.array(data.classes, "S")
        place = tmp_path / f"h5-{seed}"
        place.mkdir()
        for part in ("train", "test"):
            (tmp_path / f"{seed}{part}.h5").rename(place / f"{part}.h5")
        assert check(place).ok
        assert len(check(place).pairs) == 12


def test_sizes_are_those_of_the_files(data: Path) -> None:
    write(data / "train/cat/wide.png", sample.draw("cat", 91), (300, 70))
    write(data / "train/cat/small.gif", sample.draw("cat", 92), (64, 40))
    result = check(data)
    assert result.sizes == (64, 300, 40, 70)
    assert result.small == [f"{data}/train/cat/small.gif"]
    assert "sizes: 64–300 × 40–70 pixels\nsmaller than 64 pixels: 1\n" in str(result)


def test_a_zip_and_h5_files_are_looked_through_as_well(data: Path, tmp_path: Path) -> None:
    write(data / "train/cat/wide.png", sample.draw("cat", 91), (300, 70))
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as archive:
        for path in data.rglob("*.png"):
            archive.write(path, Path("top") / path.relative_to(data))
    zipped, folder = check(tmp_path / "d.zip"), check(data)
    assert (zipped.parts, zipped.sizes) == (folder.parts, folder.sizes)
    train, test = dataset.load(data)
    assert test is not None
    (tmp_path / "h5").mkdir()
    for part, its, more in (("train", train, []), ("test", test, [0])):
        with h5py.File(tmp_path / "h5" / f"{part}.h5", "w") as file:
            file[f"{part}_set_x"] = np.concatenate([its.images, train.images[more]])
            file[f"{part}_set_y"] = np.concatenate([its.labels, train.labels[more]])
            file["list_classes"] = np.array([b"non-cat", b"cat"])
    result = check(tmp_path / "h5")
    assert result.sizes == (64, 64, 64, 64)
    [(first, second, *kind)] = result.pairs
    assert (Path(first).name, Path(second).name) == ("train.h5[0]", "test.h5[5]")
    assert kind == [True, True, True]


def test_labels_that_a_model_contradicts(tmp_path: Path, brightness: Classifier) -> None:
    top = tmp_path / "grey"
    levels = {"cat": [250, 240, 20, 230], "non-cat": [10, 200, 30, 90]}
    for label, greys in levels.items():
        for grey in greys:
            noise = np.random.default_rng(grey).integers(-9, 10, (64, 64, 3))
            write(top / label / f"{grey}.png", np.clip(noise + grey, 0, 255).astype(np.uint8))
    result = check(top, brightness)
    assert result.model == "brightness"
    names = [Path(suspect.name).name for suspect in result.suspects]
    assert names == ["20.png", "200.png"]  # 20 is further from the middle than 200
    assert [suspect[1:3] for suspect in result.suspects] == [("cat", "non-cat"), ("non-cat", "cat")]
    assert all(suspect.p > 0.5 for suspect in result.suspects)
    assert "label contradicted by brightness: 2\n" in str(result)


def test_a_model_of_other_classes_is_refused(tmp_path: Path, brightness: Classifier) -> None:
    for i, name in enumerate(("apple", "pear")):
        write(tmp_path / name / "0.png", sample.draw("fruit", i))
    with pytest.raises(UserError, match="the classes of the model are non-cat and cat"):
        check(tmp_path, brightness)


def test_a_model_knows_its_classes_in_another_case(tmp_path: Path, brightness: Classifier) -> None:
    for name, grey in (("Cat", 20), ("NON-CAT", 30)):
        write(tmp_path / name / "0.png", np.full((64, 64, 3), grey, np.uint8))
    [suspect] = check(tmp_path, brightness).suspects
    assert suspect[1:3] == ("Cat", "non-cat")  # its label as the data calls it, its answer


def test_long_lists_are_cut_in_print_and_whole_in_json(data: Path, capsys) -> None:
    for i in range(25):
        (data / f"train/cat/broken{i}.jpg").write_bytes(b"x")
    assert main.main(["data", "check", str(data)]) == 1
    printed = capsys.readouterr().out
    assert "cannot be used: 25" in printed
    assert printed.count("broken") == 20
    assert "  and 5 more" in printed
    assert main.main(["data", "check", str(data), "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert len(result["left_out"]) == 25
    assert result["ok"] is False
    assert result["parts"]["test"] == {"non-cat": 2, "cat": 3}
    assert result["sizes"] == [64, 64, 64, 64]


def test_json_has_pairs_and_suspects_by_name(data: Path, tmp_path, brightness, capsys) -> None:
    write(data / "test/cat/z-same.png", sample.draw("cat", 1))
    brightness.save(tmp_path / "model.safetensors")
    model = ["--model", str(tmp_path / "model.safetensors")]
    assert main.main(["data", "check", str(data), "--json", *model]) == 1
    result = json.loads(capsys.readouterr().out)
    [pair] = result["pairs"]
    assert pair["across"] is pair["exact"] is pair["same_label"] is True
    assert result["model"] == "brightness"
    assert [*result["suspects"][0]] == ["name", "label", "answer", "p"]


@pytest.mark.parametrize("what", ["nowhere", "note.txt", "empty"])
def test_what_is_no_data_is_one_line(tmp_path: Path, what: str, capsys) -> None:
    (tmp_path / "note.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    assert main.main(["data", "check", str(tmp_path / what)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("catnet: ")
    assert len(err.splitlines()) == 1


def test_a_header_is_enough_for_the_size(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (7, 3)).save(file, "BMP")
    (tmp_path / "x.jpg").write_bytes(file.getvalue()[:60])
    assert read_dimensions(file.getvalue()) == read_dimensions(tmp_path / "x.jpg") == (7, 3)
    with pytest.raises(ImageError):
        read_dimensions(b"no image")


def test_many_classes_are_one_a_row_the_smallest_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in range(30):
        for i in range(1 + (label != 7)):
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            write(tmp_path / f"class {label:02}" / f"{i}.png", pixels)
    result = check(tmp_path)
    lines = str(result).splitlines()
    assert lines[0] == "class              all"
    assert lines[1] == "class 07        1 (2%)"
    assert lines[2] == "class 00        2 (3%)"
    assert lines[21] == "and 10 classes with 2 images"
    assert lines[22] == "all                 59"
    assert sum(result.as_json()["parts"]["all"].values()) == 59
