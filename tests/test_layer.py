"""The built layer: what is in it, that it is the same each time, and that nothing around it can steer it."""

import dataclasses
import hashlib
import importlib.util
import json
import os
import platform
import re
import signal
import ssl
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.conftest import PATIENCE_SECONDS
from tests.fakes import CANARY
from tests.lambda_api import LambdaApi
from tests.processes import config
from tests.test_extension import get, next_is_open
from tools import sandbox
from tools.emulator import ROOT, Log, built_layer, free_port, unpack
from tools.layer import elf, interpreter, tree
from tools.layer.__main__ import MAX_ZIP_BYTES, check
from tools.layer.interpreter import BuildError

HERE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
OTHER = {"x86_64": "arm64", "arm64": "x86_64"}[HERE]


@pytest.fixture(name="archive", scope="module")
def _archive():
    with zipfile.ZipFile(built_layer()) as archive:
        yield archive


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
    assert MAX_ZIP_BYTES >= built_layer().stat().st_size


def test_everybodys_licence_is_in_it(archive):
    """One text for each locked dependency, the interpreter's and ours."""
    locked = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    sizes = {
        name.removeprefix("secrets-cache/licences/"): archive.getinfo(name).file_size
        for name in archive.namelist()
        if name.startswith("secrets-cache/licences/")
    }

    expected = {f"{name.replace('-', '_')}-{version}.txt" for name, version in locked}
    assert {*expected, "python.txt", "secrets-cache.txt"} == set(sizes)
    assert [] == [name for name, size in sizes.items() if size < 500]


def test_the_bill_of_materials_names_every_part(archive):
    """Valid CycloneDX: each locked dependency, the interpreter and what it is linked with, each library by its hash."""
    text = archive.read("secrets-cache/sbom.cdx.json").decode()
    bill = json.loads(text)
    locked = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    purls = {part["purl"] for part in bill["components"] if "purl" in part}
    libraries = {name for name in archive.namelist() if re.fullmatch(r"secrets-cache/lib/[^/]+\.so[^/]*", name)}
    hashes = {part["name"]: part["hashes"][0]["content"] for part in bill["components"] if part["type"] == "file"}

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert {f"pkg:pypi/{name}@{version}" for name, version in locked} <= purls
    assert f"pkg:generic/python@{platform.python_version()}" in purls
    assert f"pkg:generic/openssl@{ssl.OPENSSL_VERSION.split()[1]}" in purls
    assert {Path(name).name: hashlib.sha256(archive.read(name)).hexdigest() for name in libraries} == hashes
    assert [] == [part["name"] for part in bill["components"] if part["type"] != "file" and not part.get("licenses")]
    (whole,) = (one["dependsOn"] for one in bill["dependencies"] if one["ref"] == "secrets-cache")
    assert sorted(part["bom-ref"] for part in bill["components"]) == sorted(whole)


def test_byte_code_is_never_checked_and_knows_only_paths_in_lambda(archive):
    """PEP 552: the flags of an unchecked hash. Nothing says where it was built."""
    compiled = [name for name in archive.namelist() if name.endswith(".pyc")]
    flags = {int.from_bytes(archive.read(name)[4:8], "little") for name in compiled}

    assert 500 < len(compiled)
    assert {0b01} == flags
    assert {importlib.util.MAGIC_NUMBER} == {archive.read(name)[:4] for name in compiled}
    for name in archive.namelist():
        assert str(ROOT).encode() not in archive.read(name), name
    assert b"/opt/secrets-cache/packages/" in archive.read(
        next(name for name in compiled if name.endswith("/cache.pyc"))
    )


def test_the_same_inputs_give_the_same_bytes(tmp_path):
    """Built again, elsewhere, later, under another umask and another seed of hashes."""
    command = [sys.executable, "-m", "tools.layer", "--interpreter", "local", "--output", str(tmp_path / "deep" / "er")]
    script = f"umask 077; exec {' '.join(command)}"
    environ = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, env=environ, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    (again,) = (tmp_path / "deep" / "er").glob("*.zip")
    assert built_layer().read_bytes() == again.read_bytes()
    assert "bytes unpacked; the largest:" in done.stdout


# What is refused.


def test_a_tree_for_another_machine_is_refused(opt):
    """Each binary is named."""
    assert [] == elf.of_other_machine(opt, HERE)
    with pytest.raises(BuildError, match=rf"secrets-cache/bin/python3 is for EM_\w+, not for EM_\w+ \({OTHER}\)"):
        check(opt, OTHER, is_shipped=True)


def test_a_tree_that_needs_a_newer_glibc_is_refused_if_it_is_to_be_shipped(opt, capfd):
    """The text names the binary, what it needs and what lacks it; for a local build it is a warning."""
    lines = elf.of_newer_glibc(opt, {(2, 3): "Some Linux"})
    assert any("secrets-cache/bin/python3 needs glibc 2." in line for line in lines)
    assert all(line.endswith("newer than Some Linux (2.3)") for line in lines)

    if not elf.of_newer_glibc(opt):
        pytest.skip("this machine's own interpreter is old enough to be shipped")
    with pytest.raises(BuildError, match=r"this tree cannot run in Lambda:\n  .* needs glibc"):
        check(opt, HERE, is_shipped=True)
    check(opt, HERE, is_shipped=False)
    assert capfd.readouterr().out.startswith("warning: ")


