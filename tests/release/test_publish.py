"""
`make publish`: the real AWS CLI against moto's server in three regions, with a proxy in between that refuses.

What moto never does (credentials that end half-way, an answer that is no JSON) comes from a stand-in for `aws`.
"""

import itertools
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from secrets_cache import __version__
from tests.support.aws_cli import CLI, Proxy, cli_environ, set_up_the_cli, zip_of
from tests.support.fakes import CANARY
from tests.support.processes import make
from tests.support.releases import VERSION, Releases
from tests.support.upstream import write_certificate
from tools.emulator import ROOT, moto_server
from tools.publish import PublishError, archives, awscli, page, regions, releases, runtimes
from tools.publish.__main__ import main
from tools.publish.archives import ARCHITECTURES
from tools.publish.outcomes import candidates, has_statement
from tools.publish.page import Row

ACCOUNT = "123456789012"
IRELAND, VIRGINIA, TOKYO = REGIONS = ("eu-west-1", "us-east-1", "ap-northeast-1")
X86_64, ARM64 = map(archives.name_of, ARCHITECTURES)
NAMES = (f"layer-{number}" for number in itertools.count(1))
PAGE = ROOT / "docs" / "layer-arns.md"
DENIED = ("AccessDeniedException", "User: arn:aws:iam::123456789012:user/x is not authorized to perform: lambda:X")


def layer_zip(architecture: str, *, version: str = __version__, content: str = "1", **bill: str) -> bytes:
    """Return a small zip with what is read of a layer."""
    machine = {name: number for number, name in archives.MACHINES.items()}[architecture]
    return zip_of({
        archives.LAUNCHER: content,
        archives.INTERPRETER: b"\x7fELF" + bytes(14) + struct.pack("<H", machine) + bytes(44),
        archives.BILL: json.dumps(bill_of(version, **bill)),
    })  # fmt: skip


def bill_of(version: str, interpreter: str = "python-build-standalone", python: str = "3.14.6") -> dict[str, Any]:
    """Return what is read of a bill of materials."""
    properties = [{"name": "secrets-cache:interpreter", "value": interpreter}]
    whole = {"name": "secrets-cache", "version": version, "properties": properties}
    return {"metadata": {"component": whole}, "components": [{"name": "python", "version": python}]}


def arn_of(region: str, layer: str, version: int) -> str:
    """Return the ARN of a layer version."""
    return f"arn:aws:lambda:{region}:{ACCOUNT}:layer:{layer}:{version}"


class Publisher:
    """A layer of its own, zips and a page for it, and the command in this process."""

    def __init__(self, url: str, proxy: Proxy, folder: Path) -> None:
        self.proxy = proxy
        self.layer = next(NAMES)
        self.dist = folder / "dist"
        self.page = folder / "layer-arns.md"
        self.arguments = [f"--layer-name={self.layer}", f"--dist={self.dist}", f"--page={self.page}"]
        self._url = url
        self.dist.mkdir()
        self.lay_out()

    def lay_out(self, **made: str) -> None:
        """Write both zips anew."""
        for architecture in ARCHITECTURES:
            (self.dist / archives.name_of(architecture)).write_bytes(layer_zip(architecture, **made))

    def run(self, *names: str, **options: str) -> int:
        """Run the command; return its exit code."""
        self.proxy.asked.clear()
        given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        return main([f"--regions={' '.join(names)}", *self.arguments, *given])

    def api(self, region: str) -> Any:
        """Return moto's Lambda in a region, asked directly."""
        return boto3.client("lambda", endpoint_url=self._url, region_name=region)

    def published(self, region: str) -> list[tuple[int, str]]:
        """Return number and architecture of each published version."""
        found = self.api(region).list_layer_versions(LayerName=self.layer)["LayerVersions"]
        return sorted((version["Version"], version["CompatibleArchitectures"][0]) for version in found)

    def shared(self, region: str) -> list[int]:
        """Return the numbers of the versions that everyone may use."""
        lambda_ = self.api(region)
        numbers = []
        for number, _ in self.published(region):
            try:
                text = lambda_.get_layer_version_policy(LayerName=self.layer, VersionNumber=number)["Policy"]
            except lambda_.exceptions.ResourceNotFoundException:
                continue
            (statement,) = json.loads(text)["Statement"]
            assert ("secrets-cache-public", "*", "lambda:GetLayerVersion") == (
                statement["Sid"], statement["Principal"], statement["Action"],
            )  # fmt: skip
            numbers.append(number)
        return numbers

    def row(self, region: str, x86_64: int, arm64: int) -> str:
        """Return the page's row for two versions."""
        arns = " | ".join(f"`{arn_of(region, self.layer, version)}`" for version in (x86_64, arm64))
        return f"| {region} | {__version__} | {arns} |"


