"""What a built tree must pass: its binaries can run in Lambda, it runs here, and it is small."""

import errno
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tools.layer import elf
from tools.layer.interpreter import HOST, BuildError

MAX_ZIP_BYTES = 20_000_000
MAX_UNPACKED_BYTES = 60_000_000
MAX_LINES = 20


def binaries(
    opt: Path, arch: str, *, is_shipped: bool, runtimes: Mapping[tuple[int, int], str] = elf.GLIBC_OF_RUNTIMES
) -> list[str]:
    """
    Return what is to be warned of; a local interpreter that is too new for the `runtimes` is only warned of.

    Raises:
        BuildError: A binary is for another machine, or needs a library or a glibc that Lambda does not have.
    """
    wrong = [*elf.of_other_machine(opt, arch), *elf.missing_libraries(opt)]
    newer = elf.of_newer_glibc(opt, runtimes)
    if is_shipped:
        wrong += newer
    if wrong:
        raise BuildError("this tree cannot run in Lambda:\n  " + "\n  ".join(wrong[:MAX_LINES]))
    if is_shipped or not newer:
        return []
    first = f"the first: {newer[0]}"
    return [f"warning: {len(newer)} binaries need a newer glibc than some runtimes of Lambda have; {first}"]


def run(opt: Path, arch: str) -> str:
    """
    Run the tree's interpreter: it starts, imports every module, loads every shared object, and writes no error.

    Returns a line: that it runs, or that this machine cannot run programs for `arch`.

    Raises:
        BuildError: It does not.
    """
    private = opt / "secrets-cache"
    if arch != HOST and not can_run(private / "bin" / "python3"):
        return f"Not run: this machine cannot run programs for {arch}."
    command: list[str | Path] = [private / "bin" / "python3", "-I", "-S", Path(__file__).with_name("smoke.py"), private]
    try:
        done = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"the layer's interpreter does not start: {error.strerror}") from None
    lines = done.stdout.splitlines()
    if done.returncode or done.stderr or not lines:
        found = [*lines, *done.stderr.splitlines(), f"exit code {done.returncode}"]
        raise BuildError("the layer does not run as it was built:\n  " + "\n  ".join(found[-MAX_LINES:]))
    return f"Run on {arch}: {lines[-1]}, nothing on standard error."


def can_run(program: Path) -> bool:
    """
    Whether this machine runs programs like this one, by itself or by emulation; not whether the program is a good one.

    The kernel refuses those of another machine, unless an emulator is registered for them; the emulator looks for the
    other machine's loader.
    """
    try:
        done = subprocess.run([program, "-I", "-S", "-c", ""], capture_output=True, text=True, check=False)
    except OSError as error:
        return error.errno not in {errno.ENOEXEC, errno.ENOENT}
    return "Could not open '/lib" not in done.stderr


def sizes(opt: Path, archive: Path, *, max_zip: int = MAX_ZIP_BYTES, max_unpacked: int = MAX_UNPACKED_BYTES) -> None:
    """Raise BuildError if the zip or the tree has more bytes than are allowed: what is larger starts more slowly."""
    unpacked = sum(path.stat().st_size for path in opt.rglob("*") if path.is_file())
    for name, size, allowed in (
        ("the zip", archive.stat().st_size, max_zip),
        ("the unpacked layer", unpacked, max_unpacked),
    ):
        if size > allowed:
            raise BuildError(f"{name} has {size:,} bytes; allowed: {allowed:,}")
