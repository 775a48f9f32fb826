"""``python -m catnet_teacher DATA… --out FILE``: write the soft labels of images.

The teacher is EfficientNet-Lite0 (extra ``teacher``).  See :mod:`catnet_teacher.blend` for what is
made of its probabilities.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from catnet.data.class_names import CATS
from catnet.data.duplicates import hash_pixels
from catnet.data.reading import open_source
from catnet.errors import UserError
from catnet.images.geometry import Geometry
from catnet.process import run_guarded
from catnet.terminal import log
from catnet.training import soft_labels
from catnet.training.soft_labels import SoftLabels
from catnet_teacher.blend import Answers, align, blend, join, one_hot

SIZE = Geometry(160)  # the teacher's input: the whole image; its own 224 takes three times as long
CHUNK = 64
OF_CLASS = 32  # images of each fine class that are shown to the teacher


def main(arguments: list[str] | None = None) -> int:
    """Write the file of soft labels."""
    parser = argparse.ArgumentParser(prog="python -m catnet_teacher", description=__doc__)
    parser.add_argument("data", nargs="+", metavar="DATA", help="zips or folders of images")
    parser.add_argument("--out", required=True, metavar="FILE", help="the .npz file to write")
    options = parser.parse_args(arguments)
    return run_guarded("catnet_teacher", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    out = Path(options.out)
    if out.suffix != ".npz":
        raise UserError(
            f"--out {out}: soft labels are an npz file; choose a name that ends in .npz"
        )
    if out.exists():
        raise UserError(f"--out {out}: exists already; choose another name")
    from catnet_teacher.torch_teacher import CAT_CLASSES, CLASSES, probabilities

    parts = []
    for number, source in enumerate(options.data):
        parts.append(_ask(Path(source), number, probabilities))
        log(f"{source}: {len(parts[-1].content)} images")
    names = tuple(map(str, range(CLASSES)))
    answers = join(parts)
    soft = blend(answers, CAT_CLASSES)
    content, first = np.unique(answers.content, return_index=True)
    soft_labels.save(out, SoftLabels(content, soft[first], names, CAT_CLASSES))
    return 0


def _ask(path: Path, number: int, probabilities: Callable[[np.ndarray], np.ndarray]) -> Answers:
    """The teacher's answers for the images of one source.

    Where the source has fine classes, as Tiny ImageNet has, its images are 64×64 and the teacher is
    poor: its labels are kept, in the teacher's classes.
    """
    content, labels, fine, rows, asked = [], [], [], [], []
    with open_source(path, geometry=SIZE) as large:
        if set(large.classes) != set(CATS):
            raise UserError(
                f"{path}: its classes are {', '.join(large.classes)}, not cat and non-cat"
            )
        seen = np.zeros(max(1, len(large.fine_names)), int)
        chunk: list[np.ndarray] = []
        for row, image, whole in large.rows:
            content.append(hash_pixels(whole[None])[0])
            labels.append(int(large.classes[row.label] == "cat"))
            fine.append(row.fine)
            if large.fine_names and seen[row.fine] >= OF_CLASS:
                continue
            seen[row.fine] += 1
            asked.append(len(content) - 1)
            chunk.append(image)
            if len(chunk) == CHUNK:
                rows.append(probabilities(np.stack(chunk)))
                chunk.clear()
        if chunk:
            rows.append(probabilities(np.stack(chunk)))
    teacher = np.concatenate(rows)
    hard = bool(large.fine_names)
    if hard:
        of = np.array(fine)
        scores = np.stack(
            [
                np.log(teacher[of[asked] == one].astype(float) + 1e-3).mean(axis=0)
                for one in range(len(large.fine_names))
            ]
        )
        teacher = one_hot(align(scores)[of], teacher.shape[1])
    return Answers(
        np.array(content, np.uint64),
        np.array(labels),
        np.full(len(content), number),
        teacher,
        np.full(len(content), hard),
    )


if __name__ == "__main__":
    sys.exit(main())
