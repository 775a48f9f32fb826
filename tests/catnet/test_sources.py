"""What SOURCE… stands for: every name gets its pictures or one reason, in a fixed order."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import pytest

from catnet import sources
from catnet.sources import Found, ImageError, expand, pictures, read


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def paths(*names: str) -> list[str]:
    found = expand(names)
    assert not [item for item in found if item.error], found
    return [item.path for item in found]


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


def test_a_folder_without_pictures_is_an_error(here):
    make("d/notes.txt", "d/.hidden.jpg")
    assert "without pictures" in error("d")


def test_unreadable_folder_is_an_error_and_the_rest_is_found(here, monkeypatch):
    make("d/a.jpg", "d/locked/b.jpg")
    scandir = os.scandir

    def refuse(path):
        if path == "d/locked":  # as chmod 0 would, but for root too
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    locked = Found("d/locked", "folder cannot be read: Permission denied")
    assert list(pictures("d")) == [Found("d/a.jpg"), locked]


def test_links_to_folders_are_followed_and_loops_end(here):
    make("d/a.jpg", "other/b.jpg")
    Path("d/loop").symlink_to("..")
    Path("d/more").symlink_to("../other")
    Path("d/self.jpg").symlink_to("self.jpg")
    assert paths("d") == ["d/a.jpg", "d/self.jpg", "d/loop/other/b.jpg"]
    assert paths("**/b.jpg") == ["other/b.jpg"]


def test_globs(here):
    make("a1.jpg", "a2.jpg", "b.jpg", ".a3.jpg", "d/e/a4.jpg", "d/.f/a5.jpg")
    assert paths("a?.jpg") == ["a1.jpg", "a2.jpg"]
    assert paths("*.jpg") == ["a1.jpg", "a2.jpg", "b.jpg"]
    assert paths("**/*.jpg") == ["a1.jpg", "a2.jpg", "b.jpg", "d/e/a4.jpg"]
    assert paths("[d]") == ["d/e/a4.jpg"]
    assert paths(".a*.jpg") == [".a3.jpg"]
    assert paths(str(here / "a*.jpg")) == [str(here / "a1.jpg"), str(here / "a2.jpg")]
    assert paths("../*globs*/b.jpg") == [f"../{here.name}/b.jpg"]
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
    wanted = ["d/b.jpg", "d/a.jpg", "d/link.jpg"]  # a link is a name of its own
    assert paths("d/b.jpg", "d", "./d/a.jpg", str(here / "d" / "b.jpg"), "d/*.jpg") == wanted


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
    found = expand(["-", "a.jpg", "-"], io.BytesIO(b"picture"))
    assert found == [Found("-", data=b"picture"), Found("a.jpg")]
    assert [item.source for item in found] == [b"picture", "a.jpg"]


def test_standard_input_that_gives_nothing(monkeypatch):
    class Terminal(io.BytesIO):
        def isatty(self):
            return True

    def reason(stream) -> str:
        (item,) = expand(["-"], stream)
        assert item.data is None
        return item.error or ""

    assert "nothing came" in reason(io.BytesIO())
    assert "terminal" in reason(Terminal(b"x"))
    monkeypatch.setattr(sources, "MAX_BYTES", 10)
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


def test_a_device_is_not_even_opened(monkeypatch):
    monkeypatch.setattr(os, "open", lambda *args: pytest.fail("opened"))
    with pytest.raises(ImageError, match="a device, not a file"):
        read("/dev/null")
    assert Path("/dev/null").is_char_device()
