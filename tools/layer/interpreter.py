"""
Where the interpreter comes from: python-build-standalone through uv, or the one that runs the build.

uv's is relocatable, needs nothing but glibc 2.17, and exists for both architectures: that is the layer to ship. The
local one needs shared libraries of this system, which go along; it is for building and testing offline.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

# uv knows the checksum of each version's archive, and uv itself is locked by hash.
UV_PYTHON = "3.13.9"
UV_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


class BuildError(Exception):
    """The layer cannot be built; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """
    An interpreter to bundle.

    Attributes:
        version: "3.13", as its folders are called.
        executable: Its program file.
        stdlib: Its standard library's folder.
        libraries: Shared libraries that go along.
        compiler: An interpreter of the same version that runs here, to compile with.
        platform: What uv calls the wheels' platform; None for this machine's own.
    """

    version: str
    executable: Path
    stdlib: Path
    libraries: tuple[Path, ...]
    compiler: Path
    platform: str | None


def from_uv(arch: str, folder: Path) -> Interpreter:
    """
    Return a relocatable interpreter for `arch`, fetched into `folder` unless it is there.

    Raises:
        BuildError: It cannot be fetched.
    """
    roots = {}
    host = {"x86_64": "x86_64", "aarch64": "arm64"}.get(os.uname().machine, "")
    for wanted in {arch, host}:
        if wanted not in UV_MACHINES:
            raise BuildError(f"uv has no interpreter for this machine, {os.uname().machine}; try INTERPRETER=local")
        name = f"cpython-{UV_PYTHON}-linux-{UV_MACHINES[wanted]}-gnu"
        command = [uv(), "python", "install", "--no-bin", "--install-dir", str(folder), name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["uv said nothing"])[-1].strip()
            raise BuildError(f"uv could not fetch {name}: {last}; offline, try INTERPRETER=local")
        roots[wanted] = folder / name
    version = UV_PYTHON.rpartition(".")[0]
    return Interpreter(
        version=version,
        executable=roots[arch] / "bin" / f"python{version}",
        stdlib=roots[arch] / "lib" / f"python{version}",
        libraries=tuple(sorted((roots[arch] / "lib").glob("libpython3.*.so.*"))),
        compiler=roots[host] / "bin" / f"python{version}",
        platform=f"{UV_MACHINES[arch]}-manylinux2014",
    )


def local(arch: str) -> Interpreter:
    """
    Return the interpreter that runs this.

    Raises:
        BuildError: `arch` is another machine's.
    """
    if UV_MACHINES[arch] != os.uname().machine:
        raise BuildError(f"INTERPRETER=local builds for this machine, {os.uname().machine}, not for ARCH={arch}")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    executable = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]  # noqa: SLF001 - not the environment's
    return Interpreter(
        version=version,
        executable=executable,
        stdlib=Path(sysconfig.get_path("stdlib")),
        libraries=(),
        compiler=executable,
        platform=None,
    )


def uv() -> str:
    """Return uv's program: $UV, else the one in the project's environment, else the one in the PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = os.environ.get("UV") or (str(beside) if beside.exists() else shutil.which("uv"))
    if found is None:
        raise BuildError("uv is missing: run `make layer`, which sets it up")
    return found
