"""DATA of the command line: its content decides how it is read."""

from __future__ import annotations

from pathlib import Path

from catnet.errors import UserError
from seqnet.data import text, wav
from seqnet.data.examples import Data, Report

EXPECTED = (
    "expected a CSV with the columns text and label, a folder of WAV files, rt-polarity's two "
    "files *.pos and *.neg, the treebank's train.txt, dev.txt and test.txt, or a file of names"
)


def read(path: str | Path, report: Report) -> Data:
    """Read DATA.

    Args:
        path: a file or folder.
        report: called with one line for each example that is left out.

    Raises:
        UserError: nothing of this kind is there, or an example is wrong; one line.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, report)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if path.suffix.lower() == ".csv" or text.has_columns(path):
        return Data("text", text.read_csv(path))
    return Data("names", text.read_names(path))


def _read_folder(folder: Path, report: Report) -> Data:
    if all(len(list(folder.glob(f"*.{suffix}"))) == 1 for suffix in ("pos", "neg")):
        return Data("text", text.read_polarity(folder))
    if all((folder / name).is_file() for name in text.TREES):
        train, _, test = text.read_treebank(folder)
        return Data("text", train, test)
    if any(folder.glob("*.wav")) or any(folder.glob("*/*.wav")):
        return Data("speech", *wav.read_sounds(folder, report))
    raise UserError(f"{folder}: {EXPECTED}")
