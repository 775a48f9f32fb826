"""Shell completion: a script for bash, zsh or fish that knows every command and option.

The scripts are made from the parser, so they cannot name an option that it lacks.  Options and
commands are completed after the first letters, values where an option has a list of them, else
names of files.
"""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import NamedTuple

from catnet.command_line import get_commands

SHELLS = ("bash", "zsh", "fish")


class Completion(NamedTuple):
    """What can follow some words of a command line.

    Attributes:
        path: the program and its commands, such as ``("catnet", "data", "get")``.
        commands: names of the commands that can follow, with their help.
        options: each option: its names, its help, and its values (None: any; empty: no value).
        values: the values of the arguments without an option, where these are a list.
    """

    path: tuple[str, ...]
    commands: dict[str, str]
    options: list[tuple[tuple[str, ...], str, tuple[str, ...] | None]]
    values: tuple[str, ...]


def make_command(program: str) -> SimpleNamespace:
    """Make the command ``PROGRAM completion SHELL``, which prints the script."""

    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("shell", choices=SHELLS, help="the shell")

    def run(options: argparse.Namespace) -> int:
        print(make_script(options.parser, options.shell))
        return 0

    return SimpleNamespace(
        HELP="print a script that completes command lines in bash, zsh or fish",
        EXAMPLES=(
            f"{program} completion bash > ~/.local/share/bash-completion/completions/{program}",
            f"{program} completion zsh > ~/.zfunc/_{program}",
            f"{program} completion fish > ~/.config/fish/completions/{program}.fish",
        ),
        add_arguments=add_arguments,
        run=run,
    )


def describe(parser: argparse.ArgumentParser) -> list[Completion]:
    """What a parser and its commands accept."""
    return _describe(parser, (parser.prog,))


def make_script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Make the script for a shell, one of ``SHELLS``."""
    return {"bash": _make_bash, "zsh": _make_zsh, "fish": _make_fish}[shell](describe(parser))


def _describe(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> list[Completion]:
    commands, options, values = get_commands(parser), [], ()
    helps = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in action._choices_actions}
        elif action.option_strings:
            choices = tuple(map(str, action.choices)) if action.choices else None
            takes = () if action.nargs == 0 else choices
            options.append((tuple(action.option_strings), _first_line(action.help), takes))
        elif action.choices:
            values = tuple(map(str, action.choices))
    texts = {name: _first_line(helps.get(name)) for name in commands}
    first = Completion(path, texts, options, values)
    below = (one for name, sub in commands.items() for one in _describe(sub, (*path, name)))
    return [first, *below]


def _first_line(text: str | None) -> str:
    """A help text as one line without the signs of shells."""
    short = (text or "").partition(";")[0].replace("%%", "%")
    return "".join(c for c in short if c not in "'\"`$\\[]:")


def _name(path: tuple[str, ...]) -> str:
    return "_" + "_".join(path).replace("-", "_")


# ---- bash


def _make_bash(completions: list[Completion]) -> str:
    """The words up to the cursor choose a path; the word before it, the values of an option."""
    program = completions[0].path[0]
    paths, values, words = [], [], []
    for one in completions:
        path = " ".join(one.path)
        paths.append(f"      '{path}') path='{path}' ;;")
        for names, _, some in one.options:
            if some != ():
                patterns = "|".join(f"'{path} {name}'" for name in names)
                reply = f"$(compgen -W '{' '.join(some)}' -- \"$current\")" if some else ""
                values.append(f"    {patterns}) COMPREPLY=({reply}); return ;;")
        options = " ".join(name for names, _, _ in one.options for name in names)
        operands = " ".join([*one.commands, *one.values])
        words.append(f"    '{path}') options='{options}' words='{operands}' ;;")
    return _BASH.format(
        program=program,
        paths="\n".join(paths[1:]),
        values="\n".join(values),
        words="\n".join(words),
    )


# Where nothing fits, COMPREPLY is empty, and "-o default" completes names of files.
_BASH = """\
# completion of {program} for bash
_{program}() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  local path={program} word options= words=
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$path $word" in
{paths}
    esac
  done
  case "$path $before" in
{values}
  esac
  case "$path" in
{words}
  esac
  [[ $current == -* ]] && words=$options
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _{program} {program}"""


# ---- zsh


def _make_zsh(completions: list[Completion]) -> str:
    program = completions[0].path[0]
    lines = [f"#compdef {program}", f"# completion of {program} for zsh"]
    for one in reversed(completions):
        lines += [f"{_name(one.path)}() {{", "  _arguments -s \\"]
        for names, text, values in one.options:
            value = f":value:({' '.join(values)})" if values else ":value:_files"
            value = "" if values == () else value
            lines += [f"    '{name}[{text}]{value}' \\" for name in names]
        if one.commands:
            lines += ["    '1:command:->command' '*::argument:->argument'"]
            lines += ["  case $state in", "    command)"]
            listed = " ".join(f"'{name}:{text}'" for name, text in one.commands.items())
            lines += [f"      local -a commands=({listed})", "      _describe command commands ;;"]
            lines += ["    argument)", "      case $words[1] in"]
            lines += [f"        {name}) {_name((*one.path, name))} ;;" for name in one.commands]
            lines += ["      esac ;;", "  esac", "}"]
        else:
            what = f"({' '.join(one.values)})" if one.values else "_files"
            lines += [f"    '*:argument:{what}'", "}"]
    lines += [f'if [[ $funcstack[1] == _{program} ]]; then _{program} "$@"  # autoloaded']
    return "\n".join([*lines, f"else compdef _{program} {program}; fi"])


# ---- fish


def _make_fish(completions: list[Completion]) -> str:
    """A condition on the commands that were typed chooses the lines."""
    program = completions[0].path[0]
    lines = [f"# completion of {program} for fish"]
    for one in completions:
        seen = [f"__fish_seen_subcommand_from {name}" for name in one.path[1:]]
        if one.commands:
            seen.append(f"not __fish_seen_subcommand_from {' '.join(one.commands)}")
        when = f"complete -c {program} -n '{'; and '.join(seen)}'"
        for name, text in one.commands.items():
            lines.append(f"{when} -f -a '{name}' -d '{text}'")
        for value in one.values:
            lines.append(f"{when} -f -a '{value}'")
        for names, text, values in one.options:
            flags = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in names
            )
            takes = "" if values == () else f" -x -a '{' '.join(values)}'" if values else " -r -F"
            lines.append(f"{when} {flags}{takes} -d '{text}'")
    return "\n".join(lines)
