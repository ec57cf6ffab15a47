"""
deploy.sh --release: what it downloads and checks, and what each failure says, against a releases' page of our own.

All runs have macOS's tools only: an option that only GNU's tools know ends with an error.
"""

import base64
import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_SECONDS
from tests.support.aws_cli import zip_of
from tests.support.deploying import BASH, PROGRAMS, SCRIPT, Lambda, folder_with
from tests.support.fakes import CANARY
from tests.support.pages import MIGRATING
from tests.support.releases import VERSION, ZIPS, Fault, Releases
from tests.support.stub_server import Request
from tests.support.upstream import write_certificate
from tools.emulator import ROOT, free_port

INTEL, ARM = ZIPS
# Options that only GNU's tools have, as patterns of the shell.
GNU_ONLY = {"sed": "--*|-r*|-i*|-z*|-s", "awk": "--*", "base64": "--*|-w*", "mktemp": "--*|-p*", "tail": "--*"}


@pytest.fixture(name="releases")
def _releases() -> Iterator[Releases]:
    with Releases() as releases:
        releases.release("x86_64", "arm64")
        yield releases


class Machine:
    """A machine with macOS's tools, a temporary folder of its own, and deploy.sh."""

    def __init__(self, folder: Path, account: Lambda, releases: Releases) -> None:
        self.account = account
        self.releases = releases
        self.script = SCRIPT
        self.tools = folder / "bin"
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        folder_with(self.tools, *set(PROGRAMS) - {"sha256sum", *GNU_ONLY, "bash"})
        folder_with(self.tools, "aws", "shasum", "curl", "git", "mv", "tr", "cut", "tail")
        (self.tools / "bash").symlink_to(shutil.which(BASH) or BASH)
        for program, refused in GNU_ONLY.items():
            self.wrap(program, f"for one; do case $one in {refused}) echo not here: $one >&2; exit 64 ;; esac; done")

    def wrap(self, program: str, first: str, arguments: str = '"$@"') -> None:
        """Let a program do something else first."""
        real = shlex.quote(shutil.which(program) or program)
        (self.tools / program).unlink(missing_ok=True)
        (self.tools / program).write_text(f"#!/bin/sh\n{first}\nexec {real} {arguments}\n", encoding="utf-8")
        (self.tools / program).chmod(0o755)

    def run(self, *arguments: object, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run deploy.sh; whatever happens, no file is left behind."""
        done = self.account.run(
            *arguments,
            script=self.script,
            bash=(str(self.tools / "bash"),),
            **{
                "PATH": str(self.tools),
                "TMPDIR": str(self.temporary),
                "SECRETS_CACHE_RELEASES": self.releases.base,
                **environ,
            },
        )
        assert [] == list(self.temporary.iterdir())
        return done

    def refused(self, *functions: object, said: str, version: str = VERSION, **environ: str) -> None:
        """Check that a run ends with one line, and that it changed nothing."""
        done = self.run("--release", version, *functions, **environ)

        assert (1, "") == (done.returncode, done.stdout)
        assert re.fullmatch(said, done.stderr.removesuffix("\n")), done.stderr
        assert [] == self.account.proxy.changing()


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, account: Lambda, releases: Releases) -> Machine:
    return Machine(tmp_path, account, releases)


def test_a_release_is_deployed_for_both_architectures(account, machine, releases):
    """Each zip is downloaded once, whatever redirects lead to it, and published as it is. Again: nothing is changed."""
    functions = [account.function(), account.function(Architectures=["arm64"]), account.function()]
    layer = "arn:aws:lambda:eu-west-1:123456789012:layer:released"
    options = ("--layer-name=released", "--release")

    done = machine.run(*options, VERSION, *functions)

    assert (0, "") == (done.returncode, done.stderr)
    assert [[f"{layer}:1"], [f"{layer}:2"], [f"{layer}:1"]] == [account.layers(name) for name in functions]
    assert ["SHA256SUMS", INTEL, ARM] == releases.downloaded()
    assert 2 == done.stdout.splitlines().count("  add layer released, a new version from release 1.2.3")
    for number, name in enumerate(ZIPS, start=1):
        found = account.api.get_layer_version(LayerName="released", VersionNumber=number)
        digest = hashlib.sha256(releases.files[name]).digest()
        assert base64.b64encode(digest).decode() == found["Content"]["CodeSha256"]
        assert [ZIPS[name]] == found["CompatibleArchitectures"]

    again = machine.run(*options, f"v{VERSION}", functions[0])

    assert (0, "") == (again.returncode, again.stderr)
    assert [] == account.proxy.changing()


def test_the_command_of_the_migration_swaps_the_layers(account, machine):
    """As docs/migrating.md shows it: AWS's layer goes, this one takes its place, all else stays."""
    (command,) = re.findall(r"^bash deploy\.sh (.+) my-function$", MIGRATING.read_text("utf-8"), re.MULTILINE)
    awss = account.publish("AWS-Parameters-and-Secrets-Lambda-Extension", zip_of({"extensions/bootstrap": "AWS's"}))
    variables = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "2773"}
    name = account.function(variables, Layers=[awss, account.others[0]])

    done = machine.run("--layer-name=ours", *command.replace("0.2.0", VERSION).split(), name)

    assert (0, "") == (done.returncode, done.stderr)
    assert ["arn:aws:lambda:eu-west-1:123456789012:layer:ours:1", account.others[0]] == account.layers(name)
    assert variables == account.variables(name)


