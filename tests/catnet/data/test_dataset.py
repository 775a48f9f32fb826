"""DATA in each of its forms, how it is divided, and one line for whatever is wrong with it."""

from __future__ import annotations

import io
import os
import stat
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from catnet.data import dataset as datasets
from catnet.data.dataset import Dataset, load, split
from catnet.errors import UserError
from catnet.images.decode import decode

COURSE = Path(__file__).parents[3] / "../shared/data/catvnoncat"
course = pytest.mark.skipif(not COURSE.is_dir(), reason="the course's photos are not in ../shared")


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def png(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image(seed)).save(file, "PNG")
    return file.getvalue()


def write(top: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(data)
    return str(top)


def zipped(top: Path, files: dict[str, bytes], name: str = "d.zip") -> str:
    with zipfile.ZipFile(top / name, "w") as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return str(top / name)


def in_classes(*classes: str, top: str = "", first: int = 0, each: int = 2) -> dict[str, bytes]:
    names = [f"{top}{name}/{i}.png" for name in classes for i in range(each)]
    return {name: png(first + i) for i, name in enumerate(names)}


def refused(path: str | os.PathLike[str]) -> str:
    with pytest.raises(UserError) as caught:
        load(path)
    text = str(caught.value)
    assert "\n" not in text
    return text


# ---- image folders


def test_an_image_folder(tmp_path):
    files = in_classes("cat", "non-cat", each=2)
    path = write(tmp_path, {**files, "cat/deep/x.png": png(9), "cat/notes.txt": b"", ".git/a": b""})
    train, test = load(path)
    assert test is None
    assert train.classes == ("non-cat", "cat")
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int32
    names = ["cat/0.png", "cat/1.png", "cat/deep/x.png", "non-cat/0.png", "non-cat/1.png"]
    assert train.names == [f"{path}/{name}" for name in names]
    assert train.labels.tolist() == [1, 1, 1, 0, 0]
    np.testing.assert_array_equal(train.images, [image(seed) for seed in (0, 1, 9, 2, 3)])
    assert load(tmp_path)[0].names == train.names


@pytest.mark.parametrize(
    ("found", "classes"),
    [
        (("cat", "dog"), ("dog", "cat")),
        (("zebra", "Cats"), ("zebra", "Cats")),
        (("cat", "non-cat"), ("non-cat", "cat")),
        (("b", "a"), ("a", "b")),
        (("cat", "cats"), ("cat", "cats")),
        (("Apple", "banana"), ("Apple", "banana")),
    ],
)
def test_classes_are_known_by_name(tmp_path, found, classes):
    train, _ = load(write(tmp_path, in_classes(*found, each=1)))
    assert train.classes == classes
    of = {Path(name).parent.name: label for name, label in zip(train.names, train.labels)}  # noqa: B905
    assert of == {classes[0]: 0, classes[1]: 1}


@pytest.mark.parametrize("top", ["", "photos/", "train/"])
def test_three_classes_are_sorted_in_a_folder_and_in_a_zip(tmp_path, top):
    files = layout(f"{top}yak", f"{top}Cat", f"{top}emu")
    expected = {(1, "yak"), (2, "yak"), (11, "Cat"), (12, "Cat"), (21, "emu"), (22, "emu")}
    assert any_way(tmp_path / "d", files) == ([expected, set()], 0)
    train, _ = load(tmp_path / "d")
    assert train.classes == ("Cat", "emu", "yak")
    assert train.labels.dtype == np.int32
    assert sorted(train.labels.tolist()) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("turned", [False, True])
def test_the_test_part_may_lack_classes_but_has_no_new_ones(tmp_path, turned):
    pairs = [("train", "yak"), ("train", "cat"), ("train", "emu"), ("test", "yak"), ("test", "Cat")]
    names = [f"{name}/{part}" if turned else f"{part}/{name}" for part, name in pairs]
    path, notes = write(tmp_path, layout(*names)), list[str]()
    train, test = load(path, on_note=notes.append)
    assert test is not None
    assert train.classes == test.classes == ("cat", "emu", "yak")
    assert what_is_in(test) == {(31, "yak"), (32, "yak"), (41, "cat"), (42, "cat")}
    assert notes == [f"{path}: the test part has no images of emu"]
    if not turned:
        write(tmp_path, {"test/gnu/1.ppm": dot(60)})
        assert (
            "training classes are cat, emu and yak, but test classes Cat, gnu and yak"
            in refused(path)
        )


@pytest.mark.parametrize("test_name", ["test", "val", "validation", "Test"])
def test_train_and_test_folders(tmp_path, test_name):
    path = write(tmp_path, in_classes("cat", "non-cat", top="train/", each=2))
    write(tmp_path, in_classes("cat", "non-cat", top=f"{test_name}/", first=50, each=1))
    train, test = load(path)
    assert test is not None
    assert train.labels.tolist() == [1, 1, 0, 0]
    assert test.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(test.images[0], image(50))


def test_a_single_part_comes_first(tmp_path):
    for part in ("train", "test"):
        one, none = load(write(tmp_path / part, in_classes("a", "b", top=f"{part}/", each=1)))
        assert (len(one.names), none) == (2, None)


def test_a_third_part_or_a_stray_image_is_not_dropped_silently(tmp_path):
    files = {**in_classes("a", "b", top="train/"), **in_classes("a", "b", top="test/", first=20)}
    path = write(tmp_path / "three", {**files, **in_classes("a", "b", top="val/", first=30)})
    assert "three/val/a/0.png and 3 more: in val; only train and test are used" in refused(path)
    problems = []
    train, test = load(path, problems.append)
    assert len(train.names) == 4
    assert test is not None
    (line,) = problems
    assert "3 more" in line
    path = write(tmp_path / "stray", {**in_classes("a", "b"), "overview.png": png(9)})
    assert "overview.png: not in a class folder" in refused(path)
    load(path, problems.append)
    assert len(problems) == 2


def test_unreadable_images_are_named_or_refused(tmp_path):
    files = in_classes("cat", "dog", each=3)
    files["cat/1.png"] = files["cat/1.png"][:500]
    files["dog/2.png"] = b""
    path = write(tmp_path, files)
    assert "cat/1.png: damaged" in refused(path)
    problems = []
    train, _ = load(path, problems.append)
    assert [line.split(": ")[0] for line in problems] == [f"{path}/cat/1.png", f"{path}/dog/2.png"]
    assert len(train.images) == len(train.labels) == len(train.names) == 4
    assert train.labels.tolist() == [1, 1, 0, 0]
    np.testing.assert_array_equal(train.images[1], image(2))


def test_a_class_of_which_nothing_is_left_is_refused(tmp_path):
    path = write(tmp_path, {**in_classes("cat"), "dog/1.png": b"junk"})
    with pytest.raises(UserError, match="dog: none of its images can be read"):
        load(path, lambda line: None)


def test_folders_that_are_no_dataset(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no images" in refused(empty)
    assert "No such file" in refused(tmp_path / "missing")
    assert "not a possible name" in refused("a\0b")
    assert "has one class, cat, and two are" in refused(write(tmp_path / "one", in_classes("cat")))
    flat = refused(write(tmp_path / "flat", {"1.png": png(1), "2.png": png(2)}))
    assert "not in class folders; expected cat/ and non-cat/" in flat
    files = {**in_classes("a", "b", top="train/"), **in_classes("a", "c", top="test/")}
    assert "training classes are a and b, but test classes a and c" in refused(
        write(tmp_path / "parts", files)
    )
    os.mkfifo(tmp_path / "pipe.zip")
    assert "neither a folder nor a file" in refused(tmp_path / "pipe.zip")
    assert "not a dataset" in refused(write(tmp_path / "x", {"a.csv": b"1"}) + "/a.csv")


# ---- zips


def test_a_zip_gives_what_its_folder_gives(tmp_path):
    files = {**in_classes("cat", "dog", top="train/"), **in_classes("cat", "dog", top="test/")}
    folder, archive = write(tmp_path / "d", files), zipped(tmp_path, files)
    for ours, theirs in zip(load(archive), load(folder), strict=True):
        assert ours is not None
        assert theirs is not None
        np.testing.assert_array_equal(ours.images, theirs.images)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        assert [os.path.relpath(n, archive) for n in ours.names] == [
            os.path.relpath(n, folder) for n in theirs.names
        ]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "d", tmp_path / "d.zip"]  # nothing unpacked


def test_a_zipped_folder_and_what_systems_add_to_it(tmp_path):
    extra = {"__MACOSX/photos/cat/._0.png": b"", "photos/.DS_Store": b"", "photos/cat/": b""}
    path = zipped(tmp_path, {**in_classes("cat", "dog", top="photos/"), **extra})
    train, _ = load(path)
    assert train.labels.tolist() == [1, 1, 0, 0]
    assert train.names[0] == f"{path}/photos/cat/0.png"
    assert "has one class, cat, and" in refused(zipped(tmp_path, in_classes("cat"), "one.zip"))


@pytest.mark.parametrize(
    "name", ["../cat/x.png", "/cat/x.png", "cat/../../x.png", "C:/cat/x.png", "cat\\x.png", "/"]
)
def test_zips_that_lead_out_are_refused(tmp_path, name):
    files = in_classes("cat", "dog")
    assert "not safe to read" in refused(zipped(tmp_path, {**files, name: png(1)}))


def test_zips_with_links_or_doubles_are_refused(tmp_path):
    path = zipped(tmp_path, in_classes("cat", "dog"))
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("cat/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert "not safe to read" in refused(path)
    path = zipped(tmp_path, in_classes("cat", "dog"))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("cat/0.png", png(7))
    assert "not safe to read" in refused(path)


def test_bombs_are_refused_by_what_they_claim_and_by_what_they_hold(tmp_path, monkeypatch):
    path = zipped(tmp_path, in_classes("cat", "dog"))
    monkeypatch.setattr(datasets, "MAX_TOTAL_BYTES", 10_000)
    assert "unpacks to" in refused(path)
    monkeypatch.undo()
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/zeros.png", bytes(130 * 2**20))
    problems = []
    load(path, problems.append)
    (line,) = problems
    assert "cat/zeros.png: larger than 128 MB" in line


def test_damaged_zips(tmp_path):
    data = bytearray(Path(zipped(tmp_path, in_classes("cat", "dog"))).read_bytes())
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    assert "not a zip, or a damaged one" in refused(tmp_path / "cut.zip")
    (tmp_path / "no.zip").write_bytes(b"hello")
    assert "not a zip" in refused(tmp_path / "no.zip")
    data[100] ^= 255  # within the first member
    (tmp_path / "flip.zip").write_bytes(data)
    assert "cat/0.png: cannot be read: damaged in the zip" in refused(tmp_path / "flip.zip")


class Unmarked(zipfile.ZipInfo):
    """A name that stands in the zip as it is, without the mark of UTF-8."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode("cp437"), 0


@pytest.mark.parametrize("written", ["utf-8", "cp437", "marked"])
def test_names_in_a_zip_are_read_as_they_were_meant(tmp_path, written):
    path = tmp_path / "d.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for seed, folder in enumerate(("café", "thé")):
            name = f"{folder}/0.png"
            info = zipfile.ZipInfo(name)
            if written != "marked":
                info = Unmarked(name.encode(written).decode("cp437"))
            archive.writestr(info, png(seed))
    train, _ = load(path)
    assert train.classes == ("café", "thé")
    np.testing.assert_array_equal(train.images, [image(0), image(1)])


# ---- which folders are classes


def dot(number: int) -> bytes:
    """A file that is an image of one colour, by which it is known."""
    return b"P6 1 1 255 " + bytes([number, 255 - number, number // 2])


def what_is_in(part: Dataset | None) -> set[tuple[int, str]]:
    """The number of each image, and the name of its class."""
    if part is None:
        return set()
    numbers = part.images[:, 0, 0, 0].tolist()
    return {(n, part.classes[label]) for n, label in zip(numbers, part.labels, strict=True)}


def layout(*names: str) -> dict[str, bytes]:
    return {f"{name}/{i}.ppm": dot(10 * n + i) for n, name in enumerate(names) for i in (1, 2)}


def in_a_zip(folder: Path, how: str) -> str:
    """A zip of a folder: with its name on top, without, or in a zip of another name."""
    name = "other.zip" if how == "renamed" else f"{folder.name}.zip"
    (folder.parent / how).mkdir(exist_ok=True)
    path = folder.parent / how / name
    top = folder if how == "without" else folder.parent
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(top))
    return str(path)


def any_way(folder: Path, files: dict[str, bytes]):
    """What ``load`` gives or says of a folder; the same for every zip of it."""
    write(folder, files)

    def one(path: str):
        problems: list[str] = []
        try:
            loaded = load(path, problems.append)
        except UserError as error:
            return str(error).split(": ", 1)[1].split("/")[-1]
        return [what_is_in(part) for part in loaded], len(problems)

    results = [one(path) for path in (str(folder), *(in_a_zip(folder, how) for how in WAYS))]
    assert all(result == results[0] for result in results), results
    return results[0]


WAYS = ("with", "without", "renamed")
TOPS = ("photos", "test", "val", "Training", "cats", "cat", "TRAIN", "non-cat", "a.b")
ALL = {(1, "non-cat"), (2, "non-cat"), (11, "cat"), (12, "cat")}


@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize("above", ["", "more/", "train/", "Test/x/"])
def test_the_name_of_the_folder_around_the_classes_is_no_matter(tmp_path, top, above):
    found = any_way(tmp_path / top, layout(f"{above}non-cat", f"{above}cat"))
    assert found == ([ALL, set()], 0)


@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize("parts", [("train", "test"), ("Training", "VAL"), ("TRAIN", "Valid")])
def test_parts_are_found_below_any_folder(tmp_path, top, parts):
    first, second = parts
    files = layout(f"{first}/non-cat", f"{first}/cat", f"{second}/Cat", f"{second}/Non-Cat")
    test = {(21, "cat"), (22, "cat"), (31, "non-cat"), (32, "non-cat")}
    for above in ("", "outer/", "val/"):
        moved = {above + name: data for name, data in files.items()}
        found = any_way(tmp_path / above.strip("/") / top, moved)
        assert found == ([ALL, test], 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [("train", "plane"), ("valid", "invalid"), ("test", "control"), ("Val", "other")],
)
def test_classes_may_be_called_like_parts(tmp_path, one, other):
    expected = {(1, one), (2, one), (11, other), (12, other)}
    assert any_way(tmp_path / "d", layout(one, other)) == ([expected, set()], 0)
    files = layout(f"train/{one}", f"train/{other}", f"test/{one}", f"test/{other}")
    (train, test), _ = any_way(tmp_path / "parts", files)
    assert train == expected
    assert test == {(21, one), (22, one), (31, other), (32, other)}


def test_folders_in_a_class_belong_to_it(tmp_path):
    files = layout("cat/2019", "cat/2020/deep", "cat", "non-cat/train", "non-cat/x")
    (train, _), problems = any_way(tmp_path / "d", files)
    assert {number for number, name in train if name == "cat"} == {1, 2, 11, 12, 21, 22}
    assert (len(train), problems) == (10, 0)


def test_classes_that_consist_of_parts_are_turned_round(tmp_path):
    files = layout("non-cat/train", "cat/train", "cat/test", "non-cat/test")
    test = {(21, "cat"), (22, "cat"), (31, "non-cat"), (32, "non-cat")}
    assert any_way(tmp_path / "d", files) == ([ALL, test], 0)


def test_a_third_part_is_left_over_with_a_line(tmp_path):
    files = layout(
        "train/non-cat", "train/cat", "val/cat", "val/non-cat", "test/cat", "test/non-cat"
    )
    (train, test), problems = any_way(tmp_path / "d", files)
    assert train == ALL
    assert test == {(41, "cat"), (42, "cat"), (51, "non-cat"), (52, "non-cat")}
    assert problems == 1
    lines: list[str] = []
    load(tmp_path / "d", lines.append)
    assert lines == [f"{tmp_path}/d/val/cat/1.ppm and 3 more: in val; only train and test are used"]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (
            ("train/a", "train/b", "plane"),
            "train can be the training part, or a class beside plane",
        ),
        (("Test/a", "Test/b", "control"), "Test can be the test part, or a class beside control"),
        (("cat/2019", "cat/2020"), "cat can be the only class, or the folder of the classes 2019"),
        (("train", "test"), "images of test and train are not in class folders"),
        (("train/cat", "test/cat"), "has one class, cat, and two are needed at least"),
        (("cat",), "has one class, cat, and two are needed at least"),
        (("x/cat",), "has one class, "),
        (
            ("Train/a", "Train/b", "emu", "yak"),
            "Train can be the training part, or a class beside emu and yak",
        ),
        (("train/a", "train/b", "test"), "its images are not in class folders"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_the_remedy(tmp_path, names, line):
    text = refused(write(tmp_path / "d", layout(*names)))
    assert line in text
    assert text == refused(in_a_zip(tmp_path / "d", "with")).replace("with/d.zip", "d")


def test_a_stray_image_beside_the_folder_of_the_classes_is_named(tmp_path):
    files = {**layout("photos/cat", "photos/dog"), "overview.ppm": dot(99)}
    (train, _), problems = any_way(tmp_path / "d", files)
    assert (len(train), problems) == (4, 1)


# ---- names of classes


CAFE = ("caf\u00e9", "cafe\u0301")


@pytest.mark.parametrize(("one", "same"), [CAFE, CAFE[::-1], ("Cat", "cat"), ("cat ", "CAT")])
def test_names_of_classes_are_one_in_any_case_and_form_of_unicode(tmp_path, one, same):
    files = layout(f"train/{one}", "train/other", "test/other", f"test/{same}")
    (train, test), problems = any_way(tmp_path / "d", files)
    name = CAFE[0] if one in CAFE else one.strip()  # as the training part has it, composed
    assert train == {(1, name), (2, name), (11, "other"), (12, "other")}
    assert test == {(21, "other"), (22, "other"), (31, name), (32, name)}
    assert problems == 0


def test_two_folders_that_are_one_class_are_joined_with_a_note(tmp_path):
    notes: list[str] = []
    path = write(tmp_path, layout("Cat", "cat", "other"))
    train, _ = load(path, on_note=notes.append)
    assert train.classes == ("other", "Cat")
    assert train.labels.tolist() == [1, 1, 1, 1, 0, 0]
    assert notes == [f"{path}: the folders 'Cat' and 'cat' are merged to one class, Cat"]


def test_h5_files_may_write_their_classes_differently(tmp_path):
    train = h5(tmp_path / "a.HDF5", train_set_x=X, train_set_y=Y)
    classes = np.array(["Non-Cat ", "CAT"], "S")
    h5(tmp_path / "b.H5", test_set_x=X, test_set_y=Y, list_classes=classes)
    (tmp_path / "._b.h5").write_bytes(b"what macOS puts beside a file")
    first, second = load(tmp_path)
    assert second is not None
    assert first.classes == second.classes == load(train)[0].classes == ("non-cat", "cat")


def test_h5_files_are_found_below_and_in_a_zip_the_remedy_is_named(tmp_path):
    (tmp_path / "d" / "datasets").mkdir(parents=True)
    h5(tmp_path / "d/datasets/a.h5", train_set_x=X, train_set_y=Y)
    train, _ = load(tmp_path / "d")
    assert train.names[0] == f"{tmp_path}/d/datasets/a.h5[0]"
    assert "h5 files in a zip cannot be read; unpack the zip" in refused(
        in_a_zip(tmp_path / "d", "with")
    )


# ---- what is no image


def test_what_is_passed_over_is_noted_and_no_problem(tmp_path):
    files = {**layout("cat", "dog"), "cat/a.txt": b"x", "b.TXT": b"x", "dog/c": b"x"}
    path = write(tmp_path / "d", {**files, "dog/@eaDir/1.ppm": dot(7), "dog/noext": dot(50)})
    for data in (
        path,
        zipped(tmp_path, {**files, "dog/@eaDir/1.ppm": dot(7), "dog/noext": dot(50)}),
    ):
        notes: list[str] = []
        train, _ = load(data, on_note=notes.append)
        assert {number for number, _ in what_is_in(train)} == {1, 2, 11, 12, 50}
        kinds = "2 .txt, 1 folder @eaDir, 1 without extension"
        assert notes == [f"{data}: ignored, not images: {kinds}"]
    only = refused(write(tmp_path / "none", {"cat/a.txt": b"x"}))
    assert "has no images (ignored, not images: 1 .txt)" in only


def test_images_that_cannot_be_decoded_are_problems_by_name_or_content(tmp_path):
    files = {**layout("cat", "dog"), "cat/y.svg": bytes(60), "dog/y": b"8BPS\0\1"}
    for data in (write(tmp_path / "d", files), zipped(tmp_path, files)):
        problems: list[str] = []
        train, _ = load(data, problems.append)
        assert len(train.names) == 4
        remedy = "which is not supported; save it as JPEG or PNG"
        assert problems == [
            f"{data}/cat/y.svg: .svg, an image format, {remedy}",
            f"{data}/dog/y: a Photoshop file, {remedy}",
        ]


# ---- HDF5


def h5(path: Path, **arrays) -> str:
    names = {"list_classes": np.array([b"non-cat", b"cat"])}
    with h5py.File(path, "w") as file:
        for key, value in {**names, **arrays}.items():
            if value is not None:
                file[key] = value
    return str(path)


X = np.stack([image(seed) for seed in range(4)])
Y = np.array([0, 1, 1, 0])


def test_h5_with_one_part_or_both(tmp_path):
    path = h5(tmp_path / "a.h5", train_set_x=X, train_set_y=Y, test_set_x=X[1:], test_set_y=Y[1:])
    train, test = load(path)
    assert test is not None
    np.testing.assert_array_equal(train.images, X)
    np.testing.assert_array_equal(test.images, X[1:])
    assert train.labels.tolist() == Y.tolist()
    assert train.labels.dtype == np.int32
    assert train.names[2] == f"{path}[2]"
    only, none = load(h5(tmp_path / "b.h5", test_set_x=X, test_set_y=Y))
    assert none is None
    np.testing.assert_array_equal(only.images, X)


def test_h5_labels_follow_the_names_of_the_classes(tmp_path):
    swapped = np.array([b"cat", b"non-cat"])
    path = h5(tmp_path / "a.h5", train_set_x=X, train_set_y=Y, list_classes=swapped)
    train, _ = load(path)
    assert train.classes == ("non-cat", "cat")
    assert train.labels.tolist() == (1 - Y).tolist()


def test_h5_files_of_three_classes(tmp_path):
    classes = np.array([b"yak", b"cat", b"emu"])
    three = {"list_classes": classes, "train_set_x": X, "train_set_y": np.array([0, 1, 2, 0])}
    path = h5(tmp_path / "a.h5", test_set_x=X[:2], test_set_y=Y[:2], **three)
    train, test = load(path)
    assert test is not None
    assert train.classes == test.classes == ("cat", "emu", "yak")
    assert train.labels.tolist() == [2, 0, 1, 2]
    assert test.labels.tolist() == [2, 0]


def test_a_folder_with_two_h5_files(tmp_path):
    h5(tmp_path / "x.h5", test_set_x=X[1:], test_set_y=Y[1:])
    h5(tmp_path / "y.h5", train_set_x=X, train_set_y=Y)
    train, test = load(tmp_path)
    assert test is not None
    assert (len(train.names), len(test.names)) == (4, 3)
    h5(tmp_path / "z.h5", train_set_x=X, train_set_y=Y)
    assert "more than one file has a train_set_x" in refused(tmp_path)
    write(tmp_path, in_classes("a", "b"))
    assert "both images and h5 files" in refused(tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"train_set_y": None}, "no train_set_y"),
        ({"train_set_x": None}, "no train_set_x"),
        ({"list_classes": None}, "no list_classes"),
        ({"train_set_x": None, "train_set_y": None}, "neither train_set_x nor test_set_x"),
        ({"train_set_x": X[:, :32]}, r"but is \(4, 32, 64, 3\) uint8"),
        ({"train_set_x": X[..., 0]}, r"but is \(4, 64, 64\) uint8"),
        ({"train_set_x": X / 255}, "but is .* float64"),
        ({"train_set_x": X * np.nan}, "train_set_x holds NaN"),
        ({"train_set_x": X.astype(np.int64)}, "int64"),
        (
            {"train_set_y": Y[:3]},
            r"must have the shape \(4,\), one label an image; its shape is \(3,\)",
        ),
        ({"train_set_y": Y[None]}, r"its shape is \(1, 4\)"),
        ({"train_set_y": Y + 1}, "must be 0 or 1, but holds 2"),
        ({"train_set_y": Y * np.nan}, "must be 0 or 1, but holds nan"),
        ({"train_set_y": np.array([b"a", b"b", b"c", b"d"])}, "must be 0 or 1"),
        ({"train_set_y": Y * 0}, "one class only"),
        ({"train_set_x": X[:0], "train_set_y": Y[:0]}, "one class only"),
        ({"list_classes": np.array([b"a", b"b", b"c"])}, "train_set_y has no images of c"),
        ({"list_classes": np.array([b"a"])}, r"from 2 to 30000 classes, but its shape is \(1,\)"),
        ({"list_classes": np.array([b"cat", b"cat"])}, "has one class, cat"),
        (
            {"list_classes": np.array([b"a", b"b", b"B"]), "train_set_y": np.array([0, 1, 2, 0])},
            "list_classes has the same name twice",
        ),
        (
            {"list_classes": np.array([b"a", b"b", b"c"]), "train_set_y": Y * 3},
            "must be from 0 to 2, but holds 3",
        ),
        ({"train_set_x": h5py.ExternalLink("/dev/zero", "x")}, "must be an array in this file"),
        ({"train_set_x": h5py.SoftLink("/train_set_y")}, "must be an array in this file"),
        ({"train_set_x": h5py.Empty("f4")}, "must be"),
    ],
)
def test_h5_files_that_do_not_fit(tmp_path, arrays, message):
    path = h5(tmp_path / "a.h5", **{"train_set_x": X, "train_set_y": Y, **arrays})
    with pytest.raises(UserError, match=message):
        load(path)


def test_h5_arrays_that_lie_in_other_files_are_refused(tmp_path):
    other = h5(tmp_path / "other.h5", x=X)
    layout = h5py.VirtualLayout(X.shape, np.uint8)
    layout[:] = h5py.VirtualSource(other, "x", X.shape)
    path = h5(tmp_path / "virtual.h5", train_set_y=Y)
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("train_set_x", layout)
    assert "must be an array in this file" in refused(path)
    path = h5(tmp_path / "external.h5", train_set_y=Y)
    with h5py.File(path, "a") as file:
        pieces = [("/dev/zero", 0, X.nbytes)]
        file.create_dataset("train_set_x", X.shape, np.uint8, external=pieces)
    assert "must be an array in this file" in refused(path)


def test_an_h5_file_that_claims_too_much(tmp_path):
    path = h5(tmp_path / "a.h5", train_set_y=Y)
    with h5py.File(path, "a") as file:  # never written, so a few bytes on disk
        file.create_dataset("train_set_x", (10**9, 64, 64, 3), np.uint8, chunks=(1, 64, 64, 3))
    assert "the limit is 4 GB" in refused(path)


def test_files_that_are_no_h5(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"hello")
    assert "not an HDF5 file" in refused(tmp_path / "a.h5")
    path = Path(h5(tmp_path / "b.h5", train_set_x=X, train_set_y=Y))
    path.write_bytes(path.read_bytes()[:5000])
    assert "not an HDF5 file, or a damaged one" in refused(path)


def test_without_h5py_the_remedy_is_named(tmp_path, monkeypatch):
    path = h5(tmp_path / "a.h5", train_set_x=X, train_set_y=Y)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "pip install 'jaxnn[apps]'" in refused(path)


@course
def test_the_course_photos():
    train, test = load(COURSE)
    assert test is not None
    assert train.images.shape == (209, 64, 64, 3)
    assert test.images.shape == (50, 64, 64, 3)
    assert (train.labels.sum(), test.labels.sum()) == (72, 33)
    assert train.classes == test.classes == ("non-cat", "cat")
    np.testing.assert_array_equal(test.images[17], train.images[146])
    with h5py.File(COURSE / "train_catvnoncat.h5") as file:
        np.testing.assert_array_equal(train.images, file["train_set_x"][()])  # type: ignore[index]
        np.testing.assert_array_equal(train.labels, file["train_set_y"][()])  # type: ignore[index]


# ---- dividing


def dataset(seeds: list[int], labels: list[int]) -> Dataset:
    images = np.stack([image(seed) for seed in seeds])
    names = [f"{i}.png" for i in range(len(seeds))]
    return Dataset(images, np.array(labels, np.int32), names, ("non-cat", "cat"))


def contents(part: Dataset) -> set[bytes]:
    return {image.tobytes() for image in part.images}


def test_split_keeps_every_image_once_and_its_label():
    whole = dataset(list(range(40)), [i % 4 == 0 for i in range(40)])
    train, test = split(whole, 0.25)
    assert sorted(train.names + test.names) == sorted(whole.names)
    for part in (train, test):
        for image, label, name in zip(*part[:3], strict=True):
            at = whole.names.index(name)
            np.testing.assert_array_equal(image, whole.images[at])
            assert label == whole.labels[at]
        assert part.classes == whole.classes
    assert (len(test.names), test.labels.sum()) == (10, 2)  # round(7.5) = 8, round(2.5) = 2


def test_split_looks_at_pixels_only():
    seeds, labels = list(range(30)), [i % 2 for i in range(30)]
    _, test = split(dataset(seeds, labels))
    _, turned = split(dataset(seeds[::-1], labels[::-1]))
    assert contents(test) == contents(turned)
    _, other = split(dataset(seeds, labels), seed=1)
    assert contents(test) != contents(other)


def test_split_keeps_duplicates_on_one_side_even_with_two_labels():
    seeds = [i % 15 for i in range(60)]  # every image four times, some under both labels
    labels = [int(seed < 8) for seed in seeds[:45]] + [int(seed < 5) for seed in seeds[45:]]
    train, test = split(dataset(seeds, labels), 0.3)
    assert len(train.names) + len(test.names) == 60
    assert not contents(train) & contents(test)
    _, turned = split(dataset(seeds[::-1], labels[::-1]), 0.3)
    assert contents(turned) == contents(test)


def waves(seed: int) -> Image.Image:
    """An image that looks like no other, and the same in every size."""
    small = np.random.default_rng(seed).integers(0, 256, (10, 10, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((200, 200), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def retaken() -> tuple[Dataset, list[int]]:
    """Forty images, each in one to three sizes and qualities; and which one each is."""
    images, labels, numbers = [], [], []
    for i in range(40):
        for size, quality in ((200, 95), (160, 60), (120, 40))[: 1 + i % 3]:
            file = io.BytesIO()
            waves(i).resize((size, size)).save(file, "JPEG", quality=quality)
            images.append(decode(file.getvalue()))
            labels.append(i % 2)
            numbers.append(i)
    names = [f"{i}.jpg" for i in range(len(images))]
    return Dataset(np.stack(images), np.array(labels), names, ("non-cat", "cat")), numbers


def sides(part: Dataset, numbers: list[int]) -> list[int]:
    return [numbers[int(name.split(".")[0])] for name in part.names]


def test_split_keeps_a_photo_in_other_sizes_and_qualities_on_one_side(retaken):
    whole, numbers = retaken
    train, test = split(whole)
    assert len(train.names) + len(test.names) == len(whole.names)
    assert not {*sides(train, numbers)} & {*sides(test, numbers)}
    for label in (0, 1):
        share = np.mean(test.labels == label) * len(test.labels) / np.sum(whole.labels == label)
        assert 0.15 < share < 0.25
    _, other = split(whole, seed=1)
    assert sides(other, numbers) != sides(test, numbers)


def test_split_of_near_duplicates_looks_neither_at_order_nor_at_names(retaken):
    whole, numbers = retaken
    _, test = split(whole)
    order = np.random.default_rng(0).permutation(len(numbers))
    names = [f"{i}." for i in range(len(numbers))]
    turned = Dataset(whole.images[order], whole.labels[order], names, whole.classes)
    _, again = split(turned)
    assert sorted(sides(again, [numbers[i] for i in order])) == sorted(sides(test, numbers))


def test_split_takes_no_crowd_that_is_more_than_was_asked_for():
    images = np.repeat(image(0)[None], 20, axis=0)
    images[:, 0, 0, 0] = np.arange(20)  # one image in twenty versions
    other = np.stack([image(seed) for seed in range(1, 26)])
    labels = np.array([1] * 25 + [0] * 20)
    names = [str(i) for i in range(45)]
    whole = Dataset(np.concatenate([images, other]), labels, names, ("non-cat", "cat"))
    for seed in range(5):
        train, test = split(whole, 0.2, seed)
        assert {name for name in train.names if int(name) < 20} == {str(i) for i in range(20)}
        assert len(test.names) == 9  # round(5) of the cats, 4 of the others


def test_split_has_every_class_on_both_sides():
    labels = [i % 10 for i in range(50)]
    whole = dataset(list(range(50)), labels)._replace(classes=tuple("abcdefghij"))
    train, test = split(whole)
    assert sorted(test.labels.tolist()) == list(range(10))
    assert np.bincount(train.labels).tolist() == [4] * 10


def test_split_leaves_both_classes_on_both_sides_or_refuses():
    for fraction in (0.01, 0.99):
        train, test = split(dataset([1, 2, 3, 4], [0, 0, 1, 1]), fraction)
        assert sorted(train.labels) == sorted(test.labels) == [0, 1]
    with pytest.raises(UserError, match="cat: has too few different images"):
        split(dataset([1, 2, 3, 3], [0, 0, 1, 1]))
    with pytest.raises(UserError, match="between 0 and 1"):
        split(dataset([1, 2, 3, 4], [0, 0, 1, 1]), 1.0)
