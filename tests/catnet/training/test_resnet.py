"""The training of the photo network: broken off, it goes on; what is wrong is one line."""

from __future__ import annotations

import dataclasses
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from redblue import contents, write

from catnet import Classifier
from catnet.cli import main
from catnet.data.cache import Cache
from catnet.training import checkpoints
from catnet.training.checkpoints import Checkpoint
from catnet.training.curves import Curves
from catnet.training.photo import config, state, train
from catnet.training.photo.batches import batches
from catnet.training.photo.config import CHUNK, PhotoConfig

STEPS = 3 * CHUNK


@dataclasses.dataclass(frozen=True)
class Small(PhotoConfig):
    widths: tuple[int, ...] = (4,)
    blocks: tuple[int, ...] = (1,)
    validate_every: int = CHUNK
    warm_up: float = 0.1


@pytest.fixture(autouse=True)
def small(monkeypatch) -> Iterator[None]:
    """A small network, compiled once for each of its settings; Ctrl-C as Python has it."""
    monkeypatch.setattr(config, "PhotoConfig", Small)
    for name in ("compile_steps", "compile_logits"):
        monkeypatch.setattr(train, name, made_once(train, name))
    make_state = made_once(state, "make_state")
    copied = lambda *how: jax.tree.map(jnp.copy, make_state(*how))  # noqa: E731
    monkeypatch.setattr(state, "make_state", copied)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


_made = {}


def made_once(module, name: str):
    make = getattr(module, name)

    def made(config, classes, *rest):
        if (name, config) not in _made:
            _made[name, config] = make(config, classes, *rest)
        return _made[name, config]

    return made


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("photos") / "data", 40)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


def begin(data: Path, cache: Path, out: Path, *how: str) -> int:
    sizes = ["--steps", str(STEPS), "--batch-size", "8", "--seed", "3"]
    where = ["--cache", str(cache), "--out", str(out), "--save-every", "1e-9"]
    return main.main(["train", str(data), "--model", "photo", *sizes, *where, *how])


def resume(folder: Path, *how: str) -> int:
    return main.main(["train", "--resume", str(folder), "--save-every", "1e-9", *how])


