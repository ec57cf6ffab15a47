"""The client through aiobotocore: credentials, profiles, proxies, and settings that it cannot use."""

import asyncio
import contextlib
import json
import time

import pytest
from aiohttp import web
from botocore.exceptions import (
    ConfigParseError,
    CredentialRetrievalError,
    InvalidRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)

from secrets_cache.aws.aiobotocore import _read_timestamp, _Response, classify_exception, classify_opening
from secrets_cache.aws.client import ClientSettings
from secrets_cache.aws.lazy_client import LazyClient
from secrets_cache.aws.sts import Role
from secrets_cache.core.retry import RetryableError
from secrets_cache.core.secret import AwsContext
from secrets_cache.errors import SecretRefused
from secrets_cache.system.clock import SystemClock
from tests.support import upstream as stub
from tests.support.fakes import CANARY, FakeClock
from tests.unit.aws.conftest import secrets_client
from tests.unit.aws.test_sts import DENIED, ROLE


@pytest.fixture(autouse=True)
def _fallback_only(monkeypatch):
    monkeypatch.setenv("SECRETS_CACHE_LANES", "0")


async def fetch(client, name: str = "db") -> str:
    """Return the value that one call gives."""
    value: str = (await client.call("get_secret_value", name, {"SecretId": name}))["SecretString"]
    return value


async def failure(client) -> RetryableError:
    """Return what a call that fails for a passing reason raises."""
    with pytest.raises(RetryableError) as caught:
        await fetch(client)
    return caught.value


@pytest.mark.usefixtures("no_credentials")
async def test_no_credentials_and_then_some(upstream, monkeypatch):
    """Credentials that come later are found: the client is created anew."""
    upstream.put("db", CANARY)
    async with secrets_client() as client:
        error = (await failure(client)).error
        assert "no-credentials" == error.code
        assert "no AWS credentials were found" in str(error)
        assert 0 == upstream.count()

        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

        assert CANARY == await fetch(client)


async def test_no_region(monkeypatch):
    """Outside Lambda it may be missing; the error says which variable."""
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    async with secrets_client() as client:
        assert "AWS_REGION is not set" in str((await failure(client)).error)


@pytest.mark.parametrize(
    ("variable", "value", "code"),
    [
        ("HTTP_PROXY", "http://127.0.0.1:9", "proxy-failed"),
        ("AWS_CA_BUNDLE", "/nonexistent.pem", "request-failed"),
    ],
)
async def test_a_proxy_or_a_certificate_file_that_cannot_be_used(upstream, monkeypatch, variable, value, code):
    """The code for it leads to the variable."""
    monkeypatch.setenv(variable, value)
    if variable == "AWS_CA_BUNDLE":
        monkeypatch.setenv("AWS_ENDPOINT_URL", upstream.url.replace("http:", "https:"))
    async with secrets_client() as client:
        error = (await failure(client)).error

    assert (code, 0) == (error.code, upstream.count())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_PROFILE", "nobody"),
        ("AWS_ENDPOINT_URL", "not a url"),
        ("AWS_ENDPOINT_URL", "http://a..b"),
        ("AWS_ENDPOINT_URL", "http://localhost:157799"),
        ("AWS_REGION", "eu west 1"),
    ],
)
async def test_a_client_that_cannot_be_created_names_the_settings_to_check(upstream, monkeypatch, variable, value):
    """It is no fault of AWS's answer: there was none."""
    monkeypatch.setenv(variable, value)
    if variable == "AWS_REGION":
        monkeypatch.delenv("AWS_ENDPOINT_URL")
    async with secrets_client() as client:
        error = (await failure(client)).error

    assert "client-misconfigured" == error.code
    assert variable in str(error)


@pytest.mark.parametrize("classify", [classify_exception, classify_opening])
def test_of_an_unknown_exception_only_the_type_shows(classify):
    """Its text might hold anything."""
    text = str(classify("db", ZeroDivisionError(CANARY)).error)

    assert "(ZeroDivisionError)" in text
    assert CANARY not in text


