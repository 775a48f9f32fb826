"""A source of a cache on disk: its decoded images, and their table."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from catnet.data.duplicates import compute_fingerprints
from catnet.data.entries import open_listing
from catnet.data.reading import Row, open_source
from catnet.data.table import Table
from catnet.errors import UserError
from catnet.images.decode import decode
from catnet.images.geometry import Geometry

Progress: TypeAlias = Callable[[str, int, int], None]  # source, images decoded, all images

FORMAT = 5  # version of the files of the cache; it increases when they or their contents change
_CHUNK = 256  # images between two reports of progress
_STALE = 86_400  # seconds after which the files of an interrupted build are removed


class Shard(NamedTuple):
    """A source: images (n, size, size, 3) uint8, memory-mapped; their table; what else is known."""

    images: np.ndarray
    table: Table
    about: dict


def open_shard(
    path: Path,
    name: str,
    folder: Path,
    progress: Progress | None,
    all_classes: bool,
    geometry: Geometry,
) -> Shard:
    """Open a source in the folder of the cache; decode it if it is not there."""
    place = folder / f"{Path(name).name}-{compute_key(path, all_classes, geometry)}"
    if not place.is_dir():
        _remove_stale(folder, place.name)
        partial = Path(tempfile.mkdtemp(prefix=f"{place.name}.partial-", dir=folder))
        try:
            _write(path, name, partial, progress, all_classes, geometry)
            try:
                partial.replace(place)
            except OSError:
                if not place.is_dir():  # else another process has built the same folder
                    raise
            _sync(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    with np.load(place / "table.npz") as arrays:
        about = json.loads((place / "about.json").read_text(encoding="utf-8"))
        about["classes"] = tuple(about["classes"])
        table = Table(**arrays, names=about.pop("names"))
    images = np.asarray(np.load(place / "images.npy", mmap_mode="r"))
    return Shard(images, table, about)


def compute_key(path: Path, all_classes: bool, geometry: Geometry) -> str:
    """A hash that changes if decoding the source could give another result."""
    try:
        state = [("", *_read_size_and_time(path))]
        if path.is_dir():
            with open_listing(str(path)) as listing:
                entries = [*listing.images, *listing.others]
            state = [("/".join(entry.place), *_read_if_file(Path(entry.name))) for entry in entries]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    text = json.dumps(
        [FORMAT, str(path.resolve()), state, _hash_decoder(geometry), all_classes, geometry]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_if_file(file: Path) -> tuple[int, int]:
    """The size and the time of a file; zeros for a folder or a broken link."""
    return _read_size_and_time(file) if os.path.isfile(file) else (0, 0)  # noqa: PTH113


def _read_size_and_time(file: Path) -> tuple[int, int]:
    info = file.stat()
    return info.st_size, info.st_mtime_ns


def _hash_decoder(geometry: Geometry) -> str:
    """A hash of the result of the decoder for one image, as a version of the decoder."""
    y, x = np.mgrid[:150, :200]
    image = np.stack([x, y, (x * y) % 256], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return hashlib.sha256(decode(file.getvalue(), *geometry).tobytes()).hexdigest()


def _remove_stale(folder: Path, name: str) -> None:
    for partial in folder.glob(f"{name}.partial-*"):
        if time.time() - partial.stat().st_mtime > _STALE:
            shutil.rmtree(partial, ignore_errors=True)


def _write(
    path: Path,
    name: str,
    place: Path,
    progress: Progress | None,
    all_classes: bool,
    geometry: Geometry,
) -> None:
    """Decode a source into ``images.npy``, ``table.npz`` and ``about.json``."""
    rows: list[Row] = []
    features: list[tuple[np.ndarray, ...]] = []
    with (
        open_source(path, all_classes, geometry) as source,
        (place / "images.npy").open("wb") as file,
    ):
        chunk: list[tuple[np.ndarray, np.ndarray]] = []

        def flush() -> None:
            images, whole = map(np.stack, zip(*chunk, strict=True))
            file.write(images.tobytes())
            features.append(compute_fingerprints(whole))
            chunk.clear()
            if progress:
                progress(name, len(rows) + len(source.skipped), source.total)

        start = _write_header(file, 0, geometry.size)
        for row, image, whole in source.rows:
            rows.append(row)
            chunk.append((image, whole))
            if len(chunk) == _CHUNK:
                flush()
        if chunk:
            flush()
        if not rows:
            why = source.skipped[0] if source.skipped else "it has no training images"
            raise UserError(f"{path}: none of its images can be read: {why}")
        file.seek(0)
        if _write_header(file, len(rows), geometry.size) != start:
            raise RuntimeError("the header of images.npy has become longer")
        _sync(file)
        about = {
            "names": [row.name for row in rows],
            "kinds": source.kinds,
            "fine_names": source.fine_names,
            "fine_cats": source.fine_cats,
            "skipped": source.skipped,
            "notes": source.notes,
            "classes": source.classes,
        }
    content, perceptual, thumbs = map(np.concatenate, zip(*features, strict=True))
    with (place / "table.npz").open("wb") as file:
        np.savez(
            file,
            labels=np.array([row.label for row in rows], np.int16),
            fine=np.array([row.fine for row in rows], np.int16),
            sources=np.zeros(len(rows), np.int16),
            strata=np.array([row.kind for row in rows], np.int16),
            held_out=np.array([row.held_out for row in rows], bool),
            content=content,
            perceptual=perceptual,
            thumbs=thumbs,
        )
        _sync(file)
    with (place / "about.json").open("wb") as file:
        file.write(json.dumps(about).encode())
        _sync(file)


def _write_header(file: BinaryIO, count: int, size: int) -> int:
    """Write the header of a .npy file; return its length, which is equal for all counts."""
    shape = (count, size, size, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _sync(target: BinaryIO | Path) -> None:
    """Write to the disk, so that after a power failure no file with a final name is incomplete."""
    if not isinstance(target, Path):
        target.flush()
        os.fsync(target.fileno())
    elif os.name == "posix":
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
