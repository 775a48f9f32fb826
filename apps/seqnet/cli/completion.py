"""``seqnet completion``: a script that completes command lines in a shell."""

from __future__ import annotations

import argparse

from catnet.completion import SHELLS, make_script

HELP = "print a script that completes command lines in bash, zsh or fish"
EXAMPLES = (
    "seqnet completion bash > ~/.local/share/bash-completion/completions/seqnet",
    "seqnet completion zsh > ~/.zfunc/_seqnet",
    "seqnet completion fish > ~/.config/fish/completions/seqnet.fish",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    from seqnet.cli.main import parser

    print(make_script(parser(), options.shell))
    return 0
