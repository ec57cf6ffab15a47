"""
`make github-release`, against a `gh` of ours that keeps releases in a file and records what it was asked.

The fake knows the four commands that are used, refuses all else, and answers as GitHub's REST API does. That GitHub
itself takes them is not tested.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import make, run
from tools.emulator import ROOT

FAKE = """\
#!{python} -I
import hashlib, json, pathlib, sys

state = pathlib.Path({state!r})
known = json.loads(state.read_text())
known["asked"].append(sys.argv[1:])
try:
    match sys.argv[1:]:
        case ["api", "repos/{{owner}}/{{repo}}/releases?per_page=100"]:
            if known["broken"]:
                sys.exit("gh: To use GitHub CLI in a GitHub Actions workflow,\\nset the GH_TOKEN environment variable.")
            print(json.dumps(known["releases"]))
        case ["release", "create", tag, "--verify-tag", "--title", title, "--notes-file", notes, *files]:
            known["releases"].append(dict(tag_name=tag, draft=False, html_url="https://here/" + tag, assets=[],
                                          title=title, notes=pathlib.Path(notes).read_text()))
            print("https://here/" + tag)
        case ["release", "upload", tag, "--clobber", *files]:
            pass
        case ["release", "edit", tag, "--draft=false"]:
            files = []
            [release] = [release for release in known["releases"] if release["tag_name"] == tag]
            release["draft"] = False
        case other:
            sys.exit(f"unknown: {{other}}")
    if sys.argv[1] == "release":
        [release] = [release for release in known["releases"] if release["tag_name"] == tag]
        new = [pathlib.Path(file) for file in files]
        release["assets"] = [a for a in release["assets"] if a["name"] not in [file.name for file in new]] + [
            dict(name=file.name, state="uploaded", digest="sha256:" + hashlib.sha256(file.read_bytes()).hexdigest())
            for file in new
        ]
finally:
    state.write_text(json.dumps(known))
"""
LAYERS = ("secrets-cache-layer-arm64.zip", "secrets-cache-layer-x86_64.zip")
NAMES = {
    *LAYERS,
    "SHA256SUMS",
    "deploy.sh",
    "lambda_secrets_cache-0.2.0-py3-none-any.whl",
    "lambda_secrets_cache-0.2.0.tar.gz",
    "sbom-arm64.cdx.json",
    "sbom-x86_64.cdx.json",
}


class Stage:
    """A dist/ as `make release` leaves it, and a GitHub that is a file."""

    def __init__(self, folder: Path) -> None:
        self.dist = folder / "dist"
        self.dist.mkdir()
        for name in NAMES - {"SHA256SUMS"}:
            (self.dist / name).write_text(f"This is {name}")
        (self.dist / "release-notes.md").write_text("The first release.\n")
        # Of an older release, still there.
        (self.dist / "lambda_secrets_cache-0.1.0.tar.gz").write_text("old")
        self.sums()
        self.path = folder / "bin"
        self.path.mkdir()
        self._state = folder / "github.json"
        self.put()
        (self.path / "gh").write_text(FAKE.format(python=sys.executable, state=str(self._state)))
        (self.path / "gh").chmod(0o755)

    def sums(self) -> None:
        """Write SHA256SUMS as sha256sum does."""
        lines = [f"{hashlib.sha256((self.dist / name).read_bytes()).hexdigest()}  {name}\n" for name in LAYERS]
        (self.dist / "SHA256SUMS").write_text("".join(lines))

    def put(self, *releases: dict[str, Any], broken: bool = False) -> None:
        """Say what GitHub has; nothing has been asked of it yet."""
        self._state.write_text(json.dumps({"asked": [], "releases": releases, "broken": broken}))

    @property
    def asked(self) -> list[list[str]]:
        """What gh was asked since, in order; of files the names."""
        return [[part.rpartition("/")[2] for part in call] for call in json.loads(self._state.read_text())["asked"]]

    @property
    def releases(self) -> list[dict[str, Any]]:
        """What GitHub has."""
        releases: list[dict[str, Any]] = json.loads(self._state.read_text())["releases"]
        return releases

    def run(self, version: str = "0.2.0", path: str | None = None) -> subprocess.CompletedProcess[str]:
        """Call what the make target calls."""
        command = (sys.executable, "-m", "tools.release.github", "--dist", self.dist, "--", version)
        return run(*command, PATH=path or f"{self.path}:{os.environ['PATH']}")


@pytest.fixture(name="stage")
def _stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line that says why there is no release."""
    assert (1, "") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.startswith("github-release: ")
    return line


