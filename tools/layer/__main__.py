"""The command behind `make layer`, and behind what the demo, the tests and the benchmarks run."""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tools.emulator import ROOT
from tools.layer import check, elf, interpreter, tree
from tools.layer.interpreter import BuildError, DownloadError, Interpreter, NoInterpreterError


def main() -> int:
    """Build the layer; return the exit code."""
    parser = argparse.ArgumentParser(prog="make layer", description="Build the Lambda layer.")
    parser.add_argument("--arch", choices=sorted(elf.MACHINES), default=interpreter.HOST)
    parser.add_argument("--interpreter", choices=["uv", "local", "best"], required=True)
    parser.add_argument("--python-version", help="a version of uv's, such as 3.14.6; default: the pinned one")
    parser.add_argument(
        "--or-another", action="store_true", help="with best: take another version than that if need be"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument("--interpreters", type=Path, default=ROOT / ".cache" / "python", help="where uv keeps them")
    parser.add_argument("--quiet", action="store_true", help="say in one line which interpreter the layer has")
    given = parser.parse_args()
    archive = given.output.resolve() / f"secrets-cache-layer-{given.arch}.zip"
    archive.unlink(missing_ok=True)
    try:
        if not given.quiet:
            print("Looking for the interpreter, which is downloaded if it is not there ...", flush=True)
        bundled, title = choose(
            given.interpreter, given.arch, given.interpreters, given.python_version, or_another=given.or_another
        )
        if not given.quiet:
            print(f"Building the layer of {title} ...", flush=True)
        lines = build(bundled, given.arch, archive)
    except NoInterpreterError as error:
        may_be_local = isinstance(error, DownloadError) and given.interpreter == "uv" and given.arch == interpreter.HOST
        sys.stderr.write(f"make layer: {error}{'. For a trial: INTERPRETER=local' * may_be_local}\n")
        # The tests do without another machine's layer, and say so.
        return int(given.interpreter != "best" or given.arch == interpreter.HOST)
    except BuildError as error:
        sys.stderr.write(f"make layer: {error}\n")
        return 1
    if given.quiet:
        print(f"The layer used here: {title}")
    else:
        size, digest = archive.stat().st_size, hashlib.sha256(archive.read_bytes()).hexdigest()
        print(*lines, archive, f"{size:,} bytes, sha256 {digest}", sep="\n")
    return 0


def choose(
    kind: str, arch: str, folder: Path, version: str | None, *, or_another: bool = False
) -> tuple[Interpreter, str]:
    """
    Return the interpreter to bundle, and what it is in words.

    Raises:
        NoInterpreterError: It cannot be had.
    """
    if kind == "local" and version:
        raise BuildError(
            f"PYTHON_VERSION={version} does not go with INTERPRETER=local, which takes the Python of the build"
        )
    if kind == "best":
        return interpreter.best(arch, folder, version, or_another=or_another)
    found = interpreter.local(arch) if kind == "local" else interpreter.from_uv(arch, folder, version)
    return found, f"{found.title} for {arch}"


def build(bundled: Interpreter, arch: str, archive: Path) -> list[str]:
    """
    Build the zip next to the tree that it is made of; return what is worth knowing of it.

    Raises:
        BuildError: It cannot be built, could not run in Lambda, or does not run here.
    """
    opt = archive.parent / f"layer-{arch}"
    archive.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(opt, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree.lay_out(opt, bundled, Path(scratch))
    warnings = check.binaries(opt, arch, is_shipped=not bundled.is_local)
    ran = check.run(opt, arch)
    partial = archive.with_suffix(".partial")
    write_zip(bundled, opt, partial)
    check.sizes(opt, partial)
    partial.rename(archive)
    return [*report(opt), *warnings, ran]


def write_zip(bundled: Interpreter, opt: Path, archive: Path) -> None:
    """
    Write the tree as a zip, by the interpreter that is bundled.

    Raises:
        BuildError: It cannot be written.
    """
    command: list[str | Path] = [bundled.compiler, "-I", "-S", Path(__file__).with_name("pack.py"), opt, archive]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{archive} could not be written: {done.stderr.strip()[-500:]}")


def report(opt: Path) -> list[str]:
    """Return what takes the room, unpacked."""
    sizes: Counter[str] = Counter()
    files = 0
    for path in opt.rglob("*"):
        if path.is_file():
            parts = path.relative_to(opt).parts
            sizes["/".join(parts[:3])] += path.stat().st_size
            files += 1
    largest = [f"  {size:>12,}  {name}" for name, size in sizes.most_common(12)]
    return [f"{files} files, {sum(sizes.values()):,} bytes unpacked; the largest:", *largest]


if __name__ == "__main__":
    sys.exit(main())
