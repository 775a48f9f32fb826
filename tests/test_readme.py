"""The README's Python runs and says what the README says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[block.splitlines()[0] for block in BLOCKS])
def test_python_blocks_run(block: str, capsys) -> None:
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed
    if "check_gradients" in block:
        assert "wrong: serial[1].square.input" in printed
        assert printed.splitlines()[-1] in README


def test_the_test_command_is_where_ci_looks_for_it() -> None:
    [command] = re.findall(r"<!-- tests -->\s```bash\n(.*)\n```\s<!-- /tests -->", README)
    assert "python -m pytest" in command
