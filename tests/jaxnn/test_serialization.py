"""Parameter files: whole or not at all, and every wrong key named."""

from __future__ import annotations

import functools
import json
import os
import re
import stat
import tracemalloc
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors
from jax.experimental.layout import Format, Layout
from safetensors.numpy import load_file, save_file

import jaxnn
from jaxnn import ModelFileError, serialization

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


def same(result, expected) -> bool:
    (params, metadata), (expected_params, expected_metadata) = result, expected
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
        (lambda entry: entry.replace('"format": 2', '"format": 4'),
         "of format 4, this jaxnn reads up to 3; update jaxnn"),
        (lambda entry: entry.replace('"format": 2', '"format": 3'), "damaged, its metadata"),
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
        (with_tree('["tuple", "int"]'), "damaged, its metadata"),
        (with_tree('["none"]'), "damaged, its metadata"),
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


def small(tmp_path: Path) -> Path:
    """A good file that a save would replace."""
    path = tmp_path / "small"
    jaxnn.save(path, {"old": np.ones(2, np.float32)})
    return path


def by_safetensors(path: Path) -> dict[str, tuple[str, list[int], bytes]]:
    """Dtype, shape and bytes of every array, read without jaxnn."""
    read = safetensors.deserialize(path.read_bytes())
    return {key: (a["dtype"], a["shape"], bytes(a["data"])) for key, a in read}


A = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
READ_ONLY = np.arange(5, dtype=np.float32)
READ_ONLY.flags.writeable = False


def columns(a: np.ndarray) -> jax.Array:
    """An array of JAX with its first axis the fastest in memory."""
    layout = Layout(major_to_minor=tuple(reversed(range(a.ndim))))
    return jax.device_put(a, Format(layout, jax.sharding.SingleDeviceSharding(jax.devices()[0])))


LAYOUTS = {
    "contiguous": A,
    "transposed": A.T,
    "axes moved": np.moveaxis(A, 1, 2),
    "every third": A[..., ::3],
    "reversed": A[::-1, :, ::-1],
    "broadcast": np.broadcast_to(A[0, 0], (3, 4)),
    "column-major": np.asfortranarray(A),
    "window": np.lib.stride_tricks.sliding_window_view(A, 2, axis=2),
    "one column": A[:, :, 1:2],
    "a field of records": np.array([(1, 2.5), (3, 4.5)], "i4,f4")["f1"],
    "not aligned": np.frombuffer(bytes(range(33)), np.uint8)[1:].view(np.float32),
    "read-only": READ_ONLY,
    "other byte order": A.astype(">f4").T,
    "other byte order, integers": np.arange(6, dtype=">i2")[::2],
    "a number": np.array(1.5, np.float32),
    "a number of other byte order": np.array(1.5, ">f4"),
    "a scalar": np.float32(2.5),
    "nothing": np.zeros((0, 3), np.float32).T,
    "nothing of something": A[:, 3:, ::-1],
    "subclass": A[0].T.view(np.recarray),
    "bool": np.array([[True, False, True]]).T[::-1],
    "half": A.T.astype(np.float16)[::2],
    "bfloat16": A.T.astype(jnp.bfloat16)[::2],
    "long": np.arange(8)[::-2] + 2**40,
    "double": (np.arange(8.0) * 1e300)[::-2],
}


@pytest.mark.parametrize("how", LAYOUTS)
def test_whatever_its_place_in_memory_an_array_is_saved_as_it_reads(how: str, tmp_path) -> None:
    """The right bytes are those of its numbers one after the other, little end first."""
    array, path = LAYOUTS[how], small(tmp_path)
    jaxnn.save(path, {"W": array, "next": array})
    numbers = [np.asarray(number).tobytes() for number in array.astype(native(array)).ravel()]
    names = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "bool": "BOOL",
             "int16": "I16", "int64": "I64", "float64": "F64"}  # fmt: skip
    expected = (names[native(array).name], list(array.shape), b"".join(numbers))
    assert by_safetensors(path) == {"W": expected, "next": expected}
    loaded, _ = jaxnn.load(path)
    assert loaded["W"].dtype == native(array)
    np.testing.assert_array_equal(loaded["W"], array)