def test_a_dry_run_downloads_and_changes_nothing(account, machine, releases):
    """What would be published has to be known. A failure that passes is tried again."""
    name = account.function()
    answers = iter([503])

    def once(handler: Request) -> None:
        for status in answers:
            return handler.answer(status, b"")
        return handler.answer(200, releases.files["SHA256SUMS"])

    releases.faults["SHA256SUMS"] = once
    done = machine.run("--layer-name=dry", "--dry-run", "--release", VERSION, name)

    assert (0, "") == (done.returncode, done.stderr)
    assert ["SHA256SUMS", "SHA256SUMS", INTEL] == releases.downloaded()
    assert "  add layer dry, a new version from release 1.2.3" in done.stdout.splitlines()
    assert [] == account.proxy.changing()


def test_removing_downloads_nothing(account, machine, releases):
    """The same command with --remove takes the layer out."""
    name = account.function()
    done = machine.run("--remove", "--release", VERSION, name)

    assert (0, "", []) == (done.returncode, done.stderr, releases.asked)


# The command of the release, for --grant.

WHEEL = f"lambda_secrets_cache-{VERSION}-py3-none-any.whl"


@pytest.fixture(name="wheel")
def _wheel(machine: Machine, releases: Releases) -> None:
    """Let the release have the package, and the machine a Python without any module but its own."""
    package = ROOT / "secrets_cache"
    releases.files[WHEEL] = zip_of({str(p.relative_to(ROOT)): p.read_text("utf-8") for p in package.rglob("*.py")})
    releases.sum_up()
    machine.script = stamped(machine.tools.parent / "alone", releases.base)
    (machine.tools / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n', encoding="utf-8")
    (machine.tools / "python3").chmod(0o755)


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    config = tmp_path / "config.yaml"
    config.write_text("secrets: [db]", encoding="utf-8")
    return config


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize("other", [None, "echo another program"])
def test_grant_runs_the_command_of_the_release(account, machine, releases, config, other):
    """Where none is installed: as it is in the wheel, whose sum is checked. Nothing is installed, or left behind."""
    name = account.function()
    if other:
        (machine.tools / "secrets-cache").write_text(f"#!/bin/sh\n{other}\n", encoding="utf-8")
        (machine.tools / "secrets-cache").chmod(0o755)

    done = machine.run("--release", VERSION, "--grant", config, name)

    assert (0, "") == (done.returncode, done.stderr)
    assert ["SHA256SUMS", WHEEL, INTEL] == releases.downloaded()
    found = account.iam.get_role_policy(RoleName="reader", PolicyName=f"secrets-cache-{name}")["PolicyDocument"]
    assert "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-??????" in str(found)


@pytest.mark.usefixtures("wheel")
def test_a_file_that_needs_more_than_python_alone(account, machine, releases, config):
    """What plain YAML does not have is read by PyYAML: without it, one line says what to install."""
    config.write_text("secrets: &all [db]\nallow: *all\n", encoding="utf-8")
    name = account.function()

    done = machine.run("--release", VERSION, "--grant", config, name)

    address = f"{releases.base}/v{VERSION}/{WHEEL}"
    assert [
        f"deploy.sh: this python3 has no module yaml; install the command: pipx install {address}",
        f"deploy.sh: {name}: nothing was granted for {config}; the reason is above",
    ] == done.stderr.splitlines()
    assert (1, []) == (done.returncode, account.proxy.changing())


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize("python", [None, "exit 2"])
def test_grant_with_a_release_and_without_a_python_that_knows_it(machine, releases, python):
    """One line has the address of the file to install: no package index needs to know the project."""
    (machine.tools / "python3").unlink()
    if python:
        (machine.tools / "python3").write_text(f"#!/bin/sh\n{python}\n", encoding="utf-8")
        (machine.tools / "python3").chmod(0o755)

    address = re.escape(f"{releases.base}/v{VERSION}/{WHEEL}")
    machine.refused(
        *("--grant=config.yaml", "f"),
        said="deploy.sh: --grant needs this project's command 'secrets-cache', which is not in PATH; install "
        f"Python 3.11 or newer as python3, or the command: pipx install {address}",
    )


@pytest.mark.usefixtures("wheel")
def test_a_wheel_with_another_sum_is_not_run(machine, releases):
    """A file that is not the release's is told, and deleted."""
    releases.faults[WHEEL] = is_damaged

    machine.refused(
        "--grant=config.yaml", "f", said=rf"deploy\.sh: --grant: \S+/{WHEEL} is damaged, and was deleted: .*"
    )


# What fails.

DAMAGED = b"<html>Sign in to the network</html>"


def ends_early(handler: Request) -> None:
    """Send less than was announced."""
    handler.answer(200, b"PK", length=1000)


def is_damaged(handler: Request) -> None:
    """Send something else than the file."""
    handler.answer(200, DAMAGED)


def redirects_for_ever(handler: Request) -> None:
    """Redirect to the same address."""
    handler.redirect(handler.path)


def redirects_to_a_file(handler: Request) -> None:
    """Redirect to the reader's own disk."""
    handler.redirect("file:///etc/hostname")


def status(code: int) -> Fault:
    """Return what answers with a status."""
    return lambda handler: handler.answer(code, b"")


AGAIN = r"Try again, or download the layer's zip another way and use --zip"
SUMS = "<address>/SHA256SUMS"
FAULTS: dict[str, tuple[str, Fault, str]] = {
    "no sums": (
        "SHA256SUMS",
        status(404),
        rf"{SUMS} was not found \(404\): no release 1\.2\.3, or none with this file\. Check the version, and the .*",
    ),
    "no zip": (INTEL, status(404), r"<name>: <address>/<zip> was not found \(404\): .*"),
    "no access": ("SHA256SUMS", status(403), rf"{SUMS} could not be downloaded: .*403\. {AGAIN}"),
    "an error that stays": (INTEL, status(503), rf"<name>: <address>/<zip> could not be downloaded: .*503\. {AGAIN}"),
    "an early end": (INTEL, ends_early, rf"<name>: <address>/<zip> could not be downloaded: .*998 .*\. {AGAIN}"),
    "another file": (
        INTEL,
        is_damaged,
        r"<name>: <address>/<zip> is damaged, and was deleted: its SHA-256 is <found>, but SHA256SUMS says <sum>\. .*",
    ),
    "a page instead of the sums": (
        "SHA256SUMS",
        is_damaged,
        rf"<name>: {SUMS} has no SHA-256 of <zip>, so it was not downloaded; choose another release",
    ),
    "redirects without end": (INTEL, redirects_for_ever, r"<name>: <address>/<zip> could not .*redirects.*"),
    "a redirect to a file": (INTEL, redirects_to_a_file, r'<name>: <address>/<zip> could not .*"file" not.*'),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_release_that_cannot_be_used(account, machine, releases, case):
    """One line says what, at which address, and what to do; nothing is published or changed, and no file is left."""
    name = account.function()
    path, fault, said = FAULTS[case]
    releases.faults[path] = fault
    facts = {
        "<address>": re.escape(f"{releases.base}/v{VERSION}"),
        "<found>": hashlib.sha256(DAMAGED).hexdigest(),
        "<sum>": hashlib.sha256(releases.files[INTEL]).hexdigest(),
        "<name>": name,
        "<zip>": re.escape(INTEL),
    }

    machine.refused(name, said=r"deploy\.sh: " + re.sub("|".join(facts), lambda found: facts[found[0]], said))


def test_a_release_that_does_not_exist(machine, releases):
    """The address that was asked is named."""
    said = rf"deploy\.sh: {re.escape(releases.base)}/v9\.9\.9/SHA256SUMS was not found .*"
    machine.refused("f", version="9.9.9", said=said)


def test_sums_without_the_file(account, machine, releases):
    """A release may lack an architecture: nothing is asked for that has no sum."""
    arm = account.function(Architectures=["arm64"])
    data = releases.files.pop(ARM)
    releases.sum_up()
    releases.files[ARM] = data

    machine.refused(
        arm, said=rf"deploy\.sh: {arm}: \S+/SHA256SUMS has no SHA-256 of {ARM}, so it was not downloaded; .*"
    )
    assert ["SHA256SUMS"] == releases.downloaded()


def test_sums_as_other_tools_write_them(account, machine, releases):
    """With a star for binary, and with the line ends of Windows."""
    releases.files["SHA256SUMS"] = releases.files["SHA256SUMS"].replace(b"  ", b" *").replace(b"\n", b"\r\n")
    done = machine.run("--dry-run", "--release", VERSION, account.function())

    assert (0, "") == (done.returncode, done.stderr)


def test_a_zip_that_is_not_the_layer(account, machine, releases):
    """The sum is right, and the content is not."""
    name = account.function()
    releases.files[INTEL] = zip_of({"python/a.py": "a"})
    releases.sum_up()

    machine.refused(name, said=rf"deploy\.sh: {name}: 'release 1\.2\.3' is not the zip of a secrets-cache layer; .*")


def test_a_server_that_is_not_there(machine):
    """Refused connections are told with the address."""
    base = f"http://127.0.0.1:{free_port()}/x"
    machine.refused(
        "f",
        SECRETS_CACHE_RELEASES=base,
        said=rf"deploy\.sh: {base}/v1\.2\.3/SHA256SUMS could not be downloaded: .*onnect.*\. {AGAIN}",
    )


def test_a_server_that_does_not_answer(machine, releases):
    """The wait for a connection, and for a whole download, are bounded; the test makes the longer bound short."""
    bounded = 'case " $* " in *" --connect-timeout 10 --max-time 300 "*) ;; *) exit 99 ;; esac'
    machine.wrap("curl", bounded, '"$@" --max-time 1')
    ended = threading.Event()
    releases.faults["SHA256SUMS"] = lambda _: ended.wait(PATIENCE_SECONDS) and None
    try:
        machine.refused("f", said=rf"deploy\.sh: \S+/SHA256SUMS could not be downloaded: .*timed out.*\. {AGAIN}")
    finally:
        ended.set()


def test_a_failed_download_is_not_repeated_and_stops_no_other_architecture(account, machine, releases):
    """The second function of that architecture is told that it was not changed, and why."""
    first, arm, second = account.function(), account.function(Architectures=["arm64"]), account.function()
    releases.faults[INTEL] = status(404)

    done = machine.run("--layer-name=halves", "--release", VERSION, first, arm, second)

    lines = done.stderr.splitlines()
    assert (1, 3) == (done.returncode, len(lines))
    assert f"deploy.sh: {first}: {releases.base}/v{VERSION}/{INTEL} was not found (404)" in lines[0]
    assert f"deploy.sh: {second}: not changed: the zip for x86_64 could not be used; the reason is above" == lines[1]
    assert "deploy.sh: 2 of 3 functions failed; the reasons are above" == lines[2]
    assert ["SHA256SUMS", INTEL, ARM] == releases.downloaded()
    assert [0, 1, 0] == [len(account.layers(name)) for name in (first, arm, second)]


def test_ended_in_the_middle_of_a_download(machine, releases):
    """Nothing is left behind then either."""
    asked, ended = threading.Event(), threading.Event()

    def hang(_: Request) -> None:
        asked.set()
        ended.wait(PATIENCE_SECONDS)

    releases.faults["SHA256SUMS"] = hang
    process = subprocess.Popen(
        [str(machine.tools / "bash"), str(SCRIPT), "--release", VERSION, "f"],
        env={"PATH": str(machine.tools), "TMPDIR": str(machine.temporary), "SECRETS_CACHE_RELEASES": releases.base},
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert asked.wait(PATIENCE_SECONDS)
        assert [] != list(machine.temporary.iterdir())
        os.killpg(process.pid, signal.SIGTERM)
        assert 1 == process.wait(PATIENCE_SECONDS)
    finally:
        ended.set()
        process.kill()
        process.wait()
    assert [] == list(machine.temporary.iterdir())


# Where the releases are.


@pytest.fixture(name="certificate")
def _certificate(tmp_path: Path) -> Path:
    return write_certificate(tmp_path)


def test_https_redirects_to_https_only(account, machine, certificate):
    """An address with https gives no file without: not even one with the right sum."""
    name = account.function()
    with Releases(certificate) as secure:
        secure.files = machine.releases.files
        secure.faults[ARM] = secure.faults[INTEL] = lambda handler: handler.redirect(
            f"{machine.releases.url}/assets/{INTEL}"
        )
        # The certificate is for 127.0.0.1.
        secure.faults["SHA256SUMS"] = lambda handler: handler.answer(200, secure.files["SHA256SUMS"])
        trusted = {"SECRETS_CACHE_RELEASES": secure.base, "CURL_CA_BUNDLE": str(certificate)}
        machine.refused(
            name, said=r'deploy\.sh: .* could not be downloaded: .*"http" (not supported|disabled).*', **trusted
        )
    assert [] == machine.releases.asked


def test_a_certificate_that_is_not_trusted(machine, certificate, tmp_path):
    """Not used, and what ~/.curlrc says does not change that."""
    (tmp_path / ".curlrc").write_text("insecure\n", encoding="utf-8")
    with Releases(certificate) as secure:
        environ = {"SECRETS_CACHE_RELEASES": secure.base, "HOME": str(tmp_path), "CURL_HOME": str(tmp_path)}
        machine.refused("f", said=r"deploy\.sh: \S+ could not be downloaded: .*certificate.*", **environ)


def stamped(folder: Path, address: str) -> Path:
    """Write a release's own copy of the script: the one line is replaced."""
    lines = SCRIPT.read_text(encoding="utf-8").split("\n")
    assert 1 == lines.count("RELEASES=''")
    lines[lines.index("RELEASES=''")] = f"RELEASES='{address}'"
    folder.mkdir()
    copy = folder / "deploy.sh"
    copy.write_text("\n".join(lines), encoding="utf-8")
    return copy


def test_the_script_that_a_release_ships(account, machine, releases, tmp_path):
    """Alone in a folder, it downloads from the address that was written into it. The variable overrides that."""
    name = account.function()
    machine.script = stamped(tmp_path / "alone", releases.base)

    done = machine.run("--layer-name=alone", "--release", VERSION, name, SECRETS_CACHE_RELEASES="")

    assert (0, "") == (done.returncode, done.stderr)
    assert 1 == len(account.layers(name))

    other = f"http://127.0.0.1:{free_port()}/x"
    machine.refused("f", SECRETS_CACHE_RELEASES=f"{other}/", said=rf"deploy\.sh: {other}/v1\.2\.3/SHA256SUMS could .*")


OURS = "https://github.com/owner-1/the.repo/releases/download"
ORIGINS = {
    "https://github.com/owner-1/the.repo": OURS,
    "https://github.com/owner-1/the.repo.git": OURS,
    "https://github.com/owner-1/the.repo/": OURS,
    f"https://me:{CANARY}@github.com/owner-1/the.repo.git": OURS,
    "ssh://git@github.com/owner-1/the.repo.git": OURS,
    "ssh://git@ssh.github.com:443/owner-1/the.repo": OURS,
    "git@github.com:owner-1/the.repo.git": OURS,
    "git@github.com:owner-1/the.repo": OURS,
    "github.com:owner-1/the.repo.git": OURS,
    "": None,
    "/srv/git/repo.git": None,
    "https://gitlab.com/owner-1/the.repo": None,
    "https://github.com.example.org/owner-1/the.repo": None,
    "https://notgithub.com/owner-1/the.repo": None,
    "https://example.org/github.com/owner-1/the.repo": None,
    "https://example.org:x@github.com.example.org/o/r": None,
    "git@example.org:github.com/owner-1/the.repo": None,
    "https://github.com/owner-1": None,
    "https://github.com/owner-1/the.repo/tree/main": None,
}
UNKNOWN = (
    "deploy.sh: --release: the address of the releases is not known; set SECRETS_CACHE_RELEASES to it, such as "
    "https://github.com/OWNER/REPO/releases/download"
)


@pytest.fixture(name="clone")
def _clone(machine: Machine, tmp_path: Path) -> Path:
    """Make a repository of the project; curl only shows what it is asked for."""
    clone = tmp_path / "clone"
    (clone / "secrets_cache").mkdir(parents=True)
    (clone / "secrets_cache" / "__init__.py").touch()
    shutil.copy(SCRIPT, clone)
    git(clone, "init", "--quiet")
    machine.script = clone / "deploy.sh"
    machine.wrap("curl", 'echo "curl: (0) asked: $*" >&2; printf 000; exit 6')
    return clone


def git(clone: Path, *arguments: str) -> None:
    """Run git in a clone."""
    subprocess.run(["git", "-C", str(clone), *arguments], check=True)


@pytest.mark.parametrize(("origin", "base"), ORIGINS.items())
def test_the_address_from_the_origin_of_the_clone(machine, clone, origin, base):
    """A repository on GitHub, by https, ssh or as scp writes it; nothing that only looks like one."""
    if origin:
        git(clone, "remote", "add", "origin", origin)
    asked = rf".* asked: .* {base}/v1\.2\.3/SHA256SUMS\..*" if base else re.escape(UNKNOWN)

    machine.refused("f", SECRETS_CACHE_RELEASES="", said=asked)


def test_a_copy_in_another_repository_does_not_ask_that_ones_releases(machine, clone):
    """Whose function it is has its own origin, with its own releases."""
    git(clone, "remote", "add", "origin", "https://github.com/owner-1/the.repo")
    shutil.rmtree(clone / "secrets_cache")

    machine.refused("f", SECRETS_CACHE_RELEASES="", said=re.escape(UNKNOWN))


@pytest.mark.parametrize(
    "address", ["ftp://example.org", "file:///x", "example.org/x", f"https://me:{CANARY}@example.org", "https://a/ b"]
)
def test_an_address_that_is_none(machine, address):
    """Refused, and not shown: it may hold a password."""
    said = r"deploy\.sh: SECRETS_CACHE_RELEASES must be an address such as https://\S+, without a user name and .*"
    machine.refused("f", SECRETS_CACHE_RELEASES=address, said=said)
