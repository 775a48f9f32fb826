"""Zips of well-known sets are DATA; whatever only resembles one is read as the folders say."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from catnet.data.dataset import load
from catnet.errors import UserError

CAT, DOG = "n02123394", "n02085620"


def jpeg(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), grey).save(file, "JPEG")
    return file.getvalue()


def zipped(folder: Path, names: list[str], texts: dict[str, bytes] | None = None) -> Path:
    path = folder / "d.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(name, jpeg(10 * i))
        for name, text in (texts or {}).items():
            archive.writestr(name, text)
    return path


def unpacked(path: Path) -> Path:
    """The folder with what is in a zip."""
    folder = path.parent / "unpacked" / path.stem
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder


def labels(path: Path) -> list[dict[str, str]]:
    """For each part, what class each file is in; the same for the zip and for the folder."""
    if path.suffix == ".zip":
        result = labels(unpacked(path))
        assert [sorted(part.items()) for part in result] == [
            sorted(part.items()) for part in _labels(path)
        ]
    return _labels(path)


def _labels(path: Path) -> list[dict[str, str]]:
    return [
        {
            Path(name).name: part.classes[label]
            for name, label in zip(part.names, part.labels, strict=True)
        }
        for part in load(path)
        if part is not None
    ]


@pytest.mark.parametrize("top", ["", "train/"])
def test_the_competition(tmp_path: Path, top: str) -> None:
    names = [f"{top}{name}.jpg" for name in ("dog.0", "cat.0", "dog.1", "cat.12499")]
    assert labels(zipped(tmp_path, names)) == [
        {"dog.0.jpg": "non-cat", "dog.1.jpg": "non-cat", "cat.0.jpg": "cat", "cat.12499.jpg": "cat"}
    ]


def test_microsofts(tmp_path: Path) -> None:
    names = ["PetImages/Cat/0.jpg", "PetImages/Dog/1.jpg"]
    path = zipped(tmp_path, names, {"PetImages/Dog/Thumbs.db": b"x", "readme[1].txt": b"x"})
    assert labels(path) == [{"0.jpg": "cat", "1.jpg": "non-cat"}]


@pytest.mark.parametrize("top", ["PetImages/", ""])
def test_the_folder_of_microsofts_zip(tmp_path: Path, top: str) -> None:
    path = zipped(tmp_path, [f"{top}Cat/0.jpg", f"{top}Dog/1.jpg"])
    path = path.rename(tmp_path / "PetImages.zip")
    assert labels(path) == [{"0.jpg": "cat", "1.jpg": "non-cat"}]
    assert labels(unpacked(path) / top) == [{"0.jpg": "cat", "1.jpg": "non-cat"}]


def test_what_the_competition_wants_answers_for_is_not_used(tmp_path: Path) -> None:
    path = zipped(tmp_path, ["train/cat.0.jpg", "train/dog.0.jpg", "test1/1.jpg", "test1/2.jpg"])
    assert labels(path) == [{"cat.0.jpg": "cat", "dog.0.jpg": "non-cat"}]
    notes: list[str] = []
    load(path, on_note=notes.append)
    assert notes == [f"{path}: 2 images without a label are not used"]


def test_tiny_imagenet(tmp_path: Path) -> None:
    names = [
        *(f"tiny-imagenet-200/train/{CAT}/images/{CAT}_{i}.JPEG" for i in range(2)),
        *(f"tiny-imagenet-200/train/{DOG}/images/{DOG}_{i}.JPEG" for i in range(2)),
        *(f"tiny-imagenet-200/val/images/val_{i}.JPEG" for i in range(3)),
        "tiny-imagenet-200/test/images/test_0.JPEG",
    ]
    texts = {
        "tiny-imagenet-200/wnids.txt": f"{CAT}\n{DOG}\n".encode(),
        "tiny-imagenet-200/val/val_annotations.txt": (
            f"val_0.JPEG\t{DOG}\t0\t0\t9\t9\nval_1.JPEG\t{CAT}\t0\t0\t9\t9\n"
            f"val_2.JPEG\t{DOG}\t0\t0\t9\t9\n"
        ).encode(),
    }
    train, test = labels(zipped(tmp_path, names, texts))
    assert train == {f"{CAT}_{i}.JPEG": "cat" for i in range(2)} | {
        f"{DOG}_{i}.JPEG": "non-cat" for i in range(2)
    }
    assert test == {"val_0.JPEG": "non-cat", "val_1.JPEG": "cat", "val_2.JPEG": "non-cat"}


def test_tiny_imagenet_without_its_validation_part(tmp_path: Path) -> None:
    names = [f"train/{wnid}/images/{wnid}_0.JPEG" for wnid in (CAT, DOG)]
    [train] = labels(zipped(tmp_path, names, {"wnids.txt": b""}))
    assert train == {f"{CAT}_0.JPEG": "cat", f"{DOG}_0.JPEG": "non-cat"}


def test_damaged_labels_of_tiny_imagenet(tmp_path: Path) -> None:
    names = [f"train/{wnid}/images/{wnid}_0.JPEG" for wnid in (CAT, DOG)]
    path = zipped(tmp_path, names, {"wnids.txt": b"", "val/val_annotations.txt": b"\xff\xfe\x00"})
    with pytest.raises(UserError, match=r"val_annotations.txt is damaged"):
        load(path)


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["cats/cat.0.jpg", "dogs/dog.0.jpg"], {"cat.0.jpg": "cats", "dog.0.jpg": "dogs"}),
        (["a/cat.0.jpg", "b/cat.1.jpg"], {"cat.0.jpg": "a", "cat.1.jpg": "b"}),
        (["Cat/0.jpg", "Dog/1.jpg"], {"0.jpg": "Cat", "1.jpg": "Dog"}),
    ],
)
def test_class_folders_go_before_names(tmp_path: Path, names, classes) -> None:
    assert labels(zipped(tmp_path, names)) == [classes]


def test_a_stray_image_does_not_make_a_layout(tmp_path: Path) -> None:
    path = zipped(tmp_path, ["cat.0.jpg", "dog.0.jpg", "a/x.jpg", "b/y.jpg"])
    problems: list[str] = []
    train, _ = load(path, problems.append)
    assert train.classes == ("a", "b")
    assert len(problems) == 1
    assert "cat.0.jpg and 1 more: not in a class folder" in problems[0]


def test_tiny_imagenet_has_its_own_classes_on_demand(tmp_path: Path) -> None:
    wnids = ["n01443537", CAT, DOG]
    names = [
        f"tiny-imagenet-200/train/{wnid}/images/{wnid}_{i}.JPEG" for wnid in wnids for i in (0, 1)
    ]
    words = f"n01443537\tgoldfish, Carassius auratus\n{CAT}\tPersian cat\n{DOG}\tgoldfish\n"
    texts = {"wnids.txt": "\n".join(wnids).encode(), "words.txt": words.encode()}
    path = zipped(
        tmp_path,
        [*names, "tiny-imagenet-200/val/images/val_0.JPEG"],
        {
            **{f"tiny-imagenet-200/{name}": text for name, text in texts.items()},
            "tiny-imagenet-200/val/val_annotations.txt": f"val_0.JPEG\t{DOG}\t0\t0\t1\t1".encode(),
        },
    )
    train, test = load(path, all_classes=True)
    assert test is not None
    assert train.classes == ("goldfish", "goldfish, Carassius auratus", "Persian cat")
    assert sorted(train.labels.tolist()) == [0, 0, 1, 1, 2, 2]
    assert test.labels.tolist() == [0]
