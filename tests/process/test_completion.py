"""The completion script in real shells, where this machine has them."""

import functools
import shutil
import subprocess
import sys

import pytest

from secrets_cache.cli.arguments import SHELLS
from tools.emulator import ROOT


@functools.cache
def make_script(shell: str) -> str:
    """Return the script for a shell."""
    command = [sys.executable, "-m", "secrets_cache", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def complete(line: str, folder: str = "/") -> set[str]:
    """Return what bash offers after a line."""
    words = line.split(" ")
    code = f"""
        cd {folder}
        {make_script("bash")}
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
        COMP_CWORD={len(words) - 1}
        completer=$(complete -p secrets-cache | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        "$completer" secrets-cache "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, check=True)
    assert "" == done.stderr
    return set(done.stdout.split())


def test_bash_offers_commands_options_choices_and_files(tmp_path):
    """Each where it may follow."""
    (tmp_path / "config.yaml").touch()

    assert {"check", "completion"} == complete("secrets-cache c")
    assert {"--fetch"} == complete("secrets-cache check --f")
    assert {"zsh"} == complete("secrets-cache completion z")
    assert {"config.yaml"} == complete("secrets-cache check --config con", str(tmp_path))


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_takes_the_script(shell):
    """It can be parsed."""
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"this machine has no {shell}")
    done = subprocess.run(
        [program, "--no-execute" if shell == "fish" else "-n"],
        input=make_script(shell),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
