"""What a binary needs: the machine it is for, the newest glibc, the libraries it loads. And what it does not need."""

import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
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
        needed: The libraries it loads: names, or paths that begin with $ORIGIN.
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


def of_newer_glibc(folder: Path, runtimes: Mapping[tuple[int, int], str]) -> list[str]:
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
        if Path(name).name not in present and not name.startswith(SYSTEM_LIBRARIES)
    ]


def without_debug_info(data: bytes) -> bytes:
    """
    Return an ELF file without the sections that only debuggers read: as `strip` does, but the same on every machine.

    Wheels have them, after all that is loaded into memory. Where they are anywhere else, or there are none, the file is
    returned as it is.
    """
    elf = ELFFile(io.BytesIO(data))
    sections = list(elf.iter_sections())
    kept = 1 + max((number for number, one in enumerate(sections) if one["sh_flags"] & SH_FLAGS.SHF_ALLOC), default=0)
    end = loaded_size(data)
    is_last = all(one["sh_offset"] >= end for one in sections[kept:])
    is_closed = all(one["sh_link"] < kept for one in sections[:kept])
    has_any = any(one.name.startswith(".debug_") for one in sections[kept:])
    if not (has_any and is_last and is_closed and elf.elfclass == 64 and elf.little_endian):
        return data
    # What is left: all up to `end`, the names of the sections, and the table of the sections.
    at, size, names = elf["e_shoff"], elf["e_shentsize"], sections[elf["e_shstrndx"]]
    body = data[:end].ljust(_aligned(end), b"\0")
    strings = names.data()
    name_row = bytearray(data[at + size * elf["e_shstrndx"] :][:size])
    struct.pack_into("<Q", name_row, 24, len(body))  # sh_offset
    body += strings.ljust(_aligned(len(strings)), b"\0")
    header = bytearray(body)
    struct.pack_into("<Q", header, 0x28, len(body))  # e_shoff
    struct.pack_into("<HH", header, 0x3C, kept + 1, kept)  # e_shnum, e_shstrndx
    return bytes(header) + data[at : at + size * kept] + bytes(name_row)


def loaded_size(data: bytes) -> int:
    """Return where in an ELF file the last byte that is loaded into memory, or read by the loader, ends."""
    elf = ELFFile(io.BytesIO(data))
    sections = (one for one in elf.iter_sections() if one["sh_flags"] & SH_FLAGS.SHF_ALLOC)
    ends = [one["sh_offset"] + one["sh_size"] for one in sections if one["sh_type"] != "SHT_NOBITS"]
    return max([*ends, *(segment["p_offset"] + segment["p_filesz"] for segment in elf.iter_segments())])


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