def test_a_profile_that_is_missing_is_named(monkeypatch):
    """By the name that was looked for, and the files where it was looked for."""
    monkeypatch.delenv("AWS_CONFIG_FILE", raising=False)
    monkeypatch.delenv("AWS_SHARED_CREDENTIALS_FILE", raising=False)
    text = str(classify_opening("db", ProfileNotFound(profile="dev")).error)
    assert "the AWS profile 'dev' is in neither ~/.aws/config nor ~/.aws/credentials; check AWS_PROFILE" in text

    monkeypatch.setenv("AWS_CONFIG_FILE", "/etc/aws")
    text = str(classify_opening("db", ProfileNotFound(profile="dev")).error)
    assert "is in neither /etc/aws nor ~/.aws/credentials" in text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:15777", "'localhost:15777' is not the URL of an endpoint; set AWS_ENDPOINT_URL to one, with"),
        ("localhost:15777", "such as http://localhost:15777"),
        ("http//localhost", "'http//localhost' is not the URL of an endpoint; set AWS_ENDPOINT_URL to one"),
        ("http://", "'http://' is not the URL of an endpoint; set AWS_ENDPOINT_URL to one"),
        (f"user:{CANARY}@host", "the AWS client could not be created (ValueError)"),
    ],
)  # fmt: skip
async def test_a_url_that_is_none_is_shown_with_what_it_lacks(monkeypatch, url, said):
    """Unless it may hold a password."""
    text = str(classify_opening("db", ValueError(f"Invalid endpoint: {url}")).error)

    assert said in text
    assert "http://http" not in text
    assert CANARY not in text


def test_the_variable_that_holds_an_invalid_url_is_named(monkeypatch):
    """There are several."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "localhost:9")
    text = str(classify_opening("db", ValueError("Invalid endpoint: localhost:9")).error)

    assert "set AWS_ENDPOINT_URL_SECRETS_MANAGER to one, with a scheme, such as http://localhost:9" in text


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ValueError("Port out of range 0-65535"),
            "the port of an endpoint or a proxy is not a port; check AWS_ENDPOINT",
        ),
        (InvalidRegionError(region_name="eu west 1"), "'eu west 1' is not the name of a region; check AWS_REGION"),
        (ConfigParseError(path="~/.aws/config"), "~/.aws/config cannot be parsed as an AWS configuration file"),
        (
            PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
            "the AWS credentials are incomplete: AWS_SECRET_ACCESS_KEY is missing",
        ),
        (
            CredentialRetrievalError(provider="custom-process", error_msg=CANARY),
            "the AWS credentials could not be retrieved (custom-process)",
        ),
        (UnauthorizedSSOTokenError(), "the AWS credentials have expired, and there are no newer ones"),
    ],
)
def test_a_setting_that_is_wrong_is_named(error, said):
    """Where botocore's exception tells it."""
    assert str(classify_exception("db", error).error).endswith(said) or said in str(classify_opening("db", error).error)


# Credentials that change.


class Container:
    """
    A container's credentials endpoint.

    Attributes:
        given: The access keys that it has given, each time another.
        expiration: When it says that they expire.
    """

    def __init__(self) -> None:
        self.given: list[str] = []
        self.expiration = "2099-01-01T00:00:00Z"

    async def answer(self, request: web.Request) -> web.Response:
        assert "of-the-container" == request.headers["Authorization"]
        self.given.append(f"AKID{len(self.given)}")
        return web.json_response(
            {"AccessKeyId": self.given[-1], "SecretAccessKey": "x", "Token": "t", "Expiration": self.expiration}
        )


@pytest.fixture(name="container")
async def _container(monkeypatch, aiohttp_server, no_credentials):
    """Give the endpoint that credentials come from."""
    container, app = Container(), web.Application()
    app.router.add_get("/credentials", container.answer)
    server = await aiohttp_server(app)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.port}/credentials")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "of-the-container")
    return container


