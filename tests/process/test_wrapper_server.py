"""The wrapper and the extension of the same environment, as processes: one fetch for both."""

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from secrets_cache.variables.assignments import RESERVED
from tests.conftest import EXAMPLES, PATIENCE_SECONDS
from tests.support import upstream as stub
from tests.support.extension import get
from tests.support.fakes import CANARY
from tests.support.processes import EXTENSION, Process, config, frozen
from tests.support.wrapper import environ_in, plain, run
from tools.emulator import moto_server

WRAPPER = "/opt/get-secrets-layer"
ASSUMED = b"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>of-the-role</SecretAccessKey>
<SessionToken>of-the-role</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>"""
ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture(name="running")
def _running(api, upstream, tmp_path):
    """Give a function that runs an extension; its context gives the extension, and the environment of a wrapper."""

    @contextlib.contextmanager
    def running(text: str = "", **environ: str) -> Iterator[tuple[Process, dict[bytes, bytes]]]:
        environ = {
            "AWS_ENDPOINT_URL": upstream.url,
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_EXEC_WRAPPER": WRAPPER,
            **config(tmp_path, text),
            **environ,
        }
        with Process(EXTENSION, environ) as extension:
            extension.event("extension.ready")
            yield extension, plain(**environ)
            api.release.set()
            assert 0 == extension.exit_code()

    return running


@pytest.fixture(name="beside")
def _beside(running, script):
    """Give a function that runs the wrapper once next to an extension of the same environment."""

    def beside(text: str, **environ: str) -> tuple[subprocess.CompletedProcess[bytes], Process]:
        with running(text, **environ) as (extension, ours):
            done = run(script, ours)
        return done, extension

    return beside


@pytest.mark.shows_secrets("the runtime's environment is what is tested")
def test_cache_and_variables_share_each_fetch(beside, upstream):
    """Whatever is wanted twice, or by both, is fetched once; and all of it by the extension."""
    upstream.put("listed", f'{{"A": "{CANARY}"}}')
    upstream.put("only", '{"B": "2"}')
    done, extension = beside(
        "secrets: [listed]\nenv: [{secret: listed}, {secret: only}, {secret: only, as: WHOLE}]",
        SECRET_ARN=stub.arn_of("listed"),
        REF="secretsmanager://listed#A",
    )
    found = environ_in(done.stdout)

    assert (CANARY.encode(), b"2", b'{"B": "2"}', CANARY.encode()) == (
        found[b"A"], found[b"B"], found[b"WHOLE"], found[b"REF"],
    )  # fmt: skip
    assert (1, 1) == (upstream.count("listed"), upstream.count("only"))
    assert CANARY not in extension.log.text


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="=\0"), min_size=1).filter(
    lambda name: name.encode() not in RESERVED
)


@pytest.mark.shows_secrets("the runtime's environment is what is tested")
def test_any_secret_arrives_to_the_byte(running, upstream, script):
    """From AWS's answer through the extension, the wrapper and the kernel."""
    # The extension then fetches nothing before it is asked.
    with running(SECRET_ARN="db", AWS_LAMBDA_EXEC_WRAPPER="") as (_, environ):
        environ[b"AWS_LAMBDA_EXEC_WRAPPER"] = WRAPPER.encode()

        @settings(max_examples=25 * EXAMPLES)
        @given(st.dictionaries(NAMES, TEXTS, max_size=5))
        def arrives(pairs):
            upstream.put("db", json.dumps(pairs))
            done = run(script, environ)
            expected = {**environ, **{name.encode(): value.encode() for name, value in pairs.items()}}
            del expected[b"AWS_LAMBDA_EXEC_WRAPPER"]
            assert expected == environ_in(done.stdout)

        arrives()


def test_what_only_the_variables_want_is_not_served(running, upstream, script):
    """Callers cannot get it by HTTP, and the extension forgets it once the wrapper has it."""
    upstream.put("only", '{"B": "2"}')
    with running("env: [{secret: only}]") as (extension, environ):
        for count in (1, 2):
            assert b"2" == environ_in(run(script, environ).stdout)[b"B"]
            assert count == upstream.count("only")
        assert 404 == get(f"{extension.url}/cache/only")[0]