def of(stage: Stage) -> dict[str, Any]:
    """Return the one release that there is, after a complete first run."""
    assert 0 == stage.run().returncode
    (release,) = stage.releases
    return release


@pytest.mark.parametrize("version", ["0.2.0", "v0.2.0"], ids=["the version", "the tag"])
def test_a_new_version_becomes_a_release_with_notes_and_every_file_of_it(stage, version):
    """The tag must be there already; what an older build left in the folder is not in it."""
    done = stage.run(version)

    assert (0, "v0.2.0 is released with 8 files: https://here/v0.2.0\n", "") == (
        done.returncode,
        done.stdout,
        done.stderr,
    )
    (release,) = stage.releases
    assert ("v0.2.0", "v0.2.0", "The first release.\n") == (release["tag_name"], release["title"], release["notes"])
    assert NAMES == {asset["name"] for asset in release["assets"]}
    assert "--verify-tag" in stage.asked[1]


def test_a_second_run_changes_nothing(stage):
    """What is complete is looked at, and left alone."""
    stage.put(of(stage))

    done = stage.run()

    assert (0, "v0.2.0 was there already: nothing was missing\n") == (done.returncode, done.stdout)
    assert [["api", "releases?per_page=100"]] == stage.asked


@pytest.mark.parametrize("how", ["absent", "cut off"])
def test_a_release_that_lacks_files_gets_those_and_no_others(stage, how):
    """A file whose upload was cut off is there by name only: it is uploaded again."""
    release = of(stage)
    for asset in [asset for asset in release["assets"] if asset["name"] in LAYERS]:
        if how == "absent":
            release["assets"].remove(asset)
        else:
            asset |= {"state": "starter", "digest": None}
    stage.put(release)

    done = stage.run()

    assert 0 == done.returncode
    assert "was there already: uploaded secrets-cache-layer-x86_64.zip, secrets-cache-layer-arm64.zip" in done.stdout
    assert ["release", "upload", "v0.2.0", "--clobber", *reversed(LAYERS)] == stage.asked[1]
    assert 2 == len(stage.asked)
    assert NAMES == {asset["name"] for asset in stage.releases[0]["assets"]}


def test_a_draft_is_published_when_its_files_are_there(stage):
    """A run that was killed leaves a draft, which nobody sees: the next one finishes it, files first."""
    release = of(stage)
    stage.put({**release, "draft": True, "assets": release["assets"][1:]})

    done = stage.run()

    assert 0 == done.returncode
    assert done.stdout.endswith(" and published the draft\n")
    assert ["api", "upload", "edit"] == [call[1] if call[0] == "release" else call[0] for call in stage.asked]
    assert not stage.releases[0]["draft"]


def test_a_file_with_other_bytes_is_refused_and_nothing_is_sent(stage):
    """A release never changes, not even the part of it that is missing."""
    release = of(stage)
    release["assets"] = [{**asset, "digest": "sha256:other"} for asset in release["assets"] if "arm64" in asset["name"]]
    stage.put(release)

    line = refused(stage.run())

    assert "https://here/v0.2.0 has secrets-cache-layer-arm64.zip with other bytes than " in line
    assert line.endswith("a release never changes, raise the version")
    assert 1 == len(stage.asked)


