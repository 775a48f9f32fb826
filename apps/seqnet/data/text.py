"""Readers of text: ``text,label`` as CSV, rt-polarity, the Stanford Sentiment Treebank, names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from catnet.errors import UserError
from catnet.terminal import one_line
from seqnet.data.examples import Examples, examples

COLUMNS = ("text", "label")
LONGEST_NAME = 60  # characters; a longer line is no name
TREES = ("train.txt", "dev.txt", "test.txt")


def read_utf8(path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        UserError: the file is in another encoding; names the line.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{path}: line {line}: not UTF-8; save the file as UTF-8") from None


def has_columns(path: Path) -> bool:
    """Whether the first line of a file names the columns ``text`` and ``label``."""
    with path.open("rb") as file:
        start = file.read(2**16).decode("utf-8-sig", "replace")
    try:
        header = next(csv.reader(io.StringIO(start, newline="")), [])
    except csv.Error:
        return False
    return set(COLUMNS) <= {name.strip() for name in header}


def read_csv(path: Path) -> Examples:
    """Read a CSV file whose first line names the columns ``text`` and ``label``.

    Other columns are ignored.  A text with commas, quotes or line breaks is in double quotes.

    Raises:
        UserError: a column is missing, a text or label is empty, or a line has another number of
            cells than the first; names the file and the line.
    """
    reader, start = csv.reader(io.StringIO(read_utf8(path), newline=""), strict=True), 1
    header: list[str] = []
    texts, labels = [], []
    try:
        for cells in reader:
            where, start = f"{path}: line {start}", reader.line_num + 1
            if not header:
                header = [name.strip() for name in cells]
                if not set(COLUMNS) <= set(header):
                    got = one_line(", ".join(header))[:200] or "none"
                    raise UserError(f"{path}: expected the columns text and label, got {got}")
                continue
            if not cells:
                continue  # an empty line
            if len(cells) != len(header):
                raise UserError(
                    f"{where}: has {len(cells)} cells, the first line has {len(header)}; "
                    'put a text with commas in "double quotes"'
                )
            row = dict(zip(header, map(str.strip, cells), strict=True))
            for column in COLUMNS:
                if not row[column]:
                    raise UserError(f"{where}: the {column} is empty; fill it in or delete the row")
            texts.append(row["text"])
            labels.append(row["label"])
    except csv.Error as error:
        raise UserError(f"{path}: line {start}: not CSV ({error})") from None
    return examples(path, texts, labels)


def read_polarity(folder: Path) -> Examples:
    """Read rt-polarity: a file ``*.neg`` and a file ``*.pos`` in Latin-1, a text a line."""
    texts, labels = [], []
    for suffix in ("neg", "pos"):
        [path] = folder.glob(f"*.{suffix}")
        for number, line in enumerate(path.read_text("latin-1").split("\n")[:-1], 1):
            if not line.strip():
                raise UserError(f"{path}: line {number}: the text is empty; delete the line")
            texts.append(line.strip())
            labels.append(suffix)
    return examples(folder, texts, labels)


class Phrase(NamedTuple):
    """A node of a tree: its words, and its sentiment from 0 (very negative) to 4."""

    text: str
    sentiment: int


def read_trees(path: Path) -> Iterator[list[Phrase]]:
    """Read trees such as ``(3 (2 It) (4 works))``, one a line: phrases, the sentence last.

    Raises:
        UserError: a line is not a tree; names the file and the line.

    Source: Socher et al. 2013, "Recursive deep models for semantic compositionality over a
    sentiment treebank".
    """
    for number, line in enumerate(io.StringIO(read_utf8(path)), 1):
        open_nodes: list[tuple[int, list[str]]] = []
        phrases: list[Phrase] = []
        try:
            for label, close, word in re.findall(r"\(([0-4]) |(\))|([^\s()]+)", line):
                if label:
                    open_nodes.append((int(label), []))
                elif close:
                    sentiment, words = open_nodes.pop()
                    phrases.append(Phrase(_plain(words), sentiment))
                    if open_nodes:
                        open_nodes[-1][1].extend(words)
                else:
                    open_nodes[-1][1].append(word)
        except IndexError:
            open_nodes = [(0, [])]
        if open_nodes or not phrases or not phrases[-1].text:
            raise UserError(f"{path}: line {number}: expected a tree such as (3 (2 It) (4 works))")
        yield phrases


def read_treebank(folder: Path) -> tuple[Examples, Examples, Examples]:
    """Read the Stanford Sentiment Treebank with two classes; neutral phrases are left out.

    Returns:
        All distinct phrases of the training sentences, which include these sentences, the
        sentences of dev.txt, and those of test.txt.
    """
    train, *others = (list(read_trees(folder / name)) for name in TREES)
    distinct = {phrase.text: phrase for tree in train for phrase in tree}
    parts = [list(distinct.values()), *([tree[-1] for tree in trees] for trees in others)]
    two_classes = [[phrase for phrase in part if phrase.sentiment != 2] for part in parts]
    first, second, third = (
        examples(
            folder / name,
            [phrase.text for phrase in part],
            ["pos" if phrase.sentiment > 2 else "neg" for phrase in part],
        )
        for name, part in zip(TREES, two_classes, strict=True)
    )
    return first, second, third


def read_names(path: Path) -> list[str]:
    """Read names, one a line, in lower case.

    Raises:
        UserError: a line is too long for a name, or there are fewer than two; names the line.
    """
    names = []
    for number, line in enumerate(io.StringIO(read_utf8(path)), 1):
        name = line.strip().lower()
        if len(name) > LONGEST_NAME:
            raise UserError(
                f"{path}: line {number}: has {len(name)} characters, a name has at most "
                f"{LONGEST_NAME}; texts with labels are a CSV with the columns text and label"
            )
        names += [name] if name else []
    if len(names) < 2:
        raise UserError(f"{path}: expected at least two names, one a line, got {len(names)}")
    return names


def _plain(words: list[str]) -> str:
    """The words of a tree as text: without the brackets and quotes of the Penn Treebank."""
    written = {"-LRB-": "(", "-RRB-": ")", "``": '"', "''": '"'}
    return " ".join(written.get(word, word).replace("\\/", "/") for word in words)