def test_a_tree_whose_libraries_are_not_complete_is_refused(opt, tmp_path):
    """What a binary loads must be in the tree, or on every system."""
    assert [] == elf.missing_libraries(opt)
    lonely = next(binary for binary in elf.binaries_below(opt) if binary.path.name.startswith("_ssl."))
    (tmp_path / "_ssl.so").write_bytes(lonely.path.read_bytes())

    assert any("_ssl.so loads libssl" in line for line in elf.missing_libraries(tmp_path))


def test_what_only_looks_like_a_binary_is_none(tmp_path):
    """Four bytes are no ELF file."""
    (tmp_path / "fake.so").write_bytes(b"\x7fELF")

    assert [] == list(elf.binaries_below(tmp_path))


def build(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the build; return what became of it."""
    return subprocess.run(
        [sys.executable, "-m", "tools.layer", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_local_interpreter_is_this_machines(tmp_path):
    """Another architecture needs uv's."""
    done = build("--interpreter", "local", "--arch", OTHER, "--output", str(tmp_path))

    assert 1 == done.returncode
    assert f"INTERPRETER=local builds for this machine, {platform.machine()}, not for ARCH={OTHER}" in done.stderr


def test_an_interpreter_that_uv_cannot_fetch(tmp_path):
    """One line: what, why, and what works offline."""
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho 'error: no route to anywhere' >&2\nexit 2\n")
    uv.chmod(0o755)
    done = build("--interpreter", "uv", "--interpreters", str(tmp_path / "kept"), "--output", str(tmp_path), UV=str(uv))

    assert 1 == done.returncode
    assert "make layer: uv could not fetch cpython-3." in done.stderr
    assert "error: no route to anywhere; offline, try INTERPRETER=local" in done.stderr


def test_the_path_through_uv_lays_out_what_uv_gives_and_judges_it(tmp_path):
    """
    Where the interpreters of uv cannot be had, this machine's takes their place, fetched by a stand-in for uv.

    Everything else is real: the wheels for Lambda's platform, the compilation, and the judgement, which must refuse
    this machine's interpreter for what it loads.
    """
    here = interpreter.local(HERE)
    wanted = interpreter.UV_PYTHON.rpartition(".")[0]
    kept = ("--interpreters", str(tmp_path / "kept"))
    uv = tmp_path / "uv"
    uv.write_text(f"""#!/bin/sh
[ "$1" = python ] || exec {Path(sys.executable).with_name("uv")} "$@"
root="$5/$6"
mkdir -p "$root/bin" "$root/lib"
cp {here.executable} "$root/bin/python{wanted}"
ln -sfn {here.stdlib} "$root/lib/python{here.version}"
ln -sfn {here.stdlib} "$root/lib/python{wanted}"
""")
    uv.chmod(0o755)
    done = build("--interpreter", "uv", "--output", str(tmp_path / "dist"), *kept, UV=str(uv))

    assert "the locked wheels and the package for" in done.stdout
    if done.returncode != 0:
        assert "make layer: this tree cannot run in Lambda:\n  secrets-cache/" in done.stderr
        assert "which is not in the tree" in done.stderr or "needs glibc" in done.stderr
    assert (done.returncode == 0) is bool(list((tmp_path / "dist").glob("*.zip")))


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_the_locked_wheels_are_to_be_had_for_both_architectures(tmp_path, arch):
    """They are for the architecture asked for, whatever machine builds, and no runtime's glibc is too old for them."""
    here = interpreter.local(HERE)
    tree.install(dataclasses.replace(here, platform=f"{interpreter.UV_MACHINES[arch]}-manylinux2014"), tmp_path)

    assert 5 < len(list(elf.binaries_below(tmp_path)))
    assert [] == elf.of_other_machine(tmp_path, arch)
    assert [] == elf.of_newer_glibc(tmp_path)


# What cannot steer it.


class Launched:
    """The layer's launcher, started as Lambda starts it, by an environment that may be hostile."""

    def __init__(self, opt: Path, folder: Path, upstream_url: str, api: LambdaApi, environ, prepare: str = "") -> None:
        self.port = free_port()
        variables = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_ENDPOINT_URL": upstream_url,
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "x",
            "SECRETS_CACHE_PORT": str(self.port),
            **config(folder, "secrets: [db]"),
            **environ,
        }
        assignments = " ".join(f"'{name}={value}'" for name, value in variables.items())
        # `env -i` is the last thing before the launcher: nothing of this test's own environment reaches it.
        script = f"{prepare}\ncd {folder}\nexec /usr/bin/env -i {assignments} /opt/extensions/secrets-cache"
        self.process = subprocess.Popen(
            sandbox.command(str(opt), ["/bin/sh", "-ec", script], own_network=False),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout is not None
        self.log = Log(self.process.stdout)
        self.url = f"http://127.0.0.1:{self.port}"

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


HOSTILE_MODULES = (
    "json.py",
    "logging.py",
    "socket.py",
    "yaml.py",
    "sitecustomize.py",
    "usercustomize.py",
    "secrets_cache.py",
)
# No digest could be had with it.
OPENSSL_CONF = """openssl_conf = init
[init]
alg_section = algorithms
[algorithms]
default_properties = fips=yes
"""
SURROUNDINGS = {
    "nothing at all": ({}, ""),
    "PYTHON*": (
        {
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
        },
        "",
    ),
    "the loader's variables": (
        {
            "LD_LIBRARY_PATH": "{task}/lib",
            "LD_PRELOAD": "{task}/none.so",
            "LD_AUDIT": "{task}/none.so",
            "OPENSSL_CONF": "{task}/openssl.cnf",
            "OPENSSL_MODULES": "{task}/lib",
        },
        "",
    ),
    "a PATH that leads elsewhere": ({"PATH": "{task}/bin"}, ""),
    "another HOME and language": ({"HOME": "{task}", "LANG": "tr_TR.UTF-8", "LC_ALL": "C"}, ""),
    "a read-only /opt": ({}, "mount -o remount,bind,ro /opt"),
    "a full /tmp": (
        {"TMPDIR": "/tmp"},
        "mount -t tmpfs -o size=4k none {tmp}; head -c 65536 /dev/zero >{tmp}/full 2>/dev/null || true",
    ),
}


def hostile(tmp_path: Path) -> Path:
    """Return a function's folder full of what would like to be taken for something of ours."""
    task = tmp_path / "task"
    for module in HOSTILE_MODULES:
        (task / "asyncio").mkdir(parents=True, exist_ok=True)
        (task / module).write_text(f"import os; os.write(1, b'STEERED by {module}'); os._exit(7)")
        (task / "asyncio" / "__init__.py").write_text("import os; os.write(1, b'STEERED by asyncio'); os._exit(7)")
    for program in ("python3", "env", "sh", "dirname"):
        (task / "bin").mkdir(exist_ok=True)
        (task / "bin" / program).write_text("#!/bin/sh\necho STEERED by PATH; exit 7\n")
        (task / "bin" / program).chmod(0o755)
    (task / "openssl.cnf").write_text(OPENSSL_CONF)
    (task / "lib").mkdir()
    for library in ("libpython3.11.so.1.0", "libssl.so.3", "libcrypto.so.3", "libz.so.1"):
        (task / "lib" / library).write_bytes(b"not a library")
    return task


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_nothing_around_it_steers_it(opt, upstream, tmp_path, name):
    """A function's folder full of modules with our modules' names is the current folder in each case."""
    task = hostile(tmp_path)
    full = tmp_path / "full"
    full.mkdir()
    variables, prepare = SURROUNDINGS[name]
    environ = {key: value.format(task=task) for key, value in variables.items()}
    upstream.put("db", CANARY)
    with LambdaApi() as api:
        launched = Launched(opt, task, upstream.url, api, environ, prepare.format(tmp=full))
        try:
            assert next_is_open(api), launched.log.text
            assert (200, CANARY) == get(f"{launched.url}/cache/db")
        finally:
            launched.end(api)

    assert "STEERED" not in launched.log.text
    assert [] == [line for line in launched.log.text.splitlines() if not line.startswith(("{", "ERROR: ld.so"))]
    assert {"secrets-cache"} == {call.headers["lambda-extension-name"] for call in api.calls if "register" in call.path}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_nothing_around_the_wrapper_steers_it(opt, upstream, tmp_path, name):
    """And what it was given is what the runtime gets."""
    task, full = hostile(tmp_path), tmp_path / "full"
    full.mkdir()
    variables, prepare = SURROUNDINGS[name]
    upstream.put("db", f'{{"FROM_SECRET": "{CANARY}"}}')
    environ = {
        "AWS_ENDPOINT_URL": upstream.url,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "x" * 40,
        "SECRET_ARN": "db",
        **{key: value.format(task=task) for key, value in variables.items()},
    }
    assignments = " ".join(f"'{name}={value}'" for name, value in environ.items())
    command = f"/usr/bin/env -i {assignments} /opt/get-secrets-layer /bin/cat /proc/self/environ"
    script = f"{prepare.format(tmp=full)}\ncd {task}\nexec {command}"
    done = subprocess.run(
        sandbox.command(str(opt), ["/bin/sh", "-ec", script], own_network=False), capture_output=True, check=False
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    found = dict(entry.split("=", 1) for entry in done.stdout.decode().split("\0") if entry)
    assert {**environ, "FROM_SECRET": CANARY} == found


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


def test_its_name_is_that_of_its_file(opt, upstream, tmp_path):
    """Lambda insists on it, whatever somebody calls the launcher."""
    renamed = tmp_path / "opt"
    unpack(built_layer(), renamed)
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
