"""Parameters as safetensors files, written atomically and checked on writing and reading.

A file contains the arrays under path-like keys (``1/W`` is ``params[1]["W"]``).  Its metadata
contains, as JSON, the version of the format, the outline of the tree of arrays
(``jaxnn.outline``), the metadata of the caller, and two checksums: one of the arrays, one of all
else.  Nothing is ever unpickled or executed.
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

# Trees of dicts, tuples, lists and arrays are written in format 2, all others in format 3.
# Format 1, which has no checksum of the header, can be read too.
FORMAT = 3
_ENTRY = "jaxnn"  # the only entry that this module adds to the metadata of a file
_RESERVED = "__metadata__"  # the name of the metadata in safetensors
_LONGEST = 2**24  # characters of this entry; parsing needs many times the memory
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
_NUMBERS = {"int": np.int64, "float": np.float64, "bool": np.bool_}  # dtypes in the file


class ModelFileError(ValueError):
    """A file cannot be written or read; the message names the file and the fault."""


def save(
    path: str | os.PathLike[str], params: Params, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write parameters to a safetensors file atomically.

    Args:
        path: the file; its folder must exist.
        params: arrays, numbers of Python and typed keys, in dicts, tuples, lists and all other
            pytrees of JAX, such as a ``jaxnn.State`` with the state of an optimizer.  Arrays
            are of NumPy or JAX, with any layout in memory, of dtype bool, integers of 8 to 64
            bits, float16, bfloat16, float32 or float64.
        metadata: values that JSON can represent.  ``load`` returns them as JSON does: names are
            strings, tuples are lists.

    Raises:
        ModelFileError: when the tree or the metadata contains something that cannot be restored.
        OSError: when the file cannot be written; an old file is then unchanged.

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
        arrays = {key: _to_array(key, leaf) for key, leaf in leaves.items()}
    except ValueError as error:
        raise ModelFileError(f"{path}: {_printable(str(error))}") from None
    try:
        entries = dict(metadata or {})
        entries = json.loads(
            json.dumps(entries, allow_nan=False), object_pairs_hook=_reject_duplicates
        )
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
        like: the expected tree, with arrays or ``jax.ShapeDtypeStruct`` of the expected shapes;
            ``jax.eval_shape(net.init, key, x)`` returns one.  The result has its types, such as
            NamedTuples and optimizer states.  Without it, the result is the saved tree, with
            dicts instead of all other nodes with names.

    Returns:
        The parameters, and the metadata of ``save``.  Arrays are of JAX, with one exception: while
        ``jax_enable_x64`` is off, arrays of 64 bits are of NumPy, so that their values are
        unchanged.  Numbers of Python and typed keys are restored as such.

    Raises:
        ModelFileError: when the file is not a safetensors file, is damaged or of a newer format,
            or has missing or extra keys or other shapes; the message names them.
        OSError: when the file cannot be read.

    Example:
        Training resumes from a saved state; the result is bit-identical::

            >>> import tempfile, pathlib, jax, jax.numpy as jnp, jaxnn, optax
            >>> x, net, adam = jnp.linspace(-1, 1, 10)[:, None], jaxnn.dense(1), optax.adam(0.1)
            >>> params = net.init(jax.random.key(0), x)
            >>> path = pathlib.Path(tempfile.mkdtemp(), "state.safetensors")
            >>> config = {"optimizer": adam, "batch_size": 5, "key": jax.random.key(1)}
            >>> _ = jaxnn.fit(
            ...     net, jaxnn.mean_squared_error, params, x, 3 * x, steps=20, **config,
            ...     progress=lambda state, costs: jaxnn.save(path, state))
            >>> start = jaxnn.State(0, params, adam.init(params))
            >>> state, _ = jaxnn.load(path, like=start)
            >>> params, costs = jaxnn.fit(
            ...     net, jaxnn.mean_squared_error, params, x, 3 * x, steps=50, **config,
            ...     state=state)
            >>> type(state).__name__, state.step, len(costs)
            ('State', 20, 30)
    """
    header = _read_header(path)
    kind_of = dict(kinds(header.tree)) if header.sha256 is not None else {}
    if like is not None:
        try:
            _, leaves = outline(like)
        except ValueError as error:
            raise ModelFileError(
                f"{path}: like= is not what a file can hold: {_printable(str(error))}"
            ) from None
        expected = {
            key: _describe_shape(is_key(leaf), np.shape(leaf)) for key, leaf in leaves.items()
        }
    elif header.sha256 is not None:
        expected = dict.fromkeys(kind_of)
    else:
        raise ModelFileError(f"{path}: not written by jaxnn; pass the expected tree as like=")
    shapes = {}
    for key, shape in header.shapes.items():
        is_typed_key = (kind_of.get(key) or "").startswith("key ")
        shapes[key] = _describe_shape(is_typed_key, shape[:-1] if is_typed_key else shape)
    faults = [f"{_printable(key)} is missing" for key in expected if key not in shapes]
    faults += [f"{_printable(key)} is extra" for key in sorted(shapes) if key not in expected]
    faults += [
        f"{_printable(key)} has shape {shapes[key]}, expected {shape}"
        for key, shape in expected.items()
        if shape is not None and key in shapes and shapes[key] != shape
    ]
    if faults:
        more = [f"and {len(faults) - 10} more"] if len(faults) > 10 else []
        raise ModelFileError(f"{path}: {'; '.join(faults[:10] + more)}")
    values = {
        key: _restore(path, key, kind_of.get(key), array)
        for key, array in _read_arrays(path, header.sha256).items()
    }
    params = fill(header.tree, values) if like is None else fill_like(like, values)
    return params, header.metadata


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the metadata of ``save`` without the parameters.

    A program can build the network from it, and with this the argument ``like`` of ``load``.

    Raises:
        ModelFileError: when the file is not a safetensors file, is of a newer format, or has a
            damaged header.
        OSError: when the file cannot be read.
    """
    return _read_header(path).metadata


def _to_array(key: str, leaf: Any) -> np.ndarray:
    """The array for a leaf in the file: contiguous, in the byte order of this machine.

    Raises:
        ValueError: when the leaf cannot be restored; says why.
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
    array = np.asarray(leaf, order="C")  # np.ascontiguousarray makes a number a vector
    array = array.astype(array.dtype.newbyteorder("="), copy=False)
    if array.dtype not in _DTYPES.values():
        raise ValueError(f"{where}: no file can hold the dtype {array.dtype}; convert it")
    return (
        array.view(np.uint8) != 0 if array.dtype == np.bool_ else array
    )  # each true is stored as 1


