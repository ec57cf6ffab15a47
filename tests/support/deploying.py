"""deploy.sh as tests run it, and the account of Lambda functions that it works on: moto's, behind the proxy."""

import itertools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from tests.support import processes
from tests.support.aws_cli import Proxy, aws_folder, cli_environ, zip_of
from tests.support.fakes import CANARY
from tools.emulator import ROOT

if TYPE_CHECKING:
    import subprocess

SCRIPT = ROOT / "deploy.sh"
# macOS has version 3.2.
BASH = os.environ.get("SECRETS_CACHE_TEST_BASH", "bash")
# What it needs, but for the AWS CLI.
PROGRAMS = ("bash", "dirname", "cat", "awk", "sed", "unzip", "base64", "mktemp", "rm", "sha256sum")
NUMBERS = itertools.count(1)


class Lambda:
    """The account that deploy.sh works on, and what it may be given."""

    def __init__(self, url: str, proxy: Proxy, folder: Path) -> None:
        self.proxy = proxy
        self.folder = folder
        self.api = boto3.client("lambda", endpoint_url=url, region_name="eu-west-1")
        self.iam = boto3.client("iam", endpoint_url=url, region_name="eu-west-1")
        self.role = self.iam.create_role(RoleName="reader", Path="/a/path/", AssumeRolePolicyDocument="{}")["Role"][
            "Arn"
        ]
        self.others = [self.publish(name, zip_of({f"{name}.txt": name})) for name in "abcdef"]

    def publish(self, name: str, data: bytes, architecture: str = "x86_64") -> str:
        """Publish a layer version; return its ARN."""
        published = self.api.publish_layer_version(
            LayerName=name, Content={"ZipFile": data}, CompatibleArchitectures=[architecture]
        )
        return str(published["LayerVersionArn"])

    def function(self, environ: Mapping[str, str] | None = None, name: str = "", **settings: Any) -> str:
        """Create a function, with a name of its own unless one is given; return the name."""
        name = name or f"function-{next(NUMBERS)}"
        made = {
            "Role": self.role,
            "Runtime": "python3.13",
            "Handler": "a.b",
            "Code": {"ZipFile": zip_of({"a.py": "b"})},
            **({} if environ is None else {"Environment": {"Variables": dict(environ)}}),
            **settings,
        }
        self.api.create_function(FunctionName=name, **made)
        return name

    def layers(self, name: str) -> list[str]:
        """Return the ARNs of a function's layers."""
        return [layer["Arn"] for layer in self.api.get_function_configuration(FunctionName=name).get("Layers", [])]

    def variables(self, name: str) -> dict[str, str]:
        """Return a function's variables."""
        found = self.api.get_function_configuration(FunctionName=name).get("Environment", {})
        return dict(found.get("Variables", {}))

    def versions(self, layer: str) -> int:
        """Return how many versions of a layer are published."""
        return len(self.api.list_layer_versions(LayerName=layer)["LayerVersions"])

    def layer_zip(self, *, wrapper: bool = True, name: str = "layer.zip", content: str = "1") -> Path:
        """Write a small zip with the entries that a layer of ours must have."""
        entries = {"extensions/secrets-cache": content, "secrets-cache/bin/python3": "an interpreter"}
        path = self.folder / name
        path.write_bytes(zip_of({**entries, "get-secrets-layer": "a wrapper"} if wrapper else entries))
        return path

    def run(
        self, *arguments: object, script: Path = SCRIPT, bash: tuple[str, ...] = (), **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run deploy.sh with a zip of ours; the environment's values must not show, whatever happens."""
        has_zip = not {"--zip", "--release"}.isdisjoint(arguments)
        self.proxy.asked.clear()
        done = run(
            *(arguments if script != SCRIPT or has_zip else ("--zip", self.layer_zip(), *arguments)),
            script=script,
            bash=bash,
            AWS_ENDPOINT_URL=self.proxy.url,
            **environ,
        )
        assert CANARY not in done.stdout + done.stderr
        return done


def run(
    *arguments: object, script: Path = SCRIPT, bash: tuple[str, ...] = (), **environ: str
) -> "subprocess.CompletedProcess[str]":
    """Run deploy.sh."""
    return processes.run(*(bash or (BASH,)), script, *arguments, **cli_environ(**environ))


def folder_with(folder: Path, *programs: str) -> str:
    """Make a folder of links to these programs, for PATH."""
    folder.mkdir(exist_ok=True)
    for program in programs:
        found = shutil.which(program, path=f"{aws_folder()}{os.pathsep}{os.environ['PATH']}")
        assert found is not None
        (folder / program).symlink_to(found)
    return str(folder)
