"""The examples of the pages run: commands, the answers shown after them, JSON, the files of the example."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from itertools import pairwise

import pytest

from secrets_cache.config import parse
from tests.support.pages import CONFIGURATION, HTTP, PAGES, README, ROOT, Block, blocks_of
from tests.support.upstream import ACCESS_DENIED, Answer, Call, Upstream
from tools import demo
from tools.emulator import free_port

# Set by AWS or by the moment of the request: different in each run.
CHANGING_HEADERS = {"date"}
# No canaries: the pages show these values.
SERVED_SECRETS = {
    "secret_now": demo.SECRET,
    "prod/db": '{"username":"app","password":"Q-4711","port":5432,"hosts":["a.example.com","b.example.com"]}',
    "pin": "12345",
}

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="this machine has no curl")


@pytest.mark.parametrize("block", [b for page in PAGES for b in blocks_of(page, "json")], ids=str)
def test_json_blocks_are_json(block: Block) -> None:
    """What is shown as JSON can be copied."""
    assert json.loads(block.text)


def test_the_wrong_example_is_followed_by_its_problems() -> None:
    """The page shows exactly what the extension logs about a wrong file."""
    blocks = blocks_of(CONFIGURATION)
    ((wrong, shown),) = (pair for pair in pairwise(blocks) if pair[0].text.startswith("# wrong"))
    found = parse(wrong.text.encode(), file="config.yaml", environ={}).problems

    assert [str(problem) for problem in found] == shown.text.splitlines()


@pytest.mark.parametrize(("language", "name"), [("python", "lambda_function.py"), ("yaml", "config.yaml")])
def test_the_readme_shows_the_example_files(language: str, name: str) -> None:
    """What the README shows is what the demo runs."""
    (block,) = blocks_of(README, language)

    lines = (ROOT / "example_function" / name).read_text(encoding="utf-8").splitlines(keepends=True)
    # The line for editors leads to the schema by a path, which only this repository has.
    assert "".join(line for line in lines if not line.startswith("# yaml-language-server: ")) == block.text


def test_every_command_is_of_a_kind_that_is_tested() -> None:
    """A command in a page is make's, with a target that exists, or curl's, `serve` or deploy.sh, which tests run."""
    commands = [command for page in PAGES for block in blocks_of(page, "sh") for command in block.commands]
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert commands
    for command in commands:
        program, *arguments = command.split()
        if program == "make":
            assert {argument for argument in arguments if "=" not in argument and argument[0] not in '"-'} & {*targets}
        else:
            assert command.startswith(("curl ", ".venv/bin/secrets-cache serve ", "bash deploy.sh "))


def refuse_denied(call: Call) -> Answer | None:
    """Refuse the secret that the pages show as refused."""
    return ACCESS_DENIED if call.ids == ["denied"] else None


@contextlib.contextmanager
def serving(command: str) -> Iterator[int]:
    """Run a command that serves, against a stub of Secrets Manager; give its port."""
    with Upstream(fault=refuse_denied) as upstream:
        for name, value in SERVED_SECRETS.items():
            upstream.put(name, value)
        port = free_port()
        environ = {**os.environ, "AWS_ENDPOINT_URL": upstream.url, "SECRETS_CACHE_PORT": str(port)}
        process = subprocess.Popen(
            command, shell=True, cwd=ROOT, env=environ, stdout=subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        try:
            assert any(b'"serve.ready"' in line for line in process.stdout), "it ended before it was ready"
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.communicate()


def find_serve_command() -> str:
    """Return the one command of the README that serves."""
    commands = (command for block in blocks_of(README, "sh") for command in block.commands)
    (command,) = (command for command in commands if command.startswith(".venv/bin/secrets-cache serve "))
    return command


@pytest.fixture(scope="module", name="pages_port")
def _pages_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    config = tmp_path_factory.mktemp("docs") / "config.yaml"
    config.write_text(blocks_of(HTTP, "yaml")[0].text, encoding="utf-8")
    with serving(f".venv/bin/secrets-cache serve --config {config}") as port:
        yield port


def run(command: str, port: int) -> str:
    """Run a command that is shown for port 8080, and return what it prints."""
    assert "http://localhost:8080/" in command
    command = command.replace("localhost:8080", f"localhost:{port}").replace("curl ", "curl --silent --show-error ", 1)
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.replace("\r\n", "\n")


@needs_curl
def test_the_commands_of_the_readme_run() -> None:
    """The commands that serve and ask print the example's secret."""
    commands = [c for block in blocks_of(README, "sh") for c in block.commands if c.startswith("curl ")]
    with serving(find_serve_command()) as port:
        whole, key, health = (run(command, port) for command in commands)

    assert (demo.SECRET, json.loads(demo.SECRET)["username"], "ok") == (whole, key, json.loads(health)["status"])


def find_shown_answers() -> list[tuple[str, Block | None]]:
    """Return the curl commands of the pages under docs, each with the answer shown after its block, if there is one."""
    found: list[tuple[str, Block | None]] = []
    for page in PAGES:
        blocks = [*blocks_of(page), None]
        for block, following in pairwise(blocks):
            if page != README and block is not None and block.language == "sh":
                answer = following if following is not None and following.language == "http" else None
                found += [(command, answer) for command in block.commands if command.startswith("curl ")]
    return found


def normalize(body: str) -> object:
    """Return a body in a form in which neither the layout of JSON nor the age of a secret counts."""
    try:
        parsed = json.loads(re.sub(r'("age_seconds": )[\d.]+', r"\g<1>0", body))
    except ValueError:
        return body.strip()
    return parsed if isinstance(parsed, dict) else body.strip()


@needs_curl
@pytest.mark.parametrize(("command", "shown"), find_shown_answers(), ids=str)
def test_the_answers_that_are_shown_are_the_ones_that_come(command: str, shown: Block | None, pages_port: int) -> None:
    """A command under docs runs; status, headers and body shown after it are what it prints."""
    head, _, body = run(command, pages_port).partition("\n\n")

    assert head.startswith("HTTP/1.1 ")
    if shown is not None:
        shown_head, _, shown_body = shown.text.partition("\n\n")
        status, *headers = head.splitlines()
        shown_status, *shown_headers = shown_head.splitlines()
        received = dict(header.split(": ", 1) for header in headers)

        assert shown_status == status
        for name, value in (header.split(": ", 1) for header in shown_headers):
            assert name in received
            assert name.lower() in CHANGING_HEADERS or value == received[name]
        if shown_body:
            assert normalize(shown_body) == normalize(body)
