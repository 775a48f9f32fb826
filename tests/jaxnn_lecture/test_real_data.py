"""Real data by folder: what is read, what is said on the page, and one line for each wrong file."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from sequence_files import write, write_wav

from catnet.errors import UserError
from jaxnn_lecture.cache import hash_folder
from jaxnn_lecture.chapter import Settings
from jaxnn_lecture.chapters import digits, real_texts, speech
from jaxnn_lecture.data import check_sequences
from jaxnn_lecture.idx import read_digits
from seqnet.evaluation.accuracy import Accuracy


def settings(folder: Path | None, **numbers: int) -> Settings:
    def no_images() -> None:
        raise AssertionError

    return Settings({"seed": 1, **numbers}, no_images, folder)  # pyright: ignore


def idx(array: np.ndarray) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def test_digits_are_read_and_divided(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    images, labels = np.arange(40).reshape(2, 4, 5), np.array([3, 9])
    write(folder / "t10k-images-idx3-ubyte", idx(images))
    write(folder / "t10k-labels-idx1-ubyte", idx(labels))
    write(folder / "train-images-idx3-ubyte.gz", gzip.compress(idx(images + 100)))
    write(folder / "train-labels-idx1-ubyte.gz", gzip.compress(idx(labels - 1)))
    found, digits_found = read_digits(folder)
    np.testing.assert_array_equal(found[..., 0], np.concatenate([images, images + 100]))
    assert digits_found.tolist() == [3, 9, 2, 8]


def test_a_file_of_digits_is_read_once_and_no_other_name(tmp_path: Path) -> None:
    images, labels = np.arange(40).reshape(2, 4, 5), np.array([3, 9])
    for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        write(tmp_path / name, idx(array))
        write(tmp_path / f"{name}.gz", gzip.compress(idx(array)))
        write(tmp_path / f"{name}.gz.part", b"half")
    assert read_digits(tmp_path)[1].tolist() == [3, 9]
    (tmp_path / "labels-idx1-ubyte").unlink()
    assert read_digits(tmp_path)[1].tolist() == [3, 9]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("images-idx3-ubyte", b"\0\0\x08\x03\0", "images-idx3-ubyte: not an IDX file"),
        ("labels-idx1-ubyte", idx(np.array([1])), "expected 2 digits from 0 to 9"),
        ("labels-idx1-ubyte", idx(np.array([1, 10])), "expected 2 digits from 0 to 9"),
        ("labels-idx1-ubyte", None, "labels-idx1-ubyte is missing"),
        ("images-idx3-ubyte", None, "has no file"),
        ("images-idx3-ubyte.gz", b"no gzip", "images-idx3-ubyte.gz: cannot be read"),
    ],
)
def test_a_wrong_file_of_digits_is_named(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    write(tmp_path / "images-idx3-ubyte", idx(np.zeros((2, 4, 5))))
    write(tmp_path / "labels-idx1-ubyte", idx(np.array([1, 2])))
    if name.endswith(".gz"):
        (tmp_path / name.removesuffix(".gz")).unlink()
    if content is None:
        (tmp_path / name).unlink()
    else:
        write(tmp_path / name, content)
    with pytest.raises(UserError, match=words):
        read_digits(tmp_path)


def test_the_test_part_of_digits_is_not_for_training(tmp_path: Path) -> None:
    count = 1020
    images = np.zeros((count, 4, 5), int)
    images[:, 0, 0], images[:, 0, 1] = np.arange(count) % 256, np.arange(count) // 256
    write(tmp_path / "mnist" / "images-idx3-ubyte", idx(images))
    write(tmp_path / "mnist" / "labels-idx1-ubyte", idx(np.arange(count) % 10))
    known, test, source = digits.load(settings(tmp_path, examples=2000))
    numbers = [
        set((p.images[:, 0, 0, 0] + 256 * p.images[:, 0, 1, 0].astype(int)).tolist())
        for p in (known, test)
    ]
    assert [len(one) for one in numbers] == [20, 1000]
    assert not numbers[0] & numbers[1]
    assert "MNIST" in source
    assert "No real digits are given" in digits.load(settings(None, examples=10))[2]


def test_digits_without_room_for_a_test_part_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "mnist" / "images-idx3-ubyte", idx(np.zeros((1000, 4, 5))))
    write(tmp_path / "mnist" / "labels-idx1-ubyte", idx(np.arange(1000) % 10))
    with pytest.raises(UserError, match=r"mnist: has 1000 images; give more than 1000"):
        digits.load(settings(tmp_path, examples=20))


def test_recordings_without_speakers_have_no_claim_about_speakers(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(speech, "measure_speech", lambda data, is_test: Accuracy(9, 10))
    for i, label in enumerate(("no", "yes") * 6):
        write_wav(tmp_path / "fsdd" / label / f"{i}.wav", np.sin(np.arange(600) / (3 + i)))
    chapter = speech.run(settings(tmp_path, steps=2))
    assert len(chapter.claims) == 2
    assert "every tenth recording" in chapter.claims[0].measured
    assert "The goal is 93%" in chapter.claims[0].measured


def test_recordings_zero_to_four_are_the_test_part(tmp_path: Path) -> None:
    for label, number in [(0, 1), (1, 4), (0, 5), (1, 8)]:
        write_wav(tmp_path / "fsdd" / f"{label}_ada_{number}.wav", np.zeros(300))
    sounds = speech.load(settings(tmp_path))
    assert sounds.real
    assert sounds.data.labels[sounds.is_test].tolist() == [0, 1]
    assert len(sounds.data.items) == 4
    assert not speech.load(settings(None, recordings=4)).real


def test_real_reviews_are_measured_where_they_are_given(tmp_path: Path, monkeypatch) -> None:
    assert real_texts.measure_real_texts(settings(tmp_path)) == ()
    assert "No real reviews" in real_texts.describe_real_texts(settings(None))
    seen = []

    def measure(folder: Path, folds: int) -> Accuracy:
        seen.append((folder.name, folds))
        return Accuracy(81, 100)

    monkeypatch.setattr(
        real_texts, "ALL", tuple(t._replace(measure=measure) for t in real_texts.ALL)
    )
    for name in ("rt-polarity", "sst"):
        (tmp_path / name).mkdir()
    [claim] = real_texts.measure_real_texts(settings(tmp_path, folds=3))
    assert seen == [("rt-polarity", 3), ("sst", 3)]
    assert not claim.holds  # 81% are fewer than the 82% of the second
    assert "81.0% (72.2–87.5%, 81 of 100)" in claim.measured


def test_a_wrong_line_of_real_reviews_is_named(tmp_path: Path) -> None:
    write(tmp_path / "rt-polarity" / "a.pos", "good\n\n")
    write(tmp_path / "rt-polarity" / "a.neg", "bad\n")
    with pytest.raises(UserError, match=r"a.pos: line 2: the text is empty"):
        real_texts.measure_real_texts(settings(tmp_path, folds=2))


@pytest.mark.parametrize(
    ("folder", "chapters", "words"),
    [
        ("nowhere", ["digits"], "no such folder"),
        (".", ["digits"], "has none of the folders fsdd, mnist, rt-polarity, sst"),
        ("data", ["cats", "digits"], "no chosen chapter uses a folder of it"),
    ],
)
def test_a_folder_without_data_is_refused(
    tmp_path: Path, monkeypatch, folder: str, chapters: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "fsdd").mkdir(parents=True)
    with pytest.raises(UserError, match=f"--sequences {folder}: {words}"):
        check_sequences(folder, chapters)
    assert check_sequences("data", ["speech"]) == Path("data")


def test_the_hash_of_a_folder_changes_with_names_and_content(tmp_path: Path) -> None:
    assert hash_folder(tmp_path) == hash_folder(tmp_path / "nowhere") == ""
    file = write(tmp_path / "a" / "b.txt", "one")
    hashes = [hash_folder(tmp_path)]
    write(file, "two")
    hashes.append(hash_folder(tmp_path))
    file.rename(tmp_path / "a" / "c.txt")
    hashes.append(hash_folder(tmp_path))
    assert len(set(hashes)) == 3
