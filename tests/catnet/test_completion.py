"""Shell completion: the shells themselves complete command lines by the scripts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from catnet.cli import main as catnet_main
from catnet.command_line import get_commands, walk
from catnet.completion import SHELLS, make_script
from seqnet.cli import main as seqnet_main

PARSERS = {"catnet": catnet_main.parser(), "seqnet": seqnet_main.parser()}

# The words before the cursor, and what completes them.
CASES = [
    ("catnet pr", {"predict"}),
    ("catnet -q ev", {"eval"}),
    ("catnet data ", {"list", "get", "check"}),
    ("catnet data ch", {"check"}),
    ("catnet predict --thr", {"--threshold"}),
    ("catnet data get --ou", {"--out"}),
    ("catnet train --optimizer ad", {"adam", "adamw"}),
    ("catnet completion ", {"bash", "zsh", "fish"}),
    ("catnet predict --model a-f", {"a-file"}),
    ("catnet predict a-f", {"a-file"}),
    ("seqnet scores --only s", {"sst", "speakers"}),
]


def run(shell: str, script: str, folder: Path) -> str:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, "-c", script], capture_output=True, text=True, cwd=folder, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with the scripts, and with a file whose name can be completed."""
    (tmp_path / "a-file").touch()
    for program, parser in PARSERS.items():
        for shell in SHELLS:
            (tmp_path / f"{program}.{shell}").write_text(make_script(parser, shell))
    return tmp_path


def test_bash_completes(here: Path) -> None:
    """Its own function is called as bash calls it; no answer is left to the names of files."""
    lines = [
        ". ./catnet.bash; . ./seqnet.bash",
        "try() { COMPREPLY=(); _$1; echo ${COMPREPLY[*]}; }",
    ]
    for line, _ in CASES:
        words = " ".join(f"'{word}'" for word in line.split(" "))
        lines.append(f"COMP_WORDS=({words}); COMP_CWORD={line.count(' ')}; try {line.split()[0]}")
    answers = run("bash", "\n".join(lines), here).splitlines()
    for (line, expected), answer in zip(CASES, answers, strict=True):
        assert set(answer.split()) == (set() if expected == {"a-file"} else expected), line
    registered = run("bash", ". ./catnet.bash; complete -p catnet", here)
    assert registered == "complete -o default -F _catnet catnet\n"


def test_fish_completes(here: Path) -> None:
    lines = ["source catnet.fish; source seqnet.fish"]
    lines += [f"echo (complete -C '{line}' | string replace -r '\\t.*' '')" for line, _ in CASES]
    answers = run("fish", "\n".join(lines), here).splitlines()
    for (line, expected), answer in zip(CASES, answers, strict=True):
        found = set(answer.split())
        assert expected <= found, line
        assert found <= expected | {"-h", "--help", "-q", "--quiet"} or line.endswith(" "), line


def test_zsh_loads_the_scripts(here: Path) -> None:
    script = "autoload -Uz compinit; compinit -u -d dump; . ./catnet.zsh; . ./seqnet.zsh"
    assert (
        run("zsh", f"{script}; print $_comps[catnet] $_comps[seqnet]", here) == "_catnet _seqnet\n"
    )


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("program", PARSERS)
def test_every_command_and_option_is_in_the_script(shell: str, program: str) -> None:
    script = make_script(PARSERS[program], shell)
    for parser in walk(PARSERS[program]):
        options = [name for one in parser._actions for name in one.option_strings]
        for name in [*get_commands(parser), *options]:
            assert (name.lstrip("-") if shell == "fish" else name) in script
