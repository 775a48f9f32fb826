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
NEEDED = 3 * 4 * PARAMETERS  # bytes: parameters, gradients and update, in float32


@pytest.mark.parametrize("networks", [1, 5])
def test_the_limit_is_three_copies_of_every_network(networks: int, monkeypatch) -> None:
    monkeypatch.setattr(memory, "read_memory", lambda: networks * NEEDED)
    refuse_too_large(NET, networks)
    monkeypatch.setattr(memory, "read_memory", lambda: networks * NEEDED - 1)
    with pytest.raises(UserError, match=f"the network has {PARAMETERS:,} parameters; to train"):
        refuse_too_large(NET, networks)


def test_nothing_is_refused_where_the_system_does_not_tell(monkeypatch) -> None:
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory.read_memory() is None
    refuse_too_large(NET)


@pytest.mark.parametrize(
    "command",
    ["train --model deep", "sweep --model deep", "gradcheck --model deep"],
)
def test_commands_refuse_it_in_one_line(command: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*command.split(), "--hidden", *["100000"] * 20]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("catnet: the network has 191,230,900,001 parameters; to train ")
    assert line.endswith("use fewer or smaller layers")
    assert [path.name for path in tmp_path.iterdir()] == []
