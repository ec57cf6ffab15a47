"""The credentials of a container's endpoint: asked for, and understood, as botocore does it."""

import json
import re
import time
from collections import deque
from collections.abc import Iterator

import pytest
from aiobotocore.credentials import AioContainerProvider
from aiobotocore.utils import AioContainerMetadataFetcher
from botocore.utils import ContainerMetadataFetcher
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from secrets_cache.aws.container import ATTEMPTS, _to_grant, find_container
from secrets_cache.errors import SecretUnavailable
from tests.support.container import GOOD, HANG, Answer, Container
from tests.support.fakes import CANARY, FakeClock
from tests.unit.aws.test_answers import spoil

RELATIVE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
FULL = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"


@pytest.fixture(name="container", scope="module")
def _server() -> Iterator[Container]:
    with Container() as container:
        yield container


@pytest.fixture(name="endpoint")
def _endpoint(container: Container) -> Container:
    """Give the endpoint as it is at first."""
    container.answers = deque([Answer()])
    container.asked = []
    return container


Found = tuple[str, str, str, float] | None


async def no_pause(_: float) -> None:
    """Wait no time between attempts."""


async def ask(environ: dict[str, str]) -> Found:
    """Return the credentials that we find, and when they expire; None if there are none."""
    provider = find_container(environ, FakeClock(), no_pause)
    assert provider is not None
    grant = await provider._fetch()  # noqa: SLF001 - the time of their end shows nowhere else
    if grant is None:
        return None
    found = grant.credentials
    return found.access_key, found.secret_key, found.token, grant.expires_at


async def ask_botocore(environ: dict[str, str]) -> Found:
    """Return those that botocore finds."""
    provider = AioContainerProvider(environ, AioContainerMetadataFetcher(sleep=no_pause))
    try:
        held = vars(await provider.load())
        ends = held["_expiry_time"]
        parts = held["_access_key"], held["_secret_key"], held["_token"] or ""
        return (*parts, ends.timestamp()) if ends.tzinfo else None
    except Exception:  # noqa: BLE001 - of any kind: there are none
        return None


async def compare(environ: dict[str, str], endpoint: Container) -> tuple[Found, int]:
    """Return what both find, and with how many requests, which must be the same."""
    answers = endpoint.answers.copy()
    ours, asked = await ask(environ), endpoint.asked.copy()
    endpoint.answers = answers
    endpoint.asked.clear()
    botocores = await ask_botocore(environ)

    assert (botocores, endpoint.asked) == (ours, asked)
    return ours, len(asked)


# Addresses.


@pytest.mark.parametrize(
    "environ",
    [
        {RELATIVE: "/v2/credentials/7b8f?id=1"},
        {RELATIVE: "/get", FULL: "http://127.0.0.1:9/other"},
        {FULL: "http://127.0.0.1:9001/2021-07-01/credentials"},
        {FULL: "http://localhost/get-credentials"},
        {FULL: "http://169.254.170.23/v1/credentials"},
        {FULL: "http://[fd00:ec2::23]/v1/credentials"},
        {FULL: "http://[::1]:80/%20~x"},
    ],
    ids=str,
)
def test_addresses_of_lambda_ecs_and_eks_are_asked(environ):
    """Host, port and path are those that botocore asks."""
    url = environ[FULL] if RELATIVE not in environ else f"http://169.254.170.2{environ[RELATIVE]}"
    ContainerMetadataFetcher()._validate_allowed_url(url)  # type: ignore[attr-defined]  # noqa: SLF001 - it asks nobody
    found = find_container(environ, FakeClock())

    assert found is not None
    parsed, endpoint = URL(url, encoded=True), found._connections.endpoint  # noqa: SLF001 - no request is made
    assert (parsed.host, parsed.port, False) == (endpoint.host, endpoint.port, endpoint.is_secure)
    assert parsed.raw_path_qs == found._target  # noqa: SLF001 - the same


@pytest.mark.parametrize(
    "url",
    [
        *("", "/get", "http://", "http:///get", "get", "//localhost/get"),
        *("https://localhost/get", "https://example.com/get", "HTTP://localhost/get", "ftp://localhost/get"),
        *("http://example.com/get", "http://169.254.169.254/get", "http://169.254.170.20/get", "http://10.0.0.1/get"),
        *("http://localhost.example.com/get", "http://localhost@example.com/get", "http://user@localhost/get"),
        *("http://LOCALHOST/get", "http://localhost./get", "http://127.0.0.2/get", "http://127.1/get"),
        *("http://[::ffff:127.0.0.1]/get", "http://[0:0:0:0:0:0:0:1]/get", "http://[fd00:ec2::24]/get"),
        *("http://[::1%eth0]/get", "http://fd00:ec2::23/get", "http://2130706433/get", "http://0x7f.0.0.1/get"),
        *("http://localhost:0/get", "http://localhost:99999/get", "http://localhost:/get", "http://localhost:x/get"),
        *("http://localhost", "http://localhost?x", "http://localhost/a/../b", "http://localhost/get#part"),
        *("http://localhost/a b", "http://localhost/\r\nX: y", "http://localhost/é", "http://localhost\\@example.com/"),
    ],
)
def test_any_other_address_is_left_to_botocore(url):
    """It refuses most of them. A token is sent to no other host."""
    assert find_container({FULL: url}, FakeClock()) is None


