"""Compiled programs kept from one run of catnet to the next, in a folder of the user's own."""

from __future__ import annotations

import hashlib
import os
import platform
import stat
from pathlib import Path


def cache_folder() -> Path:
    """Where catnet keeps what it can make again: decoded pictures, compiled programs."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "catnet"


def keep_compiled() -> None:
    """Let JAX, once it is imported, keep what it compiles and find it again in the next run.

    Where the environment says already what JAX should do, that holds.  What is kept is machine
    code, so it must be nobody else's: the folder is the user's alone, and of this kind of
    processor alone.  Where there can be no such folder, nothing is kept.
    """
    folder = cache_folder() / f"compiled-{_processor()}"
    if not _private(folder):
        return
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def _private(folder: Path) -> bool:
    """Make the folder; whether it is there, the user's, and writable for nobody else."""
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
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