def test_a_name_means_the_same_with_and_without_an_extension(beside, upstream, script, tmp_path):
    """One that the configuration gives means what it says there; anything else is an id, and the current version."""
    for name in ("prod/db", "other", "third"):
        upstream.put(name, f'{{"{name[0].upper()}": "{name}"}}')
    arn = stub.arn_of("third")
    text = f"""secrets:
  - {{id: prod/db, name: db, version_stage: AWSPREVIOUS}}
  - {{id: other, name: mine}}
  - {{id: third, version_stage: AWSPREVIOUS}}
env: [{{secret: db}}, {{secret: prod/db}}, {{secret: mine}}, {{secret: third}}, {{secret: "{arn}"}}]
"""
    expected = {
        ("prod/db", "AWSPREVIOUS"), ("prod/db", None), ("other", None), ("third", "AWSPREVIOUS"),
    }  # fmt: skip

    def calls() -> set[tuple[str, str | None]]:
        return {(call.ids[0], call.arguments.get("VersionStage")) for call in upstream.calls}

    done, _ = beside(text)
    assert expected <= calls()
    assert {("third", None), (arn, None)} & (calls() - expected)
    upstream.calls.clear()
    alone = run(script, plain(AWS_ENDPOINT_URL=upstream.url, **config(tmp_path, text)))
    assert {*expected, (arn, None)} == calls()
    for one in (done, alone):
        assert (b"prod/db", b"other") == (environ_in(one.stdout)[b"P"], environ_in(one.stdout)[b"O"])


@contextlib.contextmanager
def waiting_wrapper(script, environ, upstream) -> Iterator["subprocess.Popen[bytes]"]:
    """Give a wrapper that waits for the extension, which waits for AWS."""
    with subprocess.Popen([str(script), "/bin/true"], env=environ, stdout=subprocess.PIPE) as wrapper:
        assert upstream.arrived.wait(PATIENCE_SECONDS)
        yield wrapper


def test_shutdown_waits_for_no_wrapper(api, upstream, running, script):
    """Nor for AWS."""
    upstream.fault = stub.HANG
    with (
        running(SECRET_ARN="db", API_TIMEOUT="30000") as (extension, environ),
        waiting_wrapper(script, environ, upstream) as wrapper,
    ):
        began = time.monotonic()
        api.release.set()
        assert 0 == extension.exit_code()
        assert 5 > time.monotonic() - began
        wrapper.kill()


@pytest.mark.parametrize(
    ("text", "seconds", "setting"), [("300", 0.3, b"API_TIMEOUT"), ("", 5, b"the default; API_TIMEOUT sets it")]
)
def test_an_extension_that_is_stopped_holds_the_wrapper_for_api_timeout_only(running, script, text, seconds, setting):
    """Its socket still takes connections, and requests. The reason tells whether the time was set."""
    with running(SECRET_ARN="db", API_TIMEOUT=text) as (extension, environ), frozen(extension.process.pid):
        began = time.monotonic()
        done = run(script, environ)
        assert seconds + PATIENCE_SECONDS / 4 > time.monotonic() - began

    assert 1 == done.returncode
    assert re.search(rb"the extension did not answer within \d\.\d s \(" + setting + rb"\)", done.stdout)


@pytest.mark.parametrize("is_beside", [True, False])
def test_api_timeout_bounds_what_is_not_required_as_well(running, upstream, script, is_beside):
    """It is left out then, with or without an extension; however long `fetch_timeout` is."""
    upstream.fault = stub.HANG
    with running("env: [{secret: db, required: false}]\nfetch_timeout: 60s", API_TIMEOUT="300") as (_, environ):
        began = time.monotonic()
        done = run(script, environ if is_beside else {**environ, b"AWS_LAMBDA_RUNTIME_API": b"nobody:1"})
        assert PATIENCE_SECONDS / 4 > time.monotonic() - began

    assert 0 == done.returncode


