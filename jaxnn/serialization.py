"""Parameters as safetensors files: written whole or not at all, checked on writing and reading.

A file holds the arrays under path-like keys (``1/W`` is ``params[1]["W"]``) and, as JSON in
its metadata, the version of the format, the outline of the tree they belong in
(``jaxnn.outline``), what the caller adds, and two checksums: of the arrays, and of all else.
Nothing is ever unpickled or executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from jax.core import Tracer
from safetensors.numpy import save as to_safetensors

from jaxnn.files import write_atomically
from jaxnn.layer import Params
from jaxnn.outline import NUMBERS, fill, fill_like, is_key, is_outline, kinds, outline, place

# Format 2 has arrays only, in dicts, tuples and lists: such trees are still written in it.
# Format 1, which lacks the checksum of the header, is read too.
FORMAT = 3
_ENTRY = "jaxnn"  # the one entry of the file's metadata that is ours
_RESERVED = "__metadata__"  # the name that safetensors has for the metadata
_LONGEST = 2**24  # characters of our entry; parsed, it takes many times the memory
_DTYPES = {
    "BF16": jnp.bfloat16,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
    "BOOL": np.bool_,
}
_NUMBERS = {"int": np.int64, "float": np.float64, "bool": np.bool_}  # the arrays they are kept as


class ModelFileError(ValueError):
    """A file is not what it should be; the message names the file and what is wrong."""


def save(
    path: str | os.PathLike[str], params: Params, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write parameters to a safetensors file, in one step: the old file or the new one is there.

    Args:
        path: the file; its folder must exist.
        params: arrays, Python's numbers and typed keys, in dicts, tuples, lists and whatever
            else JAX knows as a tree, such as a ``jaxnn.State`` with the state of an optimizer.
            Arrays are of NumPy or JAX, of any layout in memory; bool, integers of 8 to 64 bits,
            float16, bfloat16, float32 or float64.
        metadata: anything JSON can hold; ``load`` gives it back as JSON has it: names are
            strings, tuples lists.

    Raises:
        ModelFileError: when the tree or the metadata holds something that would not come back.
        OSError: when the file cannot be written; what was there before is untouched.

    Example:
        >>> import tempfile, pathlib, jax.numpy as jnp, jaxnn
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.safetensors")
        >>> jaxnn.save(path, ({"W": jnp.ones((1, 2))}, ()), {"classes": ["non-cat", "cat"]})
        >>> params, metadata = jaxnn.load(path)
        >>> params[0]["W"].tolist(), params[1], metadata
        ([[1.0, 1.0]], (), {'classes': ['non-cat', 'cat']})
    """
    try:
        tree, leaves = outline(params)
        arrays = {key: _array(key, leaf) for key, leaf in leaves.items()}
    except ValueError as error:
        raise ModelFileError(f"{path}: {_shown(str(error))}") from None
    try:
        entries = dict(metadata or {})
        entries = json.loads(json.dumps(entries, allow_nan=False), object_pairs_hook=_without_twins)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: metadata must be what JSON can hold: {error}") from None
    version = 2 if is_outline(tree, arrays_only=True) else FORMAT
    header = {"format": version, "sha256": _digest(arrays), "tree": tree, "metadata": entries}
    entry = json.dumps({**header, "header_sha256": _header_digest(header)})
    if len(entry) > _LONGEST:
        raise ModelFileError(
            f"{path}: names of params and metadata may have {_LONGEST} characters, "
            f"they have {len(entry)}"
        )
    content = to_safetensors(arrays, {_ENTRY: entry})
    if _digest(_arrays(path, content)) != header["sha256"]:
        raise ModelFileError(
            f"{path}: not written, the params changed meanwhile; save a copy of them"
        )
    write_atomically(path, content)