def native(array: np.ndarray) -> np.dtype:
    return array.dtype.newbyteorder("=")


def test_matrices_and_mapped_files_are_saved_as_they_read(tmp_path) -> None:
    mapped = np.memmap(tmp_path / "mapped", np.float32, "w+", shape=(4, 6))
    mapped[:] = A.reshape(4, 6)
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(A[0])
    path = small(tmp_path)
    jaxnn.save(path, (mapped[::2, ::-1].T, matrix.T))
    loaded, _ = jaxnn.load(path)
    assert loaded[0].tolist() == mapped[::2, ::-1].T.tolist()
    assert loaded[1].tolist() == A[0].T.tolist()


def test_arrays_of_jax_of_any_layout_are_saved_as_they_read(tmp_path) -> None:
    arrays = {
        "columns": columns(A),
        "transposed": jnp.asarray(A).T,
        "flipped": jnp.asarray(A)[::-1],
    }
    assert not np.asarray(arrays["columns"]).flags.c_contiguous
    path = small(tmp_path)
    jaxnn.save(path, arrays)
    written = by_safetensors(path)
    for key, expected in {"columns": A, "transposed": A.T, "flipped": A[::-1]}.items():
        assert written[key] == ("F32", list(expected.shape), expected.tobytes("C"))


def test_true_is_one_in_the_file(tmp_path) -> None:
    """NumPy takes any byte but 0 for true; other readers need not."""
    path = small(tmp_path)
    jaxnn.save(path, {"mask": np.array([0, 2, 255, 1], np.uint8).view(bool)})
    assert by_safetensors(path)["mask"] == ("BOOL", [4], bytes([0, 1, 1, 1]))


def test_a_file_that_would_not_hold_the_params_is_not_written(tmp_path, monkeypatch) -> None:
    """Say, since another thread trains in place: what is to be written is read once more."""
    path, W = small(tmp_path), np.zeros(3, np.float32)
    before, real = path.read_bytes(), serialization.to_safetensors

    def meanwhile(arrays, metadata):
        W[1] = 1
        return real(arrays, metadata)

    monkeypatch.setattr(serialization, "to_safetensors", meanwhile)
    with pytest.raises(ModelFileError, match="not written, the params changed meanwhile"):
        jaxnn.save(path, {"W": W})
    assert path.read_bytes() == before


def test_numbers_of_64_bits_come_back_whether_jax_has_them_or_not(tmp_path) -> None:
    """Numbers that neither 32 bits nor float64 hold."""
    path = small(tmp_path)
    params = {
        "int": np.array([2**62 + 1, -(2**63), 2**31]),
        "uint": np.array([2**64 - 1, 2**63 + 5], np.uint64),
        "float": np.array([[1e300, 1 / 3, -np.inf]]),
        "short": np.array([1.5], np.float32),
    }
    jaxnn.save(path, params)
    for like in (None, params):
        loaded, _ = jaxnn.load(path, like)
        assert {key: a.tolist() for key, a in loaded.items()} == {
            key: a.tolist() for key, a in params.items()
        }
        assert [key for key, a in loaded.items() if isinstance(a, jax.Array)] == ["short"]
        assert loaded["int"].flags.writeable
    with jax.enable_x64(True):
        loaded, _ = jaxnn.load(path)
        assert all(isinstance(a, jax.Array) for a in loaded.values())
        assert loaded["uint"].tolist() == [2**64 - 1, 2**63 + 5]


def test_typed_keys_come_back_and_draw_the_same(tmp_path) -> None:
    path = small(tmp_path)
    keys = {
        "one": jax.random.key(3),
        "many": jax.random.split(jax.random.key(4, impl="rbg"), (2, 3)),
        "raw": jax.random.PRNGKey(5),
    }
    jaxnn.save(path, keys)
    likes = (None, keys, jax.eval_shape(lambda: keys))
    for like in likes:
        loaded, _ = jaxnn.load(path, like)
        assert jax.tree.map(lambda k: (k.dtype, k.shape), loaded) == jax.tree.map(
            lambda k: (k.dtype, k.shape), keys
        )
        for name, place in {"one": (), "many": (1, 2), "raw": ...}.items():
            key, other = loaded[name][place], keys[name][place]
            assert jax.random.bits(key, (4,)).tolist() == jax.random.bits(other, (4,)).tolist()
    swapped = {**keys, "one": keys["raw"], "raw": keys["one"]}
    with pytest.raises(ModelFileError) as error:
        jaxnn.load(path, swapped)
    one, raw = "one has shape () of typed keys, expected (2,)", "raw has shape (2,), expected ()"
    assert str(error.value).endswith(f": {one}; {raw} of typed keys")


