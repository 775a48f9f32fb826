"""Run a student's file in a process of its own, with a time limit, and judge its layer.

What the file prints goes to stderr.  The process writes its result, as JSON, into a file whose
path it is given; a file that loops, or ends its process, leaves none.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NamedTuple

from catnet.errors import UserError
from catnet.terminal import one_line
from jaxnn_lecture.exercises import EXERCISES, TIME_LIMIT

SETTINGS = {
    "JAX_ENABLE_X64": "1",  # from the start, for arrays that the file makes when it is loaded
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # a check is mostly compiling
}


class Result(NamedTuple):
    """The table of a checked file, and whether all of it is right."""

    text: str
    ok: bool


def check(path: str, time_limit: float = TIME_LIMIT) -> Result:
    """Check a file that ``--exercise`` wrote; its first line says which exercise it is.

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
            str(result),
        ]
        env = {**os.environ, **SETTINGS}
        try:
            done = subprocess.run(
                command, env=env, stdin=subprocess.DEVNULL, stdout=2, timeout=time_limit
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"--check {path}: is not done after {time_limit:g} s; mend a loop that does not "
                "end, or allow more with --time-limit SECONDS"
            ) from None
        if not result.exists():
            raise UserError(
                f"--check {path}: ended its process with exit code {done.returncode} before it was "
                "checked; let it define its layer only"
            )
        answer = json.loads(result.read_text("utf-8"))
    if "error" in answer:
        raise UserError(f"--check {path}: {answer['error']}")
    return Result(**answer)


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


def _judge_file(path: str, number: int) -> dict[str, str | bool]:
    """What the process says of a file: ``text`` and ``ok``, or ``error``."""
    try:
        layer = runpy.run_path(path).get("layer")

        from jaxnn import Layer
        from jaxnn_lecture.exercises.judge import judge

        if not isinstance(layer, Layer):
            got = "nothing" if layer is None else f"one of type {type(layer).__name__}"
            return {"error": f"expected a jaxnn.Layer with the name layer, got {got}"}
        verdict = judge(number, layer)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return {"error": _describe(error, path)}
    return {"text": f"exercise {number}: {EXERCISES[number].title}\n{verdict}", "ok": verdict.ok}


def _describe(error: BaseException, path: str) -> str:
    """An error of the student's code: its kind, its text, and the line of the file."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else None)
    place = f"line {line}: " if line else ""
    return one_line(f"{place}{type(error).__name__}: {error}".removesuffix(": "))


if __name__ == "__main__":
    file, exercise, result_file = sys.argv[1:]
    sys.argv = [file]
    try:
        answer = json.dumps(_judge_file(file, int(exercise)))
        Path(result_file).write_text(answer, "utf-8")
    except KeyboardInterrupt:
        pass  # the parent gets it too, and says so
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # a thread that the file has left must not keep the process
