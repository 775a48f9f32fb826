"""Parameters as safetensors files: written whole or not at all, checked on reading.

A file holds the arrays under path-like keys (``1/W`` is ``params[1]["W"]``) and, as JSON in
its metadata, the version of the format, the tree they belong in, what the caller adds, and
two checksums: of the arrays, and of all else.  Nothing is ever unpickled or executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from safetensors.numpy import save as to_safetensors

from jaxnn.layer import Params

FORMAT = 2  # files of format 1, which lack the checksum of the header, are read too
_ENTRY = "jaxnn"  # the one entry of the file's metadata that is ours
_LONGEST = 2**24  # characters of that entry; parsed, it takes many times the memory
_DEEPEST = 100  # levels of a tree of parameters
_ROOT = "params"  # the key of params that are a single array
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


class ModelFileError(ValueError):
    """A file is not what it should be; the message names the file and what is wrong."""


def save(
    path: str | os.PathLike[str], params: Params, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write parameters to a safetensors file, in one step: the old file or the new one is there.

    Args:
        path: the file; its folder must exist.
        params: a tree of dicts, tuples and lists with arrays as leaves.
        metadata: anything JSON can hold; ``load`` gives it back.

    Raises:
        ModelFileError: when the tree or the metadata holds something else.
        OSError: when the file cannot be written; what was there before is untouched.

    Example:
        >>> import tempfile, pathlib, jax.numpy as jnp, jaxnn
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.safetensors")
        >>> jaxnn.save(path, ({"W": jnp.ones((1, 2))}, ()), {"classes": ["non-cat", "cat"]})
        >>> params, metadata = jaxnn.load(path)
        >>> params[0]["W"].tolist(), params[1], metadata
        ([[1.0, 1.0]], (), {'classes': ['non-cat', 'cat']})
    """
    tree, leaves = _outline(params)
    arrays = {key: np.asarray(leaf) for key, leaf in leaves.items()}
    for key, array in arrays.items():
        if array.dtype not in _DTYPES.values():
            raise ModelFileError(f"{path}: no file can hold {key}, params of dtype {array.dtype}")
    try:
        # As JSON gives it back: names that are numbers become strings.
        given = json.loads(json.dumps(dict(metadata or {}), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(f"{path}: metadata must be what JSON can hold: {error}") from None
    header = {"format": FORMAT, "sha256": _digest(arrays), "tree": tree, "metadata": given}
    entry = json.dumps({**header, "header_sha256": _header_digest(header)})
    if len(entry) > _LONGEST or not _is_outline(tree):
        raise ModelFileError(
            f"{path}: metadata may have {_LONGEST} characters, params {_DEEPEST} levels"
        )
    write_whole(path, to_safetensors(arrays, {_ENTRY: entry}))


def load(path: str | os.PathLike[str], like: Params | None = None) -> tuple[Params, dict[str, Any]]:
    """Read parameters from a safetensors file.

    Args:
        path: the file.
        like: a tree of arrays or ``jax.ShapeDtypeStruct``: what the file has to hold
            (``jax.eval_shape(net.init, key, x)`` gives one).  Without it, the tree is the one
            that was saved.

    Returns:
        The parameters, and the metadata given to ``save``.

    Raises:
        ModelFileError: not such a file, damaged, of a newer format, or with missing, extra or
            reshaped keys, which are named.
        OSError: when the file cannot be read.
    """
    header = _read_header(path)
    if like is not None:
        tree, leaves = _outline(like)
        wanted = {key: tuple(leaf.shape) for key, leaf in leaves.items()}
    elif header.sha256 is not None:
        tree = header.tree
        wanted = dict.fromkeys(_keys(tree))
    else:
        raise ModelFileError(f"{path}: not written by jaxnn; say with like= what it has to hold")
    found = header.shapes
    wrong = [f"{_shown(key)} is missing" for key in wanted if key not in found]
    wrong += [f"{_shown(key)} is extra" for key in sorted(found) if key not in wanted]
    wrong += [
        f"{key} has shape {found[key]}, expected {shape}"
        for key, shape in wanted.items()
        if shape is not None and key in found and found[key] != shape
    ]
    if wrong:
        more = [f"and {len(wrong) - 10} more"] if len(wrong) > 10 else []
        raise ModelFileError(f"{path}: {'; '.join(wrong[:10] + more)}")
    return _fill(tree, _read_arrays(path, header.sha256)), header.metadata


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``save`` was given beside the parameters, which are not read.

    With it one can build the network that tells ``load`` what the file has to hold.

    Raises:
        ModelFileError: not such a file, of a newer format, or damaged in its header.
        OSError: when the file cannot be read.
    """
    return _read_header(path).metadata


def write_whole(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file beside its place, then move it there: a reader sees all of it or the old one."""
    path = Path(path)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o666 & ~_umask())  # mkstemp lets nobody else read
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _outline(tree: Params, key: str = "") -> tuple[Any, dict[str, Any]]:
    """A tree as JSON, None for every leaf, and its leaves by path-like key."""
    if isinstance(tree, dict):
        if not all(isinstance(name, str) and name and "/" not in name for name in tree):
            raise ModelFileError(f"names of params must be strings without '/': {list(tree)}")
        children = tree.items()
    elif type(tree) in (tuple, list):
        children = [(str(i), child) for i, child in enumerate(tree)]
    elif hasattr(tree, "shape") and hasattr(tree, "dtype"):
        return None, {key or _ROOT: tree}
    else:
        raise ModelFileError(
            f"params may hold dicts, tuples, lists and arrays; {key or 'they'}: {type(tree)}"
        )
    outlines, leaves = {}, {}
    for name, child in children:
        outlines[name], of_child = _outline(child, f"{key}/{name}".lstrip("/"))
        leaves.update(of_child)
    if isinstance(tree, dict):
        return outlines, leaves
    return [type(tree).__name__, *outlines.values()], leaves


def _items(outline: Any, key: str) -> list[tuple[str, str, Any]]:
    """Name, key and outline of every child."""
    children = outline.items() if isinstance(outline, dict) else enumerate(outline[1:])
    return [(str(name), f"{key}/{name}".lstrip("/"), child) for name, child in children]


def _keys(outline: Any, key: str = "") -> list[str]:
    if outline is None:
        return [key or _ROOT]
    return [leaf for _, k, child in _items(outline, key) for leaf in _keys(child, k)]


def _fill(outline: Any, arrays: Mapping[str, np.ndarray], key: str = "") -> Params:
    if outline is None:
        return jax.device_put(arrays[key or _ROOT])
    children = {name: _fill(child, arrays, k) for name, k, child in _items(outline, key)}
    if isinstance(outline, dict):
        return children
    return {"tuple": tuple, "list": list}[outline[0]](children.values())


def _is_outline(tree: Any, levels: int = _DEEPEST) -> bool:
    """Whether what a file has in the place of the tree is one."""
    if levels == 0:
        return False
    if isinstance(tree, dict):
        names = all(name and "/" not in name for name in tree)
        return names and all(_is_outline(child, levels - 1) for child in tree.values())
    if isinstance(tree, list):
        named = tree[:1] in (["tuple"], ["list"])
        return named and all(_is_outline(child, levels - 1) for child in tree[1:])
    return tree is None


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
    fits = _is_outline(tree) and isinstance(metadata, dict) and isinstance(sha256, str)
    if not fits or not (intact if version == FORMAT else version == 1):
        raise damaged
    return _Header(shapes, metadata, tree, sha256)


def _read_arrays(path: str | os.PathLike[str], sha256: str | None) -> dict[str, np.ndarray]:
    try:
        tensors = safetensors.deserialize(Path(path).read_bytes())
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
    if sha256 is not None and sha256 != _digest(arrays):
        raise ModelFileError(f"{path}: damaged, its arrays are not those that were saved")
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
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _header_digest(header: Mapping[str, Any]) -> str:
    """SHA-256 over the header as JSON has it; the checksum of the arrays is a part of it."""
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