@pytest.fixture(scope="module", name="aws")
def _aws() -> Iterator[tuple[str, Proxy]]:
    with moto_server() as url, Proxy(url) as proxy:
        yield url, proxy


@pytest.fixture(name="publisher")
def _publisher(aws, tmp_path, monkeypatch) -> Iterator[Publisher]:
    url, proxy = aws
    for name, value in cli_environ(AWS_ENDPOINT_URL=proxy.url).items():
        monkeypatch.setenv(name, value)
    proxy.asked.clear()
    yield Publisher(url, proxy, tmp_path)
    proxy.refuse_in.clear()


# Published.


def test_both_architectures_are_published_and_shared(publisher, capfd):
    """Each is a version of one layer, with its architecture, the runtimes, the project's version and the licence."""
    assert 0 == publisher.run(IRELAND, public="1"), capfd.readouterr().err
    printed = capfd.readouterr()
    listed = publisher.api(IRELAND).list_layer_versions(LayerName=publisher.layer)["LayerVersions"]

    assert [(1, "x86_64"), (2, "arm64")] == publisher.published(IRELAND)
    assert [1, 2] == publisher.shared(IRELAND)
    assert {f"Keeps secrets in memory and serves them on localhost ({__version__})"} == {
        version["Description"] for version in listed
    }
    assert {"Apache-2.0"} == {version["LicenseInfo"] for version in listed}
    assert [list(runtimes.COMPATIBLE)] * 2 == [version["CompatibleRuntimes"] for version in listed]
    for number, architecture in publisher.published(IRELAND):
        archive = archives.read(publisher.dist / archives.name_of(architecture), architecture)
        content = publisher.api(IRELAND).get_layer_version(LayerName=publisher.layer, VersionNumber=number)["Content"]
        assert archive.code_sha256 == content["CodeSha256"]
        arn = arn_of(IRELAND, publisher.layer, number)
        assert f"  {IRELAND} {architecture}: {arn}, shared with everyone\n" in printed.out
    assert "" == printed.err
    assert publisher.row(IRELAND, 1, 2) in publisher.page.read_text().splitlines()


def test_what_is_there_is_not_published_again(publisher, capfd):
    """Also what deploy.sh has published. Without PUBLIC nothing is shared, and nothing asked about it."""
    before = page.render({IRELAND: Row("0.1.0", arn_of(IRELAND, "old", 1), arn_of(IRELAND, "old", 2))})
    publisher.page.write_text(before)
    for architecture in ARCHITECTURES:
        publisher.api(VIRGINIA).publish_layer_version(
            LayerName=publisher.layer,
            Content={"ZipFile": layer_zip(architecture)},
            CompatibleArchitectures=[architecture],
        )
    assert 0 == publisher.run(VIRGINIA), capfd.readouterr().err

    assert [] == publisher.proxy.changing()
    assert [] == [path for _, path, _ in publisher.proxy.asked if path.endswith("/policy")]
    assert [] == publisher.shared(VIRGINIA)
    assert f"  {VIRGINIA} arm64: {arn_of(VIRGINIA, publisher.layer, 2)}\n" in capfd.readouterr().out
    assert [*before.splitlines(), publisher.row(VIRGINIA, 1, 2)] == publisher.page.read_text().splitlines()