async def test_container_credentials_that_have_expired_are_no_credentials(upstream, container):
    """The endpoint may still hold those of the snapshot: AWS is not blamed for it, and the endpoint is asked again."""
    upstream.put("db", CANARY)
    container.expiration = "2001-01-01T00:00:00Z"
    async with secrets_client() as client:
        error = (await failure(client)).error
        assert ("expired-credentials", 0) == (error.code, upstream.count())
        assert "the AWS credentials have expired" in str(error)

        container.expiration = "2099-01-01T00:00:00Z"
        assert CANARY == await fetch(client)


async def test_container_credentials_that_expired_are_asked_for_again(upstream, container):
    """Under SnapStart they come from an endpoint, and are others after a restore."""
    upstream.put("db", CANARY)
    upstream.faults.append(stub.aws_error("ExpiredTokenException", "The security token included is expired"))
    async with secrets_client() as client:
        assert (await failure(client)).at_once
        assert CANARY == await fetch(client)

    assert ["AKID0", "AKID1"] == container.given
    assert ["AKID0", "AKID1"] == [call.access_key for call in upstream.calls]


REJECTIONS = ["UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "InvalidSignatureException"]


def reject(access_key: str, code: str = "UnrecognizedClientException"):
    """Return a fault: AWS does not know one access key."""
    rejected = stub.aws_error(code, "The security token included in the request is invalid.")
    return lambda call: rejected if call.access_key == access_key else None


def warnings(caplog) -> list[dict[str, object]]:
    """Return the fields of the lines about credentials that were rejected."""
    return [record.args for record in caplog.records if record.msg == "credentials.rejected"]


@pytest.fixture(name="profile")
def _profile(monkeypatch, tmp_path, no_credentials):
    """Give a function that writes the file of credentials."""
    path = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))

    def write(access_key: str) -> None:
        path.write_text(f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = x\n")

    write("AKIDOLD")
    return write


@pytest.mark.parametrize("code", REJECTIONS)
async def test_credentials_that_were_rotated_are_read_again_at_once(upstream, profile, caplog, code):
    """The caller notices nothing; one line says whose credentials AWS rejected, and why."""
    upstream.put("db", CANARY)
    async with secrets_client() as client:
        await fetch(client)
        profile("AKIDNEW")
        upstream.fault = reject("AKIDOLD", code)
        assert [CANARY] * 2 == [await fetch(client) for _ in range(2)]

    assert ["AKIDOLD", "AKIDOLD", "AKIDNEW", "AKIDNEW"] == [call.access_key for call in upstream.calls]
    fields = {"service": "secretsmanager", "credentials": "shared-credentials-file", "code": code}
    assert [fields] == warnings(caplog)


async def test_credentials_that_are_still_the_same_are_not_tried_again(upstream, profile, caplog):
    """The refusal stands until there are others. The line about it comes once."""
    upstream.put("db", CANARY)
    upstream.fault = reject("AKIDOLD")
    async with secrets_client() as client:
        for _ in range(2):
            with pytest.raises(SecretRefused):
                await fetch(client)
        assert 2 == len(upstream.calls)
        profile("AKIDNEW")
        assert CANARY == await fetch(client)

    assert 1 == len(warnings(caplog))


async def test_an_access_denied_that_is_about_the_token_is_about_credentials(upstream, profile):
    """Any other one is about permissions, and costs no second call."""
    upstream.put("db", CANARY)
    async with secrets_client() as client:
        upstream.fault = stub.ACCESS_DENIED
        with pytest.raises(SecretRefused):
            await fetch(client)
        upstream.fault = reject("AKIDOLD", "AccessDeniedException")
        profile("AKIDNEW")
        assert CANARY == await fetch(client)

    assert ["AKIDOLD", "AKIDOLD", "AKIDNEW"] == [call.access_key for call in upstream.calls]


async def test_container_credentials_that_are_rejected_are_asked_for_again(upstream, container):
    """At once, from the same endpoint."""
    upstream.put("db", CANARY)
    upstream.fault = reject("AKID0")
    async with secrets_client() as client:
        assert CANARY == await fetch(client)

    assert ["AKID0", "AKID1"] == container.given


@contextlib.asynccontextmanager
async def client_of_role(clock):
    """Give a client that reads by a role."""
    sts = LazyClient(ClientSettings("sts", "eu-west-1", 1, clock))
    role = Role(AwsContext("eu-west-1", ROLE), sts, function="", clock=clock)
    client = LazyClient(ClientSettings("secretsmanager", "eu-west-1", 5, clock, role))
    try:
        yield client
    finally:
        await client.aclose()
        await role.aclose()


async def test_a_role_whose_session_is_rejected_is_assumed_again(upstream, caplog):
    """The line names the role."""
    upstream.put("db", CANARY)
    upstream.fault = reject("ASIAROLE1")
    async with client_of_role(SystemClock()) as client:
        assert CANARY == await fetch(client)

    assert ["ASIAROLE1", "ASIAROLE2"] == [call.access_key for call in upstream.calls if call.ids == ["db"]]
    assert [ROLE] == [fields["credentials"] for fields in warnings(caplog)]


async def test_a_role_is_not_assumed_again_because_of_a_freeze(upstream):
    """Connections are made anew; its session is as good as before, until an hour is over."""
    upstream.put("db", CANARY)
    clock = FakeClock()
    clock.wall = time.time()
    async with client_of_role(clock) as client:
        for _ in range(2):
            await fetch(client)
            clock.freeze(60)
        upstream.role_seconds = 7200
        clock.freeze(3600)
        await fetch(client)

    keys = [call.access_key for call in upstream.calls if call.ids == ["db"]]
    assert ["ASIAROLE1", "ASIAROLE1", "ASIAROLE2"] == keys
    assert 3 == len({call.connection for call in upstream.calls if call.ids == ["db"]})


async def test_a_role_that_is_refused_names_the_role(upstream):
    """There is no call for the secret."""
    upstream.fault = stub.Answer(status=403, body=DENIED)
    async with client_of_role(SystemClock()) as client:
        with pytest.raises(SecretRefused, match=ROLE) as caught:
            await fetch(client)

    assert "role" == caught.value.what
    assert ["AssumeRole"] == [call.operation for call in upstream.calls]


async def test_an_answer_that_is_no_object_is_malformed(upstream):
    """Botocore makes None of it."""
    upstream.fault = stub.Answer(body=b"null")
    async with secrets_client() as client:
        assert "malformed-answer" == (await failure(client)).error.code


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1.5, 1.5),
        ("1.5", 1.5),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01", 1.0),
        ("1970-01-01T01:00:01+01:00", 1.0),
        ("soon", "soon"),
        ([], []),
        (None, None),
    ],
)
def test_a_timestamp_is_read_without_local_time(value, read):
    """A number stays what it is; a date without a zone is in UTC; what is neither is for the reader to judge."""
    assert read == _read_timestamp(value)


async def test_a_client_that_is_replaced_does_not_cut_off_its_other_calls(upstream):
    """One call finds the connections too old after a freeze; another that is under way still gets its answer."""
    for name in ("db", "slow"):
        upstream.put(name, CANARY)
    found = json.dumps(upstream.find("slow")).encode()
    upstream.fault = lambda call: stub.Answer(body=found, delay=0.3) if call.ids == ["slow"] else None
    clock = FakeClock()
    async with secrets_client(clock) as client:
        await fetch(client)
        upstream.arrived.clear()
        slow = asyncio.create_task(fetch(client, "slow"))
        await asyncio.to_thread(upstream.arrived.wait)
        clock.freeze(60)
        assert (CANARY, CANARY) == (await fetch(client), await slow)

    assert (1, 2) == (upstream.count("slow"), upstream.count("db"))
    assert 2 == len({call.connection for call in upstream.calls})


# What shows.


def test_an_answer_never_shows():
    """Its repr has the status only."""

    class Response:
        """The part of aiohttp's response that is read."""

        url, status, raw_headers = "http://localhost", 200, ()

    assert "_Response(200)" == repr(_Response(Response(), CANARY.encode()))  # type: ignore[arg-type]
