"""
The layer's bill of materials, as CycloneDX has it: what scanners read to tell which known faults are in it.

https://cyclonedx.org/docs/1.6/json/

Rules
-----
1. The same inputs give the same text: no date, no number by chance.
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

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from secrets_cache import __version__
from tools.layer.interpreter import BuildError, Interpreter

NAME = "sbom.cdx.json"
# Maker and product as the list of known faults (CPE 2.3) has them; the licence as SPDX has it.
LINKED = {
    "python": ("python:python", "PSF-2.0"),
    "openssl": ("openssl:openssl", "Apache-2.0"),
    "zlib": ("zlib:zlib", "Zlib"),
    "expat": ("libexpat_project:libexpat", "MIT"),
    "sqlite": ("sqlite:sqlite", "blessing"),
    "zstd": ("facebook:zstandard", "BSD-3-Clause"),
    "mpdecimal": ("mpdecimal_project:mpdecimal", "BSD-2-Clause"),
}
# The last three are left out of a layer where they are modules of their own, but in a static build they are linked in.
_ASK = """
import importlib, json, platform, pyexpat, ssl, sys, zlib
linked = {
    "python": platform.python_version(),
    "openssl": ssl.OPENSSL_VERSION.split()[1],
    "zlib": zlib.ZLIB_RUNTIME_VERSION,
    "expat": pyexpat.EXPAT_VERSION.removeprefix("expat_"),
}
for name, module, attribute in (
    ("sqlite", "_sqlite3", "sqlite_version"),
    ("zstd", "_zstd", "zstd_version"),
    ("mpdecimal", "_decimal", "__libmpdec_version__"),
):
    if module in sys.builtin_module_names:
        linked[name] = getattr(importlib.import_module(module), attribute)
print(json.dumps(linked))
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


def _linked(interpreter: Interpreter) -> Iterator[Component]:
    command = [str(interpreter.compiler), "-I", "-c", _ASK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{interpreter.compiler} does not say what it is made of: {done.stderr.strip()[-300:]}")
    for name, version in json.loads(done.stdout).items():
        product, licence = LINKED[name]
        yield Component(
            name=name,
            version=version,
            bom_ref=name,
            type=ComponentType.PLATFORM if name == "python" else ComponentType.LIBRARY,
            purl=PackageURL("generic", None, name, version),
            cpe=f"cpe:2.3:a:{product}:{version}:*:*:*:*:*:*:*",
            licenses=[LicenseFactory().make_from_string(licence)],
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
