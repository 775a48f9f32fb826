"""The files that some published numbers need, and how they are found in DATA."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from catnet.errors import UserError


class Need(NamedTuple):
    """A file or folder that a set of numbers needs.

    Attributes:
        name: the name of the file; ``*.h5`` for a folder of the course's photographs.
        sha256: of the file; empty for the photographs, which are checked when they are read.
    """

    name: str
    sha256: str = ""

    def __str__(self) -> str:
        return f"{self.name} (SHA-256 {self.sha256})" if self.sha256 else "the course's h5 files"

    def find(self, data: Path) -> Path | None:
        """Find it: ``data`` itself, or in this folder, or in a folder inside this folder."""
        if not self.sha256:
            return next((p for p in (data, *_folders(data)) if _has_photographs(p)), None)
        places = [data] if data.is_file() else [folder / self.name for folder in _folders(data)]
        return next((p for p in places if p.is_file() and _sha256(p) == self.sha256), None)


PHOTOS = Need("*.h5")
DINOS = Need("dinos.txt", "ad6465621cf56c08f71d4fbb40cf7eab763f9df42c54cc460d6c4d86e9c927fb")
NAMES = Need("names.txt", "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d")
EX6DATA3 = Need("ex6data3.mat", "1218828095bf91d215622d00b2a5b8784c359e29d9d9c5734949b8e60c5bc231")


def _folders(data: Path) -> list[Path]:
    if not data.is_dir():
        return []
    return [data, *sorted(path for path in data.iterdir() if path.is_dir())]


def _has_photographs(path: Path) -> bool:
    return any(path.glob("*.h5")) if path.is_dir() else path.suffix == ".h5"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ---- MATLAB's files of version 5: https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf

TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
MATRIX, COMPRESSED = 14, 15
HEADER = 128  # bytes


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """Read the real matrices of a little-endian MAT file of version 5, as float64, by name.

    Raises:
        UserError: the file has another format or is damaged.
    """
    content = path.read_bytes()
    try:
        if content[124:128] != b"\x00\x01IM":
            raise ValueError("not a little-endian MAT file of version 5")
        return dict(map(_matrix, _top_level(content[HEADER:])))
    except (ValueError, KeyError, IndexError, struct.error, zlib.error) as error:
        raise UserError(f"{path}: cannot read this MAT file: {error}") from None


def _top_level(content: bytes) -> Iterator[bytes]:
    """The content of each matrix of a file."""
    for kind, data in _elements(content, aligned=False):
        if kind == COMPRESSED:
            yield from _top_level(zlib.decompress(data))
        elif kind == MATRIX:
            yield data


def _elements(content: bytes, aligned: bool = True) -> Iterator[tuple[int, bytes]]:
    """The (type, data) of each element; inside a matrix they are aligned to 8 bytes."""
    at = 0
    while at < len(content):
        kind, size = struct.unpack_from("<II", content, at)
        if kind >> 16:  # a small element has its size in the upper half of the type
            yield kind & 0xFFFF, content[at + 4 : at + 4 + (kind >> 16)]
            at += 8
        else:
            if at + 8 + size > len(content):
                raise ValueError("it ends too early")
            yield kind, content[at + 8 : at + 8 + size]
            at += 8 + size + (-size % 8 if aligned else 0)


def _matrix(content: bytes) -> tuple[str, np.ndarray]:
    """The name and the numbers of a matrix: its flags, shape, name and numbers in columns."""
    _, (_, shape), (_, name), (kind, data), *_ = _elements(content)
    values = np.frombuffer(data, f"<{TYPES[kind]}").astype(float)
    return name.decode(), values.reshape(np.frombuffer(shape, "<i4"), order="F")
