"""The wrapper's process: the real script, with this project's interpreter in its first line."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from secrets_cache.variables.wrapper_protocol import encode_answer
from tests.conftest import EXAMPLES
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.support.wrapper import CONTENTS, NAMES, RUNTIME, Extension, environ_in, plain, run, run_with_answer
from tools.emulator import ROOT


@settings(max_examples=25 * EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(values=st.dictionaries(NAMES, CONTENTS, max_size=8), own=st.dictionaries(NAMES, CONTENTS, max_size=4))
def test_whatever_the_extension_gives_arrives_to_the_byte(script, values, own):
    """And nothing else is changed, added or left out: no LC_ALL of an interpreter's, no SHLVL of a shell's."""
    with Extension(encode_answer(values)) as extension:
        environ = {**own, b"AWS_LAMBDA_RUNTIME_API": extension.address.encode()}
        done = run(script, environ, "an argument", "")

    assert (0, b"") == (done.returncode, done.stderr)
    assert {**environ, **values} == environ_in(done.stdout)
    assert done.stdout.endswith(b"\0an argument\0")


@pytest.mark.shows_secrets("the runtime's environment is what is tested")
def test_without_an_extension_it_fetches_by_itself(script, upstream, tmp_path):
    """The three sources, the later ones winning; the same secret once."""
    upstream.put("db", f'{{"A": "1", "B": "{CANARY}\\n$`|\\"", "C": 1.50}}')
    upstream.put("key", "whole")
    config = tmp_path / "config.yaml"
    config.write_text("env:\n  - {secret: db, include: [A], rename: {A: B}}\n  - {secret: key, as: KEY}")
    environ = plain(
        SECRET_ARN="db", REF="secretsmanager://db#C", SECRETS_CACHE_CONFIG=str(config), AWS_ENDPOINT_URL=upstream.url
    )
    found = environ_in(run(script, environ).stdout)

    changed = {b"A": b"1", b"B": b"1", b"C": b"1.50", b"KEY": b"whole", b"REF": b"1.50"}
    expected = {**environ, **changed}
    del expected[b"AWS_LAMBDA_EXEC_WRAPPER"]
    assert expected == found


def test_without_an_extension_it_names_a_mistyped_reference(script, upstream):
    """In its own log; the runtime starts with the text."""
    upstream.put("db", "x")
    environ = plain(X="ssm:/x", Y="https://host", GOOD="secretsmanager://db", AWS_ENDPOINT_URL=upstream.url)
    done = run(script, environ)
    line, _, rest = done.stdout.partition(b"\n")

    assert b'"event": "variable.suspect", "name": "X"' in line
    assert b"ssm:/x" == environ_in(rest)[b"X"]


def test_without_a_mistyped_reference_nothing_more_is_imported():
    """The search for what was meant is slow to import, and every start waits for it."""
    code = """
