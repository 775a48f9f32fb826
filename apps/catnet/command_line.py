"""The parser of a program with commands, one module each; ``catnet`` and ``seqnet`` are such.

A module has ``HELP``, ``EXAMPLES``, ``add_arguments(parser)`` and ``run(options)``; it may have a
``DESCRIPTION``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catnet.process import Version


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps the description, but not the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example"):
            return text
        return super()._fill_text(text, width, indent)


def make_parser(
    program: str, description: str, commands: Mapping[str, Any], epilog: str | None = None
) -> argparse.ArgumentParser:
    """Make the parser of a program.

    Args:
        program: its name.
        description: what it does.
        commands: the modules of its commands, by their names.
        epilog: the end of its help.
    """
    top = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.set_defaults(parser=top)  # for the command ``completion``
    top.add_argument("--version", action=Version, nargs=0, help="print the version")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in commands.items():
        parser = subparsers.add_parser(
            name,
            help=command.HELP,
            description=getattr(command, "DESCRIPTION", None),
            formatter_class=_HelpFormatter,
        )
        add_examples(parser, command.EXAMPLES)
        command.add_arguments(parser)
    for parser in walk(top):
        default = False if parser is top else argparse.SUPPRESS  # a command keeps the program's
        parser.add_argument(
            "-q",
            "--quiet",
            action="store_true",
            default=default,
            help="print results and errors only, no messages and no progress",
        )
    return top


def add_examples(parser: argparse.ArgumentParser, lines: Sequence[str]) -> None:
    """Show command lines at the end of the help of a command."""
    title = "example:" if len(lines) == 1 else "examples:"
    parser.formatter_class = _HelpFormatter
    parser.epilog = "\n".join([title, *(f"  {line}" for line in lines)])


def walk(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser, and those of its commands, in their order."""
    yield parser
    for one in get_commands(parser).values():
        yield from walk(one)


def get_commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands of a parser, by their names."""
    for action in parser._actions:  # argparse has no public list of them
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}
