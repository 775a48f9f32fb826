"""Run a student's file in a process of its own, with a time limit, and judge its layer.

The processes that it starts end with it: all are of one group.

What the file prints goes to stderr.  The process writes its result, as JSON, into a file whose
path it is given; a file that loops, or ends its process, leaves none.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from catnet.errors import UserError
from catnet.terminal import one_line
from jaxnn_lecture.exercises import EXERCISES, TIME_LIMIT, find_line

SETTINGS = {
    "JAX_ENABLE_X64": "1",  # from the start, for arrays that the file makes when it is loaded
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # a check is mostly compiling
}


class Result(NamedTuple):
    """The table of a checked file, and whether all of it is right."""

    text: str
    ok: bool


def check(path: str, seed: int, time_limit: float = TIME_LIMIT) -> Result:
    """Check a file that ``--exercise`` wrote; its first line says which exercise it is.

    Args:
        path: of the file.
        seed: of the random inputs.
        time_limit: in seconds.

    Raises:
        UserError: the file cannot be read, is no exercise, raises, exits, has no layer, or takes
            too long.
    """
    number = _read_number(path)
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        command = [
            sys.executable,
            "-P",
            "-m",
            "jaxnn_lecture.exercises.process",
            path,
            str(number),
            str(seed),
            str(result),
        ]
        try:
            code = _run_group(command, time_limit)
        except subprocess.TimeoutExpired:
            raise UserError(
                f"--check {path}: is not done after {time_limit:g} s; mend a loop that does not "
                "end, or allow more with --time-limit SECONDS"
            ) from None
        if not result.exists():
            raise UserError(
                f"--check {path}: ended its process with exit code {code} before it was "
                "checked; let it define its layer only"
            )
        answer = json.loads(result.read_text("utf-8"))
    if "error" in answer:
        raise UserError(f"--check {path}: {answer['error']}")
    return Result(**answer)


def _run_group(command: Sequence[str], time_limit: float) -> int:
    """Run a process; end it, and all that it has started, at the time limit or Ctrl-C.

    Returns:
        Its exit code.

    Raises:
        subprocess.TimeoutExpired: after the time limit.
    """
    process = subprocess.Popen(
        command,
        env={**os.environ, **SETTINGS},
        stdin=subprocess.DEVNULL,
        stdout=2,
        start_new_session=True,
    )
    try:
        return process.wait(time_limit)
    finally:
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


def _read_number(path: str) -> int:
    """The number of the exercise in a file."""
    if Path(path).exists() and not Path(path).is_file():
        raise UserError(f"--check {path}: is not a file; give the one that --exercise N wrote")
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text in UTF-8"
        raise UserError(f"--check {path}: {reason}") from None
    numbers = {int(found) for found in re.findall(r"Exercise (\d+) of jaxnn-lecture", text)}
    if len(numbers) != 1 or not numbers <= set(EXERCISES):
        raise UserError(
            f"--check {path}: does not say which exercise it is; keep the first line of the file "
            "from --exercise N"
        )
    return numbers.pop()


def _judge_file(path: str, number: int, seed: int) -> dict[str, str | bool]:
    """What the process says of a file: ``text`` and ``ok``, or ``error``."""
    try:
        layer = runpy.run_path(path).get("layer")

        from jaxnn import Layer
        from jaxnn_lecture.exercises.judge import judge

        if not isinstance(layer, Layer):
            got = "nothing" if layer is None else f"one of type {type(layer).__name__}"
            return {"error": f"expected a jaxnn.Layer with the name layer, got {got}"}
        verdict = judge(number, layer, seed, path)
    except BaseException as error:
        return {"error": _describe(error, path)}
    head = f"exercise {number}: {EXERCISES[number].title} (--seed {seed})"
    return {"text": f"{head}\n{verdict}", "ok": verdict.ok}


def _describe(error: BaseException, path: str) -> str:
    """An error of the student's code: its kind, its text, and the line of the file."""
    line = find_line(error, path)
    place = f"line {line}: " if line else ""
    return one_line(f"{place}{type(error).__name__}: {error}".removesuffix(": "))


if __name__ == "__main__":
    file, exercise, drawn, result_file = sys.argv[1:]
    sys.argv = [file]
    answer = json.dumps(_judge_file(file, int(exercise), int(drawn)))
    Path(result_file).write_text(answer, "utf-8")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that the file has left must not keep the process
