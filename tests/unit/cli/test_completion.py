"""`secrets-cache completion`: shtab makes the script; in a real shell: tests/process/test_completion.py."""

import sys

import pytest

from secrets_cache.cli import main
from secrets_cache.cli.arguments import SHELLS


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_knows_commands_and_options(capfd, shell):
    """Each shell has its own form; the words are in all of them."""
    assert 0 == main(["completion", shell])
    out = capfd.readouterr().out

    assert all(word in out for word in ("secrets-cache", "check", "version-stage"))


def test_without_shtab_it_says_what_to_install(capfd, monkeypatch):
    """In one line: the layer and the image do not have it."""
    monkeypatch.setitem(sys.modules, "shtab", None)

    assert 1 == main(["completion", "bash"])
    assert ("", "secrets-cache: completion needs shtab; install it with: pip install shtab\n") == capfd.readouterr()
