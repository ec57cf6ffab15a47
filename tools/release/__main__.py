"""The command behind `make release`."""

import argparse
import filecmp
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.emulator import ROOT
from tools.layer import elf, interpreter
from tools.layer.__main__ import build as build_layer
from tools.layer.interpreter import BuildError
from tools.layer.sbom import NAME as BILL
from tools.publish.releases import origin_of
from tools.publish.releases import repository as github_repository
from tools.release import checks
from tools.release.checks import ReleaseError

SUMS = "SHA256SUMS"
NOTES = "release-notes.md"
# What a build of the Python distribution leaves behind is dated by this, or by hatchling's own constant.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}


def main() -> int:
    """Build the release; return the exit code."""
    parser = argparse.ArgumentParser(prog="make release", description="Build all that a release holds.")
    parser.add_argument("version")
    parser.add_argument("--python-version", help="as for make layer")
    parser.add_argument("--repository", default="", help="OWNER/NAME on GitHub; default: that of the remote origin")
    parser.add_argument("--compare", type=Path, help="a folder; a zip that it holds must have the same bytes")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    given = parser.parse_args()
    try:
        version = checks.version_of(given.version)
        checks.places(ROOT, version)
        text = checks.notes(ROOT, version)
        checks.tree_and_tag(ROOT, version)
        address = releases_address(given.repository)
        others = zips_in(given.compare) if given.compare else []
        # On the disk of dist, so that the last step is a rename.
        (ROOT / ".cache").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as folder:
            built = Path(folder) / "dist"
            build(built, given.python_version, text, address)
            compare(built, others)
            shutil.rmtree(given.output, ignore_errors=True)
            shutil.move(built, given.output)
    except (ReleaseError, BuildError) as error:
        sys.stderr.write(f"make release: {error}\n")
        return 1
    print(f"{version} is built, in {given.output.name}/.")
    if address:
        print(f"deploy.sh --release downloads from {address}.")
    else:
        print("The git remote origin is not on GitHub: deploy.sh will need SECRETS_CACHE_RELEASES, or set REPOSITORY.")
    return 0


def build(output: Path, python_version: str | None, notes: str, address: str) -> None:
    """
    Build the files of the release in a new folder `output`.

    Raises:
        BuildError: A layer cannot be built.
        ReleaseError: The Python distribution cannot be built, or would not be taken by PyPI.
    """
    output.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        for arch in elf.MACHINES:
            bundled = interpreter.from_uv(arch, ROOT / ".cache" / "python", python_version)
            print(f"Building the layer of {bundled.title} for {arch} ...", flush=True)
            archive = Path(scratch) / f"secrets-cache-layer-{arch}.zip"
            print(build_layer(bundled, arch, archive)[-1], flush=True)
            shutil.copyfile(archive, output / archive.name)
            bill = Path(scratch) / f"layer-{arch}" / "secrets-cache" / BILL
            shutil.copyfile(bill, output / f"sbom-{arch}.cdx.json")
    distribution(output)
    write_deploy(output / "deploy.sh", address)
    (output / NOTES).write_text(notes, "utf-8")
    listed = sorted(file for file in output.iterdir() if file.name != NOTES)
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in listed]
    (output / SUMS).write_text("".join(lines), "utf-8")


def distribution(output: Path) -> None:
    """
    Build the wheel and the sdist into `output`, and check them as PyPI does.

    Raises:
        ReleaseError: They cannot be built, or would not be taken.
    """
    twine = ROOT / ".venv" / "release" / "bin" / "twine"
    _run("the Python distribution cannot be built", [sys.executable, "-m", "hatchling", "build", "-d", str(output)])
    files = [str(file) for file in (*output.glob("*.whl"), *output.glob("*.tar.gz"))]
    _run("PyPI would not take the Python distribution", [str(twine), "check", "--strict", *files])


def _run(failure: str, command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError(f"{failure}: {(done.stderr.strip() or done.stdout.strip())[-500:]}")


def releases_address(repository: str) -> str:
    """
    Return where the files of releases are downloaded from; "" where that is not known.

    Raises:
        ReleaseError: `repository` is given, and is none.
    """
    repository = repository or github_repository(origin_of(ROOT))
    if repository and not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", repository):
        raise ReleaseError(f"REPOSITORY: found {repository!r}; allowed: OWNER/NAME")
    return repository and f"https://github.com/{repository}/releases/download"


def write_deploy(target: Path, address: str) -> None:
    """Write a deploy.sh that knows where its releases are, and so needs no repository around it."""
    text = (ROOT / "deploy.sh").read_text("utf-8")
    if text.count("\nRELEASES=''\n") != 1:
        raise ReleaseError("deploy.sh has no line RELEASES='', which a release fills in")
    target.write_text(text.replace("\nRELEASES=''\n", f"\nRELEASES='{address}'\n"), "utf-8")
    target.chmod(0o755)


def zips_in(folder: Path) -> list[Path]:
    """
    Return the zips of a folder that the release is to be compared with: one for each architecture.

    Raises:
        ReleaseError: One is missing.
    """
    zips = [folder / f"secrets-cache-layer-{arch}.zip" for arch in elf.MACHINES]
    missing = [zip_file.name for zip_file in zips if not zip_file.is_file()]
    if missing:
        raise ReleaseError(f"COMPARE: {folder} has no {' and no '.join(missing)}")
    return zips


def compare(output: Path, others: Sequence[Path]) -> None:
    """
    Check that each of these zips has the bytes of the one of that name in `output`.

    Raises:
        ReleaseError: One differs.
    """
    for other in others:
        if not filecmp.cmp(output / other.name, other, shallow=False):
            raise ReleaseError(
                f"COMPARE: {other} has other bytes than the zip that was built here from the same commit; "
                "compare what is in them: nothing is released"
            )


if __name__ == "__main__":
    sys.exit(main())
