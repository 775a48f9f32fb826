"""Images in archives and pipes: the answers are those of the files, and nothing is unpacked."""

from __future__ import annotations

import gc
import io
import json
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import redblue
from PIL import Image

from catnet.cli import main
from catnet.images import archives
from catnet.images.decode import ImageError, decode
from catnet.images.decode_many import decode_many
from catnet.images.paths import expand
from catnet.images.reading import Started


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return redblue.save_model(tmp_path_factory.mktemp("model") / "model.safetensors")


def png(red: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (9, 7), (red, 0, 0)).save(file, "PNG")
    return file.getvalue()


FILES = {
    "b.png": png(200), "a/ü 1.png": png(100), "a/no extension": png(50), "notes.txt": b"x",
    ".hidden.png": png(1), "__MACOSX/b.png": png(1), "a/.DS_Store": b"x", "broken.png": b"x",
}  # fmt: skip
IMAGES = ["a/no extension", "a/ü 1.png", "b.png", "broken.png"]


def make(path: Path, files: dict[str, bytes] = FILES) -> str:
    """An archive of the kind of its extension."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        kind = path.suffix[1:] if path.suffix != ".tar" else ""
        with tarfile.open(path, f"w:{kind}") as archive:  # type: ignore[call-overload]
            link = tarfile.TarInfo("link.png")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
            for name, content in files.items():
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return str(path)


KINDS = ["photos.zip", "photos.tar", "photos.tar.gz", "photos.tar.bz2", "photos.tar.xz"]


@pytest.mark.parametrize("name", KINDS)
def test_the_images_of_an_archive_are_what_they_are_as_files(name, tmp_path: Path) -> None:
    path, others = make(tmp_path / name), []
    images = expand([path], on_other=others.append)
    assert [image.path for image in images] == [f"{path}/{name}" for name in IMAGES]
    assert [other[:2] for other in others] == [(f"{path}/notes.txt", ".txt")]
    for _ in range(2):  # they can be read again
        results = [result for _, result in decode_many(image.source for image in images)]
        for image, result in zip(IMAGES[:3], results[:3], strict=True):
            np.testing.assert_array_equal(result, decode(FILES[image]))
        assert "not an image" in str(results[3])
    del images, results
    gc.collect()  # the files are closed without a warning


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    path = Path(make(tmp_path / "photos.tar.gz"))
    plain = path.rename(tmp_path / "download")
    assert len(expand([str(plain)])) == len(IMAGES)
    (tmp_path / "folder").mkdir()
    plain.rename(tmp_path / "folder/photos.tar")
    others = []
    expand([str(tmp_path / "folder")], on_other=others.append)
    assert [other.kind for other in others] == [".tar"]  # an archive in a folder is passed over


@pytest.mark.parametrize("name", KINDS)
def test_damaged_and_empty_archives_are_one_reason(name, tmp_path: Path) -> None:
    path = Path(make(tmp_path / name))
    content = path.read_bytes()
    for cut in (10, 100, len(content.rstrip(b"\0")) // 2):
        path.write_bytes(content[:cut])
        for _, result in decode_many(i.source for i in expand([str(path)]) if not i.error):
            assert isinstance(result, Exception)
    empty = make(tmp_path / f"empty-{name}", {"a.txt": b"x"})
    assert [image.error for image in expand([empty])] == ["an archive without images"]


def test_a_name_that_is_empty_is_left_out(tmp_path: Path) -> None:
    path = Path(make(tmp_path / "a.zip", {"zzzz": png(9), "b.png": png(9)}))
    path.write_bytes(path.read_bytes().replace(b"zzzz", b"\0zzz"))  # it ends before the NUL
    assert [image.path for image in expand([str(path)])] == [f"{path}/b.png"]


def test_a_file_compressed_alone_is_no_archive(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "photo.gz"
    path.write_bytes(gzip.compress(png(9)))
    [image] = expand([str(path)])
    assert str(image.error).startswith("damaged, or not a zip or tar: ")


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archives, "MIN_UNPACKED", 50_000)
    path = make(tmp_path / "bomb.tar.gz", {"a.png": bytes(10**6)})
    [image] = expand([path])
    assert image.error is not None
    assert image.error.endswith("unpack it and give the folder")
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    for name in ("many.zip", "many.tar"):
        [image] = expand([make(tmp_path / name)])
        assert image.error == "has more than 3 files; unpack it and give the folder"


def test_a_long_stream_is_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archives, "MIN_UNPACKED", 1000)
    with Path(make(tmp_path / "photos.tar")).open("rb") as file:
        [image] = expand(["-"], stdin=file)
    assert image.error == "is more than 0 GB; save it as a file"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_files_of_one_name_the_last_one_counts(tmp_path: Path) -> None:
    """As after ``tar -r``, and as programs that unpack it do."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for red in (10, 20):
            archive.writestr("a.png", png(red))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, red in (("a.png", 10), ("./a.png", 20)):
            info = tarfile.TarInfo(name)
            info.size = len(png(red))
            archive.addfile(info, io.BytesIO(png(red)))
    for name in ("a.zip", "a.tar"):
        [image] = expand([str(tmp_path / name)])
        assert decode(image.source)[0, 0, 0] == 20


def test_a_file_in_an_archive_is_not_the_file_beside_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photo.png").write_bytes(png(10))
    make(tmp_path / "a.zip", {"../photo.png": png(20), "../notes.txt": b"x"})
    images = expand(["photo.png", "a.zip", "./a.zip"])
    assert [image.path for image in images] == ["photo.png", "a.zip/../photo.png"]
    assert [decode(image.source)[0, 0, 0] for image in images] == [10, 20]


