"""
The example handlers, and those of the tests, each built and run with the runtime client that its users have.

Ruby's client is on RubyGems alone, and .NET comes from Microsoft: there a small client of the tests stands in, in C# on
Mono.

What is built is kept in .cache/runtimes, by the sources it was built of.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.locks import locked
from tools.emulator import ROOT

EXAMPLES = ROOT / "example_function"
CLIENTS = ROOT / "tests" / "clients"
KEPT = ROOT / ".cache" / "runtimes"
PORT_IN_EXAMPLES = "localhost:8080"


@dataclass(frozen=True)
class Runtime:
    """
    A language's runtime.

    Attributes:
        tools: The programs that building and running need.
        sources: The example's files.
        prepare: Called with the folder of the sources (in which the port is the test's); returns the command.
        needs_python: Whether the function itself is a Python program.
    """

    name: str
    tools: tuple[str, ...]
    sources: tuple[str, ...]
    prepare: Callable[[Path], list[str]]
    needs_python: bool = False

    def require(self) -> None:
        """Skip the test where this machine lacks tools; in CI, fail it."""
        require(self.name, *self.tools)

    def lay_out(
        self, task: Path, port: int, handlers: Path = EXAMPLES, instead_of: str = PORT_IN_EXAMPLES
    ) -> list[str]:
        """Make `task` the function's folder, asking `port` `instead_of` theirs; return the command that runs it."""
        for name in self.sources:
            # What a build needs besides the handler is the example's.
            source = handlers / name if (handlers / name).exists() else EXAMPLES / name
            target = task / source.name
            target.write_text(source.read_text("utf-8").replace(instead_of, f"localhost:{port}"), "utf-8")
            target.chmod(source.stat().st_mode)
        return self.prepare(task)


def require(what: str, *tools: str) -> None:
    """Skip the test where this machine lacks tools; in CI, fail it."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"{what}: this machine has no {', '.join(missing)}")
    assert [] == missing


def build(command: Sequence[str | Path], folder: Path, **environ: str) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def kept(name: str, sources: Sequence[Path], fill: Callable[[Path], None]) -> Path:
    """Return the folder that `fill` filled, which it does only if `sources` have changed since."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = KEPT / f"{name}-{digest}"
    with locked(KEPT / f"{name}.lock"):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            fill(partial)
            partial.rename(folder)
    return folder


def _python(_: Path) -> list[str]:
    return [sys.executable, "-m", "awslambdaric", "lambda_function.lambda_handler"]


def npm_programs(client: str) -> Path:
    """Return the folder of the programs that npm installs for a client."""

    def install(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CLIENTS / client / name, folder)
        # The addon of the runtime client is compiled as it is installed: that takes a minute.
        build(["npm", "ci", "--no-audit", "--no-fund", "--foreground-scripts"], folder)

    return kept(client, [CLIENTS / client / "package-lock.json"], install) / "node_modules" / ".bin"


def _node(_: Path) -> list[str]:
    return [str(npm_programs("node") / "aws-lambda-ric"), "index.handler"]


def maven_libraries(client: str) -> Path:
    """Return the folder of the jars that a client needs."""
    pom = CLIENTS / client / "pom.xml"

    def fetch(folder: Path) -> None:
        command = ["mvn", "--quiet", "--batch-mode", "--file", str(pom), "dependency:copy-dependencies"]
        build([*command, f"-DoutputDirectory={folder}"], folder)

    return kept(client, [pom], fetch)


def _java(task: Path) -> list[str]:
    build(["mvn", "--quiet", "--batch-mode", "package"], task)
    return java_command(f"{task}/target/example-function-1.jar")


def java_command(code: str) -> list[str]:
    """Return the command that runs the handler in a jar or a folder."""
    classes = f"{code}:{maven_libraries('java')}/*"
    main = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
    return ["java", "-cp", classes, main, "Handler::handleRequest"]


def _go(task: Path) -> list[str]:
    build(["go", "build", "-o", "bootstrap", "."], task)
    return [str(task / "bootstrap")]


def _shell(task: Path) -> list[str]:
    return [str(task / "bootstrap")]


def _ruby(_: Path) -> list[str]:
    return ["ruby", str(CLIENTS / "ruby" / "runtime.rb")]


def _csharp(task: Path) -> list[str]:
    client = CLIENTS / "csharp" / "Runtime.cs"
    build(["mcs", "-out:function.exe", "-reference:System.Net.Http.dll", "Function.cs", client], task)
    return ["mono", str(task / "function.exe")]


RUNTIMES = (
    Runtime("python", (), ("lambda_function.py",), _python, needs_python=True),
    Runtime("node", ("node", "npm", "make", "cmake", "g++"), ("index.mjs",), _node),
    Runtime("java", ("java", "mvn"), ("java/Handler.java", "java/pom.xml"), _java),
    Runtime("go", ("go",), ("go/main.go", "go/go.mod", "go/go.sum"), _go),
    Runtime("ruby", ("ruby",), ("ruby/lambda_function.rb",), _ruby),
    Runtime("csharp", ("mcs", "mono"), ("csharp/Function.cs",), _csharp),
    Runtime("shell", ("curl",), ("shell/bootstrap",), _shell),
)