def _restore(path: str | os.PathLike[str], key: str, kind: str | None, array: np.ndarray) -> Any:
    """The leaf that ``save`` got, from its array in the file and its kind in the outline."""
    if kind is None:
        exact = jax.dtypes.canonicalize_dtype(array.dtype) == array.dtype
        return jax.device_put(array) if exact else array
    if kind in NUMBERS and array.shape == () and array.dtype == _NUMBERS[kind]:
        return array.item()
    try:
        return jax.random.wrap_key_data(jax.device_put(array), impl=kind.removeprefix("key "))
    except (TypeError, ValueError):
        raise ModelFileError(
            f"{path}: {_printable(key)} is no {_printable(kind)}; update jax, or save it again"
        ) from None


def _describe_shape(is_typed_key: bool, shape: tuple[int, ...]) -> str:
    return f"{shape} of typed keys" if is_typed_key else f"{shape}"


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without duplicate names: 1 and "1" are the same name in JSON."""
    if len(entries := dict(pairs)) < len(pairs):
        raise ValueError(f"two names are the same as JSON, among {_printable(str(list(entries)))}")
    return entries


class _Header(NamedTuple):
    """A file without its arrays; tree and checksum are None if another program wrote it."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, Any]
    tree: Any = None
    sha256: str | None = None


def _read_header(path: str | os.PathLike[str]) -> _Header:
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(
        mode
    ):  # reading a pipe may block, reading a device never end
        raise ModelFileError(f"{path}: not a file but a pipe or a device")
    with Path(path).open("rb"):
        pass  # raises an OSError with the reason, which safetensors does not give
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            entries = file.metadata() or {}
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - no dict
            shapes = {key: tuple(s.get_shape()) for key, s in slices.items()}
    except safetensors.SafetensorError as error:
        raise _not_safetensors(path, error) from None
    if _ENTRY in entries:
        return _parse_header(path, entries[_ENTRY], shapes)
    if any("sha256" in entry for entry in entries.values()):
        raise ModelFileError(f"{path}: damaged, its metadata has no entry {_ENTRY!r}")
    return _Header(shapes, {})


def _parse_header(
    path: str | os.PathLike[str], entry: str, shapes: dict[str, tuple[int, ...]]
) -> _Header:
    """The header from this module's entry of the metadata."""
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
    valid = is_outline(tree, arrays_only=version < 3)
    if not valid or not isinstance(metadata, dict) or not isinstance(sha256, str):
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
        raise _not_safetensors(path, error) from None
    arrays = {}
    for key, tensor in tensors:
        dtype = _DTYPES.get(tensor["dtype"])
        if dtype is None:
            raise ModelFileError(
                f"{path}: {_printable(key)} is of dtype {tensor['dtype']}, not known here"
            )
        arrays[key] = np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])
    return arrays


def _not_safetensors(path: str | os.PathLike[str], error: Exception) -> ModelFileError:
    return ModelFileError(
        f"{path}: not a safetensors file, or cut short ({_printable(str(error))})"
    )


def _printable(text: str) -> str:
    """Text from a file, as part of one line of an error message."""
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 200 else f"{text[:200]}…"


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the names, dtypes, shapes and bytes of all arrays."""
    digest = hashlib.sha256()
    for key in sorted(arrays):
        array = arrays[key]
        digest.update(f"{key} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _header_digest(header: Mapping[str, Any]) -> str:
    """SHA-256 of the header as JSON, which contains the checksum of the arrays."""
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
