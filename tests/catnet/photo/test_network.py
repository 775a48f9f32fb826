"""The photo network: its rules by hand, its model files, and a training that can be cut off."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxnn
from catnet import Classifier, cli, networks
from catnet.errors import UserError
from catnet.photo.network import build_photo, log_odds, photo_loss, targets
from catnet.photo.train import Validation, calibrate

TINY = {"model": "photo", "widths": [4, 6], "blocks": [1, 0], "classes": 5, "cats": [1, 3]}


def test_log_odds_is_the_probability_of_the_group(x64) -> None:
    z = np.random.default_rng(0).normal(size=(6, 5))
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    p = softmax[:, [1, 3]].sum(axis=1)
    s = log_odds([1, 3], 5).apply((), jnp.asarray(z))
    np.testing.assert_allclose(s[:, 0], np.log(p / (1 - p)), rtol=1e-12)


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_the_loss_by_hand_has_the_gradient_of_jax_and_is_finite(size: float, x64) -> None:
    z = size * jax.random.normal(jax.random.key(0), (6, 5))
    y = targets(jnp.array([0, 1, 0, 1, 1, 0]), jnp.array([0, 1, -1, -1, 3, 4]), 5, 0.1)
    loss = photo_loss([1, 3], 5, 0.5)
    assert np.isfinite(loss(z, y))
    np.testing.assert_allclose(loss.gradient(z, y), jax.grad(loss)(z, y), rtol=1e-9, atol=1e-12)


def test_targets_are_distributions_where_the_fine_class_is_known() -> None:
    y = targets(np.array([1, 0]), np.array([3, -1]), 5, 0.1)
    np.testing.assert_allclose(y.fine.sum(axis=1), [1, 0], rtol=1e-6)
    np.testing.assert_allclose(y.cat[:, 0], [0.95, 0.05], rtol=1e-6)


def test_every_rule_of_the_network_is_right() -> None:
    net = build_photo(TINY)
    x = jax.random.uniform(jax.random.key(0), (2, 64, 64, 3))
    params = jax.jit(net.init)(jax.random.key(1), x)
    # The last convolution of a block starts at zero, where its neighbours' gradients are zero.
    params = jax.tree.map(lambda p: p + 0.1 * jnp.cos(jnp.arange(p.size)).reshape(p.shape), params)
    y = jnp.array([[0.0], [1.0]])
    check = jaxnn.check_gradients(net, params, x, y, jaxnn.binary_cross_entropy)
    assert check.ok, str(check)


@pytest.mark.parametrize("change", [{"cats": []}, {"widths": [4]}, {"classes": "many"}])
def test_descriptions_that_are_none_are_refused(change: dict) -> None:
    with pytest.raises(UserError, match="its architecture is not one of this catnet"):
        networks.build({**TINY, **change})


def test_calibration_finds_the_slope_and_offset_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=40_000)
    labels = (rng.random(40_000) < 1 / (1 + np.exp(-(2 * z)))).astype(np.int8)
    slope, offset = calibrate(Validation(z, labels, np.zeros(40_000, np.int16)))
    assert slope == pytest.approx(2, abs=0.1)
    assert offset == pytest.approx(0, abs=0.1)


def test_a_training_that_was_cut_off_ends_like_one_that_was_not(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    from catnet.photo import train

    rng = np.random.default_rng(0)
    for name, colour in (("cat", (250, 60, 60)), ("non-cat", (60, 60, 250))):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(40):
            pixels = rng.integers(0, colour, (16, 16, 3)).astype(np.uint8)
            big = np.repeat(np.repeat(pixels, 4, axis=0), 4, axis=1)
            Image.fromarray(big).save(tmp_path / "data" / name / f"{i}.png")
    small = {"widths": (8,), "blocks": (1,), "validate_every": 8, "warm_up": 0.1}
    real = train.PhotoConfig
    monkeypatch.setattr(train, "PhotoConfig", lambda **given: real(**{**small, **given}))
    common = [str(tmp_path / "data"), "--model", "photo", "--steps", "16", "--batch-size", "8"]
    common += ["--cache", str(tmp_path / "cache"), "--seed", "3"]
    assert cli.main(["train", *common, "--out", str(tmp_path / "whole")]) == 0

    run_chunk = train.compiled_steps

    def cut_off(*arguments):
        run, calls = run_chunk(*arguments), []

        def once(*of_chunk):
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return run(*of_chunk)

        return once

    monkeypatch.setattr(train, "compiled_steps", cut_off)
    assert cli.main(["train", *common, "--out", str(tmp_path / "cut")]) == 130
    monkeypatch.setattr(train, "compiled_steps", run_chunk)
    assert cli.main(["train", *common, "--resume", str(tmp_path / "cut")]) == 0
    whole, cut = (jaxnn.load(tmp_path / name / "state.safetensors")[0] for name in ("whole", "cut"))
    assert all((np.asarray(a) == np.asarray(b)).all() for a, b in zip(whole, cut, strict=True))

    capsys.readouterr()
    picture = str(tmp_path / "data" / "cat" / "0.png")
    assert cli.main(["predict", picture, "--model", str(tmp_path / "cut"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "cut"
    assert Classifier.load(tmp_path / "whole").about == "trained on data"


def test_the_photo_network_needs_data_and_its_options_need_it(capsys) -> None:
    assert cli.main(["train", "--model", "photo"]) == 2
    assert "--model photo needs DATA" in capsys.readouterr().err
    assert cli.main(["train", "--share", "a/b=0.5"]) == 2
    assert "for --model photo only" in capsys.readouterr().err