@pytest.mark.timeout(360)
def test_regions_that_fail_stop_no_other_and_the_same_command_goes_on(publisher, capfd):
    """
    Of three regions one refuses to publish its second architecture, one to share; the third is complete.

    Each failure is said in AWS's words, what is published and not shared too; the failed regions' rows stay as they
    were. Then the same command does what is missing and nothing else.
    """
    old = Row("0.1.0", arn_of(TOKYO, "old", 1), arn_of(TOKYO, "old", 2))
    other = Row("0.1.0", arn_of("sa-east-1", "old", 1), arn_of("sa-east-1", "old", 2))
    publisher.page.write_text(page.render({TOKYO: old, "sa-east-1": other}))
    publications = itertools.count(1)
    publisher.proxy.refuse_in[VIRGINIA] = lambda method, path: (
        DENIED if method == "POST" and path.endswith("/versions") and next(publications) == 2 else None
    )
    publisher.proxy.refuse_in[TOKYO] = lambda method, path: (
        DENIED if method == "POST" and path.endswith("/policy") else None
    )
    order = (VIRGINIA, TOKYO, IRELAND)

    assert 1 == publisher.run(*order, public="1")
    printed = capfd.readouterr()
    assert [(1, "x86_64"), (2, "arm64")] == publisher.published(IRELAND) == publisher.published(TOKYO)
    assert [(1, "x86_64")] == publisher.published(VIRGINIA)
    assert ([1, 2], [1], []) == tuple(map(publisher.shared, (IRELAND, VIRGINIA, TOKYO)))
    failed = printed.err.splitlines()
    assert 5 == len(failed), printed.err
    assert "failed:" == failed[0]
    assert failed[1].startswith(f"  {VIRGINIA} arm64: An error occurred (AccessDeniedException) when calling")
    for line, number, architecture in zip(failed[2:4], (1, 2), ARCHITECTURES, strict=True):
        arn = arn_of(TOKYO, publisher.layer, number)
        assert line.startswith(
            f"  {TOKYO} {architecture}: published as {arn}, but not shared with everyone: An error occurred"
        )
        assert "is not authorized to perform: lambda:X" in line
    assert "make publish: 3 of 6 layer versions are in place; run the same command again to continue" == failed[4]
    rows = page.parse(publisher.page.read_text(), "page")
    assert {TOKYO: old, "sa-east-1": other} == {region: row for region, row in rows.items() if region != IRELAND}
    assert arn_of(IRELAND, publisher.layer, 1) == rows[IRELAND].x86_64

    publisher.proxy.refuse_in.clear()
    assert 0 == publisher.run(*order, public="1"), capfd.readouterr().err
    below = f"POST /2018-10-31/layers/{publisher.layer}/versions"
    assert sorted([below, f"{below}/2/policy", f"{below}/1/policy", f"{below}/2/policy"]) == sorted(
        publisher.proxy.changing()
    )
    assert [1, 2] == publisher.shared(VIRGINIA) == publisher.shared(TOKYO)
    after = publisher.page.read_text()
    for region in REGIONS:
        assert publisher.row(region, 1, 2) in after.splitlines()
    assert "sa-east-1" in after


def test_a_region_that_does_not_answer_has_one_line_for_each_architecture(publisher, capfd):
    """What cannot even be looked at is not published; there is no row for it."""
    publisher.proxy.refuse_in[IRELAND] = lambda method, path: DENIED

    assert 1 == publisher.run(IRELAND)
    lines = capfd.readouterr().err.splitlines()
    assert [f"  {IRELAND} {architecture}:" for architecture in ARCHITECTURES] == [
        " ".join(line.split(" ")[:4]) for line in lines[1:3]
    ]
    assert [] == publisher.published(IRELAND)
    assert page.render({}) == publisher.page.read_text()


