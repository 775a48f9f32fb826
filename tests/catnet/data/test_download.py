"""Downloads from a server on loopback that breaks off, lies, stalls and sends elsewhere."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from catnet.cli import main
from catnet.data import catalogue, dataset, sample
from catnet.data.catalogue import DataSet, Remote
from catnet.data.download import _Redirects, download
from catnet.errors import UserError

BODY = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(BODY).hexdigest()
_TOP = Path(__file__).parents[3]
_ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{_TOP / 'apps'}{os.pathsep}{_TOP}"}


class Server(ThreadingHTTPServer):
    """Serves ``files``; ``behave`` is what it does with the next requests, one each.

    Attributes:
        asked: path, Range and If-Range of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {"/file": BODY}
        self.etag: str | None = '"v1"'
        self.date: str | None = None
        self.ranges = True
        self.behave: list[Callable[[Handler], None]] = []
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.over = threading.Event()

    def url(self, path: str = "/file") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is meant to."""


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        conditions = self.headers.get("Range"), self.headers.get("If-Range")
        self.server.asked.append((self.path, *conditions))
        (self.server.behave.pop(0) if self.server.behave else Handler.honest)(self)

    def head(self, status: int, length: int | None, **more: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in (("ETag", self.server.etag), ("Last-Modified", self.server.date)):
            if value:
                self.send_header(name, value)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def body(self) -> tuple[int, bytes]:
        """Where the answer starts, and its bytes."""
        body = self.server.files[self.path]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, self.server.etag, self.server.date)
        start = int(asked[1]) if asked and same and self.server.ranges else 0
        return start, body[start:]

    def honest(self, sent: int | None = None, length: int | None = None) -> None:
        """As it should be, but for bytes that are missing, or a wrong Content-Length."""
        if self.path not in self.server.files:
            self.send_error(404)
            return
        start, rest = self.body()
        total = len(self.server.files[self.path])
        length = len(rest) if length is None else length
        if start >= total:
            self.head(416, 0, Content_Range=f"bytes */{total}")
        elif start:
            self.head(206, length, Content_Range=f"bytes {start}-{total - 1}/{total}")
        else:
            self.head(200, length)
        self.wfile.write(rest[:sent])


def breaks_off(after: int) -> Callable[[Handler], None]:
    return lambda handler: handler.honest(sent=after)


def says_length(length: int) -> Callable[[Handler], None]:
    return lambda handler: handler.honest(length=length)


def redirects(to: str) -> Callable[[Handler], None]:
    return lambda handler: handler.head(302, 0, Location=to)


def fails(status: int) -> Callable[[Handler], None]:
    return lambda handler: handler.send_error(status)


def stalls(after: int) -> Callable[[Handler], None]:
    def stall(handler: Handler) -> None:
        handler.honest(sent=after)
        handler.wfile.flush()
        handler.server.over.wait(10)

    return stall


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file"


def fetch(server: Server, target: Path, sha256: str | None = DIGEST, **more: float) -> str:
    how: dict[str, Any] = {"timeout": 5.0, "pause": 0.0, **more}
    return download(server.url(), target, len(BODY), sha256, **how)


def refused(server: Server, target: Path, **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        fetch(server, target, **more)
    assert not target.exists()
    text = str(caught.value)
    assert "\n" not in text
    return text


def part_of(target: Path) -> bytes | None:
    part = target.with_name("file.part")
    return part.read_bytes() if part.exists() else None


def ranges(server: Server) -> list[str | None]:
    return [asked for _, asked, _ in server.asked]


# ---- one file


def test_a_whole_file(server: Server, target: Path) -> None:
    messages = []
    digest = download(
        server.url(), target, len(BODY), DIGEST, lambda *bytes: messages.append(bytes)
    )
    assert digest == DIGEST
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert messages[-1] == (len(BODY), len(BODY))
    assert ranges(server) == [None]


def test_a_connection_that_breaks_off_is_gone_on_with(server: Server, target: Path) -> None:
    server.behave = [breaks_off(100_000), breaks_off(50_000), breaks_off(0)]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=100000-", "bytes=150000-", "bytes=150000-"]
    assert [tag for _, _, tag in server.asked] == [None, '"v1"', '"v1"', '"v1"']


def test_a_later_call_goes_on(server: Server, target: Path) -> None:
    server.behave = [breaks_off(100_000), *[breaks_off(0)] * 3]
    assert "run the same command again to resume" in refused(server, target)
    assert part_of(target) == BODY[:100_000]
    server.asked.clear()
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.asked == [("/file", "bytes=100000-", '"v1"')]


def test_a_part_that_is_whole_already_needs_no_request(server: Server, target: Path) -> None:
    target.with_name("file.part").write_bytes(BODY)
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.asked == []


def test_a_file_that_has_changed_meanwhile_starts_anew(server: Server, target: Path) -> None:
    def then_changes(handler: Handler) -> None:
        handler.server.files["/file"] = bytes(len(BODY))
        handler.honest(sent=100_000)
        handler.server.files["/file"], handler.server.etag = BODY, '"v2"'

    server.behave = [then_changes]
    fetch(server, target, sha256=None)
    assert target.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=100000-"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_version_only_a_checksum_lets_it_go_on(
    server: Server, target: Path, etag: str | None
) -> None:
    server.etag = etag
    server.behave = [breaks_off(100_000)]
    fetch(server, target, sha256=None)
    assert target.read_bytes() == BODY
    assert ranges(server) == [None, None]
    target.unlink()
    server.asked.clear()
    server.behave = [breaks_off(100_000)]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert server.asked[1] == ("/file", "bytes=100000-", None)


def test_a_date_is_a_version_too(server: Server, target: Path) -> None:
    server.etag, server.date = None, "Mon, 02 Jan 2023 03:04:05 GMT"
    server.behave = [breaks_off(100_000)]
    fetch(server, target, sha256=None)
    assert target.read_bytes() == BODY
    assert server.asked[1] == ("/file", "bytes=100000-", server.date)


def test_a_server_that_ignores_ranges(server: Server, target: Path) -> None:
    server.ranges = False
    server.behave = [breaks_off(100_000)]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert len(server.asked) == 2


def test_a_server_that_answers_another_range(server: Server, target: Path) -> None:
    def other(handler: Handler) -> None:
        handler.head(206, 100, Content_Range=f"bytes 5-104/{len(BODY)}")
        handler.wfile.write(BODY[5:105])

    server.behave = [breaks_off(100_000), other]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=100000-", None]


def test_a_range_that_is_not_there(server: Server, target: Path) -> None:
    server.behave = [breaks_off(100_000), fails(416)]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=100000-", None]


def test_a_part_that_is_too_long_starts_anew(server: Server, target: Path) -> None:
    target.with_name("file.part").write_bytes(BODY + b"more")
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert ranges(server) == [None]


def test_wrong_bytes_are_not_kept(server: Server, target: Path) -> None:
    server.files["/file"] = bytes(len(BODY))
    text = refused(server, target)
    assert DIGEST in text
    assert hashlib.sha256(bytes(len(BODY))).hexdigest() in text
    assert not any(target.parent.iterdir())
    server.files["/file"] = BODY
    fetch(server, target)


def test_wrong_bytes_in_an_old_part_are_found(server: Server, target: Path) -> None:
    target.with_name("file.part").write_bytes(b"x" * 1000)
    assert "SHA-256" in refused(server, target)
    assert not any(target.parent.iterdir())


@pytest.mark.parametrize("length", [len(BODY) + 1000, len(BODY) - 1000, 0])
def test_a_wrong_length_is_refused_at_once(server: Server, target: Path, length: int) -> None:
    server.behave = [says_length(length)] * 3
    assert f"it has {length} bytes, not {len(BODY)}" in refused(server, target)
    assert not any(target.parent.iterdir())
    assert len(server.asked) == 1


@pytest.mark.parametrize("length", [len(BODY), 50_000])
def test_a_wrong_length_of_a_rest(server: Server, target: Path, length: int) -> None:
    server.behave = [breaks_off(100_000), says_length(length)]
    assert f"it has {100_000 + length} bytes" in refused(server, target)
    assert part_of(target) == BODY[:100_000]


def test_another_total_size_of_a_range(server: Server, target: Path) -> None:
    def larger(handler: Handler) -> None:
        handler.head(206, None, Content_Range="bytes 100000-400000/400001")

    server.behave = [breaks_off(100_000), larger]
    assert "it has 400001 bytes" in refused(server, target)


def test_without_a_length_too_much_and_too_little_are_noticed(server: Server, target: Path) -> None:
    def sends(body: bytes) -> Callable[[Handler], None]:
        def send(handler: Handler) -> None:
            handler.head(200, None)
            handler.wfile.write(body)

        return send

    server.behave = [sends(BODY + b"x")]
    assert f"sends more than the expected {len(BODY)} bytes" in refused(server, target)
    assert not any(target.parent.iterdir())
    server.behave = [sends(BODY[:-1])]
    fetch(server, target)
    assert target.read_bytes() == BODY


def test_a_redirect_is_followed(server: Server, target: Path) -> None:
    server.behave = [redirects("/there"), lambda h: h.head(307, 0, Location=server.url("/file"))]
    fetch(server, target)
    assert target.read_bytes() == BODY
    assert [path for path, _, _ in server.asked] == ["/file", "/there", "/file"]


def test_a_range_is_asked_for_behind_a_redirect_too(server: Server, target: Path) -> None:
    server.files["/real"] = BODY
    server.behave = [redirects("/real"), breaks_off(100_000), redirects("/real")]
    fetch(server, target)
    assert server.asked[-1] == ("/real", "bytes=100000-", '"v1"')


def test_redirects_in_a_circle_end(server: Server, target: Path) -> None:
    server.behave = [redirects("/file")] * 50
    assert "infinite loop" in refused(server, target)
    assert len(server.asked) < 10


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/f", "data:,x", "gopher:x"])
def test_a_redirect_elsewhere_is_refused(server: Server, target: Path, to: str) -> None:
    server.behave = [redirects(to)]
    text = refused(server, target)
    assert to in text
    assert "not allowed" in text or "refused" in text
    assert not any(target.parent.iterdir())


def test_what_began_encrypted_stays_so() -> None:
    from email.message import Message
    from urllib.request import Request

    handler = _Redirects()
    more = (io.BytesIO(), 302, "Found", Message())
    with pytest.raises(UserError, match="the redirect to http://b/ is refused"):
        handler.redirect_request(Request("https://a/"), *more, "http://b/")  # type: ignore[arg-type]
    for old, new in (("http", "https"), ("https", "https"), ("http", "http")):
        request = handler.redirect_request(Request(f"{old}://a/"), *more, f"{new}://b/")  # type: ignore[arg-type]
        assert request is not None
        assert request.full_url == f"{new}://b/"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "data:,x"])
def test_only_web_addresses(target: Path, url: str) -> None:
    with pytest.raises(UserError, match="not an http or https address"):
        download(url, target, 10)
    assert not any(target.parent.iterdir())


def test_a_file_that_is_not_there(server: Server, target: Path) -> None:
    with pytest.raises(UserError, match=r"/gone: 404 Not Found$"):
        download(server.url("/gone"), target, 10)
    assert len(server.asked) == 1
    assert not any(target.parent.iterdir())


def test_a_server_in_trouble_is_asked_again(server: Server, target: Path) -> None:
    server.behave = [fails(503), fails(500)]
    fetch(server, target)
    assert target.read_bytes() == BODY
    target.unlink()
    server.behave = [fails(503)] * 3
    assert "503 Service Unavailable; try again later" in refused(server, target)


def test_a_server_that_stalls(server: Server, target: Path) -> None:
    server.behave = [stalls(1000)]
    fetch(server, target, timeout=1.0)
    assert target.read_bytes() == BODY
    assert ranges(server) == [None, "bytes=1000-"]
    target.unlink()
    server.behave = [stalls(0)] * 3
    assert "no answer for 0.1 s" in refused(server, target, timeout=0.1)


def test_nobody_there(target: Path) -> None:
    server = Server()
    url = server.url()
    server.server_close()
    with pytest.raises(UserError, match="refused; try again later"):
        download(url, target, 10, pause=0)


def test_what_is_there_is_left_alone(server: Server, target: Path) -> None:
    target.write_text("mine")
    with pytest.raises(UserError, match="already exists"):
        fetch(server, target)
    assert target.read_text() == "mine"


def test_a_folder_that_is_none(server: Server, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(UserError, match="note/file"):
        fetch(server, tmp_path / "note" / "file")


# ---- whole data sets


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


@functools.cache
def cifar() -> bytes:
    rng = np.random.default_rng(3)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name in ("data_batch_1.bin", "test_batch.bin"):
            data = b"".join(bytes([label]) + rng.bytes(3072) for label in (3, 5, 3, 0))
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


@functools.cache
def tiny_imagenet() -> bytes:
    top, cat, dog = "tiny-imagenet-200", "n02123045", "n02085620"
    return zip_of(
        {
            f"{top}/wnids.txt": f"{cat}\n{dog}\n".encode(),
            f"{top}/words.txt": f"{cat}\ttabby\n{dog}\tChihuahua\n".encode(),
            f"{top}/train/{cat}/images/{cat}_0.JPEG": png(sample.draw("cat", 0)),
            f"{top}/train/{cat}/images/{cat}_1.JPEG": png(sample.draw("cat", 1)),
            f"{top}/train/{dog}/images/{dog}_0.JPEG": png(sample.draw("dog", 0)),
            f"{top}/train/{dog}/images/{dog}_1.JPEG": png(sample.draw("dog", 1)),
            f"{top}/val/images/val_0.JPEG": png(sample.draw("dog", 2)),
            f"{top}/val/images/val_1.JPEG": png(sample.draw("cat", 2)),
            f"{top}/val/val_annotations.txt": f"val_0.JPEG\t{dog}\t0\t0\t9\t9\n"
            f"val_1.JPEG\t{cat}\t0\t0\t9\t9\n".encode(),
            f"{top}/test/images/test_0.JPEG": png(sample.draw("car", 0)),
        }
    )


@functools.cache
def pets() -> bytes:
    files = {f"PetImages/Cat/{i}.jpg": png(sample.draw("cat", i)) for i in range(6)}
    files |= {f"PetImages/Dog/{i}.jpg": png(sample.draw("dog", i)) for i in range(6)}
    return zip_of({**files, "PetImages/Cat/Thumbs.db": b"x", "readme[1].txt": b"x"})


@functools.cache
def course(part: str) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        kinds = ("cat", "dog", "cat", "dog")
        h5[f"{part}_set_x"] = np.stack([sample.draw(kind, i) for i, kind in enumerate(kinds)])
        h5[f"{part}_set_y"] = np.array([1, 0, 1, 0])
        h5["list_classes"] = np.array([b"non-cat", b"cat"])
    return file.getvalue()


@pytest.fixture
def sets(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, DataSet]:
    """The real catalogue, with small files of the same kinds on loopback."""
    bodies = {
        "cifar-10-binary.tar.gz": cifar(),
        "tiny-imagenet-200.zip": tiny_imagenet(),
        "kagglecatsanddogs_5340.zip": pets(),
        "train_catvnoncat.h5": course("train"),
        "test_catvnoncat.h5": course("test"),
    }
    for name, body in bodies.items():
        server.files[f"/{name}"] = body

    def here(file: Remote) -> Remote:
        body = bodies[file.name]
        known = file.sha256 and hashlib.sha256(body).hexdigest()
        return Remote(file.name, len(body), known, (server.url(f"/{file.name}"),))

    for name, data_set in catalogue.SETS.items():
        files = tuple(map(here, data_set.files))
        changed = DataSet(**{**vars(data_set), "files": files})
        monkeypatch.setitem(catalogue.SETS, name, changed)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return catalogue.SETS


COUNTS = {  # cats and others in the training part, cats and others in the test part
    "course": ((2, 2), (2, 2)),
    "cifar10": ((2, 2), (2, 2)),
    "tiny-imagenet": ((2, 2), (1, 1)),
    "dogs-vs-cats": ((6, 6), None),
}


@pytest.mark.parametrize("name", catalogue.SETS)
def test_a_set_becomes_data(sets: dict, name: str, tmp_path: Path, capsys) -> None:
    out = tmp_path / "new" / "data"
    assert main.main(["data", "get", name, "--out", str(out)]) == 0
    printed, messages = capsys.readouterr()
    assert printed.strip() == str(out / sets[name].target)
    assert [path.name for path in out.iterdir()] == [sets[name].target]
    assert ("there is no published value to compare" in messages) == (name == "course")
    parts = dataset.load(printed.strip())
    for part, counts in zip(parts, COUNTS[name], strict=True):
        assert (part is None) == (counts is None)
        if part is not None:
            assert part.classes == ("non-cat", "cat")
            assert (int(part.labels.sum()), int((1 - part.labels).sum())) == counts


def test_a_set_can_be_trained_on_and_evaluated(sets: dict, tmp_path: Path, capsys) -> None:
    data, run = tmp_path / "dogs-vs-cats.zip", tmp_path / "run"
    assert main.main(["data", "get", "dogs-vs-cats", "--out", str(tmp_path)]) == 0
    how = ["--model", "logistic", "--steps", "3", "--out", str(run)]
    assert main.main(["train", str(data), *how]) == 0
    assert main.main(["eval", str(run), str(data)]) == 0
    printed = capsys.readouterr()
    assert "2 examples" in printed.out
    assert "10 of 12 images are left out" in printed.err


@pytest.mark.parametrize("name", catalogue.SETS)
def test_a_set_that_is_there_is_left_alone(sets: dict, server, name: str, tmp_path, capsys) -> None:
    (tmp_path / sets[name].target).mkdir()
    assert main.main(["data", "get", name, "--out", str(tmp_path)]) == 2
    assert "already exists; remove it or choose another --out" in capsys.readouterr().err
    assert server.asked == []
    assert [path.name for path in tmp_path.rglob("*")] == [sets[name].target]


def test_half_a_set_does_not_appear_and_is_gone_on_with(sets, server, tmp_path, capsys) -> None:
    whole = server.files.pop("/test_catvnoncat.h5")
    get = ["data", "get", "course", "--out", str(tmp_path)]
    assert main.main(get) == 2
    assert "404" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["catvnoncat.part"]
    server.files["/test_catvnoncat.h5"] = whole
    server.asked.clear()
    assert main.main(get) == 0
    assert [path for path, _, _ in server.asked] == ["/test_catvnoncat.h5"]
    names = {path.name for path in (tmp_path / "catvnoncat").iterdir()}
    assert names == {"train_catvnoncat.h5", "test_catvnoncat.h5"}


def test_nothing_is_left_when_nothing_came(sets, server, tmp_path: Path, capsys) -> None:
    server.files.clear()
    assert main.main(["data", "get", "cifar10", "--out", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3  # what it is, its licence, the reason
    assert not any(tmp_path.iterdir())


def test_ctrl_c_keeps_what_has_come(sets, server, tmp_path, capsys, monkeypatch) -> None:
    get = ["data", "get", "cifar10", "--out", str(tmp_path)]
    body = server.files["/cifar-10-binary.tar.gz"]

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", stop)  # while it waits for the second attempt
        server.behave = [breaks_off(500)]
        assert main.main(get) == 130
    assert "the partial download is kept" in capsys.readouterr().err
    part = tmp_path / "cifar10.part" / "cifar-10-binary.tar.gz.part"
    assert part.read_bytes() == body[:500]
    server.asked.clear()
    assert main.main(get) == 0
    assert server.asked == [("/cifar-10-binary.tar.gz", "bytes=500-", '"v1"')]
    assert [path.name for path in tmp_path.iterdir()] == ["cifar10"]


def test_an_archive_that_cannot_be_unpacked_leaves_no_folder(sets, tmp_path, capsys) -> None:
    small = DataSet(**{**vars(sets["cifar10"]), "max_bytes": 5000})
    with pytest.raises(UserError, match="unpacks to more than 5000 bytes"):
        catalogue.get(small, tmp_path, print)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar10.part"]


def test_the_next_address_is_tried(sets, server, tmp_path: Path) -> None:
    data_set = sets["tiny-imagenet"]
    [file] = data_set.files
    file = file._replace(urls=(server.url("/gone"), *file.urls))
    messages: list[str] = []
    catalogue.get(DataSet(**{**vars(data_set), "files": (file,)}), tmp_path, messages.append)
    assert "404" in messages[0]
    assert f"trying {file.urls[1]}" in messages[0]
    assert (tmp_path / data_set.target).is_file()


def test_an_unknown_name_and_an_impossible_folder(sets, tmp_path, capsys) -> None:
    assert main.main(["data", "get", "dogs", "--out", str(tmp_path)]) == 2
    assert "dogs: no such data set; there are course, cifar10" in capsys.readouterr().err
    (tmp_path / "note").write_text("mine")
    assert main.main(["data", "get", "course", "--out", str(tmp_path / "note")]) == 2
    assert "note" in capsys.readouterr().err.splitlines()[-1]
    assert (tmp_path / "note").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX")
def test_a_full_disk_is_one_line(server: Server, tmp_path: Path) -> None:
    code = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from catnet.data.download import download\n"
        "from catnet.errors import UserError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: download(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))\n"
        "except UserError as error: print(error)\n"
    )
    where = [server.url(), str(tmp_path / "file"), str(len(BODY))]
    done = subprocess.run(
        [sys.executable, "-c", code, *where],
        capture_output=True,
        text=True,
        env=_ENVIRONMENT,
    )
    assert done.stdout == f"{tmp_path}/file.part: File too large\n", done.stderr
    assert not (tmp_path / "file").exists()


def test_the_catalogue_is_well_formed(capsys) -> None:
    assert main.main(["data", "list"]) == 0
    printed = capsys.readouterr().out
    for name, data_set in catalogue.SETS.items():
        assert name == data_set.name
        assert re.fullmatch("[a-z0-9-]+", name)
        assert name in printed
        assert data_set.home in printed
        for file in data_set.files:
            assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
            assert str(file.size) in printed
            assert (file.sha256 or "not published; printed after the download") in printed
            assert all(re.match("https?://", url) for url in file.urls)
            assert file.urls[0].startswith("https://")


def test_the_list_needs_neither_numpy_nor_jax() -> None:
    code = (
        "import sys; from catnet.cli import main\n"
        "assert main.main(['data', 'list']) == 0\n"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=_ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
