"""The cache of catnet: decoded images and compiled programs, in a folder of the user's own.

It is ``~/.cache/catnet``, or ``catnet`` in ``$XDG_CACHE_HOME`` if that is an absolute path.
Nobody else can read it: it shows the user's images.  All of it can be made again, so it may be
deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import stat
from pathlib import Path

from catnet.errors import UserError


def cache_folder() -> Path:
    """The folder of the cache; made for the user alone if it is not there.

    A home folder that is missing is never made.

    Raises:
        UserError: there is no home folder, or the cache cannot be made in it.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute() and os.environ.get("HOME") != "":
        with contextlib.suppress(RuntimeError):  # there is no home
            base = Path.home() / ".cache"
    folder = base / "catnet"
    try:
        if not base.is_absolute() or not base.parent.is_dir():
            raise FileNotFoundError(2, "there is no such folder", str(base.parent))
        base.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        info = folder.stat()
        if hasattr(os, "getuid") and info.st_uid == os.getuid() and info.st_mode & 0o077:
            folder.chmod(0o700)  # made by an earlier catnet
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
        remedy = "give --cache FOLDER, or set XDG_CACHE_HOME"
        raise UserError(f"no place for decoded images ({why}); {remedy}") from None
    return folder


def keep_compiled() -> None:
    """Let JAX, once it is imported, keep what it compiles and find it again in the next run.

    Where the environment says already what JAX should do, that holds.  What is kept is machine
    code, so it must be nobody else's: the folder is the user's alone, and of this kind of
    processor alone.  Where there can be no such folder, nothing is kept.
    """
    try:
        folder = cache_folder() / f"compiled-{_processor()}"
    except UserError:
        return
    if not _private(folder):
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _private(folder: Path) -> bool:
    """Make the folder; whether it is there, the user's, and writable for nobody else."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return stat.S_ISDIR(found.st_mode)
    others = stat.S_IWGRP | stat.S_IWOTH
    mine = found.st_uid == os.getuid() and not found.st_mode & others
    return mine and stat.S_ISDIR(found.st_mode) and os.access(folder, os.W_OK)


def _processor() -> str:
    """A short hash of what decides which instructions there are."""
    parts = [platform.machine(), platform.processor()]
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    parts += sorted(
        {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