def test_keys_of_an_implementation_that_is_gone_are_refused(path) -> None:
    jaxnn.save(path, {"dropout": jax.random.key(0)})
    with_entry(path, lambda entry: resealed(entry, tree={"dropout": "key threefry9"}))
    with pytest.raises(ModelFileError, match="dropout is no key threefry9; update jax"):
        jaxnn.load(path)


def resealed(entry: str, **changes: Any) -> str:
    """An entry with some changes, and the checksum that goes with them."""
    header = {**json.loads(entry), **changes}
    del header["header_sha256"]
    return json.dumps({**header, "header_sha256": serialization._header_digest(header)})


@pytest.mark.parametrize(
    "value", [0, -7, 2**63 - 1, -(2**63), True, False, 0.1, 5e-324, -0.0, float("inf")]
)
def test_numbers_of_python_come_back_as_they_were(value, tmp_path) -> None:
    path = small(tmp_path)
    for tree in (value, {"step": value, "W": jnp.ones(1)}):
        jaxnn.save(path, tree)
        for like in (None, tree):
            loaded, _ = jaxnn.load(path, like)
            result = loaded["step"] if isinstance(tree, dict) else loaded
            assert type(result) is type(value)
            assert repr(result) == repr(value)


def test_names_come_back_whatever_letters_they_have(tmp_path) -> None:
    names = [
        "0",
        "1",
        "params",
        "__metadata",
        "é",
        "e\u0301",
        " ",
        "\0",
        "a\nb",
        "\\",
        '"',
        "∂",
        "😀",
    ]
    path = small(tmp_path)
    tree = {
        **{name: np.array([i], np.int32) for i, name in enumerate(names)},
        "__metadata__": {name: np.array([-i], np.int32) for i, name in enumerate(names)},
        "long" * 10_000: (np.array([7], np.int32), {"0": np.array([8], np.int32)}),
    }
    jaxnn.save(path, tree)
    loaded, _ = jaxnn.load(path)
    assert list(loaded) == list(tree)
    assert jax.tree.map(np.ndarray.tolist, tree) == jax.tree.map(lambda a: a.tolist(), loaded)
    assert jaxnn.load(path, tree)[0].keys() == tree.keys()


class Moments(NamedTuple):
    mean: Any
    extra: Any = None


def test_trees_that_jax_knows_come_back_with_like_and_as_dicts_without(tmp_path) -> None:
    path = small(tmp_path)
    tree = (Moments({"b": jnp.ones(2), "a": 3}), [None, (), {}], OrderedDict(z=0.5, y=Moments(())))
    jaxnn.save(path, tree)
    assert sorted(load_file(path)) == ["0/mean/a", "0/mean/b", "2/z"]
    loaded, _ = jaxnn.load(path, tree)
    assert jax.tree.structure(loaded) == jax.tree.structure(tree)
    assert isinstance(loaded[0], Moments)
    assert isinstance(loaded[2], OrderedDict)
    assert (loaded[0].mean["a"], loaded[2]["z"]) == (3, 0.5)
    plain, _ = jaxnn.load(path)
    assert plain[1:] == ([None, (), {}], {"z": 0.5, "y": {"mean": (), "extra": None}})
    assert list(plain[0]) == ["mean", "extra"]
    assert list(plain[0]["mean"]) == ["b", "a"]
    assert Moments(**plain[0]).mean["a"] == 3
    with pytest.raises(ModelFileError, match=r"0/mean/a has shape \(\), expected \(1,\)"):
        jaxnn.load(path, (Moments({"b": jnp.ones(2), "a": jnp.ones(1)}), [], {"z": 1.0}))


