"""The pages about the command line and the sidecar, held to the parser and to the tools that read such files."""

import argparse
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from secrets_cache.cli.arguments import make_parser
from tests.support.command_line import commands_of
from tests.support.pages import COMMAND_LINE, PAGES, Block, blocks_of, sections_of
from tools.emulator import ROOT

SIDECAR = ROOT / "docs" / "sidecar.md"
DOCKERFILE = (ROOT / "tools" / "release" / "Dockerfile").read_text(encoding="utf-8")
COMMANDS = commands_of(make_parser())


def list_options(command: argparse.ArgumentParser) -> set[str]:
    """Return the options as a page writes them, but for --help, which all have."""
    options = [one for one in command._actions if one.option_strings and one.dest != "help"]  # noqa: SLF001
    return {f"{one.option_strings[-1]} {one.metavar or ''}".strip() for one in options}


def test_every_command_has_its_section_and_every_option_its_row():
    """With the same name for its value; the page has no other command and no other option."""
    sections = {
        heading.removeprefix("secrets-cache "): set(re.findall(r"\| `(--[^`]+)` \|", text))
        for heading, text in sections_of(COMMAND_LINE).items()
        if heading.startswith("secrets-cache ")
    }

    assert {name: list_options(parser) for name, parser in COMMANDS.items()} == sections


def find_commands() -> Iterator[tuple[Block, list[str]]]:
    """Return every command of `secrets-cache` in a block of a page, as its arguments."""
    for page in PAGES:
        for block in blocks_of(page):
            if block.language in {"sh", "shell"}:
                for match in re.finditer(r"(?<![\w./-])(?:\.venv/bin/)?secrets-cache ([a-z][^\n|;&)>]*)", block.text):
                    yield block, shlex.split(match[1])


@pytest.mark.parametrize(("block", "arguments"), [*find_commands()], ids=str)
def test_every_command_that_is_shown_can_be_parsed(block, arguments):
    """In every page."""
    assert make_parser().parse_args(arguments).command


# What runs it as a sidecar.


def read_block(language: str) -> str:
    """Return the one block of a language in the sidecar's page."""
    (block,) = blocks_of(SIDECAR, language)
    return block.text


def parse_command(command: list[str]) -> str:
    """Return which of our commands a command line is."""
    assert "secrets-cache" == command[0]
    return str(make_parser().parse_args(command[1:]).command)


def test_the_pod_has_a_native_sidecar():
    """It is an init container that stays, it is probed by our own command, and nothing of it may be written."""
    pod: dict[str, Any] = yaml.safe_load(read_block("yaml"))
    (sidecar,) = pod["spec"]["initContainers"]
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}

    assert "Always" == sidecar["restartPolicy"]
    assert "serve" == parse_command(["secrets-cache", *sidecar["args"]])
    assert {"health"} == {
        parse_command(sidecar[f"{probe}Probe"]["exec"]["command"]) for probe in ("startup", "readiness")
    }
    assert "livenessProbe" not in sidecar
    assert sidecar["securityContext"]["readOnlyRootFilesystem"]
    assert {mount["name"] for mount in sidecar["volumeMounts"]} <= volumes
    (mount,) = sidecar["volumeMounts"]
    assert f"ENV LAMBDA_TASK_ROOT={mount['mountPath']}\n" in DOCKERFILE
    assert f"USER {sidecar['securityContext']['runAsUser']}:" in DOCKERFILE


def test_the_task_lets_the_application_wait():
    """Until our own server answers, and not until it has everything; both share one network."""
    task = json.loads(read_block("json"))
    sidecar, application = task["containerDefinitions"]

    assert "awsvpc" == task["networkMode"]
    assert "serve" == parse_command(["secrets-cache", *sidecar["command"]])
    assert ["CMD", "/opt/secrets-cache/bin/python3", "-c"] == sidecar["healthCheck"]["command"][:3]
    assert "http://localhost:8080/ping" in sidecar["healthCheck"]["command"][3]
    compile(sidecar["healthCheck"]["command"][3], "healthCheck", "exec")
    assert [{"containerName": sidecar["name"], "condition": "HEALTHY"}] == application["dependsOn"]


def test_the_image_starts_commands_that_exist():
    """Its command and its health check are commands of this program."""
    commands = dict(re.findall(r"^(CMD|HEALTHCHECK .*CMD) (\[.*\])$", DOCKERFILE, re.MULTILINE))
    health, command = map(json.loads, commands.values())

    assert "serve" == parse_command(["secrets-cache", *command])
    assert "health" == parse_command(["secrets-cache", *health[1:]])


def write_unit(tmp_path: Path) -> Path:
    """Write the unit, with a program that this machine has."""
    file = tmp_path / "secrets-cache.service"
    (command,) = re.findall(r"^ExecStart=(.*)", read_block("ini"), re.MULTILINE)
    program, *arguments = shlex.split(command)
    assert "serve" == parse_command(["secrets-cache", *arguments])
    file.write_text(read_block("ini").replace(program, "/bin/true"), encoding="utf-8")
    return file


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="this machine has no systemd")
def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path):
    """No setting is unknown, and the exposure is what systemd calls OK: below 2 of 10."""
    file = write_unit(tmp_path)
    verified = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True, check=False)
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", str(file)]
    secure = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (0, "") == (verified.returncode, verified.stderr)
    assert 0 == secure.returncode, secure.stdout[-300:]


def test_the_unit_allows_what_the_server_does():
    """It sets its own limits, which the group @resources of system calls would forbid; and it tells systemd."""
    lines = read_block("ini").splitlines()

    assert "Type=notify" in lines
    assert not [line for line in lines if line.startswith("SystemCallFilter=~") and "@resources" in line]
    (families,) = (line for line in lines if line.startswith("RestrictAddressFamilies="))
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} <= set(families.partition("=")[2].split())