@pytest.mark.parametrize("relative", ["", "get", "@example.com/get", ":80@example.com/", ".example.com/get", "0/get"])
def test_a_relative_address_leads_to_no_other_host(relative):
    """Whatever it makes of the host that is put before it."""
    assert find_container({RELATIVE: relative}, FakeClock()) is None


# Tokens.


@pytest.mark.parametrize(
    "environ",
    [{}, {TOKEN: "of the container"}, {TOKEN: ""}, {TOKEN: "a\nb"}, {TOKEN: "a\r\nX: y"}, {TOKEN: "a\n"}],
    ids=str,
)
async def test_the_token_is_sent_as_it_is(endpoint, environ):
    """With a line end in it, there is no request: botocore calls it no legal value."""
    found, requests = await compare({FULL: f"{endpoint.url}/get", **environ}, endpoint)

    is_legal = "\n" not in environ.get(TOKEN, "")
    assert (is_legal, int(is_legal)) == (found is not None, requests)


@pytest.mark.parametrize("content", [b"of the file", b"", b"of the file\n", b"a\rb", b"\xff"], ids=repr)
async def test_the_token_of_a_file_comes_before_the_variables(endpoint, tmp_path, content):
    """A line end, even at its end, makes it unusable, as in botocore."""
    file = tmp_path / "token"
    file.write_bytes(content)
    environ = {FULL: f"{endpoint.url}/get", TOKEN: "of the variable", f"{TOKEN}_FILE": str(file)}
    found, _ = await compare(environ, endpoint)

    assert (content in {b"of the file", b""}) == (found is not None)


async def test_a_file_that_cannot_be_read_means_no_credentials(endpoint, tmp_path):
    """The variable is no substitute. Neither is a token that no header holds."""
    environ = {FULL: f"{endpoint.url}/get", TOKEN: "of the variable"}
    assert (None, 0) == await compare({**environ, f"{TOKEN}_FILE": str(tmp_path / "nothing")}, endpoint)
    assert (None, 0) == await compare({**environ, f"{TOKEN}_FILE": str(tmp_path)}, endpoint)

    for odd in ("é", "x" * 100_000, "a\tb"):
        assert await ask({**environ, TOKEN: odd}) is None
    assert [] == endpoint.asked


async def test_the_token_of_a_file_is_read_for_each_request(endpoint, tmp_path):
    """EKS exchanges it."""
    file = tmp_path / "token"
    file.write_text("first")
    provider = find_container({FULL: f"{endpoint.url}/get", f"{TOKEN}_FILE": str(file)}, FakeClock())
    assert provider is not None
    found = await provider.get("db")
    file.write_text("second")
    provider.reject(found)
    await provider.get("db")

    assert [("/get", "first"), ("/get", "second")] == endpoint.asked


# Answers.


async def test_odd_answers_give_the_same_credentials_or_none(endpoint):
    """
    A part that is missing, or of another type, or that no signature can hold; a date that is none.

    What botocore takes, and cannot sign or send, is none here.
    """
    environ = {FULL: f"{endpoint.url}/get"}
    good = {key: value for key, value in GOOD.items() if key != "RoleArn"}
    kinds = set()
    for spoiled in spoil(good):
        try:
            endpoint.answers = deque([Answer(body=json.dumps(spoiled).encode())])
        except (TypeError, ValueError):
            continue
        found, botocores = await ask(environ), await ask_botocore(environ)
        can_sign = botocores is not None and all(
            isinstance(part, str) and re.fullmatch(pattern, part)
            for part, pattern in zip(botocores, ("[ -~]+", "[ -~]+", "[ -~]*"), strict=False)
        )
        assert found == (botocores if can_sign else None)
        kinds.add((found is None, botocores is None))

    assert {(True, True), (True, False), (False, False)} == kinds


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner),
    max_leaves=8,
)


@given(st.one_of(JSON, st.fixed_dictionaries({key: st.just(value) | JSON for key, value in GOOD.items()})))
def test_whatever_is_answered_it_gives_credentials_that_can_be_sent_or_none(answer):
    """Nothing else is raised."""
    grant = _to_grant(answer)
    if grant is not None:
        found = grant.credentials
        for part in (found.access_key, found.secret_key, found.token):
            assert part.isascii()
            assert not part or part.isprintable()
        assert isinstance(grant.expires_at, float)


