"""
The image of tools/release: what its Dockerfile says, what `make image` hands to docker, and what its command does.

There is no engine here. A stand-in for docker keeps the context that it is given; the command runs in a sandbox where
the layer is at /opt, as the image's user, and /etc has only what an engine puts there.
"""

import json
import os
import platform
import shlex
import signal
import stat
import subprocess
import urllib.request
from pathlib import Path

import pytest

from secrets_cache import __version__
from tests.conftest import PATIENCE_SECONDS
from tests.release.test_infrastructure import instructions_of
from tests.release.test_publish import layer_zip
from tests.support.aws_cli import set_up_the_cli
from tests.support.fakes import CANARY
from tests.support.pages import blocks_of
from tools import sandbox
from tools.emulator import MACHINES, ROOT, Log, free_port
from tools.publish import archives
from tools.publish.archives import ARCHITECTURES
from tools.release.image import DOCKER, FOLDER, lay_out, main

LIBRARY = "/usr/local/lib/secrets-cache"
HERE = DOCKER[MACHINES[platform.machine()]]
DOCKER_SCRIPT = """#!/bin/sh
printf '%s\\n' "$@" > {folder}/arguments
for context; do :; done
cp -R -p "$context" {folder}/context
"""


@pytest.fixture(name="instructions", scope="module")
def _instructions() -> list[tuple[str, str]]:
    set_up_the_cli()
    return instructions_of(FOLDER / "Dockerfile")


# The Dockerfile.


def test_it_runs_nothing_and_ends_as_nobody(instructions):
    """One stage from a base with a tag, no RUN, a user by number, and commands that need no shell."""
    (base,) = [value for kind, value in instructions if kind == "FROM"]
    (user,) = [value for kind, value in instructions if kind == "USER"]
    commands = {kind: value for kind, value in instructions if kind in {"ENTRYPOINT", "CMD"}}

    assert base.rpartition("/")[2].count(":") == 1
    assert not base.endswith(":latest")
    assert not {"RUN", "ADD"} & {kind for kind, _ in instructions}
    assert all(int(number) > 0 for number in user.split(":"))
    assert all(isinstance(json.loads(value), list) for value in commands.values())
    assert ["serve"] == json.loads(commands["CMD"])


def test_its_labels_are_those_of_opencontainers(instructions):
    """Title, description, licence, and the version that make image gives."""
    (value,) = [value for kind, value in instructions if kind == "LABEL"]
    labels = dict(word.split("=", 1) for word in shlex.split(value))

    names = ("title", "description", "licenses", "version")
    assert {f"org.opencontainers.image.{name}" for name in names} == set(labels)
    assert "${VERSION}" == labels["org.opencontainers.image.version"]
    assert ("ARG", "VERSION") in instructions


# make image.