def test_hard_links_of_a_tar_are_counted(tmp_path: Path) -> None:
    with tarfile.open(make(tmp_path / "a.tar"), "a") as archive:
        link = tarfile.TarInfo("again.png")
        link.type, link.linkname = tarfile.LNKTYPE, "./b.png"
        archive.addfile(link)
    others = []
    assert len(expand([str(tmp_path / "a.tar")], on_other=others.append)) == len(IMAGES)
    assert [other.kind for other in others] == ["hard link", ".txt"]


def test_a_member_is_read_again_after_an_error(tmp_path: Path) -> None:
    """A wrong checksum, and a password, which the first bit of the flags means."""
    path = Path(make(tmp_path / "a.zip", {"a.png": png(9)}))
    content = path.read_bytes()
    for data, reason in (
        (content.replace(png(9), png(9)[:-1] + b"x"), "damaged in the zip: Bad CRC-32"),
        (
            content.replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"),
            "has a password; unpack",
        ),
    ):
        assert data != content
        path.write_bytes(data)
        [image] = expand([str(path)])
        for _ in range(2):
            with pytest.raises(ImageError, match=f"^cannot be read: {reason}"):
                decode(image.source)


def test_the_files_of_a_zip_are_counted_before_they_are_listed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda file: pytest.fail("is listed"))
    path = tmp_path / "a.zip"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 4, 4, 100, 0, 0)
    large = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 4, 4, 100, 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1)
    end64 = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 100, 0, 0)
    for content in (end, large + locator + end64):
        path.write_bytes(b"PK\3\4" + content)
        [image] = expand([str(path)])
        assert image.error == "has more than 3 files; unpack it and give the folder"


def test_a_disk_that_takes_a_part_of_what_is_written(tmp_path: Path, monkeypatch) -> None:
    write = archives.Kept.write
    monkeypatch.setattr(archives.Kept, "write", lambda self, part: write(self, part[:1000]))
    images = expand([make(tmp_path / "photos.tar.gz")])
    assert [decode(image.source)[0, 0, 0] for image in images[:3]] == [50, 100, 200]


def test_names_that_lead_out_lead_nowhere(tmp_path: Path, model, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["../../evil.png", "/etc/evil.png", "a/../b.png", "c\\..\\d.png", "..", "x/..", "/"]
    for archive in ("a.zip", "a.tar"):
        make(tmp_path / archive, {name: png(255) for name in names})
        main.main(["predict", archive, "--model", model, "--sort-into", "out/sorted"])
    capsys.readouterr()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "a.zip", "out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["sorted"]
    files = sorted(path.name for path in (tmp_path / "out/sorted/cat").iterdir())
    assert files[-3:] == ["b.png", "c\\..\\d.png", "evil.png"]


def test_images_of_an_archive_are_copied_by_label(tmp_path, model, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "photos.tar.gz")
    how = ["predict", "photos.tar.gz", "--model", model, "--sort-into", "sorted"]
    for message in ("3 copies made in sorted", "0 copies made in sorted, 3 were there already"):
        assert main.main(how) == 1
        assert message in capsys.readouterr().err.splitlines()
    copied = {p.name: p.read_bytes() for p in Path("sorted").rglob("*") if p.is_file()}
    assert copied == {name.split("/")[-1]: FILES[name] for name in IMAGES[:3]}


@pytest.mark.parametrize("name", KINDS)
def test_an_archive_on_standard_input(name, tmp_path: Path) -> None:
    with Path(make(tmp_path / name)).open("rb") as file:
        images = expand(["-"], stdin=file)
    assert [image.path for image in images] == [f"-/{name}" for name in IMAGES]
    results = [result for _, result in decode_many(image.source for image in images)]
    np.testing.assert_array_equal(results[2], decode(FILES["b.png"]))


def test_no_room_for_an_archive_is_one_reason(tmp_path: Path, monkeypatch) -> None:
    def full(self, part) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archives.Kept, "write", full)
    path = make(tmp_path / "photos.tar.gz")
    with Path(path).open("rb") as file:
        for images in (expand([path]), expand(["-"], stdin=file)):
            [image] = images
            assert image.error is not None
            assert image.error.startswith("cannot be kept in ")
            assert image.error.endswith("set TMPDIR")


def test_a_stream_gives_its_first_bytes_again() -> None:
    started = Started(io.BytesIO(b"0123456789"), 4)
    assert started.head == b"0123"
    assert [started.read(size) for size in (3, 3, -1, 5)] == [b"012", b"3", b"456789", b""]


def test_the_pipes_of_a_shell(tmp_path: Path, model) -> None:
    """An image and an archive by ``<(…)`` of bash, and a pipe that is empty."""
    if not Path("/dev/fd").exists():
        pytest.skip("needs /dev/fd")
    make(tmp_path / "photos.tar")
    (tmp_path / "b.png").write_bytes(FILES["b.png"])
    command = f"""'{sys.executable}' -m catnet predict --model '{model}' --json \
        <(cat b.png) <(cat photos.tar) <(true)"""
    done = subprocess.run(
        ["bash", "-c", command],
        **{"capture_output": True, "text": True, "cwd": tmp_path, "env": {**os.environ}},
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a["label"] for a in answers] == ["cat"] * 4 + [None, None]
    assert answers[-1]["error"] == "the pipe is empty"
    assert done.returncode == 1
