"""
`make image`: the image of tools/release/Dockerfile, from the zips in dist, by docker's buildx.

Without PUSH it is built for this machine and is in its engine afterwards. With PUSH=1 it is built for both
architectures and goes to the registry that is in its name.
"""

import argparse
import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.emulator import MACHINES, ROOT, unpack
from tools.publish import PublishError, archives, releases
from tools.publish.archives import Archive

FOLDER = ROOT / "tools" / "release"
# What Docker calls the architectures.
DOCKER = {"x86_64": "amd64", "arm64": "arm64"}
# What the image has besides the layer: pure Python, the same on each architecture, of the version that dev.txt locks.
PACKAGES = ("prometheus-client",)
# As a reference of an image is: lower case, parts between slashes, a host with a port first.
NAME = r"[a-z0-9.-]+(:[0-9]+/[a-z0-9._-]+)?(/[a-z0-9._-]+)*"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the image; return the exit code. The arguments are those of the command line unless given."""
    parser = argparse.ArgumentParser(prog="make image", description="Build the image, and push it where asked.")
    parser.add_argument("--image", required=True, help="its name, without a tag")
    parser.add_argument("--push", default="", help="1: for both architectures, to the registry in its name")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where `make layer` puts the zips")
    given = parser.parse_args(arguments)
    try:
        check(given.image, given.push)
        is_pushed = given.push == "1"
        build(given.image, _zips(given.dist, is_pushed=is_pushed), is_pushed=is_pushed)
    except PublishError as error:
        sys.stderr.write(f"make image: {error}\n")
        return 1
    return 0


def check(image: str, push: str) -> None:
    """
    See that the variables make sense, and that there is a docker.

    Raises:
        PublishError: They do not, or there is none.
    """
    if push not in {"", "0", "1"}:
        raise PublishError(f"PUSH: found '{push}'; allowed: 1, or nothing")
    if re.fullmatch(NAME, image) is None or (push == "1" and "/" not in image):
        example = "a name in lower case without a tag, with its registry for PUSH=1, such as ghcr.io/owner/name"
        raise PublishError(f"IMAGE: found '{image}'; allowed: {example}")
    if shutil.which("docker") is None:
        raise PublishError("this needs the program 'docker' with buildx, and an engine; 'docker' is not in PATH")


def _zips(dist: Path, *, is_pushed: bool) -> tuple[Archive, ...]:
    if is_pushed:
        return archives.built(dist)
    here = MACHINES.get(platform.machine(), "x86_64")
    return (archives.read(dist / archives.name_of(here), here),)


def build(image: str, found: Sequence[Archive], *, is_pushed: bool) -> None:
    """
    Build the image from zips of the layer.

    Raises:
        PublishError: docker did not.
    """
    tag = f"{image}:{found[0].version}"
    platforms = ",".join(f"linux/{DOCKER[archive.architecture]}" for archive in found)
    repository = releases.repository(releases.origin_of(ROOT))
    source = ["--label", f"org.opencontainers.image.source=https://github.com/{repository}"] if repository else []
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        lay_out(context, found)
        print(f"{'Pushing' if is_pushed else 'Building'} {tag} for {platforms}", flush=True)
        done = subprocess.run(
            [
                "docker", "buildx", "build", "--file", str(FOLDER / "Dockerfile"), "--platform", platforms,
                "--build-arg", f"VERSION={found[0].version}", *source, "--tag", tag,
                "--push" if is_pushed else "--load", str(context),
            ],
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise PublishError(
            f"{tag}: docker failed with exit code {done.returncode}; the reason is above. "
            "It needs a running engine and buildx"
        )


def lay_out(context: Path, found: Sequence[Archive]) -> None:
    """Make a folder the build's context: the tree of each architecture, the packages of the image, and the command."""
    for archive in found:
        unpack(archive.path, context / DOCKER[archive.architecture])
    for package in PACKAGES:
        for file in importlib.metadata.files(package) or ():
            if file.suffix != ".pyc":
                target = context / "packages" / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)
                target.chmod(0o644)
    shutil.copy(FOLDER / "secrets-cache", context)
    for path in (context, *context.rglob("*")):
        if path.is_dir():
            # Every user of the image may read it.
            path.chmod(0o755)


if __name__ == "__main__":
    sys.exit(main())
