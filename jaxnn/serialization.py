"""Parameters as safetensors files: written whole or not at all, checked on reading.

A file holds the arrays under path-like keys (``1/W`` is ``params[1]["W"]``) and, as JSON in
its metadata, the tree they belong in, a SHA-256 of the arrays and what the caller adds.
Nothing is ever unpickled or executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
from safetensors.numpy import save as to_safetensors

from jaxnn.layer import Params

FORMAT = 1
_ENTRY = "jaxnn"  # the one entry of the file's metadata that is ours
_ROOT = "params"  # the key of params that are a single array
_DTYPES = {
    "BF16": jnp.bfloat16,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
    "U32": np.uint32,
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
    header = {"format": FORMAT, "sha256": _digest(arrays), "tree": tree}
    try:
        entry = json.dumps({**header, "metadata": dict(metadata or {})}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"{path}: metadata must be what JSON can hold: {error}") from None
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
            reshaped keys, each of them named.
        OSError: when the file cannot be read.
    """
    arrays, header = _read(path)
    if like is not None:
        tree, leaves = _outline(like)
        wanted = {key: tuple(leaf.shape) for key, leaf in leaves.items()}
    elif "tree" in header:
        tree = header["tree"]
        wanted = dict.fromkeys(_keys(tree))
    else:
        raise ModelFileError(f"{path}: not written by jaxnn; say with like= what it has to hold")
    wrong = [f"{key} is missing" for key in wanted if key not in arrays]
    wrong += [f"{key} is extra" for key in sorted(arrays) if key not in wanted]
    wrong += [
        f"{key} has shape {arrays[key].shape}, expected {shape}"
        for key, shape in wanted.items()
        if shape is not None and key in arrays and arrays[key].shape != shape
    ]
    if wrong:
        raise ModelFileError(f"{path}: {'; '.join(wrong)}")
    return _fill(tree, arrays), header.get("metadata", {})


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


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    content = Path(path).read_bytes()
    try:
        tensors = safetensors.deserialize(content)
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"{path}: not a safetensors file, or cut short ({error})") from None
    arrays = {}
    for key, tensor in tensors:
        dtype = _DTYPES.get(tensor["dtype"])
        if dtype is None:
            raise ModelFileError(f"{path}: {key} is of dtype {tensor['dtype']}, not known here")
        arrays[key] = np.frombuffer(tensor["data"], dtype).reshape(tensor["shape"])
    size = int.from_bytes(content[:8], "little")
    entry = json.loads(content[8 : 8 + size]).get("__metadata__", {}).get(_ENTRY)
    if entry is None:
        return arrays, {}
    try:
        header = json.loads(entry)
        version, digest = header["format"], header["sha256"]
    except (ValueError, KeyError, TypeError):
        raise ModelFileError(f"{path}: its metadata is damaged") from None
    if version != FORMAT:
        raise ModelFileError(
            f"{path}: of format {version}, this jaxnn reads format {FORMAT}; update jaxnn"
        )
    if digest != _digest(arrays):
        raise ModelFileError(f"{path}: damaged, its arrays are not those that were saved")
    return arrays, header


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of all arrays."""
    digest = hashlib.sha256()
    for key in sorted(arrays):
        array = arrays[key]
        digest.update(f"{key} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