def last_line(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_broken_off_in_every_way_it_ends_to_the_last_bit_like_one_that_was_not(
    data: Path, cache: Path, tmp_path, monkeypatch, capsys
) -> None:
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    assert begin(data, cache, whole) == 0
    lines = json.loads((whole / "evaluation.json").read_text())["validation"]
    assert [line["step"] for line in lines] == [8, 16, 24]
    measures = Curves.read(whole).measures
    assert [measure.step for measure in measures] == [8, 16, 24]
    assert [measure.auc for measure in measures] == [line["score"] for line in lines]

    # A cache file that cannot be read any more, after the first chunk.
    taken, take = [], Cache.take

    def vanishes(self: Cache, indices: np.ndarray) -> np.ndarray:
        taken.append(len(indices))
        if len(indices) == 8 * CHUNK and taken.count(8 * CHUNK) == 2:
            raise OSError(5, "Input/output error", "images.npy")
        return take(self, indices)

    with monkeypatch.context() as patch:
        patch.setattr(Cache, "take", vanishes)
        assert begin(data, cache, cut) == 2
    assert last_line(capsys) == (
        "catnet: images.npy: Input/output error; earlier files are intact; "
        f"fix the cause, then catnet train --resume {cut}"
    )
    assert checkpoints.read_progress(cut)["step"] == 8
    before = contents(cut)

    # What contradicts the beginning changes nothing.
    for how, line in [
        (["--steps", "20"], f"--steps 20: {cut} has 24 steps; give more to extend it"),
        (["--batch-size", "4"], f"--batch-size: {cut} was started with 8"),
        (["--sampling-weight", "data/cat=0.3"], f"--sampling-weight: {cut} was started without it"),
        (["--model", "deep"], f"--model: {cut} was started with photo"),
        (["--hidden", "3"], "--hidden is not for --model photo"),
    ]:
        assert resume(cut, *how) == 2
        assert last_line(capsys).startswith(f"catnet: {line}")
    image = data / "cat" / "7.png"
    content = image.read_bytes()
    image.unlink()
    assert resume(cut) == 2
    assert last_line(capsys).startswith(f"catnet: {data}: is not the data that {cut}")
    image.write_bytes(content)
    assert contents(cut) == before

    # Ctrl-C while the second chunk is computed.
    after = Checkpoint.save_if_due

    def pressed(*arguments) -> None:
        signal.raise_signal(signal.SIGINT)
        after(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save_if_due", pressed)
        assert resume(cut) == 130
    line = f"stopped after 16 of 24 steps; resume with: catnet train --resume {cut}"
    assert last_line(capsys) == f"catnet: {line}"

    # Killed with the third validation written, and the state not.
    def killed(*_) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save_if_due", killed)
        with pytest.raises(SystemExit):
            resume(cut)
    assert checkpoints.read_progress(cut)["step"] == 16

    assert resume(cut) == 0
    assert contents(cut) == contents(whole)
    assert resume(cut) == 0
    line = f"{cut} is finished already; nothing was changed; --steps N extends it"
    assert last_line(capsys) == line
    assert Classifier.load(cut).name == "run"
    assert Classifier.load(cut).about == "trained on data"


def fake(take) -> Cache:
    cache = Cache.__new__(Cache)
    object.__setattr__(cache, "take", take)
    return cache


class Draws:
    """A sampler that always draws the same two images."""

    def batch(self, step: int) -> np.ndarray:
        return np.array([0, 1])


def gathering(take, steps: int):
    columns = (np.zeros(4, np.int8), np.zeros(4, np.int16))
    return batches(fake(take), Draws(), columns, 0, steps)  # type: ignore


def test_an_error_while_batches_are_gathered_comes_out_where_they_are_used() -> None:
    calls = []

    def take(indices: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) == 3:
            raise MemoryError("no more")
        return np.zeros((len(indices), 2, 2, 3), np.uint8)

    got = []
    with pytest.raises(MemoryError, match="no more"):
        got.extend(gathering(take, 10 * CHUNK))
    assert len(calls) == 3


def test_nothing_is_gathered_after_an_early_stop() -> None:
    calls, before = [], threading.active_count()

    def take(indices: np.ndarray) -> np.ndarray:
        calls.append(1)
        return np.zeros((len(indices), 2, 2, 3), np.uint8)

    chunks = gathering(take, 1000 * CHUNK)
    assert next(chunks)[0].shape == (CHUNK, 2, 2, 2, 3)
    chunks.close()
    assert threading.active_count() == before
    assert len(calls) < 8


def test_every_chunk_comes_once_and_the_last_may_be_short() -> None:
    sizes = [len(images) for images, _, _ in gathering(lambda i: np.zeros((len(i), 1)), CHUNK + 3)]
    assert sizes == [CHUNK, 3]


def test_options_of_the_other_networks_are_refused(data: Path, tmp_path, capsys) -> None:
    for option in (["--hidden", "3"], ["--activation", "tanh"], ["--optimizer", "adam"]):
        assert main.main(["train", str(data), "--model", "photo", *option]) == 2
        assert last_line(capsys) == f"catnet: {option[0]} is not for --model photo"
    assert main.main(["train", str(data), "--model", "photo", "--gradient", "hand"]) == 2
    assert last_line(capsys) == "catnet: --gradient is not for --model photo"
    for option in (["--sampling-weight", "a/b=0.5"], ["--cache", "c"], ["--textures", "3"]):
        assert main.main(["train", *option]) == 2
        assert last_line(capsys) == f"catnet: {option[0]} is for --model photo only"
    assert main.main(["train", "--model", "photo"]) == 2
    assert "--model photo needs DATA" in last_line(capsys)


def test_what_does_not_fit_the_data_is_said_before_a_folder_is_made(
    data: Path, cache: Path, tmp_path, capsys
) -> None:
    assert begin(data, cache, tmp_path / "run", "--sampling-weight", "data/dog=0.5") == 2
    assert "data/dog: no such stratum" in last_line(capsys)
    few = write(tmp_path / "few", 3)
    assert begin(few, cache, tmp_path / "run") == 2
    assert "6 images are too few" in last_line(capsys)
    assert not (tmp_path / "run").exists()
