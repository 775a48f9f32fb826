"""Parameter files: whole or not at all, and every wrong key named."""

from __future__ import annotations

import json
import os
import re
import stat

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import jaxnn
from jaxnn import ModelFileError

PARAMS = ((), {"W": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(2)}, [jnp.zeros(())], ())


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    jaxnn.save(path, PARAMS, {"steps": 3, "classes": ["non-cat", "cat"]})
    return path


def test_other_programs_can_read_the_arrays_under_path_like_keys(path) -> None:
    arrays = load_file(path)
    assert sorted(arrays) == ["1/W", "1/b", "2/0"]
    np.testing.assert_array_equal(arrays["1/W"], PARAMS[1]["W"])


def test_the_tree_comes_back_with_its_empty_places(path) -> None:
    params, metadata = jaxnn.load(path)
    assert jax.tree.structure(params) == jax.tree.structure(PARAMS)
    assert metadata == {"steps": 3, "classes": ["non-cat", "cat"]}


def test_bfloat16_and_a_single_array(tmp_path) -> None:
    array = jnp.array([1.5, -2.0], jnp.bfloat16)
    jaxnn.save(tmp_path / "one", array)
    loaded, _ = jaxnn.load(tmp_path / "one")
    assert loaded.dtype == jnp.bfloat16
    assert loaded.tolist() == [1.5, -2.0]


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (((), {"W": jnp.ones((2, 3)), "b": jnp.ones(2), "c": jnp.ones(1)}, [jnp.ones(())], ()),
         "1/c is missing"),
        (((), {"W": jnp.ones((2, 3))}, [jnp.ones(())], ()), "1/b is extra"),
        (((), {"W": jnp.ones((2, 4)), "b": jnp.ones(2)}, [jnp.ones(())], ()),
         "1/W has shape (2, 3), expected (2, 4)"),
        (({"W": jnp.ones((2, 3))}, jnp.ones(2)),
         "0/W is missing; 1 is missing; 1/W is extra; 1/b is extra; 2/0 is extra"),
    ],
)  # fmt: skip
def test_each_wrong_key_is_named(path, like, message: str) -> None:
    with pytest.raises(ModelFileError, match=re.escape(message)):
        jaxnn.load(path, like)


def test_files_cut_short_or_changed_anywhere_are_refused(path) -> None:
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in (0, 4, 8, 20, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=re.escape(str(path))):
            jaxnn.load(path)
    start = len(content) - 4 * 9  # the arrays: nine numbers
    for at in range(start, len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(ModelFileError, match="damaged"):
            jaxnn.load(path)


def test_other_files_are_refused(tmp_path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"\x80\x04\x95 a pickle, perhaps")
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        jaxnn.load(path)
    save_file({"w": np.ones(2, np.float32)}, path)
    with pytest.raises(ModelFileError, match="not written by jaxnn"):
        jaxnn.load(path)
    params, metadata = jaxnn.load(path, like={"w": jnp.zeros(2)})
    assert params["w"].tolist() == [1, 1]
    assert metadata == {}
    save_file(
        {"w": np.ones(2, np.float32)}, path, {"jaxnn": json.dumps({"format": 99, "sha256": ""})}
    )
    with pytest.raises(ModelFileError, match="of format 99"):
        jaxnn.load(path)
    with pytest.raises(FileNotFoundError):
        jaxnn.load(tmp_path / "nothing")


def test_a_save_that_fails_leaves_the_old_file_and_nothing_beside_it(path, monkeypatch) -> None:
    before = path.read_bytes()

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        jaxnn.save(path, PARAMS)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_others_may_read_the_file_as_the_umask_says(path) -> None:
    mask = os.umask(0o022)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("params", [({1: jnp.ones(1)},), ({"a/b": jnp.ones(1)},), ("text",)])
def test_trees_that_cannot_come_back_are_refused(tmp_path, params) -> None:
    with pytest.raises(ModelFileError, match="params"):
        jaxnn.save(tmp_path / "x", params)
    with pytest.raises(ModelFileError, match="metadata"):
        jaxnn.save(tmp_path / "x", PARAMS, {"function": print})
    assert not list(tmp_path.iterdir())
