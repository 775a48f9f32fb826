"""What SOURCE… stands for: every name gets its images or one reason, in a fixed order."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import pytest
import redblue
from PIL import Image

from catnet.cli import main
from catnet.data import dataset
from catnet.errors import UserError
from catnet.images import reading
from catnet.images.paths import ImageFile, expand, list_images
from catnet.images.reading import ImageError, read


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def paths(*names: str) -> list[str]:
    result = expand(names)
    assert not [item for item in result if item.error], result
    return [item.path for item in result]


def error(name: str) -> str:
    (item,) = expand([name])
    assert item.path == name
    assert item.error
    assert "\n" not in item.error
    return item.error


def test_a_file_counts_whatever_its_name_and_order_is_kept(here):
    make("b.jpg", "a.txt", ".hidden")
    assert paths("b.jpg", ".hidden", "a.txt") == ["b.jpg", ".hidden", "a.txt"]


def test_folders_are_searched_below_in_sorted_order(here):
    make("d/b.JPG", "d/a.png", "d/z/c.webp", "d/y/c.tif", "d/notes.txt", "d/.x.jpg", "d/.git/i.png")
    assert paths("d") == ["d/a.png", "d/b.JPG", "d/y/c.tif", "d/z/c.webp"]
    assert paths("d/") == paths("d")
    assert paths(".") == ["./" + path for path in paths("d")]


def test_a_folder_without_images_is_an_error(here):
    make("d/notes.txt", "d/.hidden.jpg")
    assert "without images" in error("d")


def test_unreadable_folder_is_an_error_and_the_rest_is_found(here, monkeypatch):
    make("d/a.jpg", "d/locked/b.jpg")
    scandir = os.scandir

    def refuse(path):
        if path == "d/locked":  # as chmod 0 would, but for root too
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    locked = ImageFile("d/locked", "folder cannot be read: Permission denied")
    assert list(list_images("d")) == [ImageFile("d/a.jpg"), locked]


def test_links_to_folders_are_followed_and_loops_end(here):
    make("d/a.jpg", "other/b.jpg")
    Path("d/loop").symlink_to("..")
    Path("d/more").symlink_to("../other")
    Path("d/self.jpg").symlink_to("self.jpg")
    assert paths("d") == ["d/a.jpg", "d/self.jpg", "d/loop/other/b.jpg", "d/more/b.jpg"]
    assert paths("**/b.jpg") == ["other/b.jpg"]


def test_a_folder_that_two_links_lead_to_is_read_for_both(here):
    make("real/a.jpg", "d/x/b.jpg")
    Path("d/one").symlink_to("../real")
    Path("d/two").symlink_to(here / "real")
    Path("d/x/three").symlink_to("../one")  # a link to a link
    Path("d/a.jpg").symlink_to("../real/a.jpg")
    expected = ["d/a.jpg", "d/one/a.jpg", "d/two/a.jpg", "d/x/b.jpg", "d/x/three/a.jpg"]
    assert paths("d") == expected
    assert paths("d/one", "d/two", "real") == ["d/one/a.jpg", "d/two/a.jpg", "real/a.jpg"]
    assert paths("d", "./d/one", str(here / "d/two/a.jpg"), "d/*/a.jpg") == expected


def test_what_is_above_a_link_is_not_what_is_written_before_it(here):
    make("far/a.jpg", "a.jpg", "far/d/x.jpg")
    Path("link").symlink_to("far/d")
    assert paths("a.jpg", "link/../a.jpg") == ["a.jpg", "link/../a.jpg"]  # the second is far/a.jpg
    assert paths("far/d/../a.jpg", "far/a.jpg") == ["far/d/../a.jpg"]


def test_loops_of_links_end(here):
    make("d/a/x.jpg", "d/b/y.jpg")
    Path("d/a/parent").symlink_to("..")
    Path("d/a/itself").symlink_to(".")
    Path("d/b/other").symlink_to("../a")
    Path("d/a/other").symlink_to("../b")
    assert paths("d/a") == ["d/a/x.jpg", "d/a/other/y.jpg", "d/a/parent/b/y.jpg"]
    inside_b = ["d/b/y.jpg", "d/b/other/x.jpg"]
    assert paths("d") == ["d/a/x.jpg", "d/a/other/y.jpg", *inside_b]


def test_links_that_multiply_folders_are_refused_in_one_line(here, model, capsys):
    for level in range(30):
        make(f"{level}/a.jpg")
        if level:
            Path(f"{level - 1}/b").symlink_to(f"../{level}")
            Path(f"{level - 1}/c").symlink_to(f"../{level}")
    assert "its links lead to the same folders more than 10000 times" in error("0")
    assert main.main(["predict", "--model", model, "0"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2  # the first names the model
    with pytest.raises(UserError, match=r"^0: its links lead to the same folders"):
        dataset.load("0")


def test_a_chain_of_folders_deeper_than_a_path_can_name_is_one_reason(here):
    Path("d").mkdir()
    make("d/a.jpg")
    descriptor = os.open("d", os.O_RDONLY)
    for _ in range(25):
        os.mkdir("n" * 200, dir_fd=descriptor)
        descriptor, above = os.open("n" * 200, os.O_RDONLY, dir_fd=descriptor), descriptor
        os.close(above)
    os.close(descriptor)
    first, second = expand(["d"])
    assert (first.path, first.error) == ("d/a.jpg", None)
    assert second.error == "folder cannot be read: File name too long"


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"])
@pytest.mark.parametrize("name", ["noext", "x.jpg_large", "x.png?size=200", "x.tga", "x.txt"])
def test_content_decides_where_the_name_does_not(here, kind, name):
    if kind not in Image.SAVE and not (Image.init() and kind in Image.SAVE):
        pytest.skip(f"this Pillow writes no {kind}")
    Path("d").mkdir()
    Path("d", name).write_bytes(encoded(kind))
    assert paths("d") == [f"d/{name}"]


def passed(*names: str) -> list[tuple[str, str]]:
    others = []
    expand(names, on_other=others.append)
    return [(other.path, other.kind) for other in others]


def test_what_is_no_image_is_passed_over_by_kind(here):
    make("d/a.jpg", "d/notes.TXT", "d/Thumbs.db", "d/noext", "d/.hidden", "d/.thumbnails/t.jpg")
    make("d/x.jpg.json", "d/@eaDir/a.jpg/SYNO.jpg", "d/z/__MACOSX/b.jpg", "d/lost+found/c.jpg")
    make("d/$RECYCLE.BIN/c.jpg")
    Path("d/bmp.md").write_text("BM is how some files start, and P5 too")
    Path("d/p.md").write_text("P5 is a format\n")
    os.mkfifo("d/pipe")
    Path("d/nowhere").symlink_to("gone")
    assert paths("d") == ["d/a.jpg"]
    assert dict(passed("d")) == {
        "d/notes.TXT": ".txt",
        "d/Thumbs.db": ".db",
        "d/noext": "without extension",
        "d/x.jpg.json": ".json",
        "d/bmp.md": ".md",
        "d/p.md": ".md",
        "d/pipe": "that cannot be read (a pipe, not a file)",
        "d/nowhere": "that cannot be read (No such file or directory)",
        "d/@eaDir": "folder @eaDir",
        "d/z/__MACOSX": "folder __MACOSX",
        "d/lost+found": "folder lost+found",
        "d/$RECYCLE.BIN": "folder $RECYCLE.BIN",
    }
    assert "d/noext" not in dict(passed("d", "d/noext"))  # it is named, so it counts
    assert paths("d/@eaDir") == ["d/@eaDir/a.jpg/SYNO.jpg"]  # so is this


CR2 = b"II*\0\x10\0\0\0CR\x02\0" + bytes(60)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("y.psd", b"8BPS\0\1" + bytes(60), "a Photoshop file, which is not supported"),
        ("y", b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image, which is not supported"),
        ("y.tga", b"\0\0\2" + bytes(60), ".tga, an image format, which is not supported"),
        ("y.svg", b"<svg/>", ".svg, an image format, which is not supported"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_images_in_other_formats_are_errors_with_the_remedy(here, name, data, reason):
    Path("d").mkdir()
    Path("d", name).write_bytes(data)
    [item] = expand(["d"])
    assert item.path == f"d/{name}"
    assert item.error is not None
    assert item.error.startswith(reason)
    assert item.error.endswith("; save it as JPEG or PNG")


def test_globs(here):
    make("a1.jpg", "a2.jpg", "b.jpg", ".a3.jpg", "d/e/a4.jpg", "d/.f/a5.jpg")
    assert paths("a?.jpg") == ["a1.jpg", "a2.jpg"]
    assert paths("*.jpg") == ["a1.jpg", "a2.jpg", "b.jpg"]
    assert paths("**/*.jpg") == ["a1.jpg", "a2.jpg", "b.jpg", "d/e/a4.jpg"]
    assert paths("[d]") == ["d/e/a4.jpg"]
    assert paths(".a*.jpg") == [".a3.jpg"]
    assert paths(str(here / "a*.jpg")) == [str(here / "a1.jpg"), str(here / "a2.jpg")]
    assert paths(f"../*{here.name[-8:]}*/b.jpg") == [f"../{here.name}/b.jpg"]
    assert "no file matches" in error("*.png")
    assert "no file matches" in error("**.jpg")


def test_a_name_that_exists_wins_over_its_reading_as_a_pattern(here):
    make("cat[1].jpg", "cat1.jpg")
    assert paths("cat[1].jpg") == ["cat[1].jpg"]
    Path("cat[1].jpg").unlink()
    assert paths("cat[1].jpg") == ["cat1.jpg"]


def test_what_is_named_twice_is_kept_once(here):
    make("d/a.jpg", "d/b.jpg")
    Path("d/link.jpg").symlink_to("a.jpg")
    expected = ["d/b.jpg", "d/a.jpg", "d/link.jpg"]  # a link is a name of its own
    assert paths("d/b.jpg", "d", "./d/a.jpg", str(here / "d" / "b.jpg"), "d/*.jpg") == expected


def test_missing_sources_are_errors_with_a_suggestion(here):
    make("tabby.jpg", "d/tiger.jpg")
    assert error("taby.jpg") == "no such file or folder; did you mean tabby.jpg?"
    assert error("d/tigger.jpg").endswith("did you mean d/tiger.jpg?")
    assert error("nothing-like-it") == "no such file or folder"
    assert error("no-folder/a.jpg") == "no such file or folder"
    assert error("tabby.jpg/a.jpg") == "no such file or folder"
    assert "web address" in error("https://example.org/cat.jpg")
    assert "web address" in error("HTTP://example.org/cat?id=1")  # though ? is a pattern's sign
    assert error("")
    assert [bool(item.error) for item in expand(["tabby.jpg", "x", "d"])] == [False, True, False]


def test_names_that_cannot_be(here):
    for name in ("a\0b", "a\0*", "\ud800.jpg", "\ud800*"):
        assert error(name) == "not a possible file name"
    assert error("y" * 5000 + "*")


def test_strange_names_survive(here):
    names = ["ü.jpg", "new\nline.jpg", "\udcff.jpg", "e\u0301.jpg", "-x.jpg", " .jpg"]
    make(*names)
    assert sorted(paths(".")) == sorted("./" + name for name in names)
    assert paths(*names) == names
    assert read(paths("*\udcff*")[0]) == b"x"


def test_special_files_are_passed_on_for_the_decoder_to_name(here):
    os.mkfifo("pipe.jpg")
    Path("broken.jpg").symlink_to("nowhere")
    assert paths(".") == ["./broken.jpg", "./pipe.jpg"]
    assert paths("pipe.jpg", "/dev/null") == ["pipe.jpg", "/dev/null"]


def test_standard_input_is_read_once(here):
    make("a.jpg")
    result = expand(["-", "a.jpg", "-"], io.BytesIO(b"image"))
    assert result == [ImageFile("-", data=b"image"), ImageFile("a.jpg")]
    assert [item.source for item in result] == [b"image", "a.jpg"]


def test_standard_input_that_gives_nothing(monkeypatch):
    class Terminal(io.BytesIO):
        def isatty(self):
            return True

    def reason(stream) -> str:
        (item,) = expand(["-"], stream)
        assert item.data is None
        return item.error or ""

    assert "standard input is empty" in reason(io.BytesIO())
    assert "terminal" in reason(Terminal(b"x"))
    monkeypatch.setattr(reading, "MAX_BYTES", 10)
    assert "larger than" in reason(io.BytesIO(bytes(11)))
    monkeypatch.setattr("sys.stdin", None)
    assert "no standard input" in reason(None)


def test_a_pipe_that_trickles_is_read_to_its_end():
    class Trickle:
        left = 5

        def read(self, size=-1, /):
            self.left -= 1
            return b"ab" if self.left > 0 else b""

    assert read(Trickle()) == b"abababab"


def test_a_stream_without_end_is_read_to_the_limit_and_no_further(monkeypatch):
    class Endless:
        given = 0

        def read(self, size=-1, /):
            assert size >= 0, "all of it was asked for"
            self.given += min(size, 3)
            return bytes(min(size, 3))

    monkeypatch.setattr(reading, "MAX_BYTES", 1000)
    stream = Endless()
    (item,) = expand(["-"], stream)
    assert (item.data, stream.given) == (None, 1001)
    assert "larger than" in (item.error or "")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero")
def test_a_device_as_standard_input_is_read_to_the_limit(monkeypatch):
    monkeypatch.setattr(reading, "MAX_BYTES", 1_000_000)
    with Path("/dev/zero").open("rb") as zeros:
        (item,) = expand(["-"], zeros)
    assert "larger than" in (item.error or "")


def test_a_folder_as_standard_input_is_one_reason():
    class Folder:  # as `catnet predict - < folder` gives it
        def read(self, size=-1, /):
            raise IsADirectoryError(errno.EISDIR, "Is a directory")

    (item,) = expand(["-"], Folder())
    assert item.error == "cannot be read: Is a directory"


def test_a_device_is_not_even_opened(monkeypatch):
    monkeypatch.setattr(os, "open", lambda *args: pytest.fail("opened"))
    with pytest.raises(ImageError, match="a device, not a file"):
        read("/dev/null")
    assert Path("/dev/null").is_char_device()


# ---- all of them through the command line


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    """A model whose probability is higher the redder an image is."""
    return redblue.save_model(tmp_path_factory.mktemp("model") / "model.safetensors")


STRANGE = [
    "ü.png",
    "e\u0301.png",
    "new\nline.png",
    "\x1b[2J.png",
    "\udcff.png",
    "-x.png",
    "[a]*?.png",
]


@pytest.fixture
def zoo(here) -> Path:
    """A folder of images with strange names, and of everything that is none."""
    (here / "zoo" / "folder.jpg").mkdir(parents=True)
    for i, name in enumerate(STRANGE):
        colour = (255, 0, 0) if i % 2 else (0, 0, 255 - 20 * i)
        Image.new("RGB", (9 + i, 9), colour).save(here / "zoo" / name)
    os.mkfifo("zoo/pipe.jpg")
    Path("zoo/empty.jpg").touch()
    Path("zoo/text.jpg").write_text("no image")
    Path("zoo/broken.jpg").symlink_to("nowhere")
    Path("zoo/loop.jpg").symlink_to("loop.jpg")
    Path("zoo/zero.jpg").symlink_to("/dev/zero")
    return here / "zoo"


REASONS = {
    "pipe.jpg": "a pipe, not a file",
    "empty.jpg": "empty file",
    "text.jpg": "not an image in a known format (JPEG, PNG, GIF, BMP, WEBP, TIFF, PPM, AVIF)",
    "broken.jpg": "a link to a missing file",
    "loop.jpg": "a link to itself",
    "zero.jpg": "a device, not a file",
}


def predicted(capsys, model: str, *names: str) -> list[dict]:
    main.main(["predict", "--json", "--model", model, "--", *names])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_file_of_a_folder_has_an_answer_or_its_reason(zoo, model, capsys):
    answers = {Path(answer["path"]).name: answer for answer in predicted(capsys, model, "zoo")}
    assert {name: a["error"] for name, a in answers.items() if a["error"]} == REASONS
    labels = [answers[name]["label"] for name in STRANGE]
    assert labels == ["cat" if i % 2 else "non-cat" for i in range(len(STRANGE))]


def test_each_of_them_is_one_line_that_a_terminal_can_show(zoo, model, capsys):
    more = ["zoo/folder.jpg", "https://example.org/cat.jpg", "/dev/zero", "no\nsuch.jpg"]
    assert main.main(["predict", "--model", model, "zoo", *more]) == 1
    out, err = (text.splitlines() for text in capsys.readouterr())
    assert len(out) == len(STRANGE)
    assert len(err) == 2 + len(REASONS) + len(more)  # the first names the model, the last counts
    assert all(line.startswith("catnet: ") for line in err[1:-1])
    assert all(line.isprintable() for line in out + err)


def test_an_answer_depends_neither_on_order_nor_on_neighbours(zoo, model, capsys):
    names = [f"zoo/{name}" for name in [*STRANGE, *REASONS]]
    forwards = predicted(capsys, model, *names)
    assert [answer["path"] for answer in forwards] == names
    assert predicted(capsys, model, *names[::-1]) == forwards[::-1]
    for name, answer in zip(names, forwards, strict=True):
        assert predicted(capsys, model, name) == [answer]


def test_a_folder_says_what_it_passes_over_and_that_is_no_failure(here, model, capsys):
    Path("d").mkdir()
    Image.new("RGB", (9, 9), "red").save("d/noext", "PNG")
    Image.new("RGB", (9, 9), "red").save("d/b.png")
    make("d/a.txt", "d/b.txt", "d/c.csv", "d/@eaDir/x.jpg")
    for more in ([], ["--json"]):
        assert main.main(["predict", "--model", model, *more, "d"]) == 0
        out, err = capsys.readouterr()
        assert len(out.splitlines()) == 2
        assert out.index("b.png") < out.index("noext")
        expected = "ignored, not images: 2 .txt, 1 .csv, 1 folder @eaDir"
        assert err.splitlines()[-1] == expected
    Path("d/y.cr2").write_bytes(CR2)
    assert main.main(["predict", "--model", model, "d"]) == 1
    reason = "camera raw without a JPEG preview; save it as JPEG"
    assert f"catnet: d/y.cr2: {reason}" in capsys.readouterr().err
