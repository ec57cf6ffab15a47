"""What a binary needs: the machine it is for, the newest glibc it asks for, the libraries it loads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

MACHINES = {"x86_64": "EM_X86_64", "arm64": "EM_AARCH64"}
# The runtimes of today and the glibc they have.
GLIBC_OF_RUNTIMES: Mapping[tuple[int, int], str] = {(2, 26): "Amazon Linux 2", (2, 34): "Amazon Linux 2023"}


# Part of glibc, which every runtime has; whatever else a binary loads goes along.
SYSTEM_LIBRARIES = (
    "ld-linux", "libc.so", "libdl.so", "libm.so", "libpthread.so", "libresolv.so", "librt.so", "libutil.so",
    "linux-vdso",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Binary:
    """
    One ELF file.

    Attributes:
        machine: As in the ELF header, such as "EM_X86_64".
        glibc: The newest version of glibc that one of its symbols asks for; (0, 0) for none.
        needed: The names of the libraries it loads.
    """

    path: Path
    machine: str
    glibc: tuple[int, int]
    needed: tuple[str, ...]


def binaries_below(folder: Path) -> Iterator[Binary]:
    """Yield every ELF file below `folder`, in the order of their names."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            binary = read(path)
            if binary is not None:
                yield binary


def read(path: Path) -> Binary | None:
    """Return what an ELF file needs; None if it is not one."""
    with path.open("rb") as file:
        if file.read(4) != b"\x7fELF":
            return None
        file.seek(0)
        try:
            elf = ELFFile(file)
            versions = [(0, 0)]
            needed: list[str] = []
            for section in elf.iter_sections():
                if isinstance(section, GNUVerNeedSection):
                    versions += [_version(aux.name) for _, auxes in section.iter_versions() for aux in auxes]
                if isinstance(section, DynamicSection):
                    needed += [str(getattr(tag, "needed", "")) for tag in section.iter_tags("DT_NEEDED")]
            return Binary(path, elf.header.e_machine, max(versions), tuple(needed))
        except ELFError:
            return None


def _version(name: str) -> tuple[int, int]:
    numbers = name.removeprefix("GLIBC_").split(".")
    if not name.startswith("GLIBC_") or not all(number.isdigit() for number in numbers):
        return (0, 0)
    return int(numbers[0]), int(numbers[1])


def of_other_machine(folder: Path, arch: str) -> list[str]:
    """Return a line for each binary that is not for `arch`."""
    return [
        f"{binary.path.relative_to(folder)} is for {binary.machine}, not for {MACHINES[arch]} ({arch})"
        for binary in binaries_below(folder)
        if binary.machine != MACHINES[arch]
    ]


def of_newer_glibc(folder: Path, runtimes: Mapping[tuple[int, int], str] = GLIBC_OF_RUNTIMES) -> list[str]:
    """Return a line for each binary that needs a newer glibc than one of the runtimes has, and which."""
    lines = []
    for binary in binaries_below(folder):
        lacking = [f"{name} ({_text(has)})" for has, name in runtimes.items() if binary.glibc > has]
        if lacking:
            lines.append(
                f"{binary.path.relative_to(folder)} needs glibc {_text(binary.glibc)}, newer than {', '.join(lacking)}"
            )
    return lines


def missing_libraries(folder: Path) -> list[str]:
    """Return a line for each library that a binary loads and that neither the tree nor every system has."""
    binaries = list(binaries_below(folder))
    present = {binary.path.name for binary in binaries}
    return [
        f"{binary.path.relative_to(folder)} loads {name}, which is not in the tree"
        for binary in binaries
        for name in binary.needed
        if name not in present and not name.startswith(SYSTEM_LIBRARIES)
    ]


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
