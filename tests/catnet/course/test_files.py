"""Where the files of the sets are looked for, and the reader of MATLAB's files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from catnet.course.files import PHOTOS, Need, read_mat
from catnet.errors import UserError

CONTENT = b"emma\nolivia\n"
NEED = Need("names.txt", hashlib.sha256(CONTENT).hexdigest())


def test_a_file_is_found_by_its_content(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    file = inner / "names.txt"
    file.write_bytes(CONTENT)
    for data in (file, inner, tmp_path):
        assert NEED.find(data) == file
    other = file.rename(inner / "other.txt")
    assert NEED.find(other) == other  # named by the user
    assert NEED.find(inner) is None
    (inner / "names.txt").write_bytes(CONTENT + b"ava\n")
    for data in (inner / "names.txt", inner, tmp_path, tmp_path / "nothing"):
        assert NEED.find(data) is None


def test_photographs_are_found_by_the_suffix(tmp_path: Path) -> None:
    assert PHOTOS.find(tmp_path) is None
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "train.h5").touch()
    assert PHOTOS.find(tmp_path) == PHOTOS.find(folder) == folder
    assert PHOTOS.find(folder / "train.h5") == folder / "train.h5"


@pytest.mark.parametrize("compressed", [False, True])
def test_a_mat_file_is_read_as_scipy_wrote_it(tmp_path: Path, compressed: bool) -> None:
    io = pytest.importorskip("scipy.io")
    rng = np.random.default_rng(0)
    matrices = {
        "a": rng.normal(size=(3, 4)),
        "a_long_name": rng.integers(0, 200, (5, 2), dtype=np.uint8),
        "b": rng.normal(size=(1, 1)).astype(np.float32),
        "c": rng.integers(-(2**40), 2**40, (2, 3)),
    }
    io.savemat(tmp_path / "it.mat", matrices, do_compression=compressed)
    read = read_mat(tmp_path / "it.mat")
    assert set(read) == set(matrices)
    for name, matrix in matrices.items():
        assert read[name].dtype == np.float64
        np.testing.assert_array_equal(read[name], matrix)


@pytest.mark.parametrize("size", [0, 100, 131, 150, 175, 260])
def test_a_damaged_mat_file_is_one_line(tmp_path: Path, size: int) -> None:
    io = pytest.importorskip("scipy.io")
    path = tmp_path / "it.mat"
    io.savemat(path, {"a": np.ones((9, 9))}, do_compression=True)
    path.write_bytes(path.read_bytes()[:size])
    if size == 260:
        path.write_bytes(b"MATLAB 7.3" + bytes(250))
    with pytest.raises(UserError, match="cannot read this MAT file"):
        read_mat(path)
