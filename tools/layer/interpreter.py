"""
Where the interpreter comes from: python-build-standalone through uv, or the one that runs the build.

uv's is relocatable, needs nothing but glibc 2.17, and exists for both architectures: that is the layer to ship. The
local one needs shared libraries of this system, which are bundled; it is for building and testing offline.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tools.layer import elf

# The newest version that the locked uv knows. uv checks the archive against its own list of checksums, and uv itself
# is locked by hash.
PINNED_VERSION = "3.14.10"
UV_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
HOST = {machine: arch for arch, machine in UV_MACHINES.items()}.get(os.uname().machine)


class BuildError(Exception):
    """The layer cannot be built; the text says why and what to do."""


class NoInterpreterError(BuildError):
    """The interpreter cannot be had: there is none, it cannot be fetched, or it does not run."""


class DownloadError(NoInterpreterError):
    """It cannot be fetched from where it is published."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """
    An interpreter to bundle.

    Attributes:
        title: What it is, for people: "CPython 3.14.10 (python-build-standalone)".
        version: "3.14", as its folders are called.
        executable: Its program file.
        stdlib: Its standard library's folder.
        libraries: Shared libraries that its program file loads from its own folder.
        compiler: An interpreter of the same version that runs here, to compile and to compress with.
        platform: What uv calls the wheels' platform; None for this machine's own.
    """

    title: str
    version: str
    executable: Path
    stdlib: Path
    libraries: tuple[Path, ...]
    compiler: Path
    platform: str | None

    @property
    def is_local(self) -> bool:
        """Whether it is this machine's, and so not for shipping."""
        return self.platform is None


def best(arch: str, folder: Path, version: str | None, *, or_another: bool = False) -> tuple[Interpreter, str]:
    """
    Return the interpreter that the demo, the tests and the benchmarks bundle, and one line that says which and why.

    It is the pinned one, or `version` if that is given; where it cannot be fetched, the newest of the pinned minor
    version that is in `folder`; else the local one. `version` is replaced only with `or_another`.

    Raises:
        NoInterpreterError: `version` is given and cannot be had, or `arch` is another machine's and cannot be had.
    """
    try:
        found = from_uv(arch, folder, version)
    except NoInterpreterError as error:
        if version and not (or_another and isinstance(error, DownloadError)):
            raise
        reason = str(error)
    else:
        return found, f"{found.title} for {arch}"
    kept = _kept(arch, folder)
    if kept:
        found = from_uv(arch, folder, kept[-1])
        return found, f"{found.title} for {arch}, since {version or PINNED_VERSION} could not be downloaded"
    found = local(arch)
    return found, f"{found.title} for {arch}, not the one {'asked for' if version else 'that ships'}: {reason}"


def from_uv(arch: str, folder: Path, version: str | None = None) -> Interpreter:
    """
    Return a relocatable interpreter for `arch`, fetched into `folder` unless it is there.

    Args:
        arch: "x86_64" or "arm64".
        folder: Where uv keeps interpreters, a folder for each.
        version: Such as "3.14.6"; None means `PINNED_VERSION`.

    Raises:
        NoInterpreterError: There is no such version, it cannot be fetched, or the one for this machine does not run.
    """
    version = version or PINNED_VERSION
    if not re.fullmatch(r"3\.\d+\.\d+", version):
        raise NoInterpreterError(f"PYTHON_VERSION: found {version!r}; allowed: a version such as {PINNED_VERSION}")
    if HOST is None:
        raise NoInterpreterError(f"uv has no interpreter for this machine, {os.uname().machine}; try INTERPRETER=local")
    roots = {wanted: _fetch(wanted, folder, version) for wanted in {arch, HOST}}
    minor = version.rpartition(".")[0]
    executable, compiler = (roots[wanted] / "bin" / f"python{minor}" for wanted in (arch, HOST))
    _require_running(compiler, version)
    return Interpreter(
        title=f"CPython {version} (python-build-standalone)",
        version=minor,
        executable=executable,
        stdlib=roots[arch] / "lib" / f"python{minor}",
        libraries=libraries_of(executable),
        compiler=compiler,
        platform=f"{UV_MACHINES[arch]}-manylinux2014",
    )


def _name(arch: str, version: str) -> str:
    return f"cpython-{version}-linux-{UV_MACHINES[arch]}-gnu"