def test_other_releases_are_not_touched(stage):
    """Only the tag of this version counts."""
    older = {**of(stage), "tag_name": "v0.1.0", "assets": []}
    stage.put(older)

    assert 0 == stage.run().returncode
    assert older == stage.releases[0]
    assert ["v0.1.0", "v0.2.0"] == [release["tag_name"] for release in stage.releases]


@pytest.mark.parametrize("name", sorted({*NAMES - {"sbom-arm64.cdx.json"}, "release-notes.md"}))
def test_a_file_that_was_not_built_is_named_before_anything_is_asked(stage, name):
    """A release is whole or none; without a bill of materials of any architecture there is none either."""
    (stage.dist / name).unlink()
    (stage.dist / "sbom-arm64.cdx.json").unlink()

    line = refused(stage.run())

    shown = name.replace("py3-none-any", "*").replace("sbom-x86_64", "sbom-*")
    assert line.endswith(f" has no {shown}: run `make release VERSION=0.2.0` first")
    assert [] == stage.asked


def test_a_zip_with_a_wrong_sum_is_refused_before_anything_is_asked(stage):
    """What `deploy.sh --release` would refuse to deploy is not released."""
    (stage.dist / LAYERS[0]).write_text("changed")

    line = refused(stage.run())

    assert f"{LAYERS[0]} has another sum than SHA256SUMS says: run " in line
    assert [] == stage.asked


def test_a_zip_that_no_sum_is_of_is_refused(stage):
    """A list of sums that leaves a zip out says nothing about it."""
    sums = stage.dist / "SHA256SUMS"
    sums.write_text("".join(line for line in sums.read_text().splitlines(keepends=True) if "x86_64" not in line))

    assert "secrets-cache-layer-x86_64.zip has another sum than SHA256SUMS says" in refused(stage.run())


def test_a_sum_of_what_a_release_does_not_hold_is_refused(stage):
    """Whoever checks the sums would look for that file."""
    with (stage.dist / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  other.zip\n")

    assert "SHA256SUMS lists 'other.zip', which a release does not hold" in refused(stage.run())


@pytest.mark.parametrize(
    "version", ["", "0.2", "1.2.3rc1", "v0.2.0-1", "latest", "../0.2.0", "0.2.0\n", "\u0660.\u0662.\u0660"]
)
def test_what_is_no_version_is_refused(stage, version):
    """A tag of another form is no release."""
    line = refused(stage.run(version))

    words = f"VERSION: found {version!r}; allowed: X.Y.Z, such as " if version else "VERSION is missing; such as"
    assert words in line
    assert [] == stage.asked


def test_a_missing_gh_is_named_with_where_to_get_it(stage):
    """The runner of the workflow has it; a laptop may not."""
    assert "the command gh is missing: install GitHub's command line, https://cli.github.com" in refused(
        stage.run(path="/nonexistent")
    )


def test_what_gh_says_is_passed_on_in_one_line(stage):
    """No token, no rights, no network: gh knows best."""
    stage.put(broken=True)

    assert "github-release: gh api repos/{owner}/{repo}/releases?per_page=100: gh: To use GitHub CLI in a GitHub " in (
        refused(stage.run())
    )


def test_the_name_of_a_tag_is_never_run(tmp_path):
    """A workflow hands the tag to make in the environment: neither make nor the shell parses it."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "tools").symlink_to(ROOT / "tools")
    hostile = "v1$(shell touch by-make)$(touch by-shell)`touch by-shell`';touch by-shell;'"
    done = make("github-release", f"PYTHON={sys.executable}", cwd=tmp_path, VERSION=hostile)

    assert 2 == done.returncode
    assert f"github-release: VERSION: found {hostile!r}; allowed: X.Y.Z" in done.stderr
    assert {"Makefile", "tools"} == {path.name for path in tmp_path.iterdir()}
