"""A cache of decoded images: memory-mapped uint8 arrays, and a table with one row an image.

A source is Tiny ImageNet, dogs-vs-cats, or anything that :mod:`catnet.data.dataset` loads.  All
images have the geometry of the network, as in prediction.  So the validation scores and the
calibration are valid for prediction, and a network cannot recognize a source by its image size.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from catnet.data.class_names import CATS, Names, find_common_classes, match
from catnet.data.duplicates import compute_fingerprints
from catnet.data.entries import open_listing
from catnet.data.reading import Row, open_source
from catnet.errors import UserError
from catnet.images.decode import decode
from catnet.images.geometry import WHOLE, Geometry

Progress: TypeAlias = Callable[[str, int, int], None]  # source, images decoded, all images

FORMAT = 5  # version of the files of the cache; it increases when they or their contents change
_CHUNK = 256  # images between two reports of progress
_STALE = 86_400  # seconds after which the files of an interrupted build are removed


@dataclass(frozen=True)
class Table:
    """The properties of n images, one row each.

    Attributes:
        labels: (n,) int16, index into ``Cache.classes``.
        fine: (n,) int16, index into ``Cache.fine_names``; -1 where unknown.
        sources: (n,) int16, index into ``Cache.sources``.
        strata: (n,) int16, index into ``Cache.strata``: source and kind of image.
        held_out: (n,) bool, whether the image is in the test part of its source.
        content: (n,) uint64, a hash of the pixels of the whole image at 64×64, whatever the
            geometry: so it is in the same part (training, validation, test) for every network.
        perceptual: (n,) uint64, perceptual hashes; those of near-duplicates differ in few bits.
        thumbs: (n, 8, 8, 3) uint8, thumbnails.
        names: the n names in messages.
    """

    labels: np.ndarray
    fine: np.ndarray
    sources: np.ndarray
    strata: np.ndarray
    held_out: np.ndarray
    content: np.ndarray
    perceptual: np.ndarray
    thumbs: np.ndarray
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Cache:
    """Decoded images of several sources, with one index over all sources.

    Attributes:
        images: for each source a memory-mapped uint8 array (n, size, size, 3).
        table: one row an image, in the order of ``images``.
        sources: names of the sources.
        strata: names of the strata, ``"tiny-imagenet-200/dog"``; with more than two classes, a
            source is one stratum, ``"tiny-imagenet-200"``.
        fine_names: names of the fine labels; empty if there are none.
        fine_cats: which fine labels are cats.
        skipped: one line for each image that cannot be decoded, with the reason.
        classes: the names of the labels.
        notes: remarks on the sources, one line each; also which of their classes are mapped to
            one of ``classes``.
    """

    images: tuple[np.ndarray, ...]
    table: Table
    sources: tuple[str, ...]
    strata: tuple[str, ...]
    fine_names: tuple[str, ...] = ()
    fine_cats: tuple[int, ...] = ()
    skipped: tuple[str, ...] = ()
    classes: Names = CATS
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """The images with these indices, uint8 ``(len(indices), size, size, 3)``."""
        indices = np.asarray(indices)
        starts = np.cumsum([0, *map(len, self.images)])
        if indices.size and (indices.min() < 0 or indices.max() >= starts[-1]):
            raise IndexError(f"the indices must lie between 0 and {starts[-1] - 1}")
        out = np.empty((len(indices), *self.images[0].shape[1:]), np.uint8)
        for images, start in zip(self.images, starts[:-1], strict=True):
            rows = np.flatnonzero((indices >= start) & (indices < start + len(images)))
            out[rows] = images[indices[rows] - start]
        return out


def build(
    sources: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    progress: Progress | None = None,
    all_classes: bool = False,
    geometry: Geometry = WHOLE,
) -> Cache:
    """Open the cache of some sources; decode the sources that are not in it.

    Each source has its own folder in ``folder``.  The name of this folder is a hash of the path,
    the size, the modification time and the result of the decoder, so a changed source is decoded
    again.  Each folder is created atomically: after an interruption, the complete sources remain.

    Args:
        sources: the arguments of :func:`catnet.data.dataset.load`.
        folder: the folder of the cache; it is created if it does not exist.
        progress: called after each chunk of images.
        all_classes: whether Tiny ImageNet has its 200 classes; else it has cat and non-cat.
        geometry: of the images: the network's.

    Raises:
        UserError: a source cannot be read or has no images, or the folder cannot be written.
    """
    if not sources:
        raise UserError("no sources to train on; name at least one zip, folder or h5 file")
    paths = [Path(source) for source in sources]
    names = [path.stem if path.suffix else path.name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise UserError(f"{_find_repeated(names)}: is given twice; give each source once")
    folder = Path(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it contains the user's images
        shards = [
            _open_shard(path, name, folder, progress, all_classes, geometry)
            for path, name in zip(paths, names, strict=True)
        ]
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}") from None
    return _join(names, shards)


# ---- one source on disk


class _Shard(NamedTuple):
    images: np.ndarray
    table: Table
    about: dict


def _open_shard(
    path: Path,
    name: str,
    folder: Path,
    progress: Progress | None,
    all_classes: bool,
    geometry: Geometry,
) -> _Shard:
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
    return _Shard(images, table, about)


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


def _join(names: list[str], shards: list[_Shard]) -> Cache:
    """Join the sources to one cache, with one index over images, sources and strata."""
    strata: list[str] = []
    columns: dict[str, list] = {column.name: [] for column in fields(Table)}
    image_names = columns.pop("names")
    fine_names: list[str] = []
    source_classes = {
        name: shard.about["classes"] for name, shard in zip(names, shards, strict=True)
    }
    classes = find_common_classes(source_classes)
    notes: list[str] = []
    for index, (name, shard) in enumerate(zip(names, shards, strict=True)):
        image_names += shard.table.names
        for column, values in columns.items():
            values.append(getattr(shard.table, column))
        matching = match(classes, source_classes[name])
        notes += [f"{name}: {note}" for note in matching.notes]
        columns["labels"][-1] = np.array(matching.labels, np.int16)[shard.table.labels]
        columns["sources"][-1] = np.full(len(shard.table), index, np.int16)
        kinds = [f"{name}/{kind}" for kind in shard.about["kinds"]]
        if len(classes) > 2:
            columns["strata"][-1], kinds = np.zeros(len(shard.table), np.int16), [name]
        columns["strata"][-1] = columns["strata"][-1] + np.int16(len(strata))
        strata += kinds
        names_here = shard.about["fine_names"]
        if fine_names and names_here and fine_names != names_here:
            raise UserError(
                f"{name}: its fine labels differ from those of another source; train on one of them"
            )
        fine_names = fine_names or names_here
    return Cache(
        images=tuple(shard.images for shard in shards),
        table=Table(**{name: np.concatenate(columns[name]) for name in columns}, names=image_names),
        sources=tuple(names),
        strata=tuple(strata),
        fine_names=tuple(fine_names),
        fine_cats=tuple(sorted({cat for shard in shards for cat in shard.about["fine_cats"]})),
        skipped=tuple(line for shard in shards for line in shard.about["skipped"]),
        classes=classes,
        notes=(*notes, *(line for shard in shards for line in shard.about["notes"])),
    )


def _find_repeated(names: list[str]) -> str:
    return next(name for i, name in enumerate(names) if name in names[:i])
