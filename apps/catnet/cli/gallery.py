"""``catnet predict --html FILE``: a page with a thumbnail of every image, by label.

The page is one file without scripts, and loads nothing from anywhere.
"""

from __future__ import annotations

import base64
import html
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from catnet.errors import UserError
from catnet.terminal import one_line

if TYPE_CHECKING:
    from catnet.images.paths import ImageFile

STYLE = """
:root { color-scheme: light dark; font: 16px/1.4 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 90rem; padding: 0 1rem 3rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin: 2rem 0 .6rem; scroll-margin-top: 3rem; }
nav { position: sticky; top: 0; background: Canvas; padding: .5rem 0; }
nav a { margin-right: 1rem; white-space: nowrap; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .8rem; }
figure { margin: 0; min-width: 0; }
img { width: 100%; height: 9rem; object-fit: contain; background: #8882; border-radius: .4rem; }
figcaption { font-size: .8rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
b { font-variant-numeric: tabular-nums; }
li, p { overflow-wrap: anywhere; }
"""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class _Picture(NamedTuple):
    """An image of the page; its thumbnail is in the temporary file."""

    name: str
    source: Any
    probability: float
    remark: str
    offset: int
    length: int
    size: tuple[int, int]


class Gallery:
    """The page; it is written when the ``with`` block ends without an error.

    Thumbnails are kept in a temporary file, so that the memory hardly grows with their number.

    Args:
        path: the new file.
        title: the heading of the page.

    Raises:
        UserError: the file exists, or cannot be created.
    """

    def __init__(self, path: str, title: str) -> None:
        self.path, self.title = path, title
        self.labels: dict[str, list[_Picture]] = {}
        self.failures: list[tuple[str, str]] = []
        try:
            self._refuse_existing()
            # It is renamed at the end, so that the page is there as a whole or not at all.
            self._part = Path(path).with_name(f".catnet-{os.getpid()}.part")
            self._file = self._part.open("x", encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a possible file name"
            raise UserError(f"--html {path}: cannot be created ({reason})") from None
        self._thumbnails = tempfile.TemporaryFile()  # noqa: SIM115

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            with self._file, self._thumbnails:
                if kind is None:
                    self._file.writelines(self._lines())
            if kind is None:
                self._refuse_existing()  # what was made meanwhile
                self._part.rename(self.path)
        finally:
            self._part.unlink(missing_ok=True)

    def _refuse_existing(self) -> None:
        try:
            Path(self.path).lstat()
        except FileNotFoundError:
            return
        raise UserError(f"--html {self.path}: exists already; choose another name")

    def add(self, image: ImageFile, label: str, probability: float, remark: str = "") -> None:
        """Add an image; one that cannot be decoded now becomes a failure."""
        from catnet.images.reading import ImageError
        from catnet.images.thumbnail import make_thumbnail

        try:
            jpeg, *size = make_thumbnail(image.source)
        except ImageError as error:
            self.add_failure(image.path, str(error))
            return
        at = self._thumbnails.tell()
        self._thumbnails.write(jpeg)
        picture = _Picture(
            image.path, image.source, probability, remark, at, len(jpeg), (size[0], size[1])
        )
        self.labels.setdefault(label, []).append(picture)

    def add_failure(self, name: str, reason: str) -> None:
        """Add an image without an answer."""
        self.failures.append((name, reason))

    def _lines(self) -> Iterator[str]:
        sections = sorted(self.labels.items(), key=lambda item: -len(item[1]))
        title = _escape(self.title)
        yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        yield f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        yield f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        links = [
            f'<a href="#l{i}">{_escape(label)} {len(pictures)}</a>'
            for i, (label, pictures) in enumerate(sections)
        ]
        if self.failures:
            links.append(f'<a href="#failures">without an answer {len(self.failures)}</a>')
        yield f"<nav>{' '.join(links)}</nav>\n"
        for i, (label, pictures) in enumerate(sections):
            yield f'<h2 id="l{i}">{_escape(label)}: {len(pictures)}</h2>\n<div class="grid">\n'
            for picture in sorted(pictures, key=lambda one: -one.probability):
                yield self._figure(picture)
            yield "</div>\n"
        if self.failures:
            yield '<h2 id="failures">Without an answer</h2>\n<ul>\n'
            for name, reason in self.failures:
                yield f"<li>{_escape(name)}: {_escape(reason)}</li>\n"
            yield "</ul>\n"
        yield "</body>\n</html>\n"

    def _figure(self, picture: _Picture) -> str:
        self._thumbnails.seek(picture.offset)
        data = base64.b64encode(self._thumbnails.read(picture.length)).decode()
        name, (width, height) = _escape(picture.name), picture.size
        image = (
            f'<img loading="lazy" width="{width}" height="{height}" alt="{name}" '
            f'src="data:image/jpeg;base64,{data}">'
        )
        if isinstance(picture.source, str):
            image = f'<a href="{_escape(self._link(picture.source))}">{image}</a>'
        short = _escape(Path(picture.name).name or picture.name)
        remark = f" {_escape(picture.remark)}" if picture.remark else ""
        caption = f"<b>{picture.probability:.1%}</b>{remark} {short}"
        return f'<figure title="{name}">{image}<figcaption>{caption}</figcaption></figure>\n'

    def _link(self, path: str) -> str:
        """The image's address, relative to the page, so that both can be moved together."""
        return quote(os.fsencode(os.path.relpath(path, Path(self.path).parent)))


def _escape(text: str) -> str:
    """A text as HTML; characters that cannot be written become escapes."""
    return html.escape(one_line(text))
