"""
The two zips that are published: what they are is read from them, not from their names.

Rule: a zip is this project's if it has the launcher and a bill of materials of this program. The version is in the
bill of materials, the architecture in the header of the interpreter.
"""

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.publish import PublishError

SUMS = "SHA256SUMS"
LAUNCHER = "extensions/secrets-cache"
INTERPRETER = "secrets-cache/bin/python3"
BILL = "secrets-cache/sbom.cdx.json"
# What the bill of materials calls the interpreter that ships; another one may not run in Lambda.
SHIPPED = {"name": "secrets-cache:interpreter", "value": "python-build-standalone"}
# e_machine in the header of an ELF file (elf.h).
MACHINES = {62: "x86_64", 183: "arm64"}
ARCHITECTURES = tuple(MACHINES.values())


@dataclass(frozen=True, slots=True)
class Archive:
    """
    A zip of the layer.

    Attributes:
        architecture: As Lambda writes it.
        version: The project's version that is in it.
        python: The interpreter's version.
        sha256: Its sum, in hexadecimal digits.
    """

    path: Path
    architecture: str
    version: str
    python: str
    sha256: str

    @property
    def code_sha256(self) -> str:
        """The sum as Lambda gives it, in base 64."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()


def name_of(architecture: str) -> str:
    """Return the name that `make layer` gives the zip of an architecture."""
    return f"secrets-cache-layer-{architecture}.zip"


def built(folder: Path) -> tuple[Archive, ...]:
    """
    Return the zips that were built, compared with SHA256SUMS where that file is.

    Raises:
        PublishError: As `both`.
    """
    sums = folder / SUMS
    if not sums.exists():
        return both(folder, None)
    return both(folder, parse_sums(sums.read_text(encoding="utf-8", errors="replace"), str(sums)))


def both(folder: Path, sums: Mapping[str, str] | None, version: str = "") -> tuple[Archive, ...]:
    """
    Return the zips of both architectures in a folder.

    Args:
        folder: Where they are.
        sums: By name; None if there are none to compare with.
        version: The version that must be in them; empty if any may, but the same one in both.

    Raises:
        PublishError: One is missing, is not the layer for its architecture, or has another sum or version.
    """
    found = tuple(read(folder / name_of(architecture), architecture) for architecture in ARCHITECTURES)
    for archive in found:
        if sums is not None and sums.get(archive.path.name) != archive.sha256:
            expected = sums.get(archive.path.name) or "none"
            raise PublishError(
                f"{archive.path}: found the sum {archive.sha256}; {SUMS} has {expected} for it; remove {SUMS}, "
                "or run make release"
            )
    for archive in found:
        wanted = version or found[0].version
        if archive.version != wanted:
            raise PublishError(f"{archive.path}: found version {archive.version}; allowed: {wanted}")
        if archive.python != found[0].python:
            raise PublishError(
                f"{archive.path} has Python {archive.python}, but {found[0].path.name} has {found[0].python}; "
                "build both with the same PYTHON_VERSION"
            )
    return found


def read(path: Path, architecture: str) -> Archive:
    """
    Return what a zip is.

    Raises:
        PublishError: It is not there, or is not the layer for this architecture.
    """
    remedy = f"make it with: make layer ARCH={architecture}"
    if not path.is_file():
        raise PublishError(f"there is no {path} yet; {remedy}")
    try:
        with zipfile.ZipFile(path) as archive:
            archive.getinfo(LAUNCHER)
            bill = json.loads(archive.read(BILL))
            whole = bill["metadata"]["component"]
            python = next((str(part["version"]) for part in bill["components"] if part["name"] == "python"), "none")
            with archive.open(INTERPRETER) as program:
                header = program.read(20)
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise PublishError(f"{path} is not the zip of a secrets-cache layer ({error}); {remedy}") from None
    machine = MACHINES.get(int.from_bytes(header[18:20], "little")) if header.startswith(b"\x7fELF") else None
    if machine != architecture:
        raise PublishError(f"{path} is for {machine or 'no architecture of Lambda'}, not for {architecture}; {remedy}")
    if SHIPPED not in whole.get("properties", ()):
        raise PublishError(f"{path} holds this machine's own interpreter, which may not run in Lambda; {remedy}")
    return Archive(path, architecture, str(whole["version"]), python, hashlib.sha256(path.read_bytes()).hexdigest())


def parse_sums(text: str, source: str) -> dict[str, str]:
    """
    Return the sums of a SHA256SUMS file by name.

    Args:
        text: What is in it, as sha256sum writes it.
        source: What to call it in an error.

    Raises:
        PublishError: A line is not one of sha256sum's.
    """
    sums = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *](\S+)", line)
        if match is None:
            raise PublishError(f"{source}: line {number}: found {line[:80]!r}; allowed: lines as sha256sum writes them")
        sums[match[2]] = match[1]
    return sums
