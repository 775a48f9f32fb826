"""Classes agree by meaning, whatever their spelling; what does not agree is one line."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from catnet import Classifier
from catnet.cli import main
from catnet.data.class_names import CATS, find_common_classes, match
from catnet.data.dataset import Dataset
from catnet.errors import UserError
from catnet.evaluation.evaluate import evaluate_on
from catnet.models import registry

NFD = unicodedata.normalize("NFD", "Ährenfeld")


@pytest.mark.parametrize(
    ("ours", "theirs", "labels", "notes"),
    [
        (CATS, CATS, (0, 1), ()),
        (CATS, ("Cats", "Non-Cats"), (1, 0), ()),
        (CATS, ("dog", "cat"), (0, 1), ("dog counts as non-cat",)),
        (CATS, ("Cats", "Dogs"), (1, 0), ("Dogs counts as non-cat",)),
        (CATS, ("not_cat", "CAT"), (0, 1), ()),
        (CATS, ("Other", "cat"), (0, 1), ()),
        (("dog", "horse"), ("horses", "Dog"), (1, 0), ()),
        (("Ährenfeld", "weg"), ("WEG", NFD), (1, 0), ()),
        (("dog", "dogs"), ("dogs", "dog"), (1, 0), ()),  # they differ by the s alone
        (("glass", "gla"), ("Gla", "Glass"), (1, 0), ()),  # no plural
        (("straße", "weg"), ("WEG", "STRASSE"), (1, 0), ()),
        (("bad\nname", "cat"), ("cat", "bad\nname"), (1, 0), ()),
        (
            CATS,
            ("emu", "Cats", "other", "yak"),
            (0, 1, 0, 0),
            ("emu counts as non-cat", "yak counts as non-cat"),
        ),
        (("ant", "bee", "cat"), ("Cats", "Ants"), (2, 0), ()),
        (("ant", "bee", "cat"), ("bee", "cat", "ANT"), (1, 2, 0), ()),
    ],
)
def test_names_that_mean_the_same_match(ours, theirs, labels, notes) -> None:
    assert match(ours, theirs) == (labels, notes)


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        (("dog", "cat"), CATS, "neither of them is dog"),
        (("dog", "cat"), ("wolf", "cat"), "neither of them is dog"),
        (CATS, ("dog", "horse"), "neither of them is cat"),
        (CATS, ("catfish", "dog"), "neither of them is cat"),
        (CATS, ("Cat", "cats"), "neither of them is non-cat"),
    ],
)
def test_names_of_other_things_are_refused(ours, theirs, why) -> None:
    line = (
        f"the classes of the model are {ours[0]} and {ours[1]}, "
        f"those of the data {theirs[0]} and {theirs[1]}"
    )
    with pytest.raises(UserError) as refused:
        match(ours, theirs)
    assert str(refused.value) == f"{line}: {why}"


@pytest.mark.parametrize(
    ("ours", "theirs", "aliases", "labels"),
    [
        (CATS, ("dog", "feline"), {"feline": "cat", "dog": "non-cat"}, (0, 1)),
        (CATS, ("dog", "feline"), {"Felines": "Cat"}, (0, 1)),
        (CATS, ("dog", "horse", "cat"), {"dog": "non-cat"}, (0, 0, 1)),
        (("dog", "cat"), ("wolf", "fox", "cat"), {"wolf": "dog", "fox": "dog"}, (0, 0, 1)),
        (("ant", "bee", "cat"), ("wasp", "ant"), {"wasp": "bee"}, (1, 0)),
        (("ant", "ants", "cat"), ("Ants", "bee"), {"Ants": "ant", "bee": "cat"}, (0, 2)),
    ],
)
def test_a_class_of_the_data_counts_as_the_class_that_the_user_names(
    ours, theirs, aliases, labels
) -> None:
    assert match(ours, theirs, aliases).labels == labels


@pytest.mark.parametrize(
    ("ours", "theirs", "aliases", "line"),
    [
        (
            ("ant", "bee", "cat"),
            ("ant", "wasp", "cat"),
            {},
            "the classes of the model are ant, bee and cat, those of the data ant, wasp and cat:"
            " wasp is none of the model's; name its class with --as 'wasp'=CLASS",
        ),
        (("a", "b", "c"), ("a", "As"), {}, "two of them mean the same"),
        (
            ("a", "b"),
            ("a", "b", "d"),
            {},
            "d is none of the model's; name its class with --as 'd'=CLASS",
        ),
        (("a", "b"), ("a", "d"), {"d": "a"}, "neither of them is b"),
        (
            CATS,
            ("cat", "dog"),
            {"god": "cat"},
            "--as god=cat: god is not a class of the data; its classes are cat and dog",
        ),
        (
            CATS,
            ("cat", "dog"),
            {"dog": "wolf"},
            "--as dog=wolf: wolf is not a class of the model; its classes are non-cat and cat",
        ),
    ],
)
def test_classes_that_do_not_match_are_one_line_with_the_remedy(
    ours, theirs, aliases, line
) -> None:
    with pytest.raises(UserError) as refused:
        match(ours, theirs, aliases)
    assert str(refused.value).endswith(line)


def test_sources_have_classes_in_common_or_are_refused() -> None:
    insects = ("ant", "bee", "wasp")
    assert find_common_classes({"a": ("bees", "ants"), "b": insects}) == insects
    assert find_common_classes({"a": CATS, "b": ("ant", "cat", "wasp")}) == CATS
    with pytest.raises(UserError, match="has ant, bee and wasp, but b has ant and gnu"):
        find_common_classes({"a": insects, "b": ("ant", "gnu")})
    assert find_common_classes({"a": ("dog", "cat")}) == ("dog", "cat")
    assert find_common_classes({"a": ("Dogs", "Cats"), "b": ("dog", "cat")}) == ("Dogs", "Cats")
    assert find_common_classes({"a": ("dog", "cat"), "b": CATS}) == CATS
    assert find_common_classes({"a": ("dog", "cat"), "b": ("horse", "cats")}) == CATS
    with pytest.raises(UserError, match="a has dog and horse, but b has dog and wolf; all sources"):
        find_common_classes({"a": ("dog", "horse"), "b": ("dog", "wolf")})
    with pytest.raises(UserError, match="a has non-cat and cat, but b has dog and horse"):
        find_common_classes({"a": CATS, "b": ("dog", "horse")})


def brightness(classes: tuple[str, ...]) -> Classifier:
    """A model that puts bright images in its second class."""
    described = registry.architecture("logistic", (), "relu")
    net = registry.build(described)
    params = net.init(jax.random.key(0), jax.ShapeDtypeStruct((1, 64, 64, 3), "float32"))
    flat = jax.tree.map(lambda leaf: leaf * 0 + (80 / 12288 if leaf.size > 1 else -40), params)
    return Classifier(described, flat, classes, "brightness", "made by hand")


def grey(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)[:, None, None, None] * np.ones((64, 64, 3), np.uint8)


def test_labels_follow_the_names_where_their_order_differs() -> None:
    model, names = brightness(("night", "sun")), ["a", "b", "c"]
    labels = np.array([0, 0, 1], np.int32)
    part = Dataset(grey(250, 200, 10), labels, names, ("Suns", "Night"))
    result = evaluate_on(model, part)
    assert result.confusion.tolist() == [[1, 0], [0, 2]]
    assert result.classes == ("night", "sun")
    assert result.as_json()["classes"] == ["night", "sun"]


@pytest.mark.parametrize(("cats", "dogs"), [("cat", "dog"), ("Cats", "Dogs"), ("CATS", "animals")])
def test_data_of_cats_and_something_else_are_evaluated_and_checked(
    cats: str, dogs: str, tmp_path: Path, capsys
) -> None:
    """Three bright cats, and a bright and a dark something else."""
    for name, values in ((cats, (250, 240, 230)), (dogs, (245, 20))):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i, image in enumerate(grey(*values)):
            Image.fromarray(image).save(tmp_path / "data" / name / f"{i}.png")
    brightness(CATS).save(tmp_path / "model.safetensors")
    data, model = str(tmp_path / "data"), str(tmp_path / "model.safetensors")
    assert main.main(["eval", model, data]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines()[0] == f"{dogs} counts as non-cat"
    assert "is non-cat             1         1\nis cat                 0         3" in printed.out
    assert main.main(["data", "check", data, "--model", model]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines() == [f"{dogs} counts as non-cat"]
    assert f"cat, not {dogs}  {data}/{dogs}/0.png" in printed.out


def test_the_other_way_round_is_refused_with_the_reason(tmp_path: Path, capsys) -> None:
    for name, value in (("cat", 250), ("non-cat", 20)):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(grey(value)[0]).save(tmp_path / "data" / name / "0.png")
    brightness(("dog", "cat")).save(tmp_path / "model.safetensors")
    data, model = str(tmp_path / "data"), str(tmp_path / "model.safetensors")
    line = (
        "catnet: the classes of the model are dog and cat, "
        "those of the data non-cat and cat: neither of them is dog"
    )
    for command in (["eval", model, data], ["data", "check", data, "--model", model]):
        assert main.main(command) == 2
        assert capsys.readouterr().err.splitlines() == [line]