class Built:
    """Zips, and a stand-in for docker that keeps what it is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dist = folder / "dist"
        self.dist.mkdir()
        for architecture in ARCHITECTURES:
            (self.dist / archives.name_of(architecture)).write_bytes(layer_zip(architecture))
        self.script = folder / "bin" / "docker"
        self.script.parent.mkdir()
        self.script.write_text(DOCKER_SCRIPT.format(folder=folder))
        self.script.chmod(0o755)

    def run(self, **options: str) -> int:
        """Run the command; return its exit code."""
        given = {"image": "secrets-cache", **options}
        return main([f"--dist={self.dist}", *(f"--{name}={value}" for name, value in given.items())])

    @property
    def arguments(self) -> list[str]:
        """What docker was called with, without the context."""
        return (self.folder / "arguments").read_text().splitlines()[:-1]


@pytest.fixture(name="built")
def _built(tmp_path, monkeypatch) -> Built:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return Built(tmp_path)


def test_the_context_has_what_the_dockerfile_copies(built, instructions):
    """The trees of both architectures, what /metrics needs, and the command; every user of the image can read it."""
    before = os.umask(0o077)
    try:
        assert 0 == built.run(image="ghcr.io/owner/secrets-cache", push="1")
    finally:
        os.umask(before)
    context = built.folder / "context"
    copied = [value.split() for kind, value in instructions if kind == "COPY"]

    for architecture in DOCKER.values():
        for source, _ in copied:
            assert (context / source.replace("${TARGETARCH}", architecture)).exists()
        assert (context / architecture / archives.LAUNCHER).is_file()
    assert [
        ["${TARGETARCH}/", "/opt/"],
        ["packages/", f"{LIBRARY}/"],
        ["secrets-cache", "/usr/local/bin/secrets-cache"],
    ] == copied
    assert (context / "packages" / "prometheus_client" / "__init__.py").is_file()
    assert [*(context / "packages").glob("prometheus_client-*.dist-info/**/LICENSE")]
    for path in context.rglob("*"):
        if path.is_file() and path.is_relative_to(context / "packages"):
            assert 0o644 == stat.S_IMODE(path.stat().st_mode), path
        if path.is_dir():
            assert 0o755 == stat.S_IMODE(path.stat().st_mode), path
    assert 0o755 == stat.S_IMODE((context / "secrets-cache").stat().st_mode)


def test_pushed_it_is_for_both_architectures(built, capfd):
    """With the version of the zips as its tag, and as its label."""
    assert 0 == built.run(image="ghcr.io/owner/secrets-cache", push="1"), capfd.readouterr().err

    assert ["buildx", "build", "--file", str(FOLDER / "Dockerfile"), "--platform", "linux/amd64,linux/arm64"] == (
        built.arguments[:6]
    )
    assert ["--build-arg", f"VERSION={__version__}"] == built.arguments[6:8]
    assert ["--tag", f"ghcr.io/owner/secrets-cache:{__version__}", "--push"] == built.arguments[-3:]


def test_otherwise_it_is_for_this_machine(built, capfd):
    """It is then in this machine's engine; the other architecture's zip need not be there."""
    for architecture in ARCHITECTURES:
        if DOCKER[architecture] != HERE:
            (built.dist / archives.name_of(architecture)).unlink()

    assert 0 == built.run(), capfd.readouterr().err
    assert f"linux/{HERE}" == built.arguments[5]
    assert ["--tag", f"secrets-cache:{__version__}", "--load"] == built.arguments[-3:]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"push": "yes"}, "PUSH: found 'yes'; allowed: 1, or nothing"),
        ({"image": "Secrets"}, "IMAGE: found 'Secrets'; allowed: a name in lower case"),
        ({"image": "secrets-cache:1"}, "IMAGE: found 'secrets-cache:1'; allowed: a name in lower case without a tag"),
        ({"push": "1"}, "IMAGE: found 'secrets-cache'; allowed: a name in lower case without a tag, with its registry"),
    ],
)
def test_a_wrong_value_is_refused(built, capfd, options, said):
    """One line with the variable, what was found and what is allowed; docker is not called."""
    assert 1 == built.run(**options)
    assert capfd.readouterr().err.startswith(f"make image: {said}")
    assert not (built.folder / "arguments").exists()


def test_a_zip_that_is_missing_is_named(built, capfd):
    """And how to make it."""
    (built.dist / archives.name_of("arm64")).unlink()

    assert 1 == built.run(image="localhost:5000/secrets-cache", push="1")
    assert "secrets-cache-layer-arm64.zip yet; make it with: make layer ARCH=arm64" in capfd.readouterr().err


def test_without_docker_there_is_one_line(built, monkeypatch, capfd):
    """It says what is missing."""
    monkeypatch.setenv("PATH", str(built.dist))

    assert 1 == built.run()
    assert "make image: this needs the program 'docker' with buildx, and an engine; 'docker' is not in PATH\n" == (
        capfd.readouterr().err
    )


def test_what_docker_says_stays_and_the_end_says_what_failed(built, capfd):
    """As on a machine with docker and no engine."""
    built.script.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 7\n")

    failed = f"secrets-cache:{__version__}: docker failed with exit code 7; the reason is above"
    assert 1 == built.run()
    assert [
        "Cannot connect to the Docker daemon",
        f"make image: {failed}. It needs a running engine and buildx",
    ] == capfd.readouterr().err.splitlines()


# What the image runs.


class Container:
    """The image's command in a sandbox: its files, its variables, its user, its own /etc; nothing of this process."""

    def __init__(self, opt: Path, folder: Path, instructions: list[tuple[str, str]], environ: dict[str, str]) -> None:
        said = dict(instructions)
        (entry,) = json.loads(said["ENTRYPOINT"])
        user, group = said["USER"].split(":")
        self._variables = {**dict([said["ENV"].split("=", 1)]), "PATH": "/usr/local/bin:/usr/bin:/bin", **environ}
        self._become = f"setpriv --reuid={user} --regid={group} --clear-groups"
        self._opt = opt
        # The folders above are nobody's but ours: what the image has is laid into the sandbox.
        self._prepare = f"""
mount -t tmpfs -o mode=755 none /usr/local/bin
install -m 755 {FOLDER / "secrets-cache"} {entry}
test ! -e {folder / "config.yaml"} || cp {folder / "config.yaml"} /usr/local/bin/config
mount -t tmpfs -o mode=755 none /usr/local/lib
mkdir {LIBRARY}
cp -R {folder / "packages"}/. {LIBRARY}
mount -t tmpfs -o mode=755 none /etc
echo 127.0.0.1 localhost > /etc/hosts
mkdir /etc/secrets-cache
test ! -e /usr/local/bin/config || mv /usr/local/bin/config /etc/secrets-cache/config.yaml
cd /
"""

    def start(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Start a command of the image."""
        assignments = " ".join(shlex.quote(f"{name}={value}") for name, value in self._variables.items())
        script = f"{self._prepare}exec {self._become} /usr/bin/env -i {assignments} {shlex.join(command)}"
        return subprocess.Popen(
            sandbox.command(str(self._opt), ["/bin/sh", "-ec", script], own_network=False),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="to become the image's user takes root")
@pytest.mark.parametrize("has_file", [True, False])
def test_the_image_serves_as_its_user_and_its_health_check_agrees(opt, upstream, tmp_path, instructions, has_file):
    """
    Entry point and command serve what /etc/secrets-cache/config.yaml or a variable lists; the process is not root.

    The image's own health check and that of the page for ECS pass; SIGTERM, which ends a container, ends it with 0.
    """
    upstream.put("db", CANARY)
    port = free_port()
    listed = {"SECRETS_CACHE_SECRETS": "db", "SECRETS_CACHE_PORT": str(port)}
    if has_file:
        (tmp_path / "config.yaml").write_text(f"secrets: [db]\nserver: {{port: {port}}}\n")
        listed = {}
    said = dict(instructions)
    lay_out(tmp_path, [])
    container = Container(
        opt,
        tmp_path,
        instructions,
        {
            "AWS_ENDPOINT_URL": upstream.url,
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "x" * 40,
            **listed,
        },
    )
    process = container.start([*json.loads(said["ENTRYPOINT"]), *json.loads(said["CMD"])])
    assert process.stdout is not None
    log = Log(process.stdout)
    try:
        log.wait_for('"serve.ready"')
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/cache/db", timeout=PATIENCE_SECONDS) as answer:
            assert CANARY == answer.read().decode()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_SECONDS) as answer:
            assert b"secrets_cache_hits_total" in answer.read()
        status = Path(f"/proc/{process.pid}/status").read_text()
        (ids,) = [line.split()[1:] for line in status.splitlines() if line.startswith("Uid:")]
        assert {said["USER"].split(":")[0]} == set(ids)

        check = json.loads(said["HEALTHCHECK"].partition(" CMD ")[2])
        (task,) = blocks_of(ROOT / "docs" / "sidecar.md", "json")
        (sidecar, _) = json.loads(task.text.replace(":8080/", f":{port}/"))["containerDefinitions"]
        of_ecs = sidecar["healthCheck"]["command"]
        for command in (check, of_ecs[1:]):
            probe = container.start(command)
            printed, _ = probe.communicate(timeout=PATIENCE_SECONDS)
            assert 0 == probe.returncode, printed
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(PATIENCE_SECONDS), log.text
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        log.join()
        process.stdout.close()


def test_the_command_is_the_package_command_without_a_shell():
    """It is run by the layer's interpreter as the wrapper is, isolated."""
    lines = (FOLDER / "secrets-cache").read_text(encoding="utf-8").splitlines()
    wrapper = (ROOT / "wrapper" / "get-secrets-layer").read_text(encoding="utf-8").splitlines()

    assert wrapper[0] == lines[0]
    assert "from secrets_cache.cli import main" in lines
    assert os.access(FOLDER / "secrets-cache", os.X_OK)
