"""A training of the lecture's networks that was broken off ends as if it never had been."""

from __future__ import annotations

import errno
import functools
import importlib.util
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from redblue import contents, write

from catnet import Classifier
from catnet.cli import main
from catnet.cli import train as train_command
from catnet.errors import UserError
from catnet.evaluation import plots
from catnet.models import registry
from catnet.training import checkpoints, descent, mlp, numerics, results, run_folder
from catnet.training.curves import Curves
from catnet.training.mlp import Checkpoint

SMALL = ["--model", "logistic", "--steps", "42"]

build_once = functools.cache(lambda described: networks_build(json.loads(described)))
networks_build = registry.build
optimizer = functools.cache(mlp._optimizer)


def build(described, initialization="lecun"):
    return build_once(json.dumps(described))


class Killed(BaseException):
    """Ends a training as ``kill -9`` does: nothing more is written."""


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("images") / "data", 0, {"train": 9, "test": 3})


@pytest.fixture(autouse=True)
def short(monkeypatch) -> Iterator[None]:
    """Chunks of 7 steps, nothing compiled twice or drawn, and Ctrl-C as Python has it."""
    monkeypatch.setattr(descent, "CHUNK", 7)
    monkeypatch.setattr(descent, "choose_every", lambda steps: 7)
    monkeypatch.setattr(registry, "build", build)
    monkeypatch.setattr(mlp, "_optimizer", optimizer)
    for name in ("learning_curves", "confusion_matrix", "mistakes"):
        monkeypatch.setattr(plots, name, lambda *_: None)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def at_step(monkeypatch):
    """Have something done when a training reports a step; it is done once."""

    def arrange(step: int, action) -> None:
        waiting = [action]

        def report(done: int, cost: float) -> None:
            if done >= step and waiting:
                waiting.pop()()

        monkeypatch.setattr(train_command, "make_progress_reporter", lambda *_: report)

    return arrange


def kill() -> None:
    raise Killed


def ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def begin(data: Path, out: Path, *how: str) -> int:
    arguments = ["train", str(data), *SMALL, "--save-every", "1e-9", "--out", str(out), *how]
    return main.main(arguments)


def resume(folder: Path, *how: str) -> int:
    return main.main(["train", "--resume", str(folder), "--save-every", "1e-9", *how])


def broken_off(data: Path, out: Path, at_step, *how: str) -> Path:
    at_step(25, kill)
    with pytest.raises(Killed):
        begin(data, out, *how)
    return out


