"""Soft labels: written, read, found by the pixels of an image; other files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from catnet.errors import UserError
from catnet.training import soft_labels
from catnet.training.photo.classes import Classes
from catnet.training.soft_labels import SoftLabels


def labels() -> SoftLabels:
    content = np.array([30, 10, 20], np.uint64)
    probabilities = np.array([[0.5, 0.25, 0.25], [0, 1, 0], [0.75, 0.25, 0]], np.float16)
    return SoftLabels(content, probabilities, ("dog", "tabby", "Persian"), (1, 2))


def test_an_image_gets_its_row_and_an_unknown_one_zeros(tmp_path: Path) -> None:
    soft_labels.save(tmp_path / "soft.npz", labels())
    read = soft_labels.load(tmp_path / "soft.npz")
    assert (read.names, read.cats) == (labels().names, labels().cats)
    rows = read.of(np.array([10, 5, 30, 99], np.uint64))
    assert rows.tolist() == [[0, 1, 0], [0, 0, 0], [0.5, 0.25, 0.25], [0, 0, 0]]


def test_the_target_is_the_mean_of_label_and_teacher_where_there_is_a_teacher() -> None:
    rows = labels().probabilities
    classes = Classes(labels().names, labels().cats, np.concatenate([rows, np.zeros((1, 3))]))
    found = classes.soften(np.array([1, 1, 0, 1]))
    # The teacher says cat with 0.5, 1 and 0.25.
    assert found.tolist() == [0.75, 1.0, 0.125, 1.0]
    hard = Classes(("non-cat", "cat"), (1,), np.array([0, 1]))
    assert hard.soften(np.array([0, 1])).tolist() == [0, 1]


WRONG = {
    "content": np.array([3, 1, 2], np.uint64),  # not sorted
    "probabilities": np.zeros((2, 3), np.float16),
    "names": np.array(["dog"]),
    "cats": np.array([3], np.int32),
}


@pytest.mark.parametrize("name", [*WRONG, "a missing array", "text", "no file"])
def test_a_file_of_another_form_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    file = tmp_path / "soft.npz"
    soft_labels.save(file, labels())
    arrays = dict(np.load(file))
    if name in WRONG:
        np.savez(file, **{**arrays, name: WRONG[name]})
    elif name == "text":
        file.write_text("soft")
    elif name == "no file":
        file.unlink()
    else:
        del arrays["cats"]
        np.savez(file, **arrays)
    with pytest.raises(UserError) as error:
        soft_labels.load(file)
    assert str(error.value).startswith(f"{file}: ")
