"""The command behind `make publish`."""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.emulator import ROOT
from tools.publish import PublishError, archives, awscli, page, regions, releases
from tools.publish.archives import ARCHITECTURES, Archive
from tools.publish.run import Run

LAYER = "secrets-cache"


def main(arguments: Sequence[str] | None = None) -> int:
    """Publish the layer; return the exit code. The arguments are those of the command line unless given."""
    parser = argparse.ArgumentParser(prog="make publish", description="Publish the layer's zips into regions of AWS.")
    parser.add_argument("--regions", required=True, help="their names, between blanks")
    parser.add_argument("--public", default="", help="1: let every AWS account use what is published")
    parser.add_argument("--layer-name", default=LAYER)
    parser.add_argument("--version", default="", help="publish this release, downloaded; default: what is in --dist")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where `make layer` puts the zips")
    parser.add_argument(
        "--page", type=Path, help="the page of the ARNs; default: the project's, for its own layer name"
    )
    given = parser.parse_args(arguments)
    target = given.page or (ROOT / "docs" / "layer-arns.md" if given.layer_name == LAYER else None)
    try:
        names = regions.parse(given.regions)
        _check("PUBLIC", given.public, r"[01]?", "1, or nothing")
        _check(
            "LAYER_NAME", given.layer_name, r"[A-Za-z0-9_-]{1,140}", "1 to 140 letters, digits, hyphens, underscores"
        )
        _check("VERSION", given.version, r"(v?\d+\.\d+\.\d+)?", "the version of a release, such as 0.2.0")
        awscli.check()
        rows = page.parse(_text_of(target), target.name) if target else {}
        with tempfile.TemporaryDirectory() as scratch:
            zips = _zips(given.dist, given.version.removeprefix("v"), Path(scratch))
            run = Run(given.layer_name, zips, is_public=given.public == "1")
            run.publish(names)
    except PublishError as error:
        sys.stderr.write(f"make publish: nothing was published: {error}\n")
        return 1
    run.report()
    if target is None:
        return run.exit_code
    try:
        target.write_text(page.render(rows | run.rows()), encoding="utf-8")
    except OSError as error:
        remedy = "fix that, and run the same command again"
        sys.stderr.write(f"make publish: {target} could not be written: {error.strerror}; {remedy}\n")
        return 1
    return run.exit_code


def _check(name: str, value: str, pattern: str, allowed: str) -> None:
    if re.fullmatch(pattern, value) is None:
        raise PublishError(f"{name}: found '{value}'; allowed: {allowed}")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise PublishError(f"{path} could not be read: {error.strerror}") from None


def _zips(dist: Path, version: str, scratch: Path) -> tuple[Archive, ...]:
    """Return both zips, with the right sums: those of a release, or else those that were built."""
    if not version:
        return archives.built(dist)
    base = releases.address(releases.origin_of(ROOT))
    print(f"Downloading {base}/v{version} ...", flush=True)
    sums = releases.download(base, version, archives.SUMS, scratch)
    for architecture in ARCHITECTURES:
        releases.download(base, version, archives.name_of(architecture), scratch)
    return archives.both(scratch, archives.parse_sums(_text_of(sums), f"{base}/v{version}/{sums.name}"), version)


if __name__ == "__main__":
    sys.exit(main())