def last_line(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("batch", [[], ["--batch-size", "5"]], ids=["all", "batches"])
@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam", "adamw", "rmsprop"])
def test_killed_and_resumed_it_ends_to_the_last_bit_like_one_that_was_not(
    optimizer: str, batch: list[str], data: Path, tmp_path, at_step
) -> None:
    how = ["--optimizer", optimizer, "--learning-rate", "0.001", *batch]
    assert begin(data, tmp_path / "whole" / "run", *how) == 0
    cut = tmp_path / "cut" / "run"
    at_step(10, kill)
    with pytest.raises(Killed):
        begin(data, cut, *how)
    progress = checkpoints.read_progress(cut)
    assert (progress["step"], progress["finished"]) == (7, False)
    at_step(30, kill)
    with pytest.raises(Killed):
        resume(cut)
    assert checkpoints.read_progress(cut)["step"] == 28
    assert resume(cut) == 0
    assert contents(cut) == contents(tmp_path / "whole" / "run")
    assert json.loads((cut / "config.json").read_text())["optimizer"] == optimizer


def test_a_run_begun_on_a_relative_path_ends_the_same_elsewhere(
    data: Path, tmp_path, at_step, monkeypatch
) -> None:
    """Its mistakes are called by their paths, and here all are some: the test part is wrong."""
    for label, other in (("cat", "non-cat"), ("non-cat", "cat")):
        shutil.copytree(data / "train" / label, tmp_path / "wrong" / "train" / label)
        shutil.copytree(data / "test" / label, tmp_path / "wrong" / "test" / other)
    monkeypatch.chdir(tmp_path)
    assert begin(Path("wrong"), tmp_path / "whole" / "run") == 0
    assert "wrong/test" in (tmp_path / "whole" / "run" / "evaluation.json").read_text()
    cut = broken_off(Path("wrong"), tmp_path / "cut" / "run", at_step)
    monkeypatch.chdir(tmp_path / "whole")
    assert resume(cut) == 0
    assert contents(cut) == contents(tmp_path / "whole" / "run")


def test_descent_in_the_span_of_the_examples_goes_on_there(data: Path, tmp_path, at_step) -> None:
    """18 examples and 42 steps: among what is saved are weights of 18 numbers a unit."""
    import jaxnn

    cut = broken_off(data, tmp_path / "run", at_step)
    leaves, _ = jaxnn.load(cut / "state.safetensors")
    assert (1, 18) in [leaf.shape for leaf in leaves]


@pytest.mark.parametrize("chunk", [0, 5], ids=["at the edge of a chunk", "inside one"])
def test_a_training_that_diverges_does_so_again(
    chunk: int, data: Path, tmp_path, monkeypatch, capsys
) -> None:
    how = ["--optimizer", "momentum", "--model", "shallow", "--activation", "identity"]
    how += ["--learning-rate", "1e3"]
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    assert begin(data, whole, *how) == 2
    first = last_line(capsys)
    step = int(first.split("at step ")[1].split(":")[0])
    assert len((whole / "metrics.csv").read_text().splitlines()) == step + 1
    assert step > 5
    monkeypatch.setattr(descent, "CHUNK", chunk or step)
    monkeypatch.setattr(descent, "choose_every", lambda steps: chunk or step)
    real = Checkpoint.save_if_due

    def saves_and_dies(*arguments) -> None:
        real(*arguments)
        raise Killed

    monkeypatch.setattr(Checkpoint, "save_if_due", saves_and_dies)
    with pytest.raises(Killed):
        begin(data, cut, *how)
    monkeypatch.setattr(Checkpoint, "save_if_due", real)
    assert checkpoints.read_progress(cut)["step"] == (chunk or step)
    assert resume(cut) == 2
    assert last_line(capsys).replace(str(cut), str(whole)) == first
    for name in ("model.safetensors", "evaluation.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    assert Curves.read(cut).costs == Curves.read(whole).costs


def test_a_descent_does_not_go_on_in_other_coordinates(
    data: Path, tmp_path, at_step, monkeypatch, capsys
) -> None:
    """Another LAPACK may give the examples' span another basis: the weights in it mean nothing."""
    from jaxnn.training import row_space

    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    assert begin(data, whole) == 0
    broken_off(data, cut, at_step)
    before, real = contents(cut), row_space._factors

    def mirrored(X):
        (XT, U), R = real(X)
        return (XT, -U), -R

    with monkeypatch.context() as patch:
        patch.setattr(row_space, "_factors", mirrored)
        assert resume(cut) == 2
    assert "NumPy factorizes the examples differently on this machine" in last_line(capsys)
    assert contents(cut) == before
    assert resume(cut) == 0
    assert contents(cut) == contents(whole)


def test_an_overflow_in_the_last_update_is_found(data: Path, tmp_path, monkeypatch, capsys) -> None:
    """All costs are numbers; the parameters after them are not."""
    import jaxnn

    real = jaxnn.gradient_descent

    def overflows(*how, steps: int, **more):
        params, costs = real(*how, steps=steps, **more)
        return (jax.tree.map(lambda leaf: leaf * np.nan, params) if steps == 42 else params), costs

    monkeypatch.setattr(jaxnn, "gradient_descent", overflows)
    assert begin(data, tmp_path / "run") == 2
    assert last_line(capsys).startswith("catnet: training diverged at step 42: the cost is NaN; ")
    monkeypatch.undo()
    monkeypatch.setattr(plots, "learning_curves", lambda *_: None)
    kept = Classifier.load(tmp_path / "run").params
    other = ["train", str(data), "--model", "logistic", "--out", str(tmp_path / "41")]
    assert main.main([*other, "--steps", "41"]) == 0
    expected = Classifier.load(tmp_path / "41").params
    for leaf, right in zip(jax.tree.leaves(kept), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(leaf, right, rtol=1e-4, atol=1e-6)
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 43


def test_errors_of_floating_point_are_not_taken_for_a_training_that_diverged(
    data: Path, tmp_path, monkeypatch
) -> None:
    """JAX raises them by itself where somebody looks for NaN (``jax_debug_nans``)."""
    import jaxnn

    def raises(*_, **__):
        raise FloatingPointError("invalid value (nan) encountered in sigmoid")

    monkeypatch.setattr(jaxnn, "gradient_descent", raises)
    with pytest.raises(FloatingPointError, match="encountered in sigmoid"):
        begin(data, tmp_path / "run")


def test_a_cost_that_is_infinite_in_between_ends_a_training(data, tmp_path, monkeypatch, capsys):
    import jaxnn

    real = jaxnn.gradient_descent

    def jumps(*how, progress, **more):
        def told(state, costs):
            costs = np.array(costs)
            if state.step == 14:
                costs[3] = np.inf
            progress(state, costs)

        return real(*how, progress=told, **more)

    monkeypatch.setattr(jaxnn, "gradient_descent", jumps)
    assert begin(data, tmp_path / "run") == 2
    assert last_line(capsys).startswith("catnet: training diverged at step 10: the cost is infinit")
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 11


def test_ctrl_c_is_a_clean_stop(data: Path, tmp_path, at_step, capsys) -> None:
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "the run"
    assert begin(data, whole) == 0
    at_step(20, ctrl_c)
    arguments = ["train", str(data), *SMALL, "--out", str(cut)]  # saved every 5 seconds only
    assert main.main(arguments) == 130
    line = "stopped after 21 of 42 steps; resume with: catnet train --resume"
    assert last_line(capsys) == f"catnet: {line} '{cut}'"
    assert len(Curves.read(cut).costs) == Curves.read(cut).measures[-1].step == 21
    assert (cut / "model.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert resume(cut) == 0
    assert "resuming at step 21" in capsys.readouterr().err
    cut = cut.rename(cut.with_name("run"))
    for name in ("metrics.csv", "state.safetensors", "config.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()


def test_a_second_ctrl_c_does_not_wait(data: Path, tmp_path, at_step, capsys) -> None:
    at_step(20, lambda: (ctrl_c(), ctrl_c()))
    assert begin(data, tmp_path / "run") == 130
    assert last_line(capsys).startswith("catnet: stopped; resume with: catnet train --resume")
    assert checkpoints.read_progress(tmp_path / "run")["step"] == 14


def test_killed_while_it_writes_what_comes_after_the_training(
    data: Path, tmp_path, monkeypatch
) -> None:
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    assert begin(data, whole) == 0
    monkeypatch.setattr(results, "write_json", lambda *_: kill())
    with pytest.raises(Killed):
        begin(data, cut)
    (cut / ".model.safetensors.a1b2c3d4").write_bytes(b"half of it")
    monkeypatch.undo()
    for name in ("learning_curves", "confusion_matrix", "mistakes"):
        monkeypatch.setattr(plots, name, lambda *_: None)
    assert resume(cut) == 0
    assert contents(cut) == contents(whole)


def test_a_run_folder_is_never_without_its_config(data: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(run_folder, "write_atomically", lambda *_: kill())
    with pytest.raises(Killed):
        begin(data, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_killed_before_the_first_state_it_begins_at_the_beginning(
    data: Path, tmp_path, monkeypatch
) -> None:
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    assert begin(data, whole) == 0
    with monkeypatch.context() as patch:
        patch.setattr(mlp, "train", lambda *_: kill())
        with pytest.raises(Killed):
            begin(data, cut)
    assert sorted(contents(cut)) == ["config.json", "learnt.npy"]
    assert resume(cut) == 0
    assert contents(cut) == contents(whole)


def test_a_finished_run_says_so_and_stays_as_it_is(data: Path, tmp_path, capsys) -> None:
    assert begin(data, tmp_path / "run") == 0
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.*")}
    capsys.readouterr()
    assert resume(tmp_path / "run") == 0
    assert capsys.readouterr() == (
        "",
        f"{tmp_path / 'run'} is finished already; nothing was changed; --steps N extends it\n",
    )
    assert before == {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.rglob("*.*")
    }


def test_what_contradicts_the_beginning_is_refused(data: Path, tmp_path, at_step, capsys) -> None:
    cut = broken_off(data, tmp_path / "run", at_step)
    before = contents(cut)
    for how, line in [
        (["--steps", "41"], f"--steps 41: {cut} has 42 steps; give more to extend it, or start"),
        (["--dropout", "0.5"], f"--dropout: {cut} was started without it"),
        (["--patience", "7"], f"--patience: {cut} was started without it"),
        (["--model", "deep"], f"--model: {cut} was started with logistic"),
        (["--optimizer", "adam"], f"--optimizer: {cut} was started with gd"),
        (["--batch-size", "3"], f"--batch-size: {cut} was started without it"),
        (["--learning-rate", "0.1"], f"--learning-rate: {cut} was started with 0.002"),
        (["--hidden", "3"], f"--hidden: {cut} was started without it"),
        (["--seed", "2"], f"--seed: {cut} was started with 1"),
        (["--gradient", "jax"], f"--gradient: {cut} was started with hand"),
        (["--activation", "tanh"], f"--activation: {cut} was started with relu"),
        (["--out", "elsewhere"], "--out: a resumed run stays in its folder"),
        (["--cache", "c"], "--cache is for --model photo only"),
    ]:
        assert resume(cut, *how) == 2
        assert last_line(capsys).startswith(f"catnet: {line}")
        assert contents(cut) == before
    assert resume(cut, *SMALL, "--optimizer", "gd", "--seed", "1") == 0


def test_other_data_are_refused_and_moved_ones_are_not(data, tmp_path, at_step, capsys) -> None:
    mine = shutil.copytree(data, tmp_path / "mine")
    cut = broken_off(mine, tmp_path / "run", at_step)
    before = contents(cut)
    (mine / "train" / "cat" / "0.png").rename(tmp_path / "0.png")
    assert resume(cut) == 2
    assert last_line(capsys).startswith(f"catnet: {mine}: is not the data that {cut}")
    (tmp_path / "0.png").rename(mine / "train" / "cat" / "0.png")
    moved = mine.rename(tmp_path / "moved")
    assert resume(cut) == 2
    assert last_line(capsys) == f"catnet: {mine}: No such file or directory"
    assert contents(cut) == before
    assert resume(cut, str(moved)) == 0


def test_a_second_training_in_the_same_folder_is_refused(
    data: Path, tmp_path, at_step, capsys
) -> None:
    refused = []
    at_step(20, lambda: refused.append(resume(tmp_path / "run")))
    assert begin(data, tmp_path / "run") == 0
    assert refused == [2]
    assert f"{tmp_path / 'run'}: another training is running in it" in capsys.readouterr().err


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_what_cannot_be_written_is_one_line_and_the_state_before_is_intact(
    reason: int, data: Path, tmp_path, monkeypatch, capsys
) -> None:
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    assert begin(data, whole) == 0
    syncs, real = [], os.fsync

    def fails(descriptor: int) -> None:
        syncs.append(descriptor)
        if len(syncs) > 4:  # config.json, learnt.npy, then the states of steps 7 and 14
            raise OSError(reason, os.strerror(reason))
        real(descriptor)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        assert begin(data, cut) == 2
    err = capsys.readouterr().err
    assert err.splitlines()[-1] == (
        f"catnet: {cut}: {os.strerror(reason)}; earlier files are intact; "
        f"fix the cause, then catnet train --resume {cut}"
    )
    assert "Traceback" not in err
    assert sorted(contents(cut)) == ["config.json", "learnt.npy", "state.safetensors"]
    assert checkpoints.read_progress(cut)["step"] == 14
    assert resume(cut) == 0
    assert contents(cut) == contents(whole)


def test_a_folder_that_cannot_be_made_or_written(data, tmp_path, at_step, monkeypatch, capsys):
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / "below" / "run"
    assert begin(data, out) == 2
    assert last_line(capsys) == f"catnet: {out}: cannot be created (Not a directory)"
    cut = broken_off(data, tmp_path / "run", at_step)
    before, real = contents(cut), Path.open

    def read_only(path: Path, mode: str = "r", *how, **more):
        if path.name == run_folder.LOCK:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, mode, *how, **more)

    monkeypatch.setattr(Path, "open", read_only)
    assert resume(cut) == 2
    assert last_line(capsys).startswith(f"catnet: {cut}: Permission denied; earlier files")
    assert contents(cut) == before


def test_a_platform_without_locks_is_told_so(data: Path, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert begin(data, tmp_path / "run") == 0
    assert f"{tmp_path / 'run'}: cannot be locked here" in capsys.readouterr().err


def test_files_that_were_changed_are_refused(data: Path, tmp_path, at_step, capsys) -> None:
    cut = broken_off(data, tmp_path / "run", at_step)
    other = broken_off(data, tmp_path / "other", at_step, "--seed", "2")
    config, state = (cut / name for name in ("config.json", "state.safetensors"))
    for path, change, line in [
        (
            config,
            lambda old: old.replace(b'"steps": 42', b'"steps": 43'),
            "was changed since catnet",
        ),
        (config, lambda _: b"[1]", "was changed since catnet wrote it"),
        (config, lambda _: b"\xff", "was changed since catnet wrote it"),
        (state, lambda old: old[:-1] + bytes([old[-1] ^ 1]), "damaged"),
        (state, lambda old: old[:100], "cut short"),
        (
            state,
            lambda _: (other / "state.safetensors").read_bytes(),
            "belongs to another run",
        ),
    ]:
        before = path.read_bytes()
        path.write_bytes(change(before))
        assert resume(cut) == 2
        err = last_line(capsys)
        assert err.startswith(f"catnet: {path}: ")
        assert line in err
        path.write_bytes(before)
    assert resume(cut) == 0
    assert main.main(["train", "--resume", str(tmp_path / "nowhere")]) == 2
    assert "nowhere: is not a run folder" in last_line(capsys)


def test_other_versions_are_mentioned(data: Path, tmp_path, at_step, monkeypatch, capsys) -> None:
    cut = broken_off(data, tmp_path / "run", at_step)
    monkeypatch.setattr(numerics, "version", lambda name: "999")
    assert resume(cut) == 0
    assert "last digits may differ" in capsys.readouterr().err


SETTINGS = {
    "JAX_ENABLE_X64 False, and now it is True": lambda _: jax.enable_x64(True),
    "JAX_DEFAULT_PRNG_IMPL threefry2x32, and now it is rbg": lambda _: jax.default_prng_impl("rbg"),
    "JAX_THREEFRY_PARTITIONABLE True, and now it is False":
        lambda _: jax.threefry_partitionable(False),
    "JAX_DEFAULT_MATMUL_PRECISION unset, and now it is float32":
        lambda _: jax.default_matmul_precision("float32"),
    "JAX_NUMPY_DTYPE_PROMOTION standard, and now it is strict":
        lambda _: jax.numpy_dtype_promotion("strict"),
    "JAX_DISABLE_JIT False, and now it is True": lambda _: jax.disable_jit(),
    "XLA_FLAGS --was=1, and now it is --was=1 --is=2":
        lambda patch: patch.setenv("XLA_FLAGS", "--was=1  --is=2"),
    "NVIDIA_TF32_OVERRIDE unset, and now it is 0":
        lambda patch: patch.setenv("NVIDIA_TF32_OVERRIDE", "0"),
    "OMP_NUM_THREADS unset, and now it is 1": lambda patch: patch.setenv("OMP_NUM_THREADS", "1"),
    "number of devices 1, and now it is 8":
        lambda patch: patch.setattr(jax, "device_count", lambda: 8),
    "device cpu, and now it is H100":
        lambda patch: patch.setattr(jax, "devices", lambda: [SimpleNamespace(device_kind="H100")]),
}  # fmt: skip


@pytest.mark.parametrize("change", SETTINGS)
def test_settings_that_change_the_numbers_are_refused(change: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(device_kind="cpu")])
    for name in numerics.OF_OTHERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XLA_FLAGS", "--was=1")
    folder = tmp_path / "run"
    run_folder.create(folder, {"content": "hash"})
    run_folder.refuse_other_data(folder, "data", "hash")
    with SETTINGS[change](monkeypatch) or nullcontext(), pytest.raises(UserError) as error:
        run_folder.refuse_other_data(folder, "data", "hash")
    assert str(error.value) == (
        f"{folder} was started with {change}, which changes the numbers; "
        "set the old value, or start a new run"
    )


def test_a_run_begun_with_float64_goes_on_with_it_only(data, tmp_path, at_step, capsys) -> None:
    whole, cut = tmp_path / "whole" / "run", tmp_path / "cut" / "run"
    how = ["--optimizer", "adam", "--batch-size", "5"]
    with jax.enable_x64(True):
        assert begin(data, whole, *how) == 0
        broken_off(data, cut, at_step, *how)
    before = contents(cut)
    assert resume(cut) == 2
    line = last_line(capsys)
    assert line.startswith(
        f"catnet: {cut} was started with JAX_ENABLE_X64 True, and now it is False"
    )
    assert contents(cut) == before
    with jax.enable_x64(True):
        assert resume(cut) == 0
    assert contents(cut) == contents(whole)


def test_a_run_of_a_catnet_that_did_not_note_the_settings_goes_on(tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(run_folder, "read_numerics", dict)
        run_folder.create(tmp_path / "run", {"content": "hash"})
    run_folder.refuse_other_data(tmp_path / "run", "data", "hash")


def test_what_is_needed_is_asked_for_before_the_training(
    data: Path, tmp_path, monkeypatch, capsys
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        assert begin(data, tmp_path / "run") == 2
    assert last_line(capsys) == "catnet: plots need matplotlib: pip install 'jaxnn[apps]'"
    assert begin(data, tmp_path / "run", "--batch-size", "500") == 2
    assert last_line(capsys) == "catnet: --batch-size 500: there are 18 images only"
    assert list(tmp_path.iterdir()) == []
