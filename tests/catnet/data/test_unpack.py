"""Archives are unpacked whole or not at all; what is not safe is refused in one line."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from catnet.data import cifar
from catnet.data.unpack import create_folder, read_members, unpack
from catnet.errors import UserError

FILES = {"top/a.txt": b"first", "top/deep/b.bin": bytes(range(256)) * 40, "top/empty": b""}


def tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def tar_of(path: Path, **fields: object) -> Path:
    """A tar with one good file, then a member with these fields."""
    with tarfile.open(path, "w:gz") as archive:
        good = tarfile.TarInfo("good")
        good.size = 4
        archive.addfile(good, io.BytesIO(b"good"))
        info = tarfile.TarInfo("bad")
        for key, value in fields.items():
            setattr(info, key, value)
        archive.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def zipped(path: Path, files: dict[str, bytes], attributes: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return path


def plain_tar(path: Path, files: dict[str, bytes]) -> Path:
    return tar(path, files, "w")


ARCHIVES = pytest.mark.parametrize("make", [tar, plain_tar, zipped])


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(archive: Path, **limits: Any) -> str:
    """The reason; and nothing but the archive is left."""
    before = contents(archive.parent)
    with pytest.raises(UserError) as caught:
        unpack(archive, archive.parent / "out", **limits)
    assert contents(archive.parent) == before
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    text = str(caught.value)
    assert str(archive) in text
    assert "\n" not in text
    return text


@ARCHIVES
def test_unpacks_what_is_in_it(tmp_path: Path, make: Callable) -> None:
    unpack(make(tmp_path / "archive", FILES), tmp_path / "out")
    assert contents(tmp_path / "out") == FILES
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "out"}
    assert not os.access(tmp_path / "out/top/a.txt", os.X_OK) or os.name == "nt"
    plain = tmp_path / "plain"
    plain.mkdir()
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@ARCHIVES
@pytest.mark.parametrize(
    "name", ["/etc/x", "../x", "a/../../x", "..", "a\\..\\x", "C:/x", "C:x", "a\nb"]
)
def test_names_that_lead_out(tmp_path: Path, make: Callable, name: str) -> None:
    assert "not safe to unpack: has the unsafe name" in refused(
        make(tmp_path / "archive", {"a": b"1", name: b"2"})
    )
    assert not Path("/etc/x").exists()
    assert not (tmp_path.parent / "x").exists()


@ARCHIVES
@pytest.mark.parametrize("twin", ["Top/A.txt", "top/./a.txt", "top//a.txt"])
def test_a_name_twice(tmp_path: Path, make: Callable, twin: str) -> None:
    assert "twice" in refused(make(tmp_path / "archive", {**FILES, twin: b"again"}))


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_links_and_devices_in_a_tar(tmp_path: Path, kind: bytes) -> None:
    archive = tar_of(tmp_path / "archive", type=kind, linkname="/etc/passwd")
    assert "'bad' is a link or a device" in refused(archive)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip(tmp_path: Path, kind: int) -> None:
    archive = zipped(tmp_path / "archive", {"link": b"/etc/passwd"}, kind | 0o777)
    assert "'link' is a link or a device" in refused(archive)


@ARCHIVES
def test_a_bomb_of_bytes(tmp_path: Path, make: Callable) -> None:
    archive = make(tmp_path / "archive", {f"{i}": bytes(100_000) for i in range(30)})
    assert "unpacks to more than 2000000 bytes" in refused(archive, max_bytes=2_000_000)
    unpack(archive, tmp_path / "out", max_bytes=4_000_000)


@ARCHIVES
def test_a_bomb_of_members(tmp_path: Path, make: Callable) -> None:
    archive = make(tmp_path / "archive", {f"{i}": b"" for i in range(30)})
    assert "more than 29 members" in refused(archive, max_members=29)
    unpack(archive, tmp_path / "out", max_members=30)


def test_a_bomb_in_a_tars_header(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 10**9
    with gzip.open(tmp_path / "archive", "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        file.write(bytes(20_000_000))
    assert "more than 1000000 bytes" in refused(tmp_path / "archive", max_bytes=1_000_000)


def test_a_zip_that_lies_about_a_size(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "archive", {"zeros": bytes(3_000_000)})
    data = bytearray(archive.read_bytes())
    true = struct.pack("<L", 3_000_000)
    assert data.count(true) == 2  # before the file, and in the list at the end
    archive.write_bytes(data.replace(true, struct.pack("<L", 1000)))
    assert "damaged" in refused(archive)


@ARCHIVES
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_cut_archive(tmp_path: Path, make: Callable, share: float) -> None:
    noise = np.random.default_rng(0).bytes(60_000)
    archive = make(tmp_path / "archive", {"a": noise, "b": noise[::-1], "c": noise[5:]})
    data = archive.read_bytes()
    archive.write_bytes(data[: int(share * len(data))])
    assert "damaged, or not a zip or tar" in refused(archive)


@pytest.mark.parametrize("make", [tar, zipped])
def test_a_flipped_bit_is_found_by_the_checksum(tmp_path: Path, make: Callable) -> None:
    noise = np.random.default_rng(0).bytes(60_000)
    archive = make(tmp_path / "archive", {"a": noise})
    data = bytearray(archive.read_bytes())
    data[30_000] ^= 1
    archive.write_bytes(data)
    assert "damaged" in refused(archive)


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(b"<html>" * 1000)
    assert "damaged, or not a zip or tar" in refused(tmp_path / "page")


def test_an_archive_of_folders_only(tmp_path: Path) -> None:
    assert "has no files for the data set" in refused(
        zipped(tmp_path / "archive", {"a/": b"", "a/b/": b""})
    )


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    archive = tar(tmp_path / "archive", FILES)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="already exists"):
        unpack(archive, tmp_path / "out")
    assert not any((tmp_path / "out").iterdir())


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with create_folder(tmp_path / "out") as new:
            (new / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any(tmp_path.iterdir())


def test_a_member_can_be_read_in_pieces(tmp_path: Path) -> None:
    archive = tar(tmp_path / "archive", {"a": bytes(range(10))})
    for _, file in read_members(archive):
        assert [file.read(4), file.read(4), file.read(4), file.read(4)] == [
            *(bytes(range(4)), bytes(range(4, 8)), bytes([8, 9]), b"")
        ]


# ---- CIFAR-10


def batch(seed: int, labels: list[int]) -> tuple[bytes, np.ndarray]:
    images = np.random.default_rng(seed).integers(0, 256, (len(labels), 32, 32, 3), np.uint8)
    records = [
        bytes([label]) + b"".join(image[:, :, colour].tobytes() for colour in range(3))
        for label, image in zip(labels, images, strict=True)
    ]
    return b"".join(records), images


def test_cifar10_becomes_images(tmp_path: Path) -> None:
    train, train_images = batch(1, [3, 5, 0])
    test, test_images = batch(2, [9, 3])
    files = {
        "c/batches.meta.txt": b"airplane",
        "c/data_batch_2.bin": train,
        "c/test_batch.bin": test,
    }
    unpack(tar(tmp_path / "archive", files), tmp_path / "out", cifar.read_batch)
    expected = {
        "train/cat/cat-2-00000.png": train_images[0],
        "train/non-cat/dog-2-00001.png": train_images[1],
        "train/non-cat/airplane-2-00002.png": train_images[2],
        "test/non-cat/truck-0-00000.png": test_images[0],
        "test/cat/cat-0-00001.png": test_images[1],
    }
    assert set(contents(tmp_path / "out")) == set(expected)
    for name, image in expected.items():
        with Image.open(tmp_path / "out" / name) as one_image:
            np.testing.assert_array_equal(np.asarray(one_image), image)


@pytest.mark.parametrize("damage", [b"\x03" + bytes(100), b"\x0a" + bytes(3072)])
def test_cifar10_with_a_bad_record(tmp_path: Path, damage: bytes) -> None:
    archive = tar(tmp_path / "archive", {"data_batch_1.bin": batch(1, [3])[0] + damage})
    with pytest.raises(UserError, match="image 1 is truncated or has an invalid label"):
        unpack(archive, tmp_path / "out", cifar.read_batch)
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
