"""Download a file: resume after interruptions, check the SHA-256, create it atomically."""

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

Report: TypeAlias = Callable[[int, int], None]  # received bytes, size of the file

CHUNK = 2**18
MAX_FAILURES = 3  # consecutive attempts without new bytes
MAX_ATTEMPTS = 200  # in total


class _ConnectionFailed(Exception):
    """The connection failed or ended early; another attempt can resume the download."""


def download(
    url: str,
    target: Path,
    size: int,
    sha256: str | None = None,
    report: Report | None = None,
    timeout: float = 30.0,
    pause: float = 1.0,
) -> str:
    """Download a file of known size; the received bytes are in ``target.part`` until the end.

    After a failed connection, a ``Range`` request resumes the download, in this call or in a later
    one.  ``If-Range`` ensures that the server sends the same version of the file, if the server
    names its version (a strong ETag, else Last-Modified; stored in ``target.part.tag``).  If not,
    the SHA-256 detects another version; without a SHA-256, the download starts again.
    Redirects to other schemes than http and https, and from https to http, are refused.

    Args:
        url: an http or https address.
        target: the new file; its folder exists.
        size: the size of the file, in bytes.
        sha256: the SHA-256 of the file, 64 hexadecimal digits; ``None`` if it is not known.
        report: called after each block of bytes.
        timeout: seconds without an answer after which a connection counts as failed.
        pause: seconds before the second attempt; twice as many before the third.

    Returns:
        The SHA-256 of the file.

    Raises:
        UserError: the file does not exist on the server, has another size or SHA-256, is redirected
            to a forbidden address, or cannot be downloaded or written.  ``target`` is not created.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        _complete(url, part, size, sha256 is not None, report, timeout, pause)
        with part.open("r+b") as file:  # fsync needs a file that is open for writing
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        if sha256 is not None and digest != sha256.lower():
            _remove_part(part)
            raise UserError(f"{url}: not the expected file: its SHA-256 is {digest}, not {sha256}")
        if os.path.lexists(target):
            raise UserError(f"{target}: already exists; remove it or choose another --out")
        part.rename(target)
        _make_tag_path(part).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{error.filename or part}: {error.strerror or error}") from None
    return digest


def _complete(
    url: str,
    part: Path,
    size: int,
    has_checksum: bool,
    report: Report | None,
    timeout: float,
    pause: float,
) -> None:
    """Repeat attempts until the part is complete."""
    failures = 0
    for _ in range(MAX_ATTEMPTS):
        have = _measure_part(part)
        if have == size:
            return
        version = _read_version(part, url)
        if have > size or (have and not has_checksum and version is None):
            _remove_part(part)
            have = 0
        try:
            _attempt(url, part, have, size, version, report, timeout)
        except _ConnectionFailed as error:
            failures = 0 if _measure_part(part) > have else failures + 1
            if failures == MAX_FAILURES:
                raise UserError(f"{url}: {error}{_make_remedy(part)}") from None
            time.sleep(pause * failures)
    if _measure_part(part) != size:
        raise UserError(f"{url}: the connection failed {MAX_ATTEMPTS} times{_make_remedy(part)}")


def _attempt(
    url: str,
    part: Path,
    have: int,
    size: int,
    version: str | None,
    report: Report | None,
    timeout: float,
) -> None:
    """Send one request, and write the received bytes."""
    headers = {"User-Agent": "catnet", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if version is not None:
            headers["If-Range"] = version
    with _send_request(urllib.request.Request(url, headers=headers), part, timeout) as answer:
        start = _check_answer(answer, url, part, have, size)
        if start == 0:
            _store_version(part, url, answer.headers)
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            while block := _read_block(answer, min(CHUNK, size - start + 1), timeout):
                if start + len(block) > size:
                    file.close()
                    _remove_part(part)
                    raise UserError(f"{url}: the server sends more than the expected {size} bytes")
                file.write(block)
                start += len(block)
                if report:
                    report(start, size)
    if start < size:
        raise _ConnectionFailed(f"the connection failed after {start} of {size} bytes")


# ---- the answer


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https, but not from https to http."""

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
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            fp.close()
            raise UserError(f"{req.full_url}: the redirect to {one_line(newurl)} is refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _send_request(
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
            _remove_part(part)  # the file on the server has changed
            raise _ConnectionFailed(reason) from None
        if error.code >= 500:
            raise _ConnectionFailed(reason) from None
        raise UserError(f"{request.full_url}: {one_line(reason)}") from None
    except (OSError, http.client.HTTPException) as error:
        raise _ConnectionFailed(_describe_error(error, timeout)) from None


def _check_answer(
    answer: http.client.HTTPResponse, url: str, part: Path, have: int, size: int
) -> int:
    """Check the answer; return the offset of its first byte in the file."""
    start = 0
    if answer.status == 206:
        offered = answer.headers.get("Content-Range", "").strip()
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", offered)
        if match is None or int(match[1]) != have:
            _remove_part(part)
            raise _ConnectionFailed("the server sends another range than requested")
        if match[2] not in ("*", str(size)):
            raise _make_size_error(url, match[2], size)
        start = have
    elif answer.status != 200:
        raise UserError(f"{url}: unexpected answer {answer.status}")
    if answer.length is not None and start + answer.length != size:
        raise _make_size_error(url, start + answer.length, size)
    return start


def _make_size_error(url: str, actual: int | str, size: int) -> UserError:
    return UserError(f"{url}: not the expected file: it has {actual} bytes, not {size}")


def _read_block(answer: http.client.HTTPResponse, count: int, timeout: float) -> bytes:
    try:
        return answer.read1(count)  # returns available bytes at once, so that a stall loses nothing
    except http.client.IncompleteRead as error:
        return error.partial
    except (OSError, http.client.HTTPException) as error:
        raise _ConnectionFailed(_describe_error(error, timeout)) from None


def _describe_error(error: Exception, timeout: float) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return f"no answer for {timeout:g} s"
    return " ".join(str(getattr(cause, "strerror", None) or cause or type(error).__name__).split())


# ---- the part and its tag


def _make_tag_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.tag")


def _store_version(part: Path, url: str, headers: Message) -> None:
    """Store the version of the file that the server names, if it is reliable."""
    etag, date = headers.get("ETag", ""), headers.get("Last-Modified", "")
    version = etag if etag.startswith('"') else date
    _remove_part(part)
    if version:
        _make_tag_path(part).write_text(f"{url}\n{version}\n", encoding="utf-8")


def _read_version(part: Path, url: str) -> str | None:
    try:
        where, version = _make_tag_path(part).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return version if where == url else None


def _remove_part(part: Path) -> None:
    part.unlink(missing_ok=True)
    _make_tag_path(part).unlink(missing_ok=True)


def _measure_part(part: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return part.stat().st_size
    return 0


def _make_remedy(part: Path) -> str:
    if _measure_part(part):
        return "; the received bytes are kept; run the same command again to resume"
    return "; try again later"
