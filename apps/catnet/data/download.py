"""A file from the web: gone on with where it broke off, checked, whole under its name or not."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO, TypeAlias
from urllib.parse import urlsplit

from catnet.errors import UserError
from catnet.terminal import one_line

Report: TypeAlias = Callable[[int, int], None]  # bytes that are there, bytes in all

CHUNK = 2**18
FRUITLESS = 3  # attempts in a row that bring nothing, after which it is given up
ATTEMPTS = 200  # in all: a connection that breaks off again and again is not followed for ever


class _Broken(Exception):
    """The connection failed or ended early; another attempt may go on."""


def download(
    url: str,
    target: Path,
    size: int,
    sha256: str | None = None,
    report: Report | None = None,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> str:
    """Download a file of known size; what has come is kept in ``target.part`` until it is whole.

    A broken connection is gone on with by a ``Range`` request, now or in a later call.  It is
    tied to the same version of the file by ``If-Range``, where the server names one (a strong
    ETag, else Last-Modified; kept in ``target.part.tag``); where not, the SHA-256 has to decide,
    and without one the download starts anew.  Redirects lead to http and https only, and never
    from https to http.

    Args:
        url: http or https.
        target: where the file goes; its folder is there, it is not.
        size: of the file, in bytes.
        sha256: of the file, 64 hexadecimal digits; ``None`` where none is known.
        report: called as bytes arrive.
        timeout: seconds without an answer that count as a broken connection.
        pause: seconds before the second attempt, twice that before the third.

    Returns:
        The SHA-256 of the file.

    Raises:
        UserError: no such file there, another size or SHA-256, a forbidden redirect, no
            connection, or a folder that cannot be written.  Nothing is then at ``target``.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        _complete(url, part, size, sha256 is not None, report, timeout, pause)
        with part.open("r+b") as file:  # to be written to disk, it has to be open for writing
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        if sha256 is not None and digest != sha256.lower():
            _forget(part)
            raise UserError(
                f"{url}: not the file that is meant: its SHA-256 is {digest}, not {sha256}"
            )
        if os.path.lexists(target):
            raise UserError(f"{target}: is there already; it is left as it is")
        part.rename(target)
        _tag(part).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{error.filename or part}: {error.strerror or error}") from None
    return digest


def _complete(
    url: str,
    part: Path,
    size: int,
    will_be_checked: bool,
    report: Report | None,
    timeout: float,
    pause: float,
) -> None:
    """Attempts until the part has its size."""
    fruitless = 0
    for _ in range(ATTEMPTS):
        have = _length(part)
        if have == size:
            return
        version = _version(part, url)
        if have > size or (have and not will_be_checked and version is None):
            _forget(part)
            have = 0
        try:
            _attempt(url, part, have, size, version, report, timeout)
        except _Broken as error:
            fruitless = 0 if _length(part) > have else fruitless + 1
            if fruitless == FRUITLESS:
                raise UserError(f"{url}: {error}{_kept(part)}") from None
            time.sleep(pause * fruitless)
    if _length(part) != size:
        raise UserError(f"{url}: broke off {ATTEMPTS} times{_kept(part)}")


def _attempt(
    url: str,
    part: Path,
    have: int,
    size: int,
    version: str | None,
    report: Report | None,
    timeout: float,
) -> None:
    """One request, and as much of its answer as comes."""
    headers = {"User-Agent": "catnet", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version is not None:
            headers["If-Range"] = version
    with _opened(urllib.request.Request(url, headers=headers), part, timeout) as answer:
        start = _start(answer, url, part, have, size)
        if start == 0:
            _remember(part, url, answer.headers)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            while block := _read(answer, min(CHUNK, size - start + 1), timeout):
                if start + len(block) > size:
                    file.close()
                    _forget(part)
                    raise UserError(f"{url}: sends more than the {size} bytes of the file meant")
                file.write(block)
                start += len(block)
                if report:
                    report(start, size)
    if start < size:
        raise _Broken(f"broke off after {start} of {size} bytes")


# ---- the answer


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https; nothing that began encrypted goes on in the open."""

    max_redirections = 5

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        now, then = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if then not in ("http", "https") or (now == "https" and then == "http"):
            fp.close()
            raise UserError(f"{req.full_url}: redirects to {one_line(newurl)}, which is refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opened(
    request: urllib.request.Request, part: Path, timeout: float
) -> http.client.HTTPResponse:
    if urlsplit(request.full_url).scheme not in ("http", "https"):
        raise UserError(f"{request.full_url}: not an http or https address")
    try:
        return urllib.request.build_opener(_Redirects).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        reason = f"{error.code} {' '.join(str(error.reason).split())}"
        if error.code == 416 and request.has_header("Range"):
            _forget(part)  # there is no such range: the file is another one now
            raise _Broken(reason) from None
        if error.code >= 500:
            raise _Broken(reason) from None
        raise UserError(f"{request.full_url}: {one_line(reason)}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(_reason(error, timeout)) from None


def _start(answer: http.client.HTTPResponse, url: str, part: Path, have: int, size: int) -> int:
    """At which byte the answer begins; refused when it is not part of a file of ``size``."""
    start = 0
    if answer.status == 206:
        offered = answer.headers.get("Content-Range", "").strip()
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", offered)
        if found is None or int(found[1]) != have:
            _forget(part)
            raise _Broken("answers with another range than was asked for")
        if found[2] not in ("*", str(size)):
            raise _other_size(url, found[2], size)
        start = have
    elif answer.status != 200:
        raise UserError(f"{url}: unexpected answer {answer.status}")
    if answer.length is not None and start + answer.length != size:
        raise _other_size(url, start + answer.length, size)
    return start


def _other_size(url: str, found: int | str, size: int) -> UserError:
    return UserError(f"{url}: not the file that is meant: it has {found} bytes, not {size}")


def _read(answer: http.client.HTTPResponse, count: int, timeout: float) -> bytes:
    try:
        return answer.read1(count)  # what is there already, so that a stall loses none of it
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(_reason(error, timeout)) from None


def _reason(error: Exception, timeout: float) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return f"no answer for {timeout:g} s"
    return " ".join(str(getattr(cause, "strerror", None) or cause or type(error).__name__).split())


# ---- what is kept beside the part


def _tag(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _remember(part: Path, url: str, headers: Message) -> None:
    """Keep how the server names this version of the file, if it does so reliably."""
    etag, date = headers.get("ETag", ""), headers.get("Last-Modified", "")
    version = etag if etag.startswith('"') else date
    _forget(part)
    if version:
        _tag(part).write_text(f"{url}\n{version}\n", encoding="utf-8")


def _version(part: Path, url: str) -> str | None:
    try:
        where, version = _tag(part).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return version if where == url else None


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag(part).unlink(missing_ok=True)


def _length(part: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return part.stat().st_size
    return 0


def _kept(part: Path) -> str:
    if _length(part):
        return "; what has come is kept, and the same command goes on from there"
    return "; try again later"