OPTIMIZERS = {
    "adam": optax.adam(0.01),
    "a chain with a schedule": optax.chain(
        optax.clip_by_global_norm(1.0), optax.sgd(optax.linear_schedule(0.1, 0.0, 30), 0.9)
    ),
    "two for two parts": optax.multi_transform(
        {"W": optax.adam(0.01), "b": optax.set_to_zero()},
        lambda params: {name: name for name in params},
    ),
    "learning rate in the state": optax.inject_hyperparams(optax.rmsprop)(learning_rate=0.01),
    "plain": optax.sgd(0.01),
}


@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_goes_on_from_a_file_to_the_last_bit(name: str, tmp_path) -> None:
    x = jnp.linspace(-1, 1, 12).reshape(6, 2)
    net, optimizer = jaxnn.dense(1), OPTIMIZERS[name]
    params = net.init(jax.random.key(0), x)
    path = small(tmp_path)

    def train(steps: int, **how) -> tuple[Any, jax.Array]:
        how |= {"optimizer": optimizer, "batch_size": 4, "key": jax.random.key(1), "chunk": 5}
        y = x.sum(axis=1, keepdims=True)
        return jaxnn.fit(net, jaxnn.mean_squared_error, params, x, y, steps=steps, **how)

    whole, costs = train(20)
    train(10, progress=lambda state, _: jaxnn.save(path, state))
    like = jaxnn.State(0, params, optimizer.init(params))
    state, _ = jaxnn.load(path, like)
    assert type(state) is jaxnn.State
    assert type(state.step) is int
    assert state.step == 10
    assert jax.tree.structure(state) == jax.tree.structure(like)
    resumed, rest = train(20, state=state)
    assert rest.tolist() == costs.tolist()[10:]
    assert same((resumed, {}), (whole, {}))


@pytest.mark.usefixtures("compiled_quickly")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("in_row_space", [False, True])
def test_a_descent_goes_on_from_a_file_to_the_last_bit(in_row_space, momentum, tmp_path) -> None:
    x = jax.random.normal(jax.random.key(2), (3, 8))
    net, path = jaxnn.dense(1), small(tmp_path)
    params = net.init(jax.random.key(0), x)

    def descend(steps: int, **how) -> tuple[Any, jax.Array]:
        how |= {
            "learning_rate": 0.1,
            "momentum": momentum,
            "in_row_space": in_row_space,
            "chunk": 5,
        }
        how.setdefault("progress", lambda *_: None)
        return jaxnn.gradient_descent(
            net, jaxnn.mean_squared_error, params, x, x[:, :1], steps=steps, **how
        )

    states: list[jaxnn.State] = []
    whole, costs = descend(15, progress=lambda state, _: states.append(state))
    jaxnn.save(path, states[0])
    state, _ = jaxnn.load(path, like=states[-1])
    resumed, rest = descend(15, state=state)
    assert rest.tolist() == costs.tolist()[5:]
    assert same((resumed, {}), (whole, {}))


def test_files_of_arrays_only_are_as_the_format_before_had_them(path) -> None:
    entry = json.loads(safetensors.safe_open(path, "numpy").metadata()["jaxnn"])
    assert entry["format"] == 2
    jaxnn.save(path, (jnp.ones(1), 3))
    entry = json.loads(safetensors.safe_open(path, "numpy").metadata()["jaxnn"])
    assert (entry["format"], entry["tree"]) == (3, ["tuple", None, "int"])


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (["tuple", "float", None], "0 is missing; 1 is missing; W is extra"),
        ({"W": "int"}, "W is no int"),
        ({"W": "key "}, "W is no key"),
        ({"W": "number"}, "damaged, its metadata"),
        ({"W": None, "V": ["none", None]}, "damaged, its metadata"),
        ({"W": 3}, "damaged, its metadata"),
        ({"\ud800": None}, "damaged, its metadata"),
    ],
)
def test_outlines_that_do_not_fit_the_arrays_are_refused(path, tree, message: str) -> None:
    jaxnn.save(path, {"W": jnp.ones((2, 3))})
    with_entry(path, lambda entry: resealed(entry, format=3, tree=tree))
    with pytest.raises(ModelFileError, match=re.escape(message)):
        jaxnn.load(path)