import sys
from secrets_cache.variables.standalone import resolve_standalone
resolve_standalone({"URL": "https://host", "DB": "postgresql://host", "BUCKET": "s3://x", "GREETING": "hello"})
assert not {"secrets_cache.variables.suspects", "difflib"} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)

    assert (0, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize("answer", [b"", b"+A=1\0", b"+A=1\0.", b"garbage"])
def test_an_extension_that_dies_is_as_none(script, upstream, answer):
    """Half an answer sets nothing: the wrapper fetches by itself."""
    upstream.put("db", '{"A": "of our own"}')
    done = run_with_answer(script, answer, SECRET_ARN="db", AWS_ENDPOINT_URL=upstream.url)

    assert b"of our own" == environ_in(done.stdout)[b"A"]


def test_an_extension_that_dies_late_has_used_up_its_part_of_api_timeout(script, upstream):
    """The rest is what is left for the wrapper's own fetch."""
    upstream.fault = stub.HANG
    with Extension(b"", delay=1.2) as extension:
        environ = plain(
            AWS_LAMBDA_RUNTIME_API=extension.address, SECRET_ARN="db", API_TIMEOUT="2000", AWS_ENDPOINT_URL=upstream.url
        )
        line = read_failure(run(script, environ))

    found = re.search(r"AWS did not answer within (\S+) s \(API_TIMEOUT\)", line)
    assert found is not None
    assert 0.8 >= float(found[1])


def read_failure(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the one line of a wrapper that has failed."""
    assert 1 == done.returncode
    assert b"" == done.stderr
    (line,) = done.stdout.decode().splitlines()
    assert '"event": "variables.failed"' in line
    assert CANARY not in line
    return line


def test_a_failure_of_the_extension_is_reported(script):
    """Exit code 1, one line, and no runtime."""
    assert "SECRET_ARN: it is gone" in read_failure(run_with_answer(script, b"!SECRET_ARN: it is gone\0.\0"))


# What `ACCESS_DENIED` says.
DENIED = "User: arn:aws:sts::1:role is not authorized"
ROLE_DENIED = stub.Answer(
    status=403,
    body=b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>",
)


@pytest.mark.parametrize(
    ("fault", "more", "said"),
    [
        (None, {"SECRET_ARN": "dbb"}, "secret 'dbb' was not found in AWS Secrets Manager"),
        (None, {"SECRET_ARN": "text"}, "secret 'text' is not a JSON object"),
        (None, {"X": "secretsmanager://a b"}, "X: found 'a b'; allowed: the name or ARN of a secret"),
        (stub.HANG, {"SECRET_ARN": "db", "API_TIMEOUT": "300"}, "within 0.3 s (API_TIMEOUT); in a VPC, add a"),
        (
            stub.HANG,
            {"SECRET_ARN": "db", "ASSUME_ROLE_ARN": "arn:aws:iam::123456789012:role/reader", "API_TIMEOUT": "6000"},
            "AWS did not answer within 6 s (API_TIMEOUT); in a VPC, add a NAT gateway or an endpoint for STS",
        ),
        (
            stub.aws_error("AccessDeniedException", "arn:aws:sts::1:assumed-role/kms-reader/x is not authorized"),
            {"SECRET_ARN": "db"},
            "allow the role secretsmanager:GetSecretValue on this secret",
        ),
        (
            stub.ACCESS_DENIED,
            {"X": "ssm:///p"},
            f"X: AWS refused parameter '/p' with AccessDeniedException: {DENIED}; allow the role ssm:GetParameter",
        ),
        (stub.aws_error("ParameterNotFound"), {"X": "ssm:///p"}, "X: parameter '/p' was not found in Parameter Store"),
        (
            ROLE_DENIED,
            {"SECRET_ARN": "db", "ASSUME_ROLE_ARN": "arn:aws:iam::123456789012:role/reader"},
            "with AccessDenied: not authorized; the role's trust policy must allow the function's role",
        ),
    ],
)
def test_a_failure_says_what_is_wrong_and_what_to_do(script, upstream, fault, more, said):
    """In one line, which Lambda shows as the init error. All of the advice: tests/unit/variables/test_resolve.py."""
    upstream.put("db", f'{{"A": "{CANARY}"}}')
    upstream.put("text", CANARY)
    upstream.fault = fault
    environ = {"AWS_ENDPOINT_URL": upstream.url, "API_TIMEOUT": "60000", **more}
    assert said in read_failure(run(script, plain(**environ)))


def test_what_is_not_required_is_left_out(script, upstream, tmp_path):
    """With one WARNING; the function starts."""
    upstream.put("db", '{"A": "1"}')
    config = tmp_path / "config.yaml"
    config.write_text("env: [{secret: nope, required: false}, {secret: db}]")
    done = run(script, plain(AWS_ENDPOINT_URL=upstream.url, SECRETS_CACHE_CONFIG=str(config)))

    assert 0 == done.returncode
    assert b'"event": "variables.skipped"' in done.stdout.splitlines()[0]
    assert b"A=1\0" in done.stdout


def test_a_wrong_configuration_is_reported_and_fails_only_in_strict_mode(script, tmp_path):
    """The extension does the same."""
    config = tmp_path / "config.yaml"
    config.write_text("env: [{secret: a, parameter: b}]")
    done = run(script, plain(SECRETS_CACHE_CONFIG=str(config)))
    assert 0 == done.returncode
    assert b"either secret or parameter" in done.stdout

    strict = run(script, plain(SECRETS_CACHE_CONFIG=str(config), SECRETS_CACHE_STRICT="1"))
    assert 1 == strict.returncode
    assert b"SECRETS_CACHE_STRICT is set" in strict.stdout


@pytest.mark.parametrize(("size", "fits"), [(131072 - len("BIG=") - 1, True), (131072 - len("BIG="), False)])
def test_a_value_may_be_as_large_as_the_kernel_takes_it(script, size, fits):
    """128 KiB with its name and its end; one byte more is too large, and said with the sizes."""
    done = run_with_answer(script, encode_answer({b"BIG": b"x" * size}))
    if fits:
        assert size == len(environ_in(done.stdout)[b"BIG"])
    else:
        assert "the largest 'BIG' with 131073; the kernel allows 131072 bytes for one variable" in read_failure(done)


def test_an_environment_that_is_too_large_is_reported_with_the_sizes(script):
    """The sum of all variables counts."""
    values = {b"V%d" % number: b"x" * 100_000 for number in range(40)}
    line = read_failure(run_with_answer(script, encode_answer(values)))

    assert "the environment is too large: 4000" in line


def run_command(script: Path, *command: str, folder: Path | None = None, **environ: str):
    """Run the wrapper with another command than the runtime's, and with an extension that sets nothing."""
    with Extension(b".\0") as extension:
        ours = plain(AWS_LAMBDA_RUNTIME_API=extension.address, **environ)
        return subprocess.run([str(script), *command], env=ours, cwd=folder, capture_output=True, check=False)


def test_a_command_that_does_not_exist_is_reported(script):
    """Whether a path or a name."""
    for command in ("/nonexistent/x", "no-such-program"):
        done = run_command(script, command, PATH="/nonexistent:/bin")
        assert f"'{command}' cannot be run: No such file or directory" in read_failure(done)
    assert b"found\n" == run_command(script, "echo", "found", PATH="/nonexistent:/bin").stdout
    assert "nothing to run" in read_failure(run_command(script))


def test_the_runtime_finds_its_signals_as_they_were(script):
    """Python ignores SIGPIPE, and what is ignored stays so in whatever is executed."""
    done = run_command(script, "/bin/grep", "SigIgn", "/proc/self/status")
    # subprocess gives these two back as well; what else this process ignores, its children do.
    ours = int(Path("/proc/self/status").read_text().partition("SigIgn:")[2].split()[0], 16)
    given_back = sum(1 << (number - 1) for number in (signal.SIGPIPE, signal.SIGXFSZ))
    # Ignored by the C library itself wherever it spawns by posix_spawn, as Python 3.13 does with a newer one.
    internal = sum(1 << (number - 1) for number in (32, 33))
    assert ours & ~given_back & ~internal == int(done.stdout.split()[1], 16) & ~internal


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_the_socket_of_another_user_is_not_trusted(script, upstream):
    """Another user can take the name of the socket: the wrapper then fetches by itself."""
    upstream.put("db", '{"A": "of our own"}')
    os.seteuid(65534)
    try:
        extension = Extension(encode_answer({b"A": b"of somebody else"}))
    finally:
        os.seteuid(0)
    with extension:
        environ = plain(SECRET_ARN="db", AWS_ENDPOINT_URL=upstream.url, AWS_LAMBDA_RUNTIME_API=extension.address)
        assert b"of our own" == environ_in(run(script, environ).stdout)[b"A"]


def test_an_entry_without_a_name_is_left_out(script):
    """No program can be given one by this way."""
    with Extension(b".\0") as extension:
        found = run_with_entries(script, extension, [b"=x", b"A=1", b"A=2", b"no equals"])

    assert {b"A": b"1", b"AWS_LAMBDA_RUNTIME_API": extension.address.encode()} == found


def run_with_entries(script: Path, extension: Extension, entries: list[bytes]) -> dict[bytes, bytes]:
    """Run the wrapper with an environment that `subprocess` would not give; return what the runtime found."""
    import ctypes

    read, write = os.pipe()
    every = [b"AWS_LAMBDA_RUNTIME_API=" + extension.address.encode(), *entries]
    command = [bytes(script), sys.executable.encode(), b"-I", b"-c", RUNTIME.encode()]
    libc = ctypes.CDLL(None)
    argv = (ctypes.c_char_p * (len(command) + 1))(*command, None)
    envp = (ctypes.c_char_p * (len(every) + 1))(*every, None)
    child = os.fork()
    if child == 0:
        os.dup2(write, 1)
        libc.execve(command[0], argv, envp)
        os._exit(9)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        output = file.read()
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return environ_in(output)


def test_a_name_is_looked_for_along_the_whole_path(script, tmp_path):
    """Past what may not be run; an empty place is the current folder."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "tool").write_text("no program")
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    for path in (f"{tmp_path}/here:{tmp_path}", f"{tmp_path}/here:"):
        assert b"found\n" == run_command(script, "tool", folder=tmp_path, PATH=path).stdout
    done = run_command(script, "tool", PATH=f"{tmp_path}/here:/nonexistent")
    assert "'tool' cannot be run: Permission denied" in read_failure(done)