def _kept(arch: str, folder: Path) -> list[str]:
    """Return the versions of the pinned minor version that `folder` has for this machine and for `arch`, in order."""
    minor = PINNED_VERSION.rpartition(".")[0]
    names = {path.name for path in folder.glob(f"cpython-{minor}.*/") if (path / "bin" / "python3").exists()}
    numbers = {int(name.split("-")[1].rpartition(".")[2]) for name in names if name.split("-")[1][-1].isdigit()}
    versions = [f"{minor}.{number}" for number in sorted(numbers)]
    return [one for one in versions if HOST and {_name(arch, one), _name(HOST, one)} <= names]


def _fetch(arch: str, folder: Path, version: str) -> Path:
    name = _name(arch, version)
    root = folder / name
    if (root / "bin" / "python3").exists():
        return root
    command = [uv(), "python", "install", "--no-bin", "--install-dir", str(folder), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        if "No download found" in done.stderr or "not a valid Python download" in done.stderr:
            known = "one that `.venv/bin/uv python list --all-versions` names"
            raise NoInterpreterError(f"uv knows no {name}; allowed: a PYTHON_VERSION that is {known}, or none")
        kept = _kept(arch, folder)
        instead = (
            f"{kept[-1]} is in {_shown(folder)}: use PYTHON_VERSION={kept[-1]}"
            if kept
            else "Where github.com is blocked, UV_PYTHON_INSTALL_MIRROR names a mirror"
        )
        reason = _reason(done.stderr)
        raise DownloadError(f"CPython {version} for {arch} could not be downloaded: {reason}. {instead}")
    return root


def _shown(folder: Path) -> str:
    """Return a folder's path, short where it is in the current one."""
    return str(folder.relative_to(Path.cwd())) if folder.is_relative_to(Path.cwd()) else str(folder)


def _reason(stderr: str) -> str:
    """Return the line of uv's error that says most: the last cause, or the error itself."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1].removeprefix("cause: ").removeprefix("error: ") if lines else "uv gave no reason"


def _require_running(program: Path, version: str) -> None:
    """Raise NoInterpreterError unless `program` runs here and is Python `version`."""
    code = "import platform; print(platform.python_version())"
    try:
        done = subprocess.run([program, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoInterpreterError(
            f"{program} does not run: {error.strerror}; remove its folder to fetch it again"
        ) from None
    if (done.returncode, done.stdout.strip()) != (0, version):
        words = (done.stderr.strip() or done.stdout.strip() or "it printed nothing")[-300:]
        raise NoInterpreterError(
            f"{program} does not run as Python {version}: exit code {done.returncode}, {words}; "
            "remove its folder to fetch it again"
        )


def libraries_of(executable: Path) -> tuple[Path, ...]:
    """
    Return the shared libraries that a program loads from its own lib folder.

    Builds of 2026 are linked statically and load none: their libpython is for other programs. Those of 2024 name it by
    a path, $ORIGIN/../lib/libpython3.11.so.1.0.
    """
    binary = elf.read(executable)
    if binary is None:
        raise NoInterpreterError(f"{executable} is not a program for Linux; remove its folder to fetch it again")
    candidates = (executable.parent.parent / "lib" / Path(name).name for name in binary.needed)
    return tuple(sorted(path for path in candidates if path.exists()))


def local(arch: str) -> Interpreter:
    """
    Return the interpreter that runs this.

    Raises:
        NoInterpreterError: `arch` is another machine's.
    """
    if arch != HOST:
        raise NoInterpreterError(
            f"INTERPRETER=local builds for this machine, {os.uname().machine}, not for ARCH={arch}"
        )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    executable = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]  # noqa: SLF001 - not the environment's
    return Interpreter(
        title=f"this machine's own CPython {version}.{sys.version_info.micro}",
        version=version,
        executable=executable,
        stdlib=Path(sysconfig.get_path("stdlib")),
        libraries=(),
        compiler=executable,
        platform=None,
    )


def uv() -> str:
    """Return uv's program: $UV, else the one in the project's environment, else the one in the PATH."""
    installed = Path(sys.executable).with_name("uv")
    found = os.environ.get("UV") or (str(installed) if installed.exists() else shutil.which("uv"))
    if found is None:
        raise BuildError("uv is missing: run `make layer`, which sets it up")
    return found
