"""The cache folder of catnet, with decoded images and compiled programs.

It is ``~/.cache/catnet``, or ``catnet`` in ``$XDG_CACHE_HOME`` if that is an absolute path.
Other users cannot read it, because it contains the user's images.  It may be deleted at any time;
catnet creates it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import stat
from pathlib import Path

from catnet.errors import UserError


def make_cache_folder() -> Path:
    """Create the cache folder with access for the user only, if it does not exist.

    A missing home folder is never created.

    Returns:
        The folder.

    Raises:
        UserError: there is no home folder, or the folder cannot be created in it.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute() and os.environ.get("HOME") != "":
        with contextlib.suppress(RuntimeError):  # there is no home
            base = Path.home() / ".cache"
    folder = base / "catnet"
    try:
        if not base.is_absolute() or not base.parent.is_dir():
            raise FileNotFoundError(2, "no such folder", str(base.parent))
        base.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        info = folder.stat()
        if hasattr(os, "getuid") and info.st_uid == os.getuid() and info.st_mode & 0o077:
            folder.chmod(0o700)  # an earlier version of catnet created it
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
        remedy = "give --cache FOLDER, or set XDG_CACHE_HOME"
        raise UserError(f"the cache folder cannot be created ({why}); {remedy}") from None
    return folder


def enable_compile_cache() -> None:
    """Configure JAX's persistent compilation cache; call it before JAX is imported.

    Environment variables that are already set take precedence.  The cache contains machine code,
    so only the user may write to its folder, and each kind of processor has its own folder.  If
    there can be no such folder, the cache stays off.
    """
    try:
        folder = make_cache_folder() / f"compiled-{_hash_processor()}"
    except UserError:
        return
    if not _make_private(folder):
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _make_private(folder: Path) -> bool:
    """Create the folder; return whether it exists and only the user can write to it."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        info = folder.lstat()
    except OSError:
        return False
    if not hasattr(os, "getuid"):
        return stat.S_ISDIR(info.st_mode)
    others = stat.S_IWGRP | stat.S_IWOTH
    mine = info.st_uid == os.getuid() and not info.st_mode & others
    return mine and stat.S_ISDIR(info.st_mode) and os.access(folder, os.W_OK)


def _hash_processor() -> str:
    """A short hash of the processor's model and instruction sets."""
    parts = [platform.machine(), platform.processor()]
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    parts += sorted(
        {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
