"""
`secrets-cache completion`: scripts for shells, made of the parser, so that they know what it knows.

They run nothing of ours when a key is pressed: what there is to complete stands in them.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from secrets_cache.cli.arguments import FILE, made_parser


class Option(NamedTuple):
    """
    An option, or an argument without a name.

    Attributes:
        names: Such as -h and --help; empty for an argument.
        about: Its help, in one line.
        metavar: What its value is called; empty if it takes none.
        choices: All that its value can be; empty if that is not known.
    """

    names: Sequence[str]
    about: str
    metavar: str
    choices: Sequence[str]


class Command(NamedTuple):
    """A command, and what may follow it; without a name, the program itself."""

    name: str
    about: str
    options: Sequence[Option]


def run(given: argparse.Namespace) -> int:
    """Print the script."""
    makers = {"bash": bash, "zsh": zsh, "fish": fish}
    sys.stdout.write(makers[given.shell](list(commands_of(made_parser()))))
    return 0


def commands_of(parser: argparse.ArgumentParser) -> Iterator[Command]:
    """Return the program, then its commands, as the parser has them."""
    yield Command("", "", _options(parser))
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to look at it
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            abouts = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                yield Command(name, abouts[name], _options(command))


def _options(parser: argparse.ArgumentParser) -> list[Option]:
    return [
        Option(
            names=tuple(action.option_strings),
            about=" ".join((action.help or "").split()) % {"default": action.default, "prog": parser.prog},
            metavar="" if action.nargs == 0 else str(action.metavar or action.dest),
            choices=tuple(action.choices or ()),
        )
        for action in parser._actions  # noqa: SLF001
        if not isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    ]


def bash(commands: Sequence[Command]) -> str:
    """Return the script for bash 3.2 and later."""
    names = " ".join(command.name for command in commands if command.name)
    with_value = {
        name: option for command in commands for option in command.options for name in option.names if option.metavar
    }
    files = "|".join(sorted(name for name, option in with_value.items() if option.metavar == FILE))
    others = "|".join(sorted(name for name, option in with_value.items() if option.metavar != FILE))
    lines = [
        "_secrets_cache() {",
        "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} given='' words='' i",
        "  for ((i = 1; i < COMP_CWORD; i++)); do",
        "    case ${COMP_WORDS[i]} in -*) ;; *) given=${COMP_WORDS[i]}; break ;; esac",
        "  done",
        "  COMPREPLY=()",
        "  case $before in",
        f'  {files}) compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$word")); return ;;',
        f"  {others}) return ;;",
        "  esac",
        "  case $given in",
    ]
    for command in commands:
        words = [name for option in command.options for name in option.names]
        words += [choice for option in command.options if not option.names for choice in option.choices]
        words += [names] if not command.name else []
        lines.append(f"  {command.name or repr('')}) words='{' '.join(words)}' ;;")
    lines += [
        "  esac",
        '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
        "}",
        "complete -F _secrets_cache secrets-cache",
        "",
    ]
    return "\n".join(lines)


def zsh(commands: Sequence[Command]) -> str:
    """Return the script for zsh: to be sourced, or to lie in $fpath as _secrets-cache."""
    program, *rest = commands
    described = "\n".join(f"    {_quoted(f'{command.name}:{command.about}')}" for command in rest)
    lines = [
        "#compdef secrets-cache",
        "_secrets_cache() {",
        "  local -a commands",
        f"  commands=(\n{described}\n  )",
        "  local state line",
        f"  _arguments -C {' '.join(_zsh_option(option) for option in program.options)} '1: :->command' '*:: :->rest'",
        "  case $state in",
        "  command) _describe command commands ;;",
        "  rest)",
        "    case $line[1] in",
        *(
            f"    {command.name}) _arguments {' '.join(_zsh_option(option) for option in command.options)} ;;"
            for command in rest
        ),
        "    esac ;;",
        "  esac",
        "}",
        'if [ "$funcstack[1]" = _secrets-cache ]; then _secrets_cache "$@"',
        "else compdef _secrets_cache secrets-cache; fi",
        "",
    ]
    return "\n".join(lines)


def _zsh_option(option: Option) -> str:
    about = option.about.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    action = f"({' '.join(option.choices)})" if option.choices else "_files" if option.metavar == FILE else " "
    value = f":{option.metavar}:{action}" if option.metavar else ""
    if not option.names:
        return _quoted(f":{option.metavar}:{action}")
    # One of two names excludes the other.
    both = f"({' '.join(option.names)})"
    return " ".join(_quoted(f"{both}{name}[{about}]{value}") for name in option.names)


def fish(commands: Sequence[Command]) -> str:
    """Return the script for fish."""
    names = " ".join(command.name for command in commands if command.name)
    lines = ["complete -c secrets-cache -f"]
    for command in commands:
        seen = f"'__fish_seen_subcommand_from {command.name or names}'"
        condition = f"'not {seen[1:-1]}'" if not command.name else seen
        if command.name:
            lines.append(
                f"complete -c secrets-cache -n 'not __fish_seen_subcommand_from {names}' "
                f"-a {command.name} -d {_quoted(command.about)}"
            )
        lines += [f"complete -c secrets-cache -n {condition} {_fish_option(option)}" for option in command.options]
    return "\n".join([*lines, ""])


def _fish_option(option: Option) -> str:
    names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    value = "" if not option.metavar or not option.names else "-r -F" if option.metavar == FILE else "-x"
    choices = f"-a {_quoted(' '.join(option.choices))}" if option.choices else ""
    return " ".join(filter(None, (*names, value, choices, f"-d {_quoted(option.about)}")))


def _quoted(text: str) -> str:
    """Return a text as one word of zsh or fish, which escape an apostrophe differently: another sign is used."""
    return "'" + text.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}") + "'"