@pytest.mark.parametrize(
    ("date", "is_read"),
    [
        ("2099-01-01T00:00:00Z", True),
        ("2099-01-01T00:00:00.123456789Z", True),
        ("2099-01-01T01:00:00+01:00", True),
        ("2099-01-01 00:00:00+00:00", True),
        ("20990101T000000Z", True),
        ("0001-01-01T00:00:00Z", True),
        ("2099-01-01T00:00:00", False),
        ("2099-01-01", False),
        ("", False),
        ("soon", False),
    ],
)
async def test_dates_are_read_as_botocore_reads_them(endpoint, date, is_read):
    """One without a zone is none: botocore cannot compare it with the time."""
    endpoint.answers = deque([Answer(body=json.dumps({**GOOD, "Expiration": date}).encode())])

    assert is_read == ((await compare({FULL: f"{endpoint.url}/get"}, endpoint))[0] is not None)


async def test_a_date_that_is_not_iso_8601_is_none(endpoint):
    """Botocore reads it. AWS never sends it."""
    for date in ("Thu, 01 Jan 2099 00:00:00 GMT", "2099-01-01T00:00:00 UTC"):
        endpoint.answers = deque([Answer(body=json.dumps({**GOOD, "Expiration": date}).encode())])
        assert (False, True) == tuple(
            found is not None
            for found in (await ask({FULL: f"{endpoint.url}/get"}), await ask_botocore({FULL: f"{endpoint.url}/get"}))
        )


BAD = [
    Answer(204, b""),
    *(Answer(status) for status in (201, 400, 401, 403, 404, 429, 500, 503)),
    Answer(body=b""),
    Answer(body=b"<html>"),
    Answer(body=b"{"),
    Answer(length=1000),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda answer: f"{answer.status} {answer.body[:6]!r} {answer.length}")
async def test_a_failure_is_followed_by_two_more_attempts(endpoint, bad):
    """After a second each. Then there are no credentials, whatever was said; one good answer is enough."""
    environ = {FULL: f"{endpoint.url}/get"}
    endpoint.answers = deque([bad])
    assert (None, ATTEMPTS) == await compare(environ, endpoint)

    endpoint.asked.clear()
    endpoint.answers = deque([bad, bad, Answer()])
    found, requests = await compare(environ, endpoint)
    assert found is not None
    assert ATTEMPTS == requests


@pytest.mark.parametrize("answer", [{}, [], None, 5, "x"], ids=repr)
async def test_an_answer_in_another_form_is_not_asked_for_again(endpoint, answer):
    """As in botocore."""
    endpoint.answers = deque([Answer(body=json.dumps(answer).encode())])

    assert (None, 1) == await compare({FULL: f"{endpoint.url}/get"}, endpoint)


async def test_no_redirect_is_followed(endpoint):
    """Botocore follows it, with the token, to any host."""
    endpoint.answers = deque([Answer(302, b"", {"Location": f"{endpoint.url}/other"}), Answer()])
    assert await ask({FULL: f"{endpoint.url}/get", TOKEN: CANARY}) is not None
    assert [("/get", CANARY)] * 2 == endpoint.asked


async def test_an_answer_of_any_size_is_bounded(endpoint):
    """Credentials have a few thousand bytes."""
    endpoint.answers = deque([Answer(body=b" " * 17_000_000), Answer()])
    assert await ask({FULL: f"{endpoint.url}/get"}) is not None
    assert 2 == len(endpoint.asked)


async def test_nesting_without_end_means_no_credentials(endpoint):
    """The parser gives up; the process does not."""
    endpoint.answers = deque([Answer(body=b"[" * 100_000)])
    assert await ask({FULL: f"{endpoint.url}/get"}) is None


async def test_an_endpoint_that_does_not_answer_is_asked_again_after_two_seconds(endpoint):
    """Whatever comes later is not waited for."""
    endpoint.answers = deque([HANG, Answer()])
    began = time.monotonic()
    try:
        assert await ask({FULL: f"{endpoint.url}/get"}) is not None
    finally:
        endpoint.released.set()

    assert time.monotonic() - began >= 2
    assert 2 == len(endpoint.asked)


async def test_an_endpoint_that_is_not_there_means_no_credentials():
    """The error names the secret; it may pass, but not at once: three attempts were made."""
    provider = find_container({FULL: "http://127.0.0.1:1/get", TOKEN: CANARY}, FakeClock(), no_pause)
    assert provider is not None
    with pytest.raises(SecretUnavailable) as caught:
        await provider.get("db")

    assert ("no-credentials", "db") == (caught.value.code, caught.value.name)
    assert CANARY not in repr(provider) + repr(vars(caught.value)) + str(caught.value)


# Freezes and snapshots.


async def test_after_a_restore_they_are_asked_for_again(endpoint):
    """The monotonic clock stands still in a snapshot. An hour that both clocks count makes no difference to them."""
    clock = FakeClock()
    provider = find_container({FULL: f"{endpoint.url}/get"}, clock)
    assert provider is not None
    await provider.get("db")
    clock.tick(3600)
    clock.step_wall(-60)
    await provider.get("db")
    assert 1 == len(endpoint.asked)

    clock.freeze(65)
    for _ in range(2):
        await provider.get("db")
    assert 2 == len(endpoint.asked)
