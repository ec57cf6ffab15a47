"""
The setting of one run: the built layer at /opt, the baselines, the stubs, and how often to repeat.

    python -m bench -> lay_out -> a sandbox with that /opt and a loopback of its own -> entered -> the rows
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import PYTHON, Stub
from bench.stubs.answers import TOKEN
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
        upstream: AWS, answering at once.
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

    def environ(
        self,
        config: str = "",
        variables: Mapping[str, str] | None = None,
        *,
        secrets: int = LISTED,
        parameters: int = 0,
        each: str = "",
    ) -> dict[str, str]:
        """
        Write config.yaml; return the environment of an extension that reads it. The plain extension reads variables.

        Args:
            config: The rest of config.yaml.
            variables: Further ones; one that is empty is left out.
            secrets: How many it lists.
            parameters: How many it lists.
            each: A further setting of each secret.
        """
        names = [f"secret-{number}" for number in range(1, secrets + 1)]
        parameter_names = [f"/app/parameter-{number}" for number in range(1, parameters + 1)]
        sections = (_listing("secrets", names, each), _listing("parameters", parameter_names), config)
        file = self.folder / "config.yaml"
        file.write_text("\n".join(sections), encoding="utf-8")
        all_variables = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "LANG": "en_US.UTF-8",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": TOKEN,
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.upstream.ports['port']}",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.api.ports['port']}",
            "SECRETS_CACHE_CONFIG": str(file),
            "SECRETS": ",".join(names),
            "PARAMETERS": ",".join(parameter_names),
            **(variables or {}),
        }
        return {name: value for name, value in all_variables.items() if value}


def _listing(key: str, names: Sequence[str], each: str = "") -> str:
    """Return the part of config.yaml that lists these names, or nothing if there are none."""
    items = [f"  - id: {name}\n    {each}" if each else f"  - {name}" for name in names]
    return "\n".join([f"{key}:", *items]) if items else ""


def lay_out(folder: Path) -> Path:
    """Lay out in `folder` what /opt will be for most: the layer, and /opt/bench; return it."""
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
