"""
`make github-release`: a release on GitHub, of what `make release` left in dist/.

    python -m tools.release.github [--dist FOLDER] VERSION      a leading v, as a tag has it, is taken away

Rules
-----
1. Standard library only, and no virtual environment: it runs with a token that may write to the repository.
2. Everything here is checked before anything is sent: the files are those of this version, and have the sums that
   SHA256SUMS says.
3. It can be run again. A file that GitHub has with the same bytes is left alone, one that is missing is uploaded. One
   with other bytes is refused, never replaced: somebody may have it already.
4. A draft is published last, when all its files are there.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.release.checks import ReleaseError, version_of

ROOT = Path(__file__).resolve().parent.parent.parent
NOTES = "release-notes.md"
SUMS = "SHA256SUMS"
# What a release holds, each at least once; the notes are the release's own text.
ASSETS = (
    "secrets-cache-layer-x86_64.zip",
    "secrets-cache-layer-arm64.zip",
    SUMS,
    "sbom-*.cdx.json",
    "lambda_secrets_cache-{version}-*.whl",
    "lambda_secrets_cache-{version}.tar.gz",
    "deploy.sh",
)
# More than there are drafts and releases that somebody may still want to finish; GitHub lists the newest first.
LISTED = 100


def sum_of(file: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def assets_of(dist: Path, version: str) -> dict[str, Path]:
    """Return the files that a release of this version holds, by name, each of them with its right sum."""
    build = f"run `make release VERSION={version}` first"
    found: dict[str, Path] = {}
    for pattern in ASSETS:
        files = sorted(dist.glob(pattern.format(version=version)))
        if not files:
            raise ReleaseError(f"{dist} has no {pattern.format(version=version)}: {build}")
        found |= {file.name: file for file in files}
    if not (dist / NOTES).is_file():
        raise ReleaseError(f"{dist} has no {NOTES}: {build}")
    lines = (line.partition("  ") for line in found[SUMS].read_text(encoding="utf-8").splitlines())
    sums = {name: expected for expected, _, name in lines}
    for name in [*sums, *(name for name in found if name.endswith(".zip"))]:
        if name not in found:
            raise ReleaseError(f"{dist / SUMS} lists {name!r}, which a release does not hold: {build}")
        if sum_of(found[name]) != sums.get(name):
            raise ReleaseError(f"{dist / name} has another sum than {SUMS} says: {build}")
    return found


def gh(*arguments: str | Path) -> str:
    """Run GitHub's command line; return what it prints."""
    done = subprocess.run(["gh", *arguments], capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split()) or f"exit code {done.returncode}"
        raise ReleaseError(f"gh {arguments[0]} {arguments[1]}: {said}")
    return done.stdout


def existing(tag: str) -> dict[str, Any] | None:
    """Return the release or the draft of a tag as GitHub describes it, None if there is none."""
    releases = json.loads(gh("api", f"repos/{{owner}}/{{repo}}/releases?per_page={LISTED}"))
    return next((release for release in releases if release["tag_name"] == tag), None)


def missing_from(release: dict[str, Any], assets: dict[str, Path]) -> list[Path]:
    """Return the files that a release lacks; an upload that was cut off counts as lacking."""
    there = {asset["name"]: asset for asset in release["assets"] if asset["state"] == "uploaded"}
    for name, file in assets.items():
        if name in there and there[name].get("digest") != f"sha256:{sum_of(file)}":
            raise ReleaseError(
                f"{release['html_url']} has {name} with other bytes than {file}, and is left as it is: "
                "a release never changes, raise the version"
            )
    return [file for name, file in assets.items() if name not in there]


def release(version: str, dist: Path) -> str:
    """Create or finish the release of a version; return what was done, in one sentence."""
    tag = f"v{version}"
    assets = assets_of(dist, version)
    if shutil.which("gh") is None:
        raise ReleaseError("the command gh is missing: install GitHub's command line, https://cli.github.com")
    there = existing(tag)
    if there is None:
        url = gh(
            *("release", "create", tag, "--verify-tag", "--title", tag, "--notes-file", dist / NOTES),
            *assets.values(),
        )
        return f"{tag} is released with {len(assets)} files: {url.strip()}"
    missing = missing_from(there, assets)
    if missing:
        # Over nothing but what was cut off: all else of that name is known to be absent.
        gh("release", "upload", tag, "--clobber", *missing)
    if there["draft"]:
        gh("release", "edit", tag, "--draft=false")
    done = [f"uploaded {', '.join(file.name for file in missing)}"] if missing else []
    done += ["published the draft"] if there["draft"] else []
    return f"{tag} was there already: {' and '.join(done) or 'nothing was missing'}"


def main(arguments: Sequence[str]) -> int:
    """Release a version; return the exit code."""
    parser = argparse.ArgumentParser(prog="github-release")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("version")
    given = parser.parse_args(arguments)
    try:
        print(release(version_of(given.version), given.dist))
    except ReleaseError as error:
        print(f"github-release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
