"""The command behind `make layer`."""

import argparse
import hashlib
import platform
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

from tools.emulator import ROOT
from tools.layer import elf, interpreter, tree
from tools.layer.interpreter import BuildError

MAX_ZIP_BYTES = 20 * 1024 * 1024
# The oldest date that a zip can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)


def main() -> int:
    """Build the layer; return the exit code."""
    parser = argparse.ArgumentParser(prog="make layer", description="Build the Lambda layer.")
    here = "x86_64" if platform.machine() == "x86_64" else "arm64"
    parser.add_argument("--arch", choices=sorted(elf.MACHINES), default=here)
    parser.add_argument("--interpreter", choices=["uv", "local"], required=True)
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    parser.add_argument("--interpreters", type=Path, default=ROOT / ".cache" / "python", help="where uv keeps them")
    given = parser.parse_args()
    try:
        archive = build(given.arch, given.interpreter, given.output, given.interpreters)
    except BuildError as error:
        sys.stderr.write(f"make layer: {error}\n")
        return 1
    print(f"{archive}\n{archive.stat().st_size:,} bytes, sha256 {hashlib.sha256(archive.read_bytes()).hexdigest()}")
    return 0


def build(arch: str, kind: str, output: Path, interpreters: Path) -> Path:
    """
    Return the zip, built in `output`, with the tree it was made of beside it.

    Raises:
        BuildError: It cannot be built, or could not run in Lambda.
    """
    output.mkdir(parents=True, exist_ok=True)
    opt = output / f"layer-{arch}"
    shutil.rmtree(opt, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        print(f"Laying out the interpreter ({kind}), the locked wheels and the package for {arch} ...", flush=True)
        found = interpreter.local(arch) if kind == "local" else interpreter.from_uv(arch, interpreters)
        tree.lay_out(opt, found, Path(scratch))
    check(opt, arch, is_shipped=kind != "local")
    archive = output / f"secrets-cache-layer-{arch}.zip"
    write_zip(opt, archive)
    report(opt)
    if archive.stat().st_size > MAX_ZIP_BYTES:
        raise BuildError(f"the zip has {archive.stat().st_size:,} bytes; allowed: {MAX_ZIP_BYTES:,}")
    return archive


def check(opt: Path, arch: str, *, is_shipped: bool) -> None:
    """Refuse a tree that could not run in Lambda. A local interpreter that is too new is only warned of."""
    wrong = [*elf.of_other_machine(opt, arch), *elf.missing_libraries(opt)]
    newer = elf.of_newer_glibc(opt)
    if is_shipped:
        wrong += newer
    elif newer:
        print(
            f"warning: {len(newer)} binaries of this machine need a newer glibc than some runtimes of Lambda's have; "
            f"the first: {newer[0]}"
        )
    if wrong:
        raise BuildError("this tree cannot run in Lambda:\n  " + "\n  ".join(wrong))


def write_zip(opt: Path, archive: Path) -> None:
    """Write the tree as a zip in which nothing but the tree shows: fixed order, dates and modes."""
    partial = archive.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for path in sorted(opt.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(str(path.relative_to(opt)), EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.create_system = 3
                entry.external_attr = (0o100000 | path.stat().st_mode & 0o777) << 16
                file.writestr(entry, path.read_bytes())
    partial.rename(archive)


def report(opt: Path) -> None:
    """Print what takes the room, unpacked."""
    sizes: Counter[str] = Counter()
    files = 0
    for path in opt.rglob("*"):
        if path.is_file():
            parts = path.relative_to(opt).parts
            sizes["/".join(parts[:3])] += path.stat().st_size
            files += 1
    print(f"{files} files, {sum(sizes.values()):,} bytes unpacked; the largest:")
    for name, size in sizes.most_common(12):
        print(f"  {size:>12,}  {name}")


if __name__ == "__main__":
    sys.exit(main())
