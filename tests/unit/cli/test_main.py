"""The command line as a whole: what each command does has a file of its own."""

import importlib

import pytest

from secrets_cache import __version__
from secrets_cache.cli import main
from secrets_cache.cli.arguments import make_parser
from tests.support.command_line import commands_of


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "list all problems in the configuration"),
        (["nonsense"], "invalid choice: 'nonsense'"),
        (["serve", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["serve", "--conf", "x"], "unrecognized arguments: --conf x"),
        (["serve", "--grace", "-1"], "--grace: "),
        (["serve", "--grace", "soon"], "--grace: found 'soon'; allowed: 0 to 86400 seconds"),
        (["serve", "--port", "0"], "--port: found '0'; allowed: 1 to 65535"),
        (["serve", "--port", "http"], "--port: found 'http'; allowed: 1 to 65535"),
        (["get"], "required: NAME"),
        (["run"], "required: COMMAND"),
        (["run", "psql", "--port", "1"], "--port 1; put -- before the command"),
        (["check", "config.yaml"], "unrecognized arguments: config.yaml; did you mean --config config.yaml?"),
        (["serve", "--port", "1", "dev.yml"], "unrecognized arguments: dev.yml; did you mean --config dev.yml?"),
        (["check", "--config", "a.yaml", "b.yaml"], "unrecognized arguments: b.yaml\n"),
        (["version", "config.yaml"], "unrecognized arguments: config.yaml\n"),
        (["completion", "tcsh"], "invalid choice: 'tcsh'"),
    ],
)
def test_wrong_usage_ends_with_2(arguments, said, capfd):
    """Standard error shows the usage and what is wrong."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    err = capfd.readouterr().err

    assert 2 == caught.value.code
    assert " ".join(["usage: secrets-cache", *arguments[:1]]).removesuffix(" nonsense") in err
    assert said in err


def test_version_prints_the_version(capfd):
    """As --version does."""
    assert 0 == main(["version"])
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert 0 == caught.value.code
    assert f"secrets-cache {__version__}\n" * 2 == capfd.readouterr().out


def test_every_command_has_its_module():
    """The parser knows no command that cannot run."""
    names = commands_of(make_parser())

    assert {"serve", "check", "policy", "get", "run", "health", "schema", "version", "completion"} == set(names)
    for name in names:
        assert callable(importlib.import_module(f"secrets_cache.cli.{name}").run)


@pytest.mark.parametrize("command", ["", *commands_of(make_parser())])
def test_help_is_prose(capfd, command):
    """Each command has a sentence, and each option a text."""
    with pytest.raises(SystemExit) as caught:
        main([*filter(None, [command]), "--help"])

    assert 0 == caught.value.code
    assert "usage: secrets-cache" in capfd.readouterr().out
    parser = commands_of(make_parser()).get(command, make_parser())
    assert str(parser.description).endswith(".")
    assert all(action.help for action in parser._actions if action.dest != "command")  # noqa: SLF001
