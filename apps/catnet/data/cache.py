"""Images decoded once: memory-mapped uint8 arrays beside a table of what is known of each.

A source is Tiny ImageNet, dogs-vs-cats, or anything that :mod:`catnet.data.dataset` loads.  All are
kept at 64×64 as the one decoder gives them: exactly what the network is shown in prediction, so
validation scores and calibration hold there; and a size of its own would tell sources apart.
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

from catnet.data.class_names import CATS, Names, common, match
from catnet.data.duplicates import fingerprints
from catnet.data.entries import opened
from catnet.data.reading import Row, reading
from catnet.errors import UserError
from catnet.images.decode import decode
from catnet.images.size import SIZE

Progress: TypeAlias = Callable[[str, int, int], None]  # source, images done, images in all

FORMAT = 3  # of the files below, of what is read and decoded; raised when they change
_CHUNK = 256  # images between two reports of progress
_STALE = 86_400  # seconds after which what an interrupted build left behind is removed


@dataclass(frozen=True)
class Table:
    """What is known of n images, one row each.

    Attributes:
        labels: (n,) int8, index into ``Cache.classes``.
        fine: (n,) int16, index into ``Cache.fine_names``; -1 where unknown.
        sources: (n,) int16, index into ``Cache.sources``.
        strata: (n,) int16, index into ``Cache.strata``: source and kind of image.
        held_out: (n,) bool, whether the source itself gives the image as a test image.
        content: (n,) uint64, a hash of the pixels.
        perceptual: (n,) uint64, signs of the lowest frequencies; near-duplicates differ in few.
        thumbs: (n, 8, 8, 3) uint8, a thumbnail.
        names: n names for messages.
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
    """Decoded images of several sources, numbered through.

    Attributes:
        images: one uint8 array (n, 64, 64, 3) a source, mapped from its file.
        table: a row an image, in the order of ``images``.
        sources: names of the sources.
        strata: names of the strata, ``"tiny-imagenet-200/dog"``.
        fine_names: names of the fine labels; empty if no source has them.
        fine_cats: which fine labels are cats.
        skipped: images that could not be decoded, with the reason.
        classes: the names of label 0 and label 1.
        notes: what is as well to know of the sources, one line each; also which of their
            classes only count as one of these.
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
        """The images of these numbers, uint8 ``(len(indices), 64, 64, 3)``."""
        indices = np.asarray(indices)
        starts = np.cumsum([0, *map(len, self.images)])
        if indices.size and (indices.min() < 0 or indices.max() >= starts[-1]):
            raise IndexError(f"images are numbered 0 to {starts[-1] - 1}")
        out = np.empty((len(indices), SIZE, SIZE, 3), np.uint8)
        for images, start in zip(self.images, starts[:-1], strict=True):
            here = np.flatnonzero((indices >= start) & (indices < start + len(images)))
            out[here] = images[indices[here] - start]
        return out


def build(
    sources: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    progress: Progress | None = None,
) -> Cache:
    """Open the cache of these sources, decoding those that are not in it yet.

    Every source has a folder of its own in ``folder``, named by its path, size, time of change
    and the decoder's behaviour: a changed source is decoded again, and of an interrupted build
    the sources already done remain.  A source appears whole or not at all.

    Args:
        sources: what ``datasets.load`` takes.
        folder: where the cache is; made if it is not there.
        progress: called after every few hundred images.

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
        raise UserError(f"{_first_repeated(names)}: named twice; name every source once")
    folder = Path(folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it shows the user's images
        shards = [
            _shard(path, name, folder, progress) for path, name in zip(paths, names, strict=True)
        ]
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}") from None
    return _joined(names, shards)


# ---- one source on disk


class _Shard(NamedTuple):
    images: np.ndarray
    table: Table
    about: dict


def _shard(path: Path, name: str, folder: Path, progress: Progress | None) -> _Shard:
    place = folder / f"{Path(name).name}-{_key(path)}"
    if not place.is_dir():
        _remove_stale(folder, place.name)
        partial = Path(tempfile.mkdtemp(prefix=f"{place.name}.partial-", dir=folder))
        try:
            _write(path, name, partial, progress)
            try:
                partial.replace(place)
            except OSError:
                if not place.is_dir():  # else another process was faster, with the same result
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