def cycle() -> list[Any]:
    tree: list[Any] = [1]
    tree += [tree, tree]
    return tree


def deep() -> Any:
    return functools.reduce(lambda tree, _: {"a": tree}, range(100), 1)


DELETED = jnp.ones(2)
DELETED.delete()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (({1: jnp.ones(1)},), "params 0: names must be strings without '/', each once; got 1"),
        ((defaultdict(list, {1: 1}),), "params 0: names must be strings"),
        (({"a/b": jnp.ones(1)},), "params 0: names must be strings without '/'"),
        ({"": jnp.ones(1)}, "params: names must be strings without '/', each once; got ''"),
        ({"\ud800": jnp.ones(1)}, "params: names must be strings"),
        ({"__metadata__": jnp.ones(1)}, "safetensors needs this name for itself; choose another"),
        ({"__metadata__": 1}, "safetensors needs this name for itself"),
        (("text",), "params 0: expected an array, a number, a typed key, or a dict"),
        ({"a": {"b": print}}, "params a/b: expected an array"),
        ({"a": 1j}, "params a: expected an array"),
        (np.ones(1, complex), "params: no file can hold the dtype complex128; convert it"),
        ({"a": np.array(["x"])}, "params a: no file can hold the dtype <U1"),
        ({"a": np.array([None])}, "params a: no file can hold the dtype object"),
        ({"a": np.ones(1, jnp.float8_e5m2)}, "params a: no file can hold the dtype float8_e5m2"),
        ({"a": jnp.ones(1, jnp.int4)}, "params a: no file can hold the dtype int4"),
        ({"a": np.ones(1, "datetime64[s]")}, "params a: no file can hold the dtype datetime64[s]"),
        ({"a": np.ma.masked_array([1.0], [True])}, "params a: a file cannot hold a mask"),
        ({"a": jax.ShapeDtypeStruct((1,), "float32")}, "params a: expected an array of NumPy or"),
        ({"a": 2**63}, "params a: integers may have 64 bits, it has 64"),
        ({"a": 10**5000}, "params a: integers may have 64 bits, it has 16610"),
        ({"a": DELETED}, "params a: was deleted, or donated to a program; save a copy"),
        (cycle(), "params have more than 100 levels"),
        (deep(), "params have more than 100 levels"),
    ],
)  # fmt: skip
def test_trees_that_cannot_come_back_are_refused(tmp_path, params, message: str) -> None:
    path = small(tmp_path)
    before = path.read_bytes()
    with pytest.raises(ModelFileError) as error:
        jaxnn.save(path, params)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert str(error.value).isprintable()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_more_names_than_a_reader_would_take_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(serialization, "_LONGEST", 1000)
    for params, metadata in (({"a" * 1000: 1}, {}), ({}, {"about": "a" * 1000})):
        with pytest.raises(ModelFileError, match="params and metadata may have 1000 characters"):
            jaxnn.save(tmp_path / "x", params, metadata)
    assert not list(tmp_path.iterdir())


def test_what_is_traced_cannot_be_saved(tmp_path) -> None:
    with pytest.raises(ModelFileError, match="params W: is traced by JAX; save outside of jit"):
        jax.jit(lambda W: jaxnn.save(tmp_path / "x", {"W": W}))(jnp.ones(1))


@pytest.mark.parametrize(
    "metadata",
    [{"function": print}, {"x": float("nan")}, {1: 0, "1": 1}, {"a": [{None: 0, "null": 1}]}, 3,
     {"a": np.float32(1)}, {"a": cycle()}, {"a": 10**5000}],
)  # fmt: skip
def test_metadata_that_json_does_not_give_back_are_refused(tmp_path, metadata) -> None:
    with pytest.raises(ModelFileError, match="metadata must be what JSON can hold"):
        jaxnn.save(tmp_path / "x", PARAMS, metadata)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("like", [{"a": "text"}, {1: 1}, [print], deep()])
def test_likes_that_no_file_can_hold_are_refused(path, like) -> None:
    with pytest.raises(ModelFileError, match="like= is not what a file can hold: params"):
        jaxnn.load(path, like)
