"""``catnet predict``: what it prints, counts and copies."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import redblue
from PIL import Image

from catnet.cli import main
from catnet.cli.sort_into import choose_folder_names, make_sorter
from catnet.images.paths import ImageFile

RED, DARK, BLUE = (255, 0, 0), (40, 10, 10), (0, 0, 255)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    """A model of red and blue; probabilities from 0.2 to 0.8 are unsure."""
    return redblue.save_model(tmp_path_factory.mktemp("model") / "model.safetensors", (0.2, 0.8))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch) -> Path:
    """Two red photos of one name, one that is neither, a blue one, and a broken one."""
    monkeypatch.chdir(tmp_path)
    colours = {"2019/a.png": RED, "2020/a.png": (250, 0, 0), "b.png": DARK, "c, d.png": BLUE}
    for name, colour in colours.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), colour).save(path)
    (tmp_path / "photos/broken.png").write_bytes(b"no image")
    return tmp_path / "photos"


def predict(capsys, *arguments: str) -> tuple[int, str, list[str]]:
    code = main.main(["predict", *arguments])
    out, err = capsys.readouterr()
    return code, out, err.splitlines()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_csv_is_read_back_by_the_csv_module(photos, model, capsys) -> None:
    code, out, _ = predict(capsys, "photos", "--model", model, "--csv", "--top", "2")
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(out))}
    assert code == 1
    assert list(rows) == [
        "photos/b.png", "photos/broken.png", "photos/c, d.png",
        "photos/2019/a.png", "photos/2020/a.png",
    ]  # fmt: skip
    assert list(rows["photos/b.png"]) == [
        "path", "label", "probability", "unsure", "error", "label 2", "probability 2",
    ]  # fmt: skip
    red = rows["photos/2019/a.png"]
    assert (red["label"], red["unsure"], red["label 2"]) == ("cat", "no", "non-cat")
    assert float(red["probability"]) == pytest.approx(1 / (1 + np.exp(-6)), abs=1e-6)
    assert float(red["probability"]) + float(red["probability 2"]) == pytest.approx(1)
    assert rows["photos/b.png"]["unsure"] == "yes"
    assert rows["photos/broken.png"]["label"] == ""
    assert rows["photos/broken.png"]["error"].startswith("not an image")


def test_top_in_text_and_json(photos, model, capsys) -> None:
    how = ["photos/2019/a.png", "--model", model, "--top", "5"]
    _, out, _ = predict(capsys, *how)
    assert out == "cat       99.8%  non-cat 0.2%  photos/2019/a.png\n"
    _, out, _ = predict(capsys, *how, "--json")
    answer = json.loads(out)
    assert [one["label"] for one in answer["top"]] == ["cat", "non-cat"]
    assert {one["label"]: one["probability"] for one in answer["top"]} == answer["probabilities"]


def test_improbable_answers_are_left_out_and_counted(photos, model, capsys) -> None:
    how = ["photos", "--model", model, "--min-probability", "0.9"]
    code, out, err = predict(capsys, *how, "--sort-into", "sorted")
    assert code == 1
    assert len(out.splitlines()) == 3
    assert "b.png" not in out
    assert err[-1] == "5 images: 2 cat, 1 non-cat, 1 below 0.9, 1 without an answer"
    assert not Path("sorted/unsure").exists()


def test_images_are_copied_by_label_and_nothing_is_changed(photos, model, capsys) -> None:
    before = snapshot(photos)
    how = ["photos", "--model", model, "--sort-into", "sorted/all"]
    code, _, err = predict(capsys, *how)
    assert code == 1  # one image is broken
    assert "4 copies made in sorted/all" in err
    assert snapshot(photos) == before
    assert snapshot(Path("sorted/all")) == {
        "cat/a.png": before["2019/a.png"],
        "cat/a-2.png": before["2020/a.png"],
        "non-cat/c, d.png": before["c, d.png"],
        "unsure/b.png": before["b.png"],
    }
    times = [Path(name).stat().st_mtime for name in ("photos/b.png", "sorted/all/unsure/b.png")]
    assert times[0] == times[1]
    Path("sorted/all/cat/a.png").write_bytes(b"mine")
    after = snapshot(Path("sorted/all"))
    _, _, err = predict(capsys, *how)
    assert "1 copies made in sorted/all, 3 were there already" in err
    assert snapshot(Path("sorted/all")) == {**after, "cat/a-3.png": before["2019/a.png"]}


def test_links_lead_to_the_images(photos, model, capsys) -> None:
    how = ["photos/2019", "photos/2020", "--model", model, "--sort-into", "sorted", "--link"]
    for message in ("2 links made in sorted", "0 links made in sorted, 2 were there already"):
        assert message in predict(capsys, *how)[2]
    assert Path("sorted/cat/a.png").readlink() == photos / "2019/a.png"
    assert Path("sorted/cat/a-2.png").readlink() == photos / "2020/a.png"


def test_standard_input_can_be_copied_but_not_linked(photos, model, capsys, monkeypatch) -> None:
    for link in ([], ["--link"]):
        content = io.BytesIO((photos / "b.png").read_bytes())
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
        code, _, err = predict(capsys, "-", "--model", model, "--sort-into", "s", *link)
        assert code == len(link)
    assert err[1] == (
        "catnet: -: cannot be sorted: has no file of its own to link to; leave --link out"
    )
    assert Path("s/unsure/standard input").read_bytes() == (photos / "b.png").read_bytes()


def test_a_copy_that_fails_leaves_no_part_of_a_file(photos, model, capsys, monkeypatch) -> None:
    def fail(file, out, size) -> None:
        out.write(b"a part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", fail)
    code, out, err = predict(capsys, "photos/b.png", "--model", model, "--sort-into", "s")
    assert code == 1
    assert out.startswith("unsure")
    assert "catnet: photos/b.png: cannot be sorted: No space left on device" in err
    assert snapshot(Path("s")) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sort-into", "photos/b.png"], "--sort-into photos/b.png: is a file; choose a folder"),
        (["--link"], "--link is for --sort-into FOLDER; give that too, or leave --link out"),
    ],
)
def test_wrong_usage_is_one_line(photos, model, arguments, message, capsys) -> None:
    code, out, err = predict(capsys, "photos", "--model", model, *arguments)
    assert (code, out, err[-1]) == (2, "", f"catnet: {message}")


def test_a_label_cannot_lead_out_of_the_folder() -> None:
    names = choose_folder_names(["../../etc", "/", "..", ".", "", "CON\n", "x" * 500, "é", "cat"])
    assert len({name.casefold() for name in names.values()}) == len(names)
    for name in names.values():
        assert name == Path(name).name
        assert not name.startswith(".")
        assert len(os.fsencode(name)) <= 255


@pytest.mark.parametrize("where", ["before", "after"])
def test_quiet_prints_results_and_errors_only(photos, model, where, capsys) -> None:
    words = ["predict", "photos", "--model", model]
    words = ["-q", *words] if where == "before" else [*words, "--quiet"]
    assert main.main(words) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 4
    [line] = err.splitlines()
    assert line.startswith("catnet: photos/broken.png: not an image")
    assert main.main(["predict", "photos", "--model", model]) == 1  # the next one is not quiet
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_nothing_of_a_bar_is_written_where_no_terminal_is(
    photos, model, capsys, monkeypatch
) -> None:
    monkeypatch.setattr("catnet.progress.WAIT", 0)
    main.main(["predict", "photos", "--model", model])
    assert "\r" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("option", ["--sort-into", "--html", "--explain"])
def test_a_name_that_is_empty_is_refused(option, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main.main(["predict", "photos", option, ""])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith(f"argument {option}: '' is no name; give that of a file or folder")


def test_an_image_of_an_archive_is_read_once_to_be_sorted(tmp_path: Path) -> None:
    """Not once for each file that has its name already."""
    opened = []

    class Member:
        def open(self) -> io.BytesIO:
            opened.append(1)
            return io.BytesIO(b"d")

    sort = make_sorter(str(tmp_path), ["cat"])
    for content in (b"a", b"b", b"c"):
        assert sort(ImageFile("a.png", data=content), "cat")
    assert sort(ImageFile("a.zip/a.png", data=Member()), "cat")
    assert (tmp_path / "cat/a-4.png").read_bytes() == b"d"
    assert opened == [1]


def test_a_copy_whose_time_cannot_be_kept_is_a_copy(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("shutil.copystat", refuse)
    (tmp_path / "a.png").write_bytes(b"a")
    assert make_sorter(str(tmp_path / "s"), ["cat"])(ImageFile(str(tmp_path / "a.png")), "cat")
    assert (tmp_path / "s/cat/a.png").read_bytes() == b"a"