def _key(path: Path) -> str:
    """Changes whenever decoding the source again could give something else."""
    try:
        seen = [("", *_size_and_time(path))]
        if path.is_dir():
            with opened(str(path)) as listing:
                entries = [*listing.images, *listing.others]
            seen = [("/".join(entry.place), *_if_there(Path(entry.name))) for entry in entries]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    what = json.dumps([FORMAT, str(path.resolve()), seen, _decoder()])
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _if_there(file: Path) -> tuple[int, int]:
    """Nothing for a folder, or a link to nothing."""
    return _size_and_time(file) if os.path.isfile(file) else (0, 0)  # noqa: PTH113


def _size_and_time(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _decoder() -> str:
    """What the decoder makes of one image stands for how it behaves."""
    y, x = np.mgrid[:150, :200]
    image = np.stack([x, y, (x * y) % 256], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=90)
    return hashlib.sha256(decode(file.getvalue(), SIZE).tobytes()).hexdigest()


def _remove_stale(folder: Path, name: str) -> None:
    for left in folder.glob(f"{name}.partial-*"):
        if time.time() - left.stat().st_mtime > _STALE:
            shutil.rmtree(left, ignore_errors=True)


def _write(path: Path, name: str, place: Path, progress: Progress | None) -> None:
    """Decode a source into ``images.npy``, ``table.npz`` and ``about.json``."""
    rows: list[Row] = []
    features: list[tuple[np.ndarray, ...]] = []
    with reading(path) as source, (place / "images.npy").open("wb") as file:
        chunk: list[np.ndarray] = []

        def flush() -> None:
            pixels = np.stack(chunk)
            file.write(pixels.tobytes())
            features.append(fingerprints(pixels))
            chunk.clear()
            if progress:
                progress(name, len(rows) + len(source.skipped), source.total)

        start = _header(file, 0)
        for row, image in source.rows:
            rows.append(row)
            chunk.append(image)
            if len(chunk) == _CHUNK:
                flush()
        if chunk:
            flush()
        if not rows:
            why = source.skipped[0] if source.skipped else "it has none to train on"
            raise UserError(f"{path}: none of its images can be read: {why}")
        file.seek(0)
        if _header(file, len(rows)) != start:
            raise RuntimeError("the header of images.npy outgrew its place")
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
            labels=np.array([row.label for row in rows], np.int8),
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


def _header(file: BinaryIO, count: int) -> int:
    """The header of a .npy file for ``count`` images (of one length for any); where it ends."""
    shape = (count, SIZE, SIZE, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()


def _sync(what: BinaryIO | Path) -> None:
    """To the disk itself, so that a power cut leaves no half-written file under a final name."""
    if not isinstance(what, Path):
        what.flush()
        os.fsync(what.fileno())
    elif os.name == "posix":
        descriptor = os.open(what, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _joined(names: list[str], shards: list[_Shard]) -> Cache:
    """Number images, sources and strata through."""
    strata: list[str] = []
    columns: dict[str, list] = {column.name: [] for column in fields(Table)}
    listed = columns.pop("names")
    fine_names: list[str] = []
    of_source = {name: shard.about["classes"] for name, shard in zip(names, shards, strict=True)}
    classes = common(of_source)
    notes: list[str] = []
    for index, (name, shard) in enumerate(zip(names, shards, strict=True)):
        listed += shard.table.names
        for column, values in columns.items():
            values.append(getattr(shard.table, column))
        fits = match(classes, of_source[name])
        notes += [f"{name}: {note}" for note in fits.notes]
        columns["labels"][-1] = np.array(fits.labels, np.int8)[shard.table.labels]
        columns["sources"][-1] = np.full(len(shard.table), index, np.int16)
        columns["strata"][-1] = shard.table.strata + np.int16(len(strata))
        strata += [f"{name}/{kind}" for kind in shard.about["kinds"]]
        theirs = shard.about["fine_names"]
        if fine_names and theirs and fine_names != theirs:
            raise UserError(f"{name}: its fine labels differ from those of another source")
        fine_names = fine_names or theirs
    return Cache(
        images=tuple(shard.images for shard in shards),
        table=Table(**{name: np.concatenate(columns[name]) for name in columns}, names=listed),
        sources=tuple(names),
        strata=tuple(strata),
        fine_names=tuple(fine_names),
        fine_cats=tuple(sorted({cat for shard in shards for cat in shard.about["fine_cats"]})),
        skipped=tuple(line for shard in shards for line in shard.about["skipped"]),
        classes=classes,
        notes=(*notes, *(line for shard in shards for line in shard.about["notes"])),
    )


def _first_repeated(names: list[str]) -> str:
    return next(name for i, name in enumerate(names) if name in names[:i])