def load(path: str | os.PathLike[str], like: Params | None = None) -> tuple[Params, dict[str, Any]]:
    """Read parameters from a safetensors file.

    Args:
        path: the file.
        like: what the file has to hold: a tree of the same names with arrays of the same shapes,
            or ``jax.ShapeDtypeStruct`` (``jax.eval_shape(net.init, key, x)`` gives one).  What
            comes back has its types: NamedTuples, optimizer states.  Without it, the tree is the
            one that was saved, but dicts are in the place of all other nodes with names.

    Returns:
        The parameters, and the metadata given to ``save``.  Arrays come back as JAX's.  Those of
        64 bits are NumPy's where JAX has no such numbers (``jax_enable_x64`` is off), so that
        all values are those that were saved; Python's numbers and typed keys are so again.

    Raises:
        ModelFileError: not such a file, damaged, of a newer format, or with missing, extra or
            reshaped keys, which are named.
        OSError: when the file cannot be read.

    Example:
        A training goes on to the last bit from a state that was saved::

            >>> import tempfile, pathlib, jax, jax.numpy as jnp, jaxnn, optax
            >>> x, net, adam = jnp.linspace(-1, 1, 10)[:, None], jaxnn.dense(1), optax.adam(0.1)
            >>> params = net.init(jax.random.key(0), x)
            >>> path = pathlib.Path(tempfile.mkdtemp(), "state.safetensors")
            >>> how = {"optimizer": adam, "batch_size": 5, "key": jax.random.key(1)}
            >>> _ = jaxnn.fit(
            ...     net, jaxnn.mean_squared_error, params, x, 3 * x, steps=20, **how,
            ...     progress=lambda state, costs: jaxnn.save(path, state))
            >>> start = jaxnn.State(0, params, adam.init(params))
            >>> state, _ = jaxnn.load(path, like=start)
            >>> params, costs = jaxnn.fit(
            ...     net, jaxnn.mean_squared_error, params, x, 3 * x, steps=50, **how, state=state)
            >>> type(state).__name__, state.step, len(costs)
            ('State', 20, 30)
    """
    header = _read_header(path)
    kept = dict(kinds(header.tree)) if header.sha256 is not None else {}
    if like is not None:
        try:
            _, leaves = outline(like)
        except ValueError as error:
            raise ModelFileError(
                f"{path}: like= is not what a file can hold: {_shown(str(error))}"
            ) from None
        wanted = {key: _form(is_key(leaf), np.shape(leaf)) for key, leaf in leaves.items()}
    elif header.sha256 is not None:
        wanted = dict.fromkeys(kept)
    else:
        raise ModelFileError(f"{path}: not written by jaxnn; say with like= what it has to hold")
    forms = {}
    for key, shape in header.shapes.items():
        of_keys = (kept.get(key) or "").startswith("key ")
        forms[key] = _form(of_keys, shape[:-1] if of_keys else shape)
    wrong = [f"{_shown(key)} is missing" for key in wanted if key not in forms]
    wrong += [f"{_shown(key)} is extra" for key in sorted(forms) if key not in wanted]
    wrong += [
        f"{_shown(key)} has shape {forms[key]}, expected {form}"
        for key, form in wanted.items()
        if form is not None and key in forms and forms[key] != form
    ]
    if wrong:
        more = [f"and {len(wrong) - 10} more"] if len(wrong) > 10 else []
        raise ModelFileError(f"{path}: {'; '.join(wrong[:10] + more)}")
    values = {
        key: _value(path, key, kept.get(key), array)
        for key, array in _read_arrays(path, header.sha256).items()
    }
    params = fill(header.tree, values) if like is None else fill_like(like, values)
    return params, header.metadata


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``save`` was given beside the parameters, which are not read.

    With it one can build the network that tells ``load`` what the file has to hold.

    Raises:
        ModelFileError: not such a file, of a newer format, or damaged in its header.
        OSError: when the file cannot be read.
    """
    return _read_header(path).metadata


def _array(key: str, leaf: Any) -> np.ndarray:
    """A leaf as a file has it: contiguous, in the byte order of this machine.

    Raises:
        ValueError: it would not come back.
    """
    where = place(key)
    if key == _RESERVED:
        raise ValueError(f"{where}: safetensors needs this name for itself; choose another")
    if type(leaf) in (int, float, bool):
        try:
            return np.asarray(leaf, _NUMBERS[type(leaf).__name__])
        except OverflowError:
            raise ValueError(
                f"{where}: integers may have 64 bits, it has {leaf.bit_length()}; "
                "save it as metadata"
            ) from None
    if isinstance(leaf, Tracer):
        raise ValueError(f"{where}: is traced by JAX; save outside of jit and vmap")
    if isinstance(leaf, jax.Array):
        if leaf.is_deleted():
            raise ValueError(f"{where}: was deleted, or donated to a program; save a copy")
        if not leaf.is_fully_addressable:
            raise ValueError(f"{where}: a part is on other processes; gather it first")
        if is_key(leaf):
            leaf = jax.random.key_data(leaf)
    elif isinstance(leaf, np.ma.MaskedArray):
        raise ValueError(f"{where}: a file cannot hold a mask; fill the array first")
    elif not isinstance(leaf, (np.ndarray, np.generic)):
        kind = type(leaf).__name__
        raise ValueError(f"{where}: expected an array of NumPy or JAX, got {kind}; convert it")
    array = np.asarray(leaf, order="C")  # np.ascontiguousarray would make a vector of a number
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype not in _DTYPES.values():
        raise ValueError(f"{where}: no file can hold the dtype {array.dtype}; convert it")
    return array.view(np.uint8) != 0 if array.dtype == np.bool_ else array  # true is 1, not 2


def _value(path: str | os.PathLike[str], key: str, kind: str | None, array: np.ndarray) -> Any:
    """What ``save`` was given, from the array in the file and the kind in its outline."""
    if kind is None:
        exact = jax.dtypes.canonicalize_dtype(array.dtype) == array.dtype
        return jax.device_put(array) if exact else array
    if kind in NUMBERS and array.shape == () and array.dtype == _NUMBERS[kind]:
        return array.item()
    try:
        return jax.random.wrap_key_data(jax.device_put(array), impl=kind.removeprefix("key "))
    except (TypeError, ValueError):
        raise ModelFileError(
            f"{path}: {_shown(key)} is no {_shown(kind)}; update jax, or save it again"
        ) from None


def _form(of_keys: bool, shape: tuple[int, ...]) -> str:
    return f"{shape} of typed keys" if of_keys else f"{shape}"


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object of names that differ: as JSON 1 and "1" are one, and a value would be lost."""
    if len(entries := dict(pairs)) < len(pairs):
        raise ValueError(f"two names are the same as JSON, among {_shown(str(list(entries)))}")
    return entries


