"""Sources of every kind decoded once, into files that are whole or not there."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from catnet.data import cache, reading, shard
from catnet.data.split import TEST, split
from catnet.errors import UserError
from catnet.images.decode import decode
from catnet.images.decode import from_image as decode_image
from catnet.images.geometry import Geometry

WNIDS = ["n02123045", "n02085620", "n02129165", "n01443537"]  # cat, dog, lion, goldfish


def jpeg(seed: int, size: int = 64) -> bytes:
    rng = np.random.default_rng(seed)
    file = io.BytesIO()
    small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    small.resize((size, size)).save(file, "JPEG")
    return file.getvalue()


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def tiny_imagenet(folder: Path) -> Path:
    top = "tiny-imagenet-200"
    members = {
        f"{top}/wnids.txt": "\n".join(WNIDS).encode(),
        f"{top}/words.txt": b"n02123045\ttabby, tabby cat\nn02085620\tChihuahua\n",
        f"{top}/val/images/val_0.JPEG": jpeg(99),
    }
    for i, wnid in enumerate(WNIDS):
        for j in range(3):
            members[f"{top}/train/{wnid}/images/{wnid}_{j}.JPEG"] = jpeg(10 * i + j)
    return write_zip(folder / "tiny-imagenet-200.zip", members)


def dogs_vs_cats(folder: Path, **more: bytes) -> Path:
    members = {
        f"train/{kind}.{i}.jpg": jpeg(i + 100 * (kind == "cat"), 96)
        for kind in ("cat", "dog")
        for i in range(5)
    }
    return write_zip(folder / "dogs-vs-cats-96px.zip", members | more)


def image_folder(folder: Path) -> Path:
    for i in range(4):
        place = folder / "mine" / ("cat" if i % 2 else "non-cat")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i}.jpg").write_bytes(jpeg(200 + i, 80))
    return folder / "mine"


def h5(folder: Path) -> Path:
    path = folder / "course.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for part, n in (("train", 6), ("test", 4)):
            file[f"{part}_set_x"] = rng.integers(0, 256, (n, 64, 64, 3), np.uint8)
            file[f"{part}_set_y"] = np.arange(n) % 2
        file["list_classes"] = np.array([b"non-cat", b"cat"])
    return path


def no_decoding(*args: object, **kwargs: object) -> None:
    raise AssertionError("decodes again")


def test_tiny_imagenet(tmp_path):
    result = cache.build([tiny_imagenet(tmp_path)], tmp_path / "cache")
    table = result.table
    assert len(result) == 12  # without its validation part
    ranks = [sorted(WNIDS).index(Path(name).name[:9]) for name in table.names]
    np.testing.assert_array_equal(table.fine, ranks)
    assert result.fine_names == ("n01443537", "Chihuahua", "tabby, tabby cat", "n02129165")
    assert result.fine_cats == (2,)
    kinds = [result.strata[s] for s in table.strata[::3]]
    expected = ["other", "dog", "cat", "other"]  # fish, dog, cat, lion
    assert kinds == [f"tiny-imagenet-200/{kind}" for kind in expected]
    np.testing.assert_array_equal(table.labels[::3], [0, 0, 1, 0])


@pytest.mark.parametrize("make", [tiny_imagenet, lambda folder: dogs_vs_cats(folder)])
def test_a_zip_and_the_folder_unpacked_from_it_are_the_same(tmp_path, make):
    path = make(tmp_path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked" / path.stem)
    result = [
        cache.build([p], tmp_path / "cache") for p in (path, tmp_path / "unpacked" / path.stem)
    ]
    one, other = result
    assert one.table.names == other.table.names
    for column in ("labels", "fine", "strata", "content", "held_out"):
        np.testing.assert_array_equal(getattr(one.table, column), getattr(other.table, column))
    assert (one.strata, one.fine_names, one.fine_cats) == (
        *(other.strata, other.fine_names, other.fine_cats),
    )


def test_dogs_vs_cats_and_its_pixels(tmp_path):
    path = dogs_vs_cats(tmp_path)
    result = cache.build([path], tmp_path / "cache")
    assert result.images[0].dtype == np.uint8
    with zipfile.ZipFile(path) as archive:
        for i in (0, 9, 4):
            name = result.table.names[i]
            np.testing.assert_array_equal(result.take(np.array([i]))[0], decode(archive.read(name)))
            assert result.table.labels[i] == ("cat" in name)
    assert (result.table.fine == -1).all()
    assert sorted(result.table.names) == result.table.names


def test_the_competitions_own_zip_has_a_zip_in_it(tmp_path):
    inner = dogs_vs_cats(tmp_path)
    outer = write_zip(
        tmp_path / "dogs-vs-cats.zip",
        {"train.zip": inner.read_bytes(), "test1.zip": b"", "sampleSubmission.csv": b"id,label"},
    )
    ours, theirs = (cache.build([path], tmp_path / "cache") for path in (outer, inner))
    np.testing.assert_array_equal(ours.table.content, theirs.table.content)
    assert ours.strata == ("dogs-vs-cats/dog", "dogs-vs-cats/cat")


def test_folders_and_h5_files_and_their_test_parts(tmp_path):
    result = cache.build([image_folder(tmp_path), h5(tmp_path)], tmp_path / "cache")
    assert result.sources == ("mine", "course")
    assert result.strata == ("mine/non-cat", "mine/cat", "course/non-cat", "course/cat")
    np.testing.assert_array_equal(result.table.sources, [0] * 4 + [1] * 10)
    np.testing.assert_array_equal(result.table.held_out, [False] * 10 + [True] * 4)
    assert (split(result.table)[10:] == TEST).all()
    with h5py.File(tmp_path / "course.h5") as file:
        pixels = np.concatenate([np.asarray(file[f"{part}_set_x"]) for part in ("train", "test")])
    np.testing.assert_array_equal(result.take(np.arange(4, 14)), pixels)


def folder_of(top: Path, *classes: str) -> Path:
    for k, name in enumerate(classes):
        (top / name).mkdir(parents=True)
        for i in range(2 + k):
            (top / name / f"{i}.jpg").write_bytes(jpeg(300 + 10 * k + i))
    return top


def test_classes_are_the_datas_own(tmp_path):
    animals = folder_of(tmp_path / "animals", "dog", "horse")
    result = cache.build([animals], tmp_path / "cache")
    assert (result.classes, result.notes) == (("dog", "horse"), ())
    for made in (tiny_imagenet, dogs_vs_cats, h5):
        assert cache.build([made(tmp_path)], tmp_path / "cache").classes == ("non-cat", "cat")


def test_classes_of_several_sources_agree_by_meaning(tmp_path):
    pets = folder_of(tmp_path / "pets", "dog", "cat")
    other = folder_of(tmp_path / "other", "Cats", "Dogs")
    result = cache.build([pets, other], tmp_path / "cache")
    assert (result.classes, result.notes) == (("dog", "cat"), ())
    np.testing.assert_array_equal(np.bincount(result.table.labels), [2 + 3, 3 + 2])
    result = cache.build([pets, dogs_vs_cats(tmp_path)], tmp_path / "cache")
    assert result.classes == ("non-cat", "cat")
    assert result.notes == ("pets: dog counts as non-cat",)


def test_labels_follow_the_names_where_two_sources_sort_them_otherwise(tmp_path):
    """``dog`` comes before ``dogfish``, but ``dogs`` after it."""
    one = folder_of(tmp_path / "one", "dog", "dogfish")
    two = folder_of(tmp_path / "two", "dogs", "dogfish")
    result = cache.build([one, two], tmp_path / "cache")
    assert result.classes == ("dog", "dogfish")
    is_fish = ["dogfish" in Path(name).parts for name in result.table.names]
    np.testing.assert_array_equal(result.table.labels, is_fish)


def test_classes_that_do_not_agree_are_refused(tmp_path):
    animals = folder_of(tmp_path / "animals", "dog", "horse")
    with pytest.raises(UserError, match="animals has dog and horse, but dogs-vs-cats-96px has non"):
        cache.build([animals, dogs_vs_cats(tmp_path)], tmp_path / "cache")


def test_take_goes_across_sources_in_any_order(tmp_path):
    result = cache.build([tiny_imagenet(tmp_path), dogs_vs_cats(tmp_path)], tmp_path / "cache")
    everything = np.concatenate(result.images)
    indices = np.random.default_rng(0).integers(0, len(result), 50)
    np.testing.assert_array_equal(result.take(indices), everything[indices])
    assert result.take(np.array([], int)).shape == (0, 64, 64, 3)
    for beyond in (-1, len(result)):
        with pytest.raises(IndexError, match="between 0 and 21"):
            result.take(np.array([beyond]))


def test_decoded_once_unless_the_source_changes(tmp_path, monkeypatch):
    path = dogs_vs_cats(tmp_path)
    first = cache.build([path], tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(reading, "decode_with_whole", no_decoding)
        again = cache.build([path], tmp_path / "cache")
        np.testing.assert_array_equal(again.images[0], first.images[0])
        assert again.table.names == first.table.names
        os.utime(path, (1, 1))
        with pytest.raises(AssertionError, match="decodes again"):
            cache.build([path], tmp_path / "cache")


def test_a_folder_is_decoded_again_when_a_file_behind_a_link_changes(tmp_path):
    folder = image_folder(tmp_path)
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "x.jpg").write_bytes(jpeg(1))
    (folder / "cat" / "link").symlink_to(tmp_path / "more")
    (folder / "cat" / "nowhere").symlink_to("gone")
    first = cache.build([folder], tmp_path / "cache")
    assert len(first) == 5
    (tmp_path / "more" / "x.jpg").write_bytes(jpeg(2))
    os.utime(tmp_path / "more" / "x.jpg", (1, 1))
    second = cache.build([folder], tmp_path / "cache")
    assert sorted(first.table.content) != sorted(second.table.content)
    assert second.notes == (f"{folder}: ignored, not images: {NOWHERE}",)


NOWHERE = "1 that cannot be read (No such file or directory)"


def test_another_decoder_means_another_cache(tmp_path, monkeypatch):
    path = dogs_vs_cats(tmp_path)
    cache.build([path], tmp_path / "cache")
    monkeypatch.setattr(shard, "decode", lambda data, *how: decode(data, *how) // 2)
    monkeypatch.setattr(reading, "decode_with_whole", no_decoding)
    with pytest.raises(AssertionError, match="decodes again"):
        cache.build([path], tmp_path / "cache")


def test_the_geometry_changes_the_pixels_but_not_the_part_of_an_image(tmp_path):
    folder = tmp_path / "animals"
    for kind in ("cat", "non-cat"):
        (folder / kind).mkdir(parents=True)
        for i in range(3):
            image = Image.open(io.BytesIO(jpeg(10 * i + len(kind), 90)))
            image.resize((160, 90)).save(folder / kind / f"{i}.png")
    square = Geometry(96, 1.0)
    plain = cache.build([folder], tmp_path / "cache")
    other = cache.build([folder], tmp_path / "cache", geometry=square)
    assert other.images[0].shape == (6, 96, 96, 3)
    for name, image in zip(other.table.names, other.images[0], strict=True):
        middle = Image.open(name).crop((35, 0, 125, 90))
        difference = np.abs(image.astype(int) - decode_image(middle, 96))
        assert difference[2:-2, 2:-2].max() <= 1  # the filter reaches a pixel beyond the edge
    np.testing.assert_array_equal(plain.table.content, other.table.content)
    np.testing.assert_array_equal(split(plain.table), split(other.table))


def test_an_interrupted_build_leaves_what_was_done_and_nothing_half_done(tmp_path, monkeypatch):
    monkeypatch.setattr(shard, "_CHUNK", 2)
    sources = [tiny_imagenet(tmp_path), dogs_vs_cats(tmp_path)]

    def interrupt(source: str, done: int, total: int) -> None:
        if source == "dogs-vs-cats-96px" and done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.build(sources, tmp_path / "cache", interrupt)
    assert [place.name[:17] for place in (tmp_path / "cache").iterdir()] == ["tiny-imagenet-200"]
    reported: list[tuple[str, int, int]] = []
    result = cache.build(sources, tmp_path / "cache", lambda *args: reported.append(args))
    assert reported == [("dogs-vs-cats-96px", done, 10) for done in (2, 4, 6, 8, 10)]
    assert len(result) == 22


def test_what_is_no_image_is_left_out_and_named(tmp_path):
    path = dogs_vs_cats(tmp_path, **{"train/cat.7.jpg": b"no image", "train/cat.8.jpg": b""})
    result = cache.build([path], tmp_path / "cache")
    assert len(result) == len(result.images[0]) == 10
    assert [line.split(":")[0] for line in result.skipped] == ["train/cat.7.jpg", "train/cat.8.jpg"]
    assert result.skipped[1].endswith("empty file")


def test_a_damaged_member_is_left_out_and_the_others_keep_their_names(tmp_path):
    path = dogs_vs_cats(tmp_path)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("train/cat.2.jpg")
        whole = {name: decode(archive.read(name)) for name in archive.namelist()}
    data[member.header_offset + 300] ^= 1  # its checksum no longer holds
    path.write_bytes(data)
    result = cache.build([path], tmp_path / "cache")
    assert len(result) == 9
    assert result.skipped[0].startswith("train/cat.2.jpg: cannot be read: damaged in the zip")
    for name, image in zip(result.table.names, result.images[0], strict=True):
        np.testing.assert_array_equal(image, whole[name])


def test_errors_name_the_source_and_what_is_wrong(tmp_path):
    def refused(*sources: Path) -> str:
        with pytest.raises(UserError) as caught:
            cache.build(sources, tmp_path / "cache")
        return str(caught.value)

    assert refused() == "no sources to train on; name at least one zip, folder or h5 file"
    assert "absent.zip: No such file" in refused(tmp_path / "absent.zip")
    path = dogs_vs_cats(tmp_path)
    assert "given twice" in refused(path, path)
    (tmp_path / "broken.zip").write_bytes(b"not a zip")
    assert "broken.zip: not a zip" in refused(tmp_path / "broken.zip")
    only = write_zip(tmp_path / "only.zip", {"train/cat.0.jpg": b"?"})
    assert "only.zip: none of its images can be read" in refused(only)
    no_images = write_zip(tmp_path / "imageless.zip", {"t/wnids.txt": b"n02123045"})
    assert "has no images" in refused(no_images)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="file"):
        cache.build([path], tmp_path / "file")
    assert not list((tmp_path / "cache").glob("*partial*"))


def test_two_sources_of_one_name_are_told_apart(tmp_path):
    (tmp_path / "other").mkdir()
    paths = [dogs_vs_cats(tmp_path), dogs_vs_cats(tmp_path / "other")]
    result = cache.build(paths, tmp_path / "cache")
    assert result.sources == tuple(map(str, paths))
    assert len(result) == 20


def test_the_course_photos_and_their_known_duplicate(course_folder, tmp_path):
    result = cache.build([course_folder], tmp_path / "cache")
    assert len(result) == 259
    assert result.table.labels.sum() == 72 + 33
    assert result.table.held_out.sum() == 50
    parts = split(result.table)
    names = [Path(name).name for name in result.table.names]
    both = [names.index("train_catvnoncat.h5[146]"), names.index("test_catvnoncat.h5[17]")]
    assert parts[both].tolist() == [TEST, TEST]
    assert (parts == TEST)[~result.table.held_out].sum() < 30
