"""`secrets-cache completion`: the scripts, in real shells where this machine has them, and held to the parser."""

import re
import shutil
import subprocess

import pytest

from secrets_cache.cli.arguments import FILE, SHELLS, made_parser
from secrets_cache.cli.completion import bash, commands_of, fish, zsh

COMMANDS = list(commands_of(made_parser()))
NAMES = [command.name for command in COMMANDS if command.name]
MAKERS = {"bash": bash, "zsh": zsh, "fish": fish}


def completed(line: str, folder: str = "/") -> list[str]:
    """Return what bash offers after a line."""
    words = line.split(" ")
    code = f"""
        cd {folder}
        {bash(COMMANDS)}
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
        COMP_CWORD={len(words) - 1}
        registered=($(complete -p secrets-cache))
        "${{registered[2]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, check=True)
    assert "" == done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("secrets-cache ", {*NAMES, "-h", "--help", "--version"}),
        ("secrets-cache c", {"check", "completion"}),
        ("secrets-cache check --f", {"--fetch"}),
        ("secrets-cache get --version-", {"--version-stage", "--version-id"}),
        ("secrets-cache completion ", {*SHELLS, "-h", "--help"}),
        ("secrets-cache completion z", {"zsh"}),
        ("secrets-cache serve --grace ", set()),
        ("secrets-cache nonsense ", set()),
    ],
)
def test_bash_offers_what_may_follow(line, expected):
    """Commands, then the options of the command; nothing where only the user can know."""
    assert expected == set(completed(line))


def test_bash_offers_files_where_a_file_is_meant(tmp_path):
    """Whatever they are called."""
    (tmp_path / "config.yaml").touch()
    (tmp_path / "other.yaml").touch()

    assert ["config.yaml"] == completed("secrets-cache check --config con", str(tmp_path))


@pytest.mark.parametrize("shell", [*SHELLS])
def test_every_option_is_in_every_script(shell):
    """Each by its name, as the shell writes it, as often as a command has it."""
    script = MAKERS[shell](COMMANDS)
    written = {"bash": r"(?<![\w-])--{}(?![\w-])", "zsh": r"'\([^)]*\)--{}\[", "fish": r" -l {}(?![\w-])"}[shell]
    for command in COMMANDS:
        for option in command.options:
            for name in (name[2:] for name in option.names if name.startswith("--")):
                sharing = [other for other in COMMANDS if any(f"--{name}" in one.names for one in other.options)]
                assert len(re.findall(written.format(name), script)) >= len(sharing), (command.name, name)


@pytest.mark.parametrize("shell", [*SHELLS])
def test_the_shell_takes_the_script(shell):
    """It can be parsed; where this machine has that shell."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"this machine has no {shell}")
    done = subprocess.run(
        [program, "--no-execute" if shell == "fish" else "-n"],
        input=MAKERS[shell](COMMANDS),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)


def test_the_tree_is_the_parsers():
    """What is completed is what is parsed: values, choices and files are told apart."""
    by_name = {command.name: command for command in COMMANDS}
    options = {name: option for option in by_name["check"].options for name in option.names}

    assert ("", FILE) == (options["--fetch"].metavar, options["--config"].metavar)
    assert SHELLS == by_name["completion"].options[-1].choices
    assert "default: 5" in next(o.about for o in by_name["serve"].options if "--grace" in o.names)