class _Header(NamedTuple):
    """All of a file but its arrays; the tree and the checksum are None in other programs' files."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, Any]
    tree: Any = None
    sha256: str | None = None


def _read_header(path: str | os.PathLike[str]) -> _Header:
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # a pipe blocks, a device never ends
        raise ModelFileError(f"{path}: not a file but a pipe or a device")
    with Path(path).open("rb"):
        pass  # what safetensors says of files that cannot be opened has no reason in it
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            entries = file.metadata() or {}
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - no dict
            shapes = {key: tuple(part.get_shape()) for key, part in slices.items()}
    except safetensors.SafetensorError as error:
        raise _no_safetensors(path, error) from None
    if _ENTRY in entries:
        return _parsed(path, entries[_ENTRY], shapes)
    if any("sha256" in entry for entry in entries.values()):
        raise ModelFileError(f"{path}: damaged, its metadata has lost its name")
    return _Header(shapes, {})


def _parsed(
    path: str | os.PathLike[str], entry: str, shapes: dict[str, tuple[int, ...]]
) -> _Header:
    """The header from the entry that is ours."""
    damaged = ModelFileError(f"{path}: damaged, its metadata is not what was saved")
    if len(entry) > _LONGEST:
        raise damaged
    try:
        header = json.loads(entry)
        written = header.pop("header_sha256", None)
        intact = written == _header_digest(header)
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise damaged from None
    version, tree, metadata, sha256 = map(header.get, ("format", "tree", "metadata", "sha256"))
    if type(version) is int and version > FORMAT:
        raise ModelFileError(
            f"{path}: of format {version}, this jaxnn reads up to {FORMAT}; update jaxnn"
        )
    if type(version) is not int or not (version == 1 or (version in (2, 3) and intact)):
        raise damaged
    outlined = is_outline(tree, arrays_only=version < 3)
    if not outlined or not isinstance(metadata, dict) or not isinstance(sha256, str):
        raise damaged
    return _Header(shapes, metadata, tree, sha256)


def _read_arrays(path: str | os.PathLike[str], sha256: str | None) -> dict[str, np.ndarray]:
    arrays = _arrays(path, Path(path).read_bytes())
    if sha256 is not None and sha256 != _digest(arrays):
        raise ModelFileError(f"{path}: damaged, its arrays are not those that were saved")
    return arrays


def _arrays(path: str | os.PathLike[str], content: bytes) -> dict[str, np.ndarray]:
    """The arrays in the bytes of a file."""
    try:
        tensors = safetensors.deserialize(content)
    except safetensors.SafetensorError as error:
        raise _no_safetensors(path, error) from None
    arrays = {}
    for key, tensor in tensors:
        dtype = _DTYPES.get(tensor["dtype"])
        if dtype is None:
            raise ModelFileError(
                f"{path}: {_shown(key)} is of dtype {tensor['dtype']}, not known here"
            )
        arrays[key] = np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])
    return arrays


def _no_safetensors(path: str | os.PathLike[str], error: Exception) -> ModelFileError:
    return ModelFileError(f"{path}: not a safetensors file, or cut short ({_shown(str(error))})")


def _shown(text: str) -> str:
    """What a file says, fit for a line of an error message."""
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of all arrays."""
    digest = hashlib.sha256()
    for key in sorted(arrays):
        array = arrays[key]
        digest.update(f"{key} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _header_digest(header: Mapping[str, Any]) -> str:
    """SHA-256 over the header as JSON has it; the checksum of the arrays is a part of it."""
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
