"""
The layer's bill of materials, as CycloneDX has it: what scanners read to tell which known faults are in it.

https://cyclonedx.org/docs/1.6/json/

Rules
-----
1. The same inputs give the same text: no date, no random number.
2. What is linked into the interpreter counts as a part: a scanner must find the OpenSSL.
"""

import hashlib
import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import NamedTuple

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from secrets_cache import __version__
from tools.layer import elf
from tools.layer.interpreter import BuildError, Interpreter

NAME = "sbom.cdx.json"
# Which interpreter the layer has: "python-build-standalone", or "local" for one that is not to be shipped.
INTERPRETER = "secrets-cache:interpreter"


class Library(NamedTuple):
    """
    A library that is linked into the interpreter.

    Attributes:
        product: Maker and product, as the list of known vulnerabilities (CPE 2.3) has them.
        licence: As SPDX has it.
        module: The module that brings it; if that is not built in, the library is a file of its own.
        version: What finds its version in the program, for those that no module tells it of; None if nothing does.
    """

    product: str
    licence: str
    module: str
    version: bytes | None = None


LINKED = {
    "python": Library("python:python", "PSF-2.0", "sys"),
    "openssl": Library("openssl:openssl", "Apache-2.0", "_ssl"),
    "zlib": Library("zlib:zlib", "Zlib", "zlib"),
    "expat": Library("libexpat_project:libexpat", "MIT", "pyexpat"),
    "sqlite": Library("sqlite:sqlite", "blessing", "_sqlite3"),
    "zstd": Library("facebook:zstandard", "BSD-3-Clause", "_zstd"),
    "mpdecimal": Library("mpdecimal_project:mpdecimal", "BSD-2-Clause", "_decimal"),
    "ncurses": Library("gnu:ncurses", "X11-distribute-modifications-variant", "_curses"),
    "bzip2": Library("bzip:bzip2", "bzip2-1.0.6", "_bz2", rb"\0(\d+\.\d+\.\d+), \d+-\w{3}-\d{4}\0"),
    "xz": Library("tukaani:xz", "0BSD", "_lzma", rb"\0(5\.\d+\.\d+)\0"),
    "libffi": Library("libffi_project:libffi", "MIT", "_ctypes"),
    "libedit": Library("libedit_project:libedit", "BSD-3-Clause", "readline"),
    "libuuid": Library("kernel:util-linux", "BSD-3-Clause", "_uuid"),
}
# Some modules are left out of a layer where they are files of their own, and not in every interpreter.
_ASK = """
import importlib, json, platform, pyexpat, ssl, sys, zlib
versions = {
    "python": platform.python_version(),
    "openssl": ssl.OPENSSL_VERSION.split()[1],
    "zlib": zlib.ZLIB_RUNTIME_VERSION,
    "expat": pyexpat.EXPAT_VERSION.removeprefix("expat_"),
}
for name, module, attribute in (
    ("sqlite", "_sqlite3", "sqlite_version"),
    ("zstd", "_zstd", "zstd_version"),
    ("mpdecimal", "_decimal", "__libmpdec_version__"),
    ("ncurses", "_curses", "ncurses_version"),
):
    if module in sys.builtin_module_names:
        found = getattr(importlib.import_module(module), attribute)
        versions[name] = found if isinstance(found, str) else ".".join(map(str, found))
print(json.dumps({"versions": versions, "modules": sys.builtin_module_names}))
"""


def bill_of(interpreter: Interpreter, wheels: Path, libraries: Path) -> str:
    """
    Return the bill of materials as JSON.

    Args:
        interpreter: What is bundled.
        wheels: The folder that the dependencies were installed into.
        libraries: The folder of the shared libraries that go along.

    Raises:
        BuildError: The interpreter does not say what it is made of.
    """
    whole = Component(
        name="secrets-cache", version=__version__, type=ComponentType.APPLICATION, bom_ref="secrets-cache",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        properties=[
            Property(name=INTERPRETER, value="local" if interpreter.is_local else "python-build-standalone"),
            Property(name="secrets-cache:architecture", value=_architecture_of(interpreter)),
        ],
    )  # fmt: skip
    parts = [*_linked(interpreter), *_installed(wheels), *_bundled(libraries)]
    bom = Bom(components=parts)
    bom.metadata.component = whole
    bom.register_dependency(whole, parts)
    text: dict[str, object] = json.loads(JsonV1Dot6(bom).output_as_string())
    del text["metadata"]["timestamp"]  # type: ignore[attr-defined]
    del text["serialNumber"]
    name = hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()
    text["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_OID, name).urn
    return json.dumps(text, indent=1, sort_keys=True) + "\n"


def _architecture_of(interpreter: Interpreter) -> str:
    binary = elf.read(interpreter.executable)
    return next(arch for arch, machine in elf.MACHINES.items() if binary and binary.machine == machine)


def _linked(interpreter: Interpreter) -> Iterator[Component]:
    """Yield the interpreter and what is linked into it; that is the same in the builds for either architecture."""
    command = [str(interpreter.compiler), "-I", "-c", _ASK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{interpreter.compiler} does not say what it is made of: {done.stderr.strip()[-300:]}")
    said = json.loads(done.stdout)
    program = interpreter.executable.read_bytes()
    for name, library in LINKED.items():
        if name not in said["versions"] and library.module not in said["modules"]:
            continue
        found = re.search(library.version, program) if library.version else None
        version = said["versions"].get(name) or (found[1].decode() if found else None)
        yield Component(
            name=name,
            version=version,
            bom_ref=name,
            type=ComponentType.PLATFORM if name == "python" else ComponentType.LIBRARY,
            purl=PackageURL("generic", None, name, version),
            cpe=f"cpe:2.3:a:{library.product}:{version or '*'}:*:*:*:*:*:*:*",
            licenses=[LicenseFactory().make_from_string(library.licence)],
        )


def _installed(wheels: Path) -> Iterator[Component]:
    for information in sorted(wheels.glob("*.dist-info")):
        metadata = HeaderParser().parsestr((information / "METADATA").read_text("utf-8"))
        name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
        yield Component(
            name=name,
            version=metadata["Version"],
            bom_ref=name,
            purl=PackageURL("pypi", None, name, metadata["Version"]),
            description=metadata["Summary"],
            licenses=[LicenseFactory().make_from_string(_licence(metadata))],
        )


def _licence(metadata: Message) -> str:
    """Return a package's licence: an SPDX expression where it gives one, else its words."""
    named = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if line.startswith("License ::")]
    words = metadata["License"] or ""
    # Some put the whole text there, or a word that says nothing.
    fits = words and "\n" not in words and words != "Dual License"
    return str(metadata["License-Expression"] or (words if fits else " OR ".join(named)) or "see licences")


def _bundled(libraries: Path) -> Iterator[Component]:
    for file in sorted(libraries.glob("*.so*")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        yield Component(
            name=file.name,
            type=ComponentType.FILE,
            bom_ref=file.name,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
        )
