"""
The setting of one run: the built layer at /opt, the baselines beside it, the stubs, and how often to repeat.

    python -m bench -> lay_out -> a sandbox with that /opt and a loopback of its own -> entered -> the rows
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.processes import PYTHON, Stub
from tools.emulator import ROOT, built_layer, unpack

BASELINES = ROOT / "bench" / "baselines"
PORT = 8080
REGION = "eu-west-1"
LISTED = 5
# Byte code only, never checked, as in the layer.
_COMPILE = """
import os, py_compile
for name in os.listdir("/opt/bench"):
    if name.endswith(".py"):
        path = "/opt/bench/" + name
        py_compile.compile(path, path + "c", invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        os.unlink(path)
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """
    What every measurement needs.

    Attributes:
        is_quick: A few repetitions, to see that it works.
        folder: For what is written on the way; `layer`, `plain`, `wrapper` and `empty` in it are what /opt may be.
        upstream: Secrets Manager, answering at once.
        api: Lambda's Extensions API.
        certificate: Of the upstream's TLS port, and its own CA.
    """

    is_quick: bool
    folder: Path
    upstream: Stub
    api: Stub
    certificate: Path

    def rounds(self, usual: int, quick: int) -> range:
        """Return the rounds of a measurement."""
        return range(quick if self.is_quick else usual)

    def environ(self, config: str = "", *, secrets: int = LISTED, **more: str) -> dict[str, str]:
        """Return the environment of an extension that lists so many secrets; `config` is the rest of config.yaml."""
        names = [f"secret-{number}" for number in range(1, secrets + 1)]
        file = self.folder / "config.yaml"
        file.write_text("\n".join(["secrets:", *(f"  - {name}" for name in names), config]), encoding="utf-8")
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "en_US.UTF-8",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "of-the-benchmark",
            "AWS_SESSION_TOKEN": "of-the-benchmark",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.upstream.ports['port']}",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.ports['port']}",
            "SECRETS_CACHE_CONFIG": str(file),
            "SECRETS": ",".join(names),
            **more,
        }

    def tls(self) -> dict[str, str]:
        """Return the variables that lead an AWS client to the upstream's TLS port."""
        endpoint = f"https://127.0.0.1:{self.upstream.ports['tls_port']}"
        return {"AWS_ENDPOINT_URL": endpoint, "AWS_CA_BUNDLE": str(self.certificate)}


def lay_out(folder: Path) -> Path:
    """Lay out in `folder` whatever /opt will be; return what it is for most: the layer, and /opt/bench beside it."""
    layer, plain = folder / "layer", folder / "plain"
    unpack(built_layer(), layer)
    (layer / "bench").mkdir()
    for file in [*BASELINES.glob("*.py"), BASELINES / "plain-extension"]:
        shutil.copy(file, layer / "bench")
    (plain / "extensions").mkdir(parents=True)
    shutil.copy(BASELINES / "plain-extension", plain / "extensions")
    (folder / "empty").mkdir()
    shutil.copytree(layer, folder / "wrapper", copy_function=os.link, ignore=shutil.ignore_patterns("extensions"))
    shutil.copytree(BASELINES / "functions", folder / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    return layer


@contextlib.contextmanager
def entered(folder: Path, *, is_quick: bool) -> Iterator[Setting]:
    """Give the setting; to be called inside the sandbox."""
    from tests.support.upstream import write_certificate  # noqa: PLC0415 - slow, and only this needs it

    subprocess.run([PYTHON, "-I", "-S", "-c", _COMPILE], check=True)
    for part in ("secrets-cache", "bench"):
        # The same files on the same disk: neither is warmer than the other.
        shutil.copytree(folder / "layer" / part, folder / "plain" / part, copy_function=os.link)
    certificate = write_certificate(folder)
    with Stub("upstream", str(certificate)) as upstream, Stub("extensions_api") as api:
        yield Setting(is_quick, folder, upstream, api, certificate)
