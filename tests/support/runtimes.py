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
        missing = [tool for tool in self.tools if shutil.which(tool) is None]
        if missing and not os.environ.get("CI"):
            pytest.skip(f"{self.name}: this machine has no {', '.join(missing)}")
        assert [] == missing

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


def _run(command: Sequence[str | Path], folder: Path, **environ: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def _kept(name: str, sources: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """Return the folder that `build` filled, built only if `sources` have changed since."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    folder = KEPT / f"{name}-{digest}"
    with locked(KEPT / f"{name}.lock"):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            build(partial)
            partial.rename(folder)
    return folder


def _python(_: Path) -> list[str]:
    return [sys.executable, "-m", "awslambdaric", "lambda_function.lambda_handler"]


def _node(_: Path) -> list[str]:
    lock = CLIENTS / "node" / "package-lock.json"

    def build(folder: Path) -> None:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CLIENTS / "node" / name, folder)
        # Its addon is compiled as it is installed: that takes a minute.
        _run(["npm", "ci", "--no-audit", "--no-fund", "--foreground-scripts"], folder)

    client = _kept("node", [lock], build)
    return [str(client / "node_modules" / ".bin" / "aws-lambda-ric"), "index.handler"]


def _java(task: Path) -> list[str]:
    pom = CLIENTS / "java" / "pom.xml"

    def fetch(folder: Path) -> None:
        command = ["mvn", "--quiet", "--batch-mode", "--file", str(pom), "dependency:copy-dependencies"]
        _run([*command, f"-DoutputDirectory={folder}"], folder)

    client = _kept("java", [pom], fetch)
    _run(["mvn", "--quiet", "--batch-mode", "package"], task)
    classes = f"{task}/target/example-function-1.jar:{client}/*"
    main = "com.amazonaws.services.lambda.runtime.api.client.AWSLambda"
    return ["java", "-cp", classes, main, "Handler::handleRequest"]


def _go(task: Path) -> list[str]:
    _run(["go", "build", "-o", "bootstrap", "."], task)
    return [str(task / "bootstrap")]


def _shell(task: Path) -> list[str]:
    return [str(task / "bootstrap")]


def _ruby(_: Path) -> list[str]:
    return ["ruby", str(CLIENTS / "ruby" / "runtime.rb")]


def _csharp(task: Path) -> list[str]:
    client = CLIENTS / "csharp" / "Runtime.cs"
    _run(["mcs", "-out:function.exe", "-reference:System.Net.Http.dll", "Function.cs", client], task)
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
