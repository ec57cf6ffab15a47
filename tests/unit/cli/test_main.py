"""The command line as a whole: what each command does has a file of its own."""

import importlib
import subprocess
import sys

import pytest

from secrets_cache import __version__
from secrets_cache.cli import main
from secrets_cache.cli.arguments import Usage, made_parser
from secrets_cache.cli.completion import commands_of
from secrets_cache.cli.inputs import function_variables
from tools.emulator import ROOT


def ours(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "secrets_cache", *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["serve", "--nonsense"],
        ["serve", "--conf", "x"],
        ["serve", "--grace", "-1"],
        ["serve", "--grace", "soon"],
        ["get"],
        ["completion", "tcsh"],
    ],
)
def test_wrong_usage_ends_with_2(arguments, capfd):
    """And says what is possible."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert 2 == caught.value.code
    assert "usage: secrets-cache" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["--version"], ["version"]])
def test_version(arguments):
    """The one place that knows it."""
    done = ours(*arguments)

    assert (0, f"secrets-cache {__version__}\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["version"], ["completion", "bash"]])
def test_what_needs_no_secret_imports_nothing_slow(arguments):
    """Help, version and completion are answered at once: neither asyncio nor what reads a configuration is imported."""
    code = (
        "import sys; from secrets_cache.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "slow = {'asyncio', 'aiohttp', 'botocore', 'http.client', 'logging', 'ssl', 'yaml', 'secrets_cache.config'}\n"
        "sys.stderr.write(' '.join(sorted(slow & sys.modules.keys())))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout
    assert "" == done.stderr


def test_a_reader_who_has_had_enough_gets_no_complaint():
    """`secrets-cache completion bash | head -1` is silent, whatever is still to be written."""
    command = f"{sys.executable} -m secrets_cache completion bash | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, cwd=ROOT)

    assert "" == done.stderr
    assert done.returncode in {0, 1}


def test_every_command_has_its_module():
    """Whatever the parser knows can be run."""
    names = [command.name for command in commands_of(made_parser()) if command.name]

    assert {"serve", "check", "policy", "get", "health", "version", "completion"} == set(names)
    for name in names:
        assert callable(importlib.import_module(f"secrets_cache.cli.{name}").run)


# The function's variables.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("A=1\n# B=2\n\nC=x=y\nno\n", {"A": "1", "C": "x=y"}),
        ("A=1\0B=two\nlines\0", {"A": "1", "B": "two\nlines"}),
        ('{"A": "1"}', {"A": "1"}),
        ('{"Variables": {"A": "1"}}', {"A": "1"}),
        ('{"FunctionName": "f", "Environment": {"Variables": {"A": "1"}}}', {"A": "1"}),
        ("null\n", {}),
        ('{"A": 1, "B": "2"}', {"B": "2"}),
        ("{=1", {"{": "1"}),
    ],
)
def test_the_functions_variables_are_read_as_they_are_at_hand(tmp_path, text, expected):
    """As the AWS CLI shows them, as `env` does, or as an environment file has them."""
    file = tmp_path / "variables"
    file.write_text(text, encoding="utf-8")

    assert expected == function_variables(str(file))


def test_variables_that_cannot_be_read_are_wrong_usage(tmp_path):
    """And say why."""
    with pytest.raises(Usage, match="No such file"):
        function_variables(str(tmp_path / "nope"))
