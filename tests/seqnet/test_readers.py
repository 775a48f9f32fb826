"""Readers: every format is read exactly, and bad input is one line with its place."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from sequence_files import write, write_wav

from catnet.errors import UserError
from seqnet.data import text
from seqnet.data.examples import examples, folds, split
from seqnet.data.reading import read
from seqnet.data.wav import LONGEST, RATE, read_wav, resample


def ignore(line: str) -> None:
    raise AssertionError(line)


# ---- text


def test_a_csv_with_quotes_line_breaks_and_other_columns(tmp_path: Path) -> None:
    content = '\ufeffid, label ,text\r\n1,good,"a, ""b""\r\nc"\r\n\r\n2,bad,  ä\u2028d \r\n'
    data = read(write(tmp_path / "a.csv", content), ignore)
    assert data.kind == "text"
    assert data.train.items == ['a, "b"\r\nc', "ä\u2028d"]
    assert data.train.classes == ("bad", "good")
    assert data.train.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,kind\na,b\n", "{}: expected the columns text and label, got text, kind"),
        ("", "{}: expected examples of at least two classes, got no example"),
        ("text,label\na,b\nc,b\n", "{}: expected examples of at least two classes, got only 'b'"),
        ("text,label\na,b\n  ,c\n", "{}: line 3: the text is empty; fill it in or delete the row"),
        ('text,label\n"a\nb",x\nc,\n', "{}: line 4: the label is empty; fill it in or delete"),
        ("text,label\na,b\nc,d,e\n", "{}: line 3: has 3 cells, the first line has 2; put a text"),
        ('text,label\na,b\nc,"d"e\n', "{}: line 3: not CSV"),
        ('text,label\na,b\nc,"d\n', "{}: line 3: not CSV"),
        (b"text,label\na,b\n\xff,d\n", "{}: line 3: not UTF-8; save the file as UTF-8"),
    ],
)
def test_a_wrong_csv_is_one_line_with_its_place(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(UserError) as error:
        read(path, ignore)
    assert str(error.value).startswith(message.format(path))
    assert "\n" not in str(error.value)


def test_the_columns_decide_whether_a_file_is_a_csv(tmp_path: Path) -> None:
    old = write(tmp_path / "reviews", "label,text\ra,b\rc,d\r")  # line ends of old Macintoshes
    assert read(old, ignore).train.items == ["b", "d"]
    noise = np.random.default_rng(0).bytes(2000)
    with pytest.raises(UserError, match="noise: line 1: not UTF-8; save the file as UTF-8"):
        read(write(tmp_path / "noise", noise), ignore)
    for head in ("a\rb,c\n", '"a'):
        assert read(write(tmp_path / "names", head + "\nann\n"), ignore).kind == "names"


def test_polarity_is_two_files_in_latin_1(tmp_path: Path) -> None:
    write(tmp_path / "a.neg", "dull .\nno caf\xe9 \x85 .\n".encode("latin-1"))
    write(tmp_path / "a.pos", "fine .\n")
    data = read(tmp_path, ignore)
    assert data.train.items == ["dull .", "no café \x85 .", "fine ."]
    assert data.train.labels.tolist() == [0, 0, 1]
    write(tmp_path / "a.pos", "fine .\n \n")
    with pytest.raises(UserError, match=r"a.pos: line 2: the text is empty"):
        read(tmp_path, ignore)


def test_the_treebank_gives_distinct_phrases_and_the_sentences_of_its_test_part(
    tmp_path: Path,
) -> None:
    good, bad = "(3 (2 It) (4 (3 -LRB-really-RRB-) (4 works)))", "(0 (2 It) (1 fails))"
    write(tmp_path / "train.txt", f"{good}\n{good}\n{bad}\n")
    write(tmp_path / "dev.txt", f"(2 (2 It) (2 is))\n{good}\n{bad}\n")
    write(tmp_path / "test.txt", f"{bad}\n(4 (2 and\\/or) (2 -LRB-))\n")
    data = read(tmp_path, ignore)
    train = dict(zip(data.train.items, data.train.labels.tolist(), strict=True))
    assert train == {
        "-LRB-really-RRB-": 1, "works": 1, "-LRB-really-RRB- works": 1,
        "It -LRB-really-RRB- works": 1, "fails": 0, "It fails": 0,
    }  # fmt: skip
    assert data.test is not None
    assert data.test.items == ["It fails", "and/or ("]
    assert len(text.read_treebank(tmp_path)[1].items) == 2  # the neutral sentence is left out
    for wrong in ("(3 (2 It) (4 works)", "3 It)", "It works", "", "(3 )"):
        write(tmp_path / "dev.txt", f"{good}\n{wrong}\n")
        with pytest.raises(UserError, match=r"dev.txt: line 2: expected a tree such as"):
            read(tmp_path, ignore)


def test_names_are_lines_in_lower_case(tmp_path: Path) -> None:
    data = read(write(tmp_path / "names.txt", "Ann\r\n\r\n Zoë \n"), ignore)
    assert data == ("names", ["ann", "zoë"], None)
    with pytest.raises(UserError, match=r"names.txt: line 2: has 61 characters, a name has at"):
        read(write(tmp_path / "names.txt", f"ann\n{'a' * 61}\n"), ignore)
    with pytest.raises(UserError, match="expected at least two names, one a line, got 0"):
        read(write(tmp_path / "names.txt", "\n"), ignore)


# ---- sounds


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_wav_of_every_width_is_read_to_its_last_bit(width: int, tmp_path: Path) -> None:
    samples = np.sin(np.arange(300) / 5)
    sound = read_wav(write_wav(tmp_path / "a.wav", samples, width=width))
    assert sound.dtype == np.float32
    assert np.abs(sound - samples).max() < 2 / 2 ** (8 * width - 1) + 1e-7


def test_channels_are_averaged_and_the_rate_is_changed(tmp_path: Path) -> None:
    t = np.arange(4410) / 44100
    both = np.stack([np.sin(2 * np.pi * 1000 * t), np.zeros_like(t)], axis=1)
    sound = read_wav(write_wav(tmp_path / "a.wav", both, rate=44100, channels=2))
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(800) / RATE)
    assert np.abs(sound - expected).max() < 1e-3


def test_a_tone_above_half_the_rate_vanishes_instead_of_aliasing() -> None:
    high = np.sin(2 * np.pi * 6000 * np.arange(1600) / 16000)
    assert np.abs(resample(high, 2.0)).max() < 1e-6


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no sound", "not a WAV file of PCM samples"),
        (b"", "not a WAV file of PCM samples (cut short)"),
        (None, "cut short, 100 of 600 bytes"),
        (0, "without samples; expected a sound of at most 60 s"),
        (LONGEST + 1, "61 s long; expected a sound of at most 60 s"),
    ],
)
def test_a_broken_wav_is_one_line(
    content: bytes | int | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    if isinstance(content, bytes):
        write(path, content)
    elif content is None:
        write(path, write_wav(path, np.zeros(300)).read_bytes()[: 44 + 100])
    else:
        write_wav(path, np.zeros(content * 10), rate=10)
    with pytest.raises(UserError) as error:
        read_wav(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_compressed_samples_are_refused(tmp_path: Path) -> None:
    content = bytearray(write_wav(tmp_path / "a.wav", np.zeros(300)).read_bytes())
    content[20:22] = struct.pack("<H", 7)  # µ-law
    with pytest.raises(UserError, match=r"a.wav: not a WAV file of PCM samples .*; convert it"):
        read_wav(write(tmp_path / "a.wav", bytes(content)))


def test_a_folder_of_digits_has_the_official_test_part(tmp_path: Path) -> None:
    for label in "01":
        for number in (0, 4, 5, 12):
            write_wav(tmp_path / f"{label}_ann_{number}.wav", np.zeros(300))
    write(tmp_path / "1_ann_6.wav", b"broken")
    write_wav(tmp_path / "other.wav", np.zeros(300))
    lines: list[str] = []
    data = read(tmp_path, lines.append)
    assert data.kind == "speech"
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0, 0, 1, 1]  # type: ignore
    assert data.train.groups == ["ann"] * 4
    assert [line.split(": ")[1][:12] for line in lines] == ["not a WAV fi", "expected LAB"]


def test_class_folders_have_no_test_part(tmp_path: Path) -> None:
    for name in ("yes", "no"):
        write_wav(tmp_path / name / "1.wav", np.zeros(300))
    data = read(tmp_path, ignore)
    assert data.train.classes == ("no", "yes")
    assert data.test is None


# ---- all


def test_what_is_no_data_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing: no such file or folder"):
        read(tmp_path / "nothing", ignore)
    with pytest.raises(UserError, match="expected a CSV with the columns text and label, a fol"):
        read(tmp_path, ignore)


def test_parts_and_folds_have_all_classes() -> None:
    data = examples("x", [str(i) for i in range(30)], ["a", "b", "b"] * 10)
    train, test = split(data)
    assert sorted(train.items + test.items) == sorted(data.items)
    assert np.bincount(test.labels).tolist() == [1, 2]
    fold = folds(data.labels, 5)
    assert all(np.bincount(data.labels[fold == i]).tolist() == [2, 4] for i in range(5))
    with pytest.raises(UserError, match="class 'a' has one example only"):
        split(examples("x", ["1", "2", "3"], ["a", "b", "b"]))
