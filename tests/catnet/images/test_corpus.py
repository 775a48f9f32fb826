"""Any folder of files against what the decoder promises for every file.

``CATNET_IMAGES`` names the folder.  Pillow's own test images are a good one: hundreds of odd
modes, crashers, bombs and cut files, in ``Tests/images`` of its source package.

Run as a program, this file examines the files named on standard input, each in a process of its
own: only so can CPU time, memory, what C libraries print, and crashes be told file by file.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from catnet.images import decode

MAX_SECONDS = 2.0  # of CPU: the wall clock also counts what else the machine is doing
MAX_MEGABYTES = 500
GIVE_UP_SECONDS = 20  # of CPU
HANGS_SECONDS = 600  # of the wall clock


class Outcome(NamedTuple):
    """What became of one file."""

    path: str
    end: str  # "image", "reason", "traceback", or the signal that ended its process
    text: str  # the reason or the traceback
    printed: str  # to standard output or error, by Python or C
    seconds: float
    megabytes: float


def examine(path: str) -> Outcome:
    """Decode one file in a forked process and measure it."""
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as answer:
        child = os.fork()
        if child == 0:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
            resource.setrlimit(resource.RLIMIT_CPU, (GIVE_UP_SECONDS, GIVE_UP_SECONDS))
            signal.alarm(HANGS_SECONDS)
            answer.write(json.dumps(_attempt(path)).encode())
            answer.flush()
            os._exit(0)
        _, status, used = os.wait4(child, 0)
        printed.seek(0)
        answer.seek(0)
        killed = os.WIFSIGNALED(status) and [signal.Signals(os.WTERMSIG(status)).name, ""]
        end, text = killed or json.loads(answer.read())
        said = printed.read(2000).decode(errors="replace")
    return Outcome(path, end, text, said, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def _attempt(path: str) -> tuple[str, str]:
    try:
        decode.decode(path)
    except decode.ImageError as error:
        return "reason", str(error)
    except BaseException:
        return "traceback", traceback.format_exc()
    return "image", ""


def outcomes(paths: Iterable[str | Path]) -> list[Outcome]:
    """What becomes of each file, examined one after the other by a small process."""
    root = str(Path(decode.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, __file__],
        input="\0".join(map(str, paths)).encode(errors="surrogateescape"),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"},
        check=True,
    )
    return [Outcome(*json.loads(line)) for line in done.stdout.splitlines()]


def broken_promises(outcome: Outcome) -> list[str]:
    """Which of the promises one file has broken, in words."""
    broken = []
    if outcome.end not in ("image", "reason"):
        broken.append(f"ended by {outcome.end}: {outcome.text}")
    if outcome.end == "reason" and not (outcome.text and outcome.text.isprintable()):
        broken.append(f"not one line: {outcome.text!r}")
    if outcome.printed:
        broken.append(f"printed {outcome.printed!r}")
    if outcome.seconds > MAX_SECONDS:
        broken.append(f"took {outcome.seconds:.1f} s")
    if outcome.megabytes > MAX_MEGABYTES:
        broken.append(f"took {outcome.megabytes:.0f} MB")
    return broken


GOOD = Outcome("a.png", "image", "", "", 0.1, 100.0)


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"end": "traceback", "text": "KeyError"}, "ended by traceback: KeyError"),
        ({"end": "SIGSEGV"}, "ended by SIGSEGV: "),
        ({"end": "reason", "text": ""}, "not one line: ''"),
        ({"end": "reason", "text": "two\nlines"}, r"not one line: 'two\nlines'"),
        ({"printed": "TIFFRead: warning"}, "printed 'TIFFRead: warning'"),
        ({"seconds": 2.04}, "took 2.0 s"),
        ({"megabytes": 501.0}, "took 501 MB"),
    ],
)
def test_a_broken_promise_is_found(change: dict, result: str) -> None:
    assert broken_promises(GOOD._replace(**change)) == [result]


def test_each_file_is_examined_for_itself(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (3000, 3000), "red").save(file, "PNG")
    (tmp_path / "large.png").write_bytes(file.getvalue())
    (tmp_path / "new\nline.jpg").write_bytes(b"nothing")
    os.mkfifo(tmp_path / "pipe.jpg")
    large, nothing, pipe = outcomes(sorted(tmp_path.iterdir()))
    assert [item.end for item in (large, nothing, pipe)] == ["image", "reason", "reason"]
    assert (Path(nothing.path).name, pipe.text) == ("new\nline.jpg", "a pipe, not a file")
    assert large.seconds > nothing.seconds > 0
    assert large.megabytes > nothing.megabytes + 10
    for item in (large, nothing, pipe):
        assert not broken_promises(item)


@pytest.mark.skipif(
    "CATNET_IMAGES" not in os.environ,
    reason="set CATNET_IMAGES to a folder of images, such as Tests/images of Pillow's source "
    "package (pip download --no-deps --no-binary pillow pillow)",
)
def test_every_file_of_the_folder_gets_an_image_or_one_line() -> None:
    folder = Path(os.environ["CATNET_IMAGES"])
    result = outcomes(sorted(path for path in folder.rglob("*") if not path.is_dir()))
    assert any(item.end == "image" for item in result), f"no images in {folder}"
    for measure in ("seconds", "megabytes"):
        worst = max(result, key=lambda item: getattr(item, measure))
        print(f"most {measure}: {getattr(worst, measure):.2f} for {worst.path}")
    broken = {item.path: promises for item in result if (promises := broken_promises(item))}
    assert not broken, json.dumps(broken, indent=2)


if __name__ == "__main__":
    for name in sys.stdin.buffer.read().split(b"\0"):
        print(json.dumps(examine(os.fsdecode(name))), flush=True)