# A release.


@pytest.fixture(name="released")
def _released(monkeypatch) -> Iterator[Releases]:
    """Give the project's releases, of which there is one."""
    with Releases() as released:
        release(released)
        monkeypatch.setenv(releases.VARIABLE, f"{released.base}/")
        yield released


def release(released: Releases, version: str = VERSION) -> None:
    """Let the zips of the release be of this version."""
    released.files = {archives.name_of(one): layer_zip(one, version=version) for one in ARCHITECTURES}
    released.sum_up()


def test_a_release_is_downloaded_checked_and_published(publisher, released, capfd):
    """What is published is the release, whatever is in dist; the page and the description have its version."""
    assert 0 == publisher.run(IRELAND, version=VERSION), capfd.readouterr().err
    listed = publisher.api(IRELAND).list_layer_versions(LayerName=publisher.layer)["LayerVersions"]
    assert all(version["Description"].endswith(f" ({VERSION})") for version in listed)
    assert VERSION == page.parse(publisher.page.read_text(), "page")[IRELAND].version


def test_a_redirect_from_https_to_http_is_refused(publisher, released, tmp_path, monkeypatch, capfd):
    """What is published to everyone must not come over a connection that anybody can change."""
    certificate = write_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Releases(certificate) as encrypted:
        encrypted.faults["SHA256SUMS"] = lambda handler: handler.redirect(f"{released.base}/v{VERSION}/SHA256SUMS")
        monkeypatch.setenv(releases.VARIABLE, encrypted.base)
        assert 1 == publisher.run(IRELAND, version=VERSION)

    assert "could not be downloaded: it redirects to http, without encryption" in capfd.readouterr().err
    assert [] == publisher.published(IRELAND)


NO_ADDRESS = f"{releases.VARIABLE} must be an address such as https://github.com/OWNER/REPOSITORY/releases/download"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"https://user:{CANARY}@localhost", NO_ADDRESS),
        ("file:///etc", NO_ADDRESS),
        (f"https://localhost/?t={CANARY}", NO_ADDRESS),
        ("http://127.0.0.1:1", f"http://127.0.0.1:1/v{VERSION}/SHA256SUMS could not be downloaded: <urlopen error"),
    ],
)
def test_an_address_without_releases_is_refused(publisher, monkeypatch, capfd, address, said):
    """With the reason; what is no address is not shown, for it may hold a password."""
    monkeypatch.setenv(releases.VARIABLE, address)

    assert 1 == publisher.run(IRELAND, version=VERSION)
    assert said in capfd.readouterr().err


def test_another_layers_arns_are_not_those_of_the_projects_page(publisher, capfd):
    """A trial under another name leaves the page as it is."""
    before = PAGE.read_bytes()
    arguments = [one for one in publisher.arguments if not one.startswith("--page")]

    assert 0 == main([*arguments, f"--regions={IRELAND}"])
    assert before == PAGE.read_bytes()
    assert arn_of(IRELAND, publisher.layer, 1) in capfd.readouterr().out


