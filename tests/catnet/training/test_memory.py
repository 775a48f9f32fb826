"""A network that does not fit into the memory is refused before anything is made."""

from __future__ import annotations

import os

import pytest

import jaxnn
from catnet.cli.main import main
from catnet.errors import UserError
from catnet.training import memory
from catnet.training.memory import refuse_too_large

NET = jaxnn.serial(jaxnn.flatten, jaxnn.dense(10), jaxnn.relu, jaxnn.dense(1))
PARAMETERS = (64 * 64 * 3 + 1) * 10 + (10 + 1) * 1
NEEDED = 2 * 4 * PARAMETERS  # bytes: parameters and gradients, in float32


@pytest.mark.parametrize("networks", [1, 5])
def test_the_limit_is_the_parameters_and_gradients_of_every_network(
    networks: int, monkeypatch
) -> None:
    monkeypatch.setattr(memory, "read_memory", lambda: networks * NEEDED)
    refuse_too_large(NET, networks)
    monkeypatch.setattr(memory, "read_memory", lambda: networks * NEEDED - 1)
    with pytest.raises(UserError, match=f" {networks * PARAMETERS:,} parameters; "):
        refuse_too_large(NET, networks)


def test_nothing_is_refused_where_the_system_does_not_tell(monkeypatch) -> None:
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory.read_memory() is None
    refuse_too_large(NET)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train", "the network has 191,230,900,001 parameters"),
        (
            "sweep --seeds 1 --init he --learning-rate 1 2 3",
            "3 networks at once have 573,692,700,003 parameters",
        ),
        ("gradcheck", "the network has 191,230,900,001 parameters"),
    ],
)
def test_commands_refuse_it_in_one_line(
    command: str, said: str, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    hidden = ["--model", "deep", "--hidden", *["100000"] * 20]
    assert main([*command.split(), *hidden]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith(f"catnet: {said}; with their gradients these take ")
    assert line.endswith("use fewer or smaller layers")
    assert [path.name for path in tmp_path.iterdir()] == []
