"""`make release`, in a clone of the project: what must agree first, what is built, that it is the same each time."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from secrets_cache import __version__
from tools.emulator import ROOT, built_layer
from tools.layer.interpreter import Interpreter
from tools.release.__main__ import compare, distribution, zips_in
from tools.release.checks import ReleaseError

UV = ROOT / ".venv" / "bin" / "uv"
LAYERS = ("secrets-cache-layer-arm64.zip", "secrets-cache-layer-x86_64.zip")
REPOSITORY = "somebody/secrets-cache"

# A layer of each architecture is built.
pytestmark = pytest.mark.timeout(600)


class Clone:
    """A clone of what is committed, with this project's environments and interpreters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", "--no-local", "--depth", "1", f"file://{ROOT}", folder], check=True)
        # What is being worked on counts as committed.
        changed = self.git("diff", "HEAD", "--binary", at=ROOT)
        subprocess.run(["git", "-C", folder, "apply", "--allow-empty"], input=changed, text=True, check=True)
        for name in self.git("ls-files", "--others", "--exclude-standard", at=ROOT).splitlines():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        (folder / ".git" / "info" / "exclude").write_text(".venv\n.cache\n")
        for name in (".venv", ".cache"):
            (folder / name).symlink_to(ROOT / name)
        for name, value in (("user.name", "somebody"), ("user.email", "somebody@example.com")):
            self.git("config", name, value)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "What is released")
        self.git("remote", "set-url", "origin", f"git@github.com:{REPOSITORY}.git")

    def git(self, *arguments: str, at: Path | None = None) -> str:
        """Run git in the clone, or elsewhere."""
        command = ["git", "-C", str(at or self.folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def release(
        self, version: str = __version__, *, umask: int = -1, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run `make release`; the environments are as they are."""
        done = ["-o", ".venv/.ready", "-o", ".venv/release/.ready"]
        given = [f"{name}={value}" for name, value in variables.items()]
        environ = {
            name: value
            for name, value in os.environ.items()
            if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON_VERSION"}
        }
        return subprocess.run(
            ["make", "--no-print-directory", "release", f"VERSION={version}", *given, *done],
            cwd=self.folder, env=environ, umask=umask, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def files(self) -> dict[str, bytes]:
        """Return what the release holds, by name."""
        return {file.name: file.read_bytes() for file in (self.folder / "dist").iterdir()}


@pytest.fixture(name="only_clone", scope="module")
def _only_clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("refused") / "clone")


@pytest.fixture(name="clone")
def _clone(only_clone: Clone) -> Iterator[Clone]:
    """Give a clone, which is afterwards as it was before."""
    before = only_clone.git("rev-parse", "HEAD").strip()
    yield only_clone
    only_clone.git("reset", "--quiet", "--hard", before)
    only_clone.git("clean", "--quiet", "-d", "--force")
    for tag in only_clone.git("tag").split():
        only_clone.git("tag", "--delete", tag)
    shutil.rmtree(only_clone.folder / "dist", ignore_errors=True)


@pytest.fixture(name="released", scope="module")
def _released(real: Interpreter, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """
    Give a clone with a release in dist/, of the interpreter that the layer under test has.

    It has the bytes of the layers under test, though folder, umask, time zone, date, seed of hashes and `strip` differ.
    """
    folder = tmp_path_factory.mktemp("released") / "test" / "er"
    folder.mkdir(parents=True)
    (folder / "strip").write_text("#!/bin/sh\nfor last; do :; done; echo ruined >>$last\n")
    (folder / "strip").chmod(0o755)
    clone = Clone(folder / "clone")
    done = clone.release(
        umask=0o077,
        PYTHON_VERSION=real.title.split()[1],
        COMPARE=str(built_layer().parent),
        PATH=f"{folder}:{os.environ['PATH']}",
        PYTHONHASHSEED="7",
        SOURCE_DATE_EPOCH="86400",
        TZ="Asia/Tokyo",
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert done.stdout.endswith(
        f"{__version__} is built, in dist/.\n"
        f"deploy.sh --release downloads from https://github.com/{REPOSITORY}/releases/download.\n"
    )
    return clone


# What is built.


def test_a_release_holds_all_that_is_promised(released):
    """Layers, bills of materials, the Python distribution, the script, the notes; and the sums of all but the notes."""
    files = released.files()
    sums = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].decode().splitlines())

    assert {
        *LAYERS,
        "SHA256SUMS",
        "deploy.sh",
        f"lambda_secrets_cache-{__version__}-py3-none-any.whl",
        f"lambda_secrets_cache-{__version__}.tar.gz",
        "release-notes.md",
        "sbom-arm64.cdx.json",
        "sbom-x86_64.cdx.json",
    } == set(files)
    assert {n: hashlib.sha256(files[n]).hexdigest() for n in set(files) - {"SHA256SUMS", "release-notes.md"}} == sums
    for arch in ("arm64", "x86_64"):
        with zipfile.ZipFile(released.folder / "dist" / f"secrets-cache-layer-{arch}.zip") as archive:
            assert archive.read("secrets-cache/sbom.cdx.json") == files[f"sbom-{arch}.cdx.json"]
    assert __version__ == json.loads(files["sbom-arm64.cdx.json"])["metadata"]["component"]["version"]


def test_the_notes_are_the_changelogs(released):
    """The entry of the version, without its heading."""
    notes = released.files()["release-notes.md"].decode()
    changelog = (released.folder / "CHANGELOG.md").read_text()

    assert notes.strip() in changelog
    assert "### Added" in notes
    assert f"[{__version__}]" not in notes


def test_the_script_knows_where_its_releases_are(released):
    """It is the project's deploy.sh in all but one line, and can be run."""
    script = released.folder / "dist" / "deploy.sh"
    before, after = (ROOT / "deploy.sh").read_text().splitlines(), script.read_text().splitlines()
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]

    assert [("RELEASES=''", f"RELEASES='https://github.com/{REPOSITORY}/releases/download'")] == changed
    assert 0o755 == script.stat().st_mode & 0o777


def test_the_wheel_installs_the_command(released, tmp_path):
    """In an environment of its own: the distribution is lambda-secrets-cache, the command secrets-cache."""
    (wheel,) = (released.folder / "dist").glob("*.whl")
    subprocess.run([UV, "venv", "--quiet", tmp_path / "new"], check=True)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", tmp_path / "new", wheel], check=True)
    said = subprocess.run([tmp_path / "new" / "bin" / "secrets-cache", "--version"], capture_output=True, check=True)

    assert f"secrets-cache {__version__}\n".encode() == said.stdout


def test_the_python_distribution_holds_the_package_and_nothing_of_the_rest(released):
    """No tests, no workflows, no benchmarks."""
    (wheel,), (sdist,) = ((released.folder / "dist").glob(pattern) for pattern in ("*.whl", "*.tar.gz"))
    with zipfile.ZipFile(wheel) as archive, tarfile.open(sdist) as tar:
        wheel_places = {name.split("/")[0] for name in archive.namelist()}
        sdist_places = {name.split("/")[1] for name in tar.getnames()}

    assert {"secrets_cache", f"lambda_secrets_cache-{__version__}.dist-info"} == wheel_places
    assert {
        *("secrets_cache", "README.md", "CHANGELOG.md", "LICENSE"), *("pyproject.toml", "PKG-INFO", ".gitignore"),
    } == sdist_places  # fmt: skip


def test_the_python_distribution_built_again_has_the_same_bytes(released, tmp_path):
    """Of another folder, umask and date. That the layers have them too is what COMPARE has checked."""
    distribution(tmp_path)

    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()}.items() <= released.files().items()


# What is refused, before anything is built.


def replaced(name: str, old: str, new: str) -> Callable[[Clone], None]:
    """Return what replaces a text in a file of a clone, and commits that."""

    def change(clone: Clone) -> None:
        text = (clone.folder / name).read_text()
        assert old in text
        (clone.folder / name).write_text(text.replace(old, new))
        clone.git("commit", "--quiet", "--all", "--message", "Something else")

    return change


def tag_as_another(clone: Clone) -> None:
    """Give the commit the tag of another version."""
    clone.git("tag", "--annotate", "--message", "Older", "v0.1.9")


def add_a_file(clone: Clone) -> None:
    """Add a file that is not committed."""
    (clone.folder / "new.txt").write_text("x")


def tag_and_go_on(clone: Clone) -> None:
    """Tag the commit, and add another one."""
    clone.git("tag", f"v{__version__}")
    clone.git("commit", "--quiet", "--allow-empty", "--message", "One more")


CHANGELOG_LINE = f"## [{__version__}] - "
REFUSED: dict[str, tuple[Callable[[Clone], None], str]] = {
    "another version in the package": (
        replaced("secrets_cache/__init__.py", f'"{__version__}"', '"9.9.9"'),
        f"secrets_cache/__init__.py says 9.9.9, but VERSION is {__version__}: change one of them",
    ),
    "another version in one of two places of a file": (
        replaced("docs/sidecar.md", f"secrets-cache:{__version__} check", "secrets-cache:0.0.1 check"),
        f"docs/sidecar.md says 0.0.1, but VERSION is {__version__}: change one of them",
    ),
    "no entry in the changelog": (
        replaced("CHANGELOG.md", CHANGELOG_LINE, "## [0.0.9] - "),
        f"CHANGELOG.md says nothing of {__version__}: write its entry, '## [{__version__}] - YYYY-MM-DD'",
    ),
    "an entry without a date": (
        replaced("CHANGELOG.md", CHANGELOG_LINE, f"## [{__version__}] - Unreleased, was "),
        "CHANGELOG.md: found '",
    ),
    "a newer entry": (
        replaced("CHANGELOG.md", CHANGELOG_LINE, f"## [Unreleased]\n\n- More.\n\n{CHANGELOG_LINE}"),
        f"CHANGELOG.md: the newest entry is '[Unreleased]', not that of {__version__}: move or date it",
    ),
    "a file that is not committed": (
        add_a_file,
        "not committed: new.txt; commit it, or remove it: a release is made of a commit",
    ),
    "the tag of another version": (tag_as_another, f"this commit has the tag v0.1.9, not v{__version__}: make release"),
    "the tag at another commit": (tag_and_go_on, f"the tag v{__version__} is at "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_disagrees_is_refused(clone, name):
    """In one line that says what, where, and what to do; nothing is built."""
    prepare, words = REFUSED[name]
    prepare(clone)
    done = clone.release()

    assert 2 == done.returncode
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert [True] == [line.startswith(f"make release: {words}") for line in lines], done.stderr
    assert not (clone.folder / "dist").exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"VERSION": ""}, "VERSION is missing; such as: make release VERSION=0.2.0"),
        ({"VERSION": "1.2"}, "VERSION: found '1.2'; allowed: X.Y.Z, such as 0.2.0"),
        ({"VERSION": "v1;touch hurt;`touch hurt`"}, "VERSION: found 'v1;touch hurt;`touch hurt`'; allowed"),
        ({"REPOSITORY": "no repository"}, "REPOSITORY: found 'no repository'; allowed: OWNER/NAME"),
        ({"PYTHON_VERSION": "3.14.99"}, "uv knows no cpython-3.14.99-linux-"),
        (
            {"COMPARE": "/nonexistent"},
            "COMPARE: /nonexistent has no secrets-cache-layer-x86_64.zip and no secrets-cache-layer-arm64.zip",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_cannot_be_meant_is_refused(clone, variables, words):
    """Before anything is built, and no shell parses it."""
    done = clone.release(**{"version": variables.pop("VERSION", __version__), **variables})

    assert 2 == done.returncode
    assert f"make release: {words}" in done.stderr
    assert not (clone.folder / "hurt").exists()
    assert not list((clone.folder / "dist").glob("*.whl"))


def test_a_zip_with_other_bytes_is_refused(released, tmp_path):
    """As where a second build of the same commit differs. Both must be there to be compared."""
    dist = released.folder / "dist"
    shutil.copy(dist / LAYERS[0], tmp_path)
    with pytest.raises(ReleaseError, match=f"^COMPARE: {tmp_path} has no {LAYERS[1]}$"):
        zips_in(tmp_path)
    shutil.copy(dist / LAYERS[1], tmp_path)
    compare(dist, zips_in(tmp_path))
    (tmp_path / LAYERS[0]).write_bytes((dist / LAYERS[0]).read_bytes() + b"x")
    with pytest.raises(
        ReleaseError, match=rf"COMPARE: .*/{LAYERS[0]} has other bytes than the zip that was built here"
    ):
        compare(dist, zips_in(tmp_path))