UNKNOWN = rf"/v{VERSION}/SHA256SUMS could not be downloaded: HTTP Error 404: .*; is there a release {VERSION}"
SPOILT: dict[str, tuple[Callable[[Releases], object], str]] = {
    "no such release": (lambda released: released.files.clear(), UNKNOWN),
    "a zip is missing": (
        lambda released: released.files.pop(ARM64),
        rf"{ARM64} could not be downloaded: HTTP Error 404: .*and is SECRETS_CACHE",
    ),
    "another zip": (
        lambda released: released.files.update({ARM64: layer_zip("arm64", version=VERSION, content="2")}),
        rf"{ARM64}: found the sum \w{{64}}; SHA256SUMS has \w{{64}} for it",
    ),
    "another version": (lambda released: release(released, "9.9.8"), rf"found version 9\.9\.8; allowed: {VERSION}"),
    "no sums": (
        lambda released: released.files.update(SHA256SUMS=b"<html>"),
        "SHA256SUMS: line 1: found '<html>'; allowed",
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_release_that_is_not_as_it_should_be_is_not_published(publisher, released, capfd, case):
    """One line, and AWS is not asked."""
    spoil, said = SPOILT[case]
    spoil(released)

    assert 1 == publisher.run(IRELAND, version=VERSION)
    assert re.fullmatch(rf"make publish: nothing was published: .*{said}.*\n", capfd.readouterr().err)
    assert [] == publisher.proxy.asked


@pytest.mark.parametrize("start", ["https://github.com/", "git@github.com:", "ssh://git@github.com/"])
@pytest.mark.parametrize("end", ["", ".git"])
def test_releases_are_where_the_repository_is(start, end):
    """Whatever way git reaches it."""
    origin = f"{start}some-owner/a.repository{end}"

    assert "https://github.com/some-owner/a.repository/releases/download" == releases.address(origin)


@pytest.mark.parametrize("origin", ["", "../elsewhere", "https://gitlab.com/a/b", "https://github.com.example.com/a/b"])
def test_a_repository_elsewhere_needs_the_variable(origin, monkeypatch):
    """The error names it; with it, the repository does not matter."""
    with pytest.raises(PublishError, match=r"set SECRETS_CACHE_RELEASES, such as https://github\.com/OWNER"):
        releases.address(origin)
    monkeypatch.setenv(releases.VARIABLE, "https://example.com/releases/")
    assert "https://example.com/releases" == releases.address(origin)


def test_the_origin_is_what_git_says(tmp_path, monkeypatch):
    """A folder without a repository, and a machine without git, have none."""
    repository = tmp_path / "repository"
    git = ["git", "-C", str(repository)]
    repository.mkdir()
    subprocess.run([*git, "init", "--quiet"], check=True)
    assert "" == releases.origin_of(repository)
    subprocess.run([*git, "remote", "add", "origin", "https://github.com/a/b"], check=True)
    assert "https://github.com/a/b" == releases.origin_of(repository)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "" == releases.origin_of(repository)


# Refused before anything is published.


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"regions": "us-east-1 eu-wst-1"},
            "REGIONS: found 'eu-wst-1' (did you mean eu-west-1?); allowed: AWS regions",
        ),
        ({"regions": "foo, eu-west-1,us-east-9"}, "REGIONS: found 'foo', 'us-east-9' (did you mean us-east-"),
        ({"regions": " "}, 'REGIONS: found none; allowed: names of AWS regions, such as REGIONS="eu-west-1 us-east-1"'),
        ({"public": "yes"}, "PUBLIC: found 'yes'; allowed: 1, or nothing"),
        ({"layer-name": "a b"}, "LAYER_NAME: found 'a b'; allowed: 1 to 140 letters"),
        ({"version": "0.2"}, "VERSION: found '0.2'; allowed: the version of a release, such as 0.2.0"),
        ({"version": "0.2.0/../x"}, "VERSION: found '0.2.0/../x'; allowed"),
    ],
)
def test_a_wrong_value_is_refused(publisher, capfd, given, said):
    """One line with the variable, what was found and what is allowed; AWS is not asked."""
    arguments = {"regions": IRELAND, **given}

    assert 1 == main([*publisher.arguments, *(f"--{name}={value}" for name, value in arguments.items())])
    printed = capfd.readouterr().err
    assert printed.startswith(f"make publish: nothing was published: {said}")
    assert 1 == printed.count("\n")
    assert [] == publisher.proxy.asked
    assert not publisher.page.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (ARM64, None, "arm64.zip yet; make it with: make layer ARCH=arm64"),
        (ARM64, b"PK", "is not the zip of a secrets-cache layer (File is not a zip file)"),
        (ARM64, zip_of({"a": "b"}), "is not the zip of a secrets-cache layer ("),
        (ARM64, layer_zip("x86_64"), "arm64.zip is for x86_64, not for arm64; make it with"),
        (X86_64, layer_zip("x86_64", version="0.1.0"), "allowed: 0.1.0"),
        (
            ARM64,
            layer_zip("arm64", interpreter="local"),
            "holds this machine's own interpreter, which may not run in Lam",
        ),
        (
            ARM64,
            layer_zip("arm64", python="3.13.9"),
            f"has Python 3.13.9, but {X86_64} has 3.14.6; build both with the",
        ),
        ("SHA256SUMS", f"{'0' * 64}  secrets-cache-layer-x86_64.zip\n".encode(), f"SHA256SUMS has {'0' * 64} for it"),
        ("SHA256SUMS", f"{'0' * 64}  something.else\n".encode(), "SHA256SUMS has none for it"),
        ("SHA256SUMS", b"\xff", "SHA256SUMS: line 1: found"),
        ("../layer-arns.md", b"| eu-west-1 | mine |\n", "layer-arns.md: line 1: found '| eu-west-1 | mine |'; allowed"),
        ("../layer-arns.md", b"<<<<<<< HEAD\n", "layer-arns.md: line 1: found '<<<<<<< HEAD'; allowed: one row"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(publisher, capfd, name, content, said):
    """One line with the file and what to do; AWS is not asked."""
    if content is None:
        (publisher.dist / name).unlink()
    else:
        (publisher.dist / name).write_bytes(content)

    assert 1 == publisher.run(IRELAND)
    printed = capfd.readouterr().err
    assert printed.startswith("make publish: nothing was published: ")
    assert said in printed
    assert 1 == printed.count("\n")
    assert [] == publisher.proxy.asked


def test_right_sums_are_no_obstacle(publisher, monkeypatch, capfd):
    """With sums of both zips, the next thing that is missing is the AWS CLI, which is named."""
    sums = [
        f"{archives.read(path, architecture).sha256} *{path.name}\n"
        for architecture in ARCHITECTURES
        for path in [publisher.dist / archives.name_of(architecture)]
    ]
    (publisher.dist / archives.SUMS).write_text("".join(sums))
    known = archives.parse_sums("".join(sums), "sums")

    assert ["x86_64", "arm64"] == [archive.architecture for archive in archives.both(publisher.dist, known)]
    monkeypatch.setenv("PATH", str(publisher.dist))
    assert 1 == publisher.run(IRELAND)
    assert "this needs the program 'aws', which is not in PATH" in capfd.readouterr().err


def test_the_regions_of_all_partitions_are_known():
    """China and GovCloud are AWS too."""
    assert ("cn-north-1", "us-gov-west-1", IRELAND) == regions.parse(f"cn-north-1,us-gov-west-1 {IRELAND} {IRELAND}")


# Credentials, and what moto never does.


@pytest.mark.parametrize("environ", [{}, {"AWS_PROFILE": "nope"}], ids=["none", "no such profile"])
def test_without_credentials_there_is_one_line(publisher, monkeypatch, capfd, environ):
    """No other region is tried then, and the page stays as it is."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert 1 == publisher.run(IRELAND, VIRGINIA)
    printed = capfd.readouterr().err.splitlines()
    assert printed[0].startswith("make publish: stopped: the AWS CLI has no credentials: ")
    assert ["make publish: 0 of 4 layer versions are in place; run the same command again to continue"] == printed[1:]
    assert [] == publisher.proxy.asked
    assert page.render({}) == publisher.page.read_text()


def stand_in(publisher: Publisher, monkeypatch: pytest.MonkeyPatch, **answers: str) -> None:
    """Put a stand-in for `aws` into the PATH: a line of shell for each operation, dashes written as underscores."""
    script = publisher.dist / "aws"
    cases = "".join(f"{name.replace('_', '-')}) {line} ;;\n" for name, line in answers.items())
    script.write_text(f'#!/bin/sh\ncase "$2" in\n{cases}esac\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{publisher.dist}{os.pathsep}{os.environ['PATH']}")


LISTED = """echo '{"LayerVersions": []}'"""
PUBLISHED = f"""echo '{{"LayerVersionArn": "{arn_of(IRELAND, "l", 7)}"}}'"""


def test_credentials_that_end_half_way_leave_nothing_unsaid(publisher, monkeypatch, capfd):
    """Published and not shared is said; no other architecture or region is tried."""
    ended = 'echo "Error loading SSO Token: Token for x does not exist" >&2; exit 255'
    stand_in(
        publisher, monkeypatch, list_layer_versions=LISTED, publish_layer_version=PUBLISHED,
        add_layer_version_permission=ended,
    )  # fmt: skip

    assert 1 == publisher.run(IRELAND, VIRGINIA, public="1")
    printed = capfd.readouterr()
    assert f"  {IRELAND} x86_64: published as {arn_of(IRELAND, 'l', 7)}, but not shared with everyone: " in printed.err
    assert "make publish: stopped: the AWS CLI has no credentials: Error loading SSO Token" in printed.err
    assert "make publish: 0 of 4 layer versions are in place" in printed.err
    assert f"{VIRGINIA} ..." not in printed.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("echo no JSON", "the AWS CLI answered without LayerVersions: 'no JSON\\n'"),
        ("exit 3", "the AWS CLI ended with 3 and said nothing"),
        ("exit 253", "stopped: the AWS CLI has no credentials"),
    ],
)
def test_what_the_cli_should_not_do_is_said(publisher, monkeypatch, capfd, line, said):
    """Whatever it is, it is a failure of that region, in one line."""
    stand_in(publisher, monkeypatch, list_layer_versions=line)

    assert 1 == publisher.run(IRELAND)
    assert said in capfd.readouterr().err


def test_an_interruption_leaves_nothing_unsaid(publisher, monkeypatch):
    """SIGINT while a zip is being published: what is there is said, and how to go on."""
    stand_in(
        publisher, monkeypatch, list_layer_versions=LISTED, publish_layer_version="kill -INT $PPID; exec sleep 600"
    )
    done = subprocess.run(
        [sys.executable, "-m", "tools.publish", f"--regions={IRELAND} {VIRGINIA}", *publisher.arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip

    assert 1 == done.returncode
    assert [
        "failed:",
        f"  {IRELAND} x86_64: interrupted",
        "make publish: stopped: interrupted",
        "make publish: 0 of 4 layer versions are in place; run the same command again to continue",
    ] == done.stderr.splitlines()


def test_a_page_that_cannot_be_written_is_said_after_what_was_done(publisher, monkeypatch, capfd):
    """The report comes first, so that what was published is known."""
    stand_in(publisher, monkeypatch, list_layer_versions=LISTED, publish_layer_version=PUBLISHED)
    publisher.arguments[-1] = f"--page={publisher.dist / 'no' / 'folder.md'}"

    assert 1 == publisher.run(IRELAND)
    printed = capfd.readouterr()
    assert f"  {IRELAND} x86_64: {arn_of(IRELAND, 'l', 7)}\n" in printed.out
    assert (
        "folder.md could not be written: No such file or directory; fix that, and run the same command again"
        in printed.err
    )


def test_make_hands_the_variables_on():
    """The command that users type; nothing is asked of AWS, for the region is none."""
    done = make("--assume-old=.venv/.ready", "publish", "REGIONS=eu-west-1 eu-wst-1", "PUBLIC=1")

    assert 2 == done.returncode
    assert "make publish: nothing was published: REGIONS: found 'eu-wst-1' (did you mean eu-west-1?)" in done.stderr


# What is decided.


def test_versions_to_look_at_are_the_newest_and_those_of_the_same_description():
    """Only of the architecture, the newest first; a layer version need not name an architecture at all."""
    listed = [
        {"Version": number, "CompatibleArchitectures": of, "Description": description}
        for number, of, description in [
            (1, ["arm64"], "ours"),
            (2, ["arm64"], "older"),
            (10, ["x86_64", "arm64"], "other"),
            (11, ["x86_64"], "ours"),
        ]
    ]

    assert [10, 1] == candidates([*listed, {"Version": 12}], "arm64", "ours")
    assert [11] == candidates(listed, "x86_64", "ours")
    assert [] == candidates([], "x86_64", "ours")


def test_a_statement_is_found_by_its_name():
    """A layer version without a policy has none."""
    assert has_statement('{"Statement": [{"Sid": "a"}, {"Sid": "b"}]}', "b")
    assert not has_statement('{"Statement": [{"Sid": "a"}]}', "b")
    assert not has_statement("", "b")


# The page.


def test_the_page_is_sorted_and_read_as_it_was_written():
    """The same rows give the same text, in whatever order they came."""
    rows = {region: Row("1.2.3", arn_of(region, "l", 1), arn_of(region, "l", 2)) for region in REGIONS}
    text = page.render(rows)

    assert rows == page.parse(text, "page")
    assert text == page.render(dict(reversed(rows.items())))
    assert sorted(REGIONS) == re.findall(r"^\| ([a-z]+-[a-z]+-\d) ", text, re.MULTILINE)
    assert f"--region {min(REGIONS)} " in text


def test_a_region_with_two_rows_is_refused():
    """Which one is right cannot be known."""
    row = page.render({IRELAND: Row("1.2.3", "arn:1", "arn:2")}).splitlines()[-1]

    with pytest.raises(PublishError, match="page: line 2: found"):
        page.parse(f"{row}\n{row}\n", "page")


def test_the_page_of_this_repository_is_as_it_is_written():
    """No hand has changed it."""
    text = PAGE.read_text(encoding="utf-8")

    assert page.render(page.parse(text, PAGE.name)) == text


# The table of runtimes, and what deploy.sh has too.


def test_the_runtimes_are_such_as_lambda_takes():
    """Names that Lambda's model has, at most 15 of them, none of them twice."""
    known = boto3.client("lambda", region_name=IRELAND).meta.service_model.shape_for("Runtime").enum
    every = [name for names in runtimes.SUPPORTED.values() for name in names]

    assert set(every) <= set(known)
    assert len(every) == len(set(every))
    assert runtimes.MOST >= len(runtimes.COMPATIBLE)
    assert set(runtimes.COMPATIBLE) <= set(every)


def test_no_runtime_was_deprecated_when_this_version_was_released():
    """By the dates that the locked cfn-lint has from AWS; and what it has as supported is in the table."""
    set_up_the_cli()
    (file,) = CLI.glob("lib/python3*/site-packages/cfnlint/data/AdditionalSpecs/LmbdRuntimeLifecycle.json")
    ends = {name: dates["deprecated"] for name, dates in json.loads(file.read_text()).items()}
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(rf"^## \[{re.escape(__version__)}\] - (\S+)", changelog, re.MULTILINE)[0]
    every = {name for names in runtimes.SUPPORTED.values() for name in names}

    assert {name for name, end in ends.items() if end and end > released} <= every
    assert set() == {name for name in every if ends.get(name, "9999") <= released}


def test_deploy_sh_describes_and_shares_a_layer_in_the_same_words():
    """What one of them has published or shared, the other one finds."""
    text = (ROOT / "deploy.sh").read_text(encoding="utf-8")

    for words in (awscli.DESCRIPTION, f"--license-info {awscli.LICENCE}", awscli.STATEMENT):
        assert words in text
