"""The page of ``catnet predict --html``, read by an HTML parser."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import redblue
from PIL import Image

from catnet.cli import gallery, main
from catnet.images.thumbnail import make_thumbnail

EVIL = "<script>alert('1')<script>\"&\n.png"


class Page(HTMLParser):
    """The tags of a page with their attributes, and its texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return redblue.save_model(tmp_path_factory.mktemp("model") / "model.safetensors", (0.2, 0.8))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    colours = {"a.png": (200, 0, 0), "b.png": (255, 0, 0), "c.png": (0, 0, 255), "d.png": (9, 9, 9)}
    for name, colour in {**colours, EVIL: (180, 0, 0)}.items():
        Image.new("RGB", (60, 30), colour).save(tmp_path / "photos" / name)
    (tmp_path / "photos/broken.png").write_bytes(b"x")
    return tmp_path / "photos"


def test_the_page_shows_every_image_by_label_the_most_probable_first(photos, model, capsys) -> None:
    assert main.main(["predict", "photos", "--model", model, "--html", "pages.html"]) == 1
    assert "gallery: pages.html" in capsys.readouterr().err
    page = Page(Path("pages.html").read_text(encoding="utf-8"))
    assert [text.split(":")[0] for text in page.texts if ": " in text and "{" not in text] == [
        "photos", "photos", "cat", "non-cat", "unsure", "photos/broken.png",
    ]  # fmt: skip
    titles = [str(figure["title"]) for figure in page.all("figure")]
    evil = "photos/" + EVIL.replace("\n", "\\n")
    assert titles == ["photos/b.png", "photos/a.png", evil, "photos/c.png", "photos/d.png"]
    for image, colour in zip(page.all("img"), [0, 0, 0, 2, None], strict=True):
        head, _, data = str(image["src"]).partition(",")
        assert head == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as im:
            assert (im.format, im.size) == ("JPEG", (200, 100))
            assert (str(image["width"]), str(image["height"])) == ("200", "100")
            if colour is not None:
                assert np.asarray(im)[50, 50].argmax() == colour
    links = [unquote(str(a["href"])) for a in page.all("a") if not str(a["href"]).startswith("#")]
    assert links == [
        "photos/b.png",
        "photos/a.png",
        f"photos/{EVIL}",
        "photos/c.png",
        "photos/d.png",
    ]


def test_nothing_is_loaded_or_run(photos, model, capsys) -> None:
    main.main(["predict", "photos", "--model", model, "--html", "p.html"])
    text = Path("p.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    assert "http:" not in text
    assert "https:" not in text
    assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
    policy = page.all("meta")[1]["content"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert page.all("meta")[2]["name"] == "viewport"


def test_an_existing_file_is_left_alone(photos, model, capsys) -> None:
    Path("p.html").write_text("mine")
    for path, why in (
        ("p.html", "exists already"),
        ("no/such/p.html", "cannot be created (No such"),
    ):
        assert main.main(["predict", "photos", "--model", model, "--html", path]) == 2
        out, err = capsys.readouterr()
        assert f"catnet: --html {path}: {why}" in err
        assert out == ""
    assert Path("p.html").read_text() == "mine"


def test_no_part_of_a_page_is_left_where_a_command_is_stopped(photos, model, monkeypatch) -> None:
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("catnet.images.thumbnail.decode", stop)
    assert main.main(["predict", "photos", "--model", model, "--html", "p.html"]) == 130
    assert [path.name for path in Path().iterdir()] == ["photos"]


def test_a_page_that_cannot_be_made_leaves_no_folders(photos, model, capsys) -> None:
    Path("p.html").symlink_to("nowhere")
    more = ["--explain", "e", "--sort-into", "s"]
    for path, why in (
        ("p.html", "exists already"),
        ("x" * 300, "cannot be created (File name too long)"),
        ("a\0b", "cannot be created (not a possible file name)"),
    ):
        how = ["predict", "photos", "--model", model, "--html", path, *more]
        assert main.main(how) == 2
        assert why in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir()) == ["p.html", "photos"]


def test_a_page_made_meanwhile_is_left_alone(photos, model, capsys, monkeypatch) -> None:
    add = gallery.Gallery.add_failure  # of photos/broken.png
    monkeypatch.setattr(
        gallery.Gallery,
        "add_failure",
        lambda *a: (add(*a), Path("p.html").write_text("mine")),
    )
    assert main.main(["predict", "photos", "--model", model, "--html", "p.html"]) == 2
    assert "catnet: --html p.html: exists already" in capsys.readouterr().err
    assert Path("p.html").read_text() == "mine"
    assert sorted(path.name for path in Path().iterdir()) == ["p.html", "photos"]


def test_a_thumbnail_reads_its_file_once(photos, monkeypatch) -> None:
    from catnet.images import reading

    opened, read = [], reading._read_stream
    monkeypatch.setattr(reading, "_read_stream", lambda file: opened.append(1) or read(file))
    assert make_thumbnail("photos/a.png").width == 200
    assert opened == [1]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_thumbnail_stands_upright_and_keeps_its_proportions(form) -> None:
    exif = Image.Exif()
    exif[274] = 6
    im = Image.new("RGB", (120, 60), "blue")
    im.paste("red", (0, 0, 60, 60))  # at the top, once it is turned
    file = io.BytesIO()
    im.save(file, form, exif=exif)
    jpeg, *size = make_thumbnail(file.getvalue(), 80)
    assert size == [40, 80]
    with Image.open(io.BytesIO(jpeg)) as small:
        assert small.size == (40, 80)
        pixels = np.asarray(small).astype(int)
    assert pixels[10, 20].argmax() == 0
    assert pixels[70, 20].argmax() == 2