def test_a_failure_that_is_known_waits_for_nothing_else(upstream, running, script):
    """The other fetches for the same wrapper are of no use any more."""
    upstream.faults.append(stub.aws_error("ResourceNotFoundException", "no"))
    upstream.fault = stub.HANG
    with running(SECRET_ARN="nope", LATER="secretsmanager://hangs", API_TIMEOUT="30000") as (_, environ):
        began = time.monotonic()
        with waiting_wrapper(script, environ, upstream) as wrapper:
            assert 1 == wrapper.wait(PATIENCE_SECONDS)
            assert 5 > time.monotonic() - began


def test_many_values_of_one_service_share_a_client(beside, upstream):
    """A client costs time and memory: thirty parameters do not need thirty clients."""
    parameters = {f"P{number}": f"ssm:///p{number}" for number in range(30)}
    upstream.fault = stub.Answer(body=b'{"Parameter": {"Value": "v"}}')
    done, _ = beside("", **parameters)

    assert {b"v"} == {environ_in(done.stdout)[name.encode()] for name in parameters}
    assert 30 == upstream.count(operation="GetParameter")
    # One pool of connections.
    assert upstream.connections <= 20


def test_under_snapstart_only_what_the_variables_want_is_fetched(beside, upstream):
    """The snapshot has no listed secret."""
    for name in ("a", "b", "c"):
        upstream.put(name, f'{{"{name.upper()}": "1"}}')
    done, _ = beside(
        "secrets: [a, {id: b, name: bee}]",
        SECRET_ARN="c,bee",
        AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
    )

    assert (b"1", b"1") == (environ_in(done.stdout)[b"C"], environ_in(done.stdout)[b"B"])
    assert (0, 1, 1) == tuple(map(upstream.count, ("a", "b", "c")))


def test_the_wrapper_learns_of_a_failure(beside, upstream):
    """The wrapper writes the line and ends with 1; the extension goes on."""
    upstream.put("db", "text")
    done, extension = beside("", SECRET_ARN="db")

    assert 1 == done.returncode
    assert b"SECRET_ARN: secret 'db' is not a JSON object" in done.stdout
    assert ["extension.ready", "extension.stopped"] == [line["event"] for line in extension.log.events()]


def test_what_is_refused_is_logged_by_the_extension(beside, upstream):
    """And what is not required is left out."""
    upstream.put("db", '{"LD_PRELOAD": "x", "A": "1"}')
    done, extension = beside("env: [{secret: db}, {secret: nope, required: false}]")

    assert b"1" == environ_in(done.stdout)[b"A"]
    assert {"variable.refused", "variables.skipped"} <= {line["event"] for line in extension.log.events()}


def test_a_wrong_setting_is_the_wrappers_failure(beside):
    """The extension does not log it: the wrapper reports it."""
    done, extension = beside("", SECRET_ARN="a", API_TIMEOUT="soon")

    assert b"API_TIMEOUT: found 'soon'" in done.stdout
    assert "internal.error" not in extension.log.text


def test_an_extension_without_a_port_lets_the_wrapper_fetch(api, upstream, tmp_path, script):
    """The channel is closed at once, so that the wrapper does not wait for it."""
    upstream.put("db", '{"A": "1"}')
    environ = {"AWS_ENDPOINT_URL": upstream.url, "AWS_LAMBDA_RUNTIME_API": api.address, "SECRET_ARN": "db"}
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        Process(EXTENSION, environ, port=other.getsockname()[1]) as extension,
    ):
        extension.event("server.not_listening")
        assert b"1" == environ_in(run(script, plain(**environ)).stdout)[b"A"]
        api.release.set()
        assert 0 == extension.exit_code()


