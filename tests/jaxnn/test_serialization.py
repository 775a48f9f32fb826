"""Parameter files: whole or not at all, and every wrong key named."""

from __future__ import annotations

import json
import os
import re
import stat
import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
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


def test_files_cut_short_anywhere_or_too_long_are_refused(path) -> None:
    content = path.read_bytes()
    lengths = [*range(20), *range(20, len(content), 20), len(content) - 1]
    for damaged in [*(content[:length] for length in lengths), content + b"\0"]:
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=re.escape(f"{path}: not a safetensors file, or")):
            jaxnn.load(path)


def same(found, expected) -> bool:
    (params, metadata), (expected_params, expected_metadata) = found, expected
    return metadata == expected_metadata and jax.tree.all(
        jax.tree.map(
            lambda a, b: a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(),
            *(jax.tree.map(np.asarray, tree) for tree in (params, expected_params)),
        )
    )


def test_a_bit_flipped_anywhere_is_refused_or_changes_nothing(path, monkeypatch) -> None:
    """One bit of every byte of a file: also those of names, shapes and metadata."""
    monkeypatch.setattr(jax, "device_put", lambda array: array)  # a thousand times, and slow
    likes = (None, PARAMS)
    expected = [jaxnn.load(path, like) for like in likes]
    content = path.read_bytes()
    refused, bits = 0, np.random.default_rng(0).integers(8, size=len(content))
    for at, bit in enumerate(bits):
        flipped = bytearray(content)
        flipped[at] ^= 1 << int(bit)
        path.write_bytes(flipped)
        for like, undamaged in zip(likes, expected, strict=True):
            try:
                assert same(jaxnn.load(path, like), undamaged), f"bit {bit} of byte {at}"
            except ModelFileError as error:
                refused += 1
                assert "\n" not in str(error)  # noqa: PT017 - any of these errors will do
    assert refused > 0.95 * 2 * len(content)  # blanks of the JSON say nothing


def with_entry(path, change) -> None:
    """The file again, with its own entry of the metadata changed."""
    arrays, metadata = load_file(path), safetensors.safe_open(path, "numpy").metadata()
    save_file(arrays, path, {"jaxnn": change(metadata["jaxnn"])})


def first_format(entry: str) -> str:
    header = json.loads(entry)
    return json.dumps({"format": 1, **{k: header[k] for k in ("sha256", "tree", "metadata")}})


def test_files_of_the_first_format_load(path) -> None:
    expected = jaxnn.load(path)
    with_entry(path, first_format)
    assert same(jaxnn.load(path), expected)
    assert same(jaxnn.load(path, PARAMS), expected)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged, its arrays"):
        jaxnn.load(path)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def with_tree(tree: str):
    """A change of the entry to another tree, without a checksum that would give it away."""
    return lambda entry: re.sub('"tree": .*, "meta', f'"tree": {tree}, "meta', first_format(entry))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry: entry.replace('"steps": 3', '"steps": 4'), "damaged, its metadata"),
        (lambda entry: entry.replace('"format": 2', '"format": 3'),
         "of format 3, this jaxnn reads up to 2; update jaxnn"),
        (lambda entry: entry.replace('"format": 2', '"format": -2'), "damaged, its metadata"),
        (lambda entry: entry.replace('"format": 2', '"format": "2"'), "damaged, its metadata"),
        (lambda entry: entry.replace('"header_sha256"', '"sha1"'), "damaged, its metadata"),
        (lambda entry: entry.replace('{"format"', f'{{"x": {nested(500)}, "format"'), "damaged"),
        (lambda entry: entry.replace('{"format"', f'{{"x": {nested(10**5)}, "format"'), "damaged"),
        (lambda entry: entry.replace('{"format"', f'{{"x": {"9" * 5000}, "format"'), "damaged"),
        (lambda entry: "[]", "damaged, its metadata"),
        (lambda entry: "3", "damaged, its metadata"),
        (lambda entry: "{", "damaged, its metadata"),
        (lambda entry: json.dumps("x" * 2**24), "damaged, its metadata"),
        (with_tree("3"), "damaged, its metadata"),
        (with_tree('["set", null]'), "damaged, its metadata"),
        (with_tree("[[], null]"), "damaged, its metadata"),
        (with_tree('{"a/b": null}'), "damaged, its metadata"),
        (with_tree('["tuple", ' * 500 + "null" + "]" * 500), "damaged, its metadata"),
        (with_tree('["tuple", null]'), "0 is missing; 1/W is extra; 1/b is extra; 2/0 is extra"),
    ],
)  # fmt: skip
def test_metadata_that_save_would_not_write_are_refused(path, change, message: str) -> None:
    with_entry(path, change)
    with pytest.raises(ModelFileError, match=re.escape(message)):
        jaxnn.load(path)


def test_metadata_come_without_the_arrays_and_checked(path) -> None:
    assert jaxnn.load_metadata(path) == {"steps": 3, "classes": ["non-cat", "cat"]}
    with_entry(path, lambda entry: entry.replace('"steps": 3', '"steps": 4'))
    with pytest.raises(ModelFileError, match="damaged, its metadata"):
        jaxnn.load_metadata(path)


def test_metadata_come_back_as_json_has_them(tmp_path) -> None:
    path = tmp_path / "model"
    jaxnn.save(path, (), {"by number": {1: (0.1, None)}, "é\n": "\ud800"})
    assert jaxnn.load(path) == ((), {"by number": {"1": [0.1, None]}, "é\n": "\ud800"})


def test_a_file_that_says_it_is_larger_takes_no_memory(tmp_path) -> None:
    """Headers of 10 GB, and a true one for 10 GB of zeros, which are a hole in the file."""
    path = tmp_path / "model"
    path.write_bytes((10**10).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        jaxnn.load(path)
    header = b'{"W": {"dtype": "U8", "shape": [10000000000], "data_offsets": [0, 10000000000]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        jaxnn.load(path)
    with path.open("r+b") as file:
        file.truncate(8 + len(header) + 10**10)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=r"W has shape \(10000000000,\), expected \(3,\)"):
            jaxnn.load(path, {"W": jnp.zeros(3)})
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_what_is_no_file_is_refused_without_waiting(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ModelFileError, match="not a file but a pipe or a device"):
            jaxnn.load(path)
    with pytest.raises(IsADirectoryError):
        jaxnn.load(tmp_path)


def test_names_in_a_message_are_on_one_line_and_no_more_than_ten(tmp_path) -> None:
    path = tmp_path / "model"
    save_file({f"{i:02}\n\x1b[31m": np.zeros(1) for i in range(30)}, path)
    with pytest.raises(ModelFileError) as error:
        jaxnn.load(path, ())
    message = str(error.value)
    assert message.isprintable()
    assert message.count("is extra") == 10
    assert message.endswith("; and 20 more")


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
        {"w": np.ones(2, np.float32)}, path, {"jaxnn": json.dumps({"format": 99, "seal": ""})}
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


@pytest.mark.parametrize(
    "params",
    [({1: jnp.ones(1)},), ({"a/b": jnp.ones(1)},), ("text",), np.ones(1, complex)],
)
def test_trees_that_cannot_come_back_are_refused(tmp_path, params) -> None:
    with pytest.raises(ModelFileError, match="params"):
        jaxnn.save(tmp_path / "x", params)
    with pytest.raises(ModelFileError, match="metadata"):
        jaxnn.save(tmp_path / "x", PARAMS, {"function": print})
    assert not list(tmp_path.iterdir())