def test_a_role_is_assumed_once_and_reads_in_its_region(running, script, monkeypatch):
    """Role, secret and parameter against moto: what reads the secret is the role's session, in the region given."""
    with moto_server() as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        for region in ("eu-west-1", "us-east-1"):
            client = boto3.client("secretsmanager", region_name=region)
            client.create_secret(Name="db", SecretString=f'{{"WHERE": "{region}"}}')
        boto3.client("ssm", region_name="eu-west-1").put_parameter(Name="/flag", Value="on", Type="SecureString")
        variables = {"HERE": "secretsmanager://db#WHERE", "FLAG": "ssm:///flag"}
        role = {"SECRET_ARN": "db", "SECRET_REGION": "us-east-1", "ASSUME_ROLE_ARN": ROLE, "API_TIMEOUT": "60000"}
        with running(AWS_ENDPOINT_URL=url, **variables, **role) as (_, environ):
            with_extension = environ_in(run(script, environ).stdout)
        alone = environ_in(run(script, environ).stdout)

    for found in (with_extension, alone):
        assert (b"us-east-1", b"eu-west-1", b"on") == (found[b"WHERE"], found[b"HERE"], found[b"FLAG"])


def test_the_roles_credentials_read_and_no_others(upstream, script):
    """One AssumeRole for several secrets; CloudTrail shows the session with the name of this program."""
    assumes = []

    def assume(call):
        if call.operation != "AssumeRole":
            return None
        assumes.append(call.arguments)
        return stub.Answer(body=ASSUMED)

    upstream.put("a", '{"A": "1"}')
    upstream.put("b", '{"B": "2"}')
    upstream.fault = assume
    environ = plain(
        AWS_ENDPOINT_URL=upstream.url, SECRET_ARN="a,b", ASSUME_ROLE_ARN=ROLE, AWS_LAMBDA_FUNCTION_NAME="my function"
    )
    done = run(script, environ)

    assert 0 == done.returncode
    assert [(ROLE, "secrets-cache-my-function")] == [(one["RoleArn"], one["RoleSessionName"]) for one in assumes]
    reads = [call.headers for call in upstream.calls if call.operation == "GetSecretValue"]
    assert 2 == len(reads)
    assert all("Credential=ASIAROLE" in headers["authorization"] for headers in reads)
    assert all(headers["x-amz-security-token"] == "of-the-role" for headers in reads)


@pytest.mark.parametrize("kind", ["on-demand", "snap-start"])
def test_a_mistyped_reference_is_named_once_by_the_extension(running, upstream, script, kind):
    """At its start: the wrapper keeps such values to itself, and gives them to the runtime."""
    upstream.put("db", "x")
    value = f"secretmanager://{CANARY}"
    with running(MISTYPED=value, GOOD="secretsmanager://db", AWS_LAMBDA_INITIALIZATION_TYPE=kind) as (extension, ours):
        extension.event("variable.suspect")
        found = environ_in(run(script, ours).stdout)

    assert (value.encode(), b"x") == (found[b"MISTYPED"], found[b"GOOD"])
    (line,) = (line for line in extension.log.events() if line["event"] == "variable.suspect")
    assert ("WARNING", "MISTYPED") == (line["level"], line["name"])
    assert line["text"].endswith("a reference begins with secretsmanager://")
    assert CANARY not in extension.log.text


def test_without_a_wrapper_no_value_is_a_suspect(running):
    """The text of a variable is then nothing that is replaced."""
    with running(MISTYPED="ssm:/x", AWS_LAMBDA_EXEC_WRAPPER="") as (extension, _):
        pass

    assert "variable.suspect" not in extension.log.text
    assert "wrapper.unset" not in extension.log.text


@pytest.mark.parametrize("source", ["references", "file"])
def test_what_only_a_wrapper_sets_is_warned_of_without_one(running, source):
    """Nothing else would say why the function lacks its variables, or gets a reference as text."""
    variables = {"DB": "secretsmanager://db", "FLAG": "ssm:///flag"} if source == "references" else {}
    text = "env: [{secret: db, as: DB}]" if source == "file" else ""
    with running(SECRETS_CACHE_CONFIG_YAML=text, AWS_LAMBDA_EXEC_WRAPPER="", **variables) as (extension, _):
        line = extension.event("wrapper.unset")

    assert ("WARNING", list(variables)) == (line["level"], line["variables"])
    assert "set AWS_LAMBDA_EXEC_WRAPPER to /opt/get-secrets-layer" == line["advice"]
