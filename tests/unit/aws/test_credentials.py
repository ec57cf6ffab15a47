"""Where credentials come from, and what becomes of a call whose credentials AWS rejects."""

import contextlib

import pytest
from botocore.credentials import EnvProvider
from botocore.session import get_session

from secrets_cache.aws.credentials import Credentials, SignedCalls, StaticCredentials, find_provider
from secrets_cache.aws.errors import classify
from secrets_cache.core.retry import RetryableError
from secrets_cache.errors import SecretError, SecretRefused
from tests.support.fakes import CANARY, FakeClock

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": f"{CANARY}-key"}
OLDER_IS_EMPTY = {"AWS_SECURITY_TOKEN": "", "AWS_SESSION_TOKEN": "another-token"}
CONTAINER = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/credentials", "HOME": "/nonexistent"}


def source(environ: dict[str, str]) -> str:
    """Return where credentials come from; empty if botocore must find them."""
    provider = find_provider(environ, FakeClock())
    return "" if provider is None else provider.source


@pytest.mark.parametrize("token", ["", "a-session-token"])
async def test_credentials_come_from_the_environment(token):
    """With a session token, or without one; before those of the container, as in botocore."""
    provider = find_provider({**CONTAINER, **KEYS, "AWS_SESSION_TOKEN": token}, FakeClock())

    assert provider is not None
    assert "env" == provider.source
    found = await provider.get("db")
    assert ("AKIDEXAMPLE", f"{CANARY}-key", token) == (found.access_key, found.secret_key, found.token)
    assert not provider.reject(found)


@pytest.mark.parametrize(
    "environ",
    [{}, *({name: "a-session-token"} for name in ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")), OLDER_IS_EMPTY],
    ids=str,
)
async def test_the_token_is_the_one_that_botocore_takes(environ):
    """The older name comes first, unless it is empty."""
    provider = find_provider({**KEYS, **environ}, FakeClock())
    botocores = EnvProvider({**KEYS, **environ}).load()

    assert provider is not None
    assert botocores is not None
    assert (botocores.token or "") == (await provider.get("db")).token


@pytest.mark.parametrize(
    "change",
    [
        {"AWS_ACCESS_KEY_ID": ""},
        {"AWS_ACCESS_KEY_ID": "short"},
        {"AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_SECRET_ACCESS_KEY": "with a blank"},
        {"AWS_SESSION_TOKEN": "line\nbreak"},
        {"AWS_CREDENTIAL_EXPIRATION": "2099-01-01T00:00:00Z"},
    ],
    ids=str,
)
def test_credentials_that_are_not_two_keys_and_a_token_are_botocores(change):
    """Part of them is missing, no header can hold them, or there is more."""
    assert "" == source({**KEYS, **change})


def test_without_credentials_in_the_environment_the_container_is_asked():
    """If it has an endpoint; even where the environment's are set, but empty."""
    assert "container-role" == source(CONTAINER)
    assert "container-role" == source({**CONTAINER, "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "x"})
    assert "" == source({"HOME": "/nonexistent"})


@pytest.mark.parametrize(
    "name",
    ["AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "HTTP_PROXY"],
)
def test_what_botocore_looks_at_before_the_container_makes_it_botocores(name):
    """It may find other credentials there."""
    assert "" == source({**CONTAINER, name: "x"})


@pytest.mark.parametrize("file", [".aws/config", ".aws/credentials", ".boto"])
def test_a_file_that_botocore_reads_before_it_asks_the_container_makes_it_botocores(tmp_path, file):
    """Of the user."""
    environ = {**CONTAINER, "HOME": str(tmp_path)}
    assert "container-role" == source(environ)
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert "" == source(environ)


def test_botocore_looks_nowhere_else_before_the_container():
    """What botocore's own chain has before it is known: with another version, the next place must be looked at."""
    resolver = get_session().get_component("credential_provider")
    names = [provider.METHOD for provider in resolver.providers]

    assert [
        "env",
        "assume-role",
        "assume-role-with-web-identity",
        "sso",
        "shared-credentials-file",
        "login",
        "custom-process",
        "config-file",
        "ec2-credentials-file",
        "boto-config",
        "container-role",
        "iam-role",
    ] == names


def test_credentials_do_not_show():
    """They are equal if all parts are; what an answer may repeat is long enough to be no word."""
    found = Credentials("AKIDEXAMPLE", f"{CANARY}-key", "x")

    assert CANARY not in repr(found)
    assert (f"{CANARY}-key", "AKIDEXAMPLE") == found.hidden()
    assert found == Credentials("AKIDEXAMPLE", f"{CANARY}-key", "x")
    assert found != Credentials("AKIDEXAMPLE", f"{CANARY}-key", "y")


# What becomes of a call.


class Provider:
    """Gives credentials with one key after the other, the last one for ever: the next when they were rejected."""

    source = "somewhere"
    was_given_up = False

    def __init__(self, *keys: str) -> None:
        self.keys = list(keys)

    async def get(self, name: str) -> Credentials:
        return Credentials(self.keys[0], "", "")

    def reject(self, credentials: Credentials) -> bool:
        if len(self.keys) > 1 and credentials.access_key == self.keys[0]:
            del self.keys[0]
        return True


class Calls:
    """The attempts of one client; `codes` are what AWS says to each key."""

    def __init__(self, provider: Provider | StaticCredentials, **codes: str) -> None:
        self.codes = codes
        self.message = ""
        self.made: list[str] = []
        self._calls = SignedCalls(provider, "secretsmanager")

    async def make(self) -> str:
        return await self._calls.make("db", self._attempt)

    async def _attempt(self, credentials: Credentials) -> str:
        self.made.append(credentials.access_key)
        code = self.codes.get(credentials.access_key)
        if code is not None:
            raise classify("db", status=400, code=code, message=self.message)
        return CANARY


def sources(caplog) -> list[str]:
    """Return whose credentials the log calls rejected."""
    return [record.args["credentials"] for record in caplog.records if record.msg == "credentials.rejected"]


async def test_a_call_whose_credentials_are_rejected_is_made_once_more_with_others(caplog):
    """The caller notices nothing; one line says whose they were."""
    calls = Calls(Provider("OLD", "NEW"), OLD="UnrecognizedClientException")

    assert CANARY == await calls.make()
    assert ["OLD", "NEW"] == calls.made
    assert ["somewhere"] == sources(caplog)


async def test_credentials_that_are_the_same_again_are_not_tried_again(caplog):
    """The refusal stands. The line about it comes once, until a call succeeds."""
    calls = Calls(Provider("OLD"), OLD="UnrecognizedClientException")
    for _ in range(2):
        with pytest.raises(SecretRefused):
            await calls.make()
    assert (["OLD"] * 2, 1) == (calls.made, len(sources(caplog)))

    calls.codes.clear()
    await calls.make()
    calls.codes["OLD"] = "InvalidClientTokenId"
    with pytest.raises(SecretRefused):
        await calls.make()
    assert 2 == len(sources(caplog))


async def test_credentials_that_have_expired_are_left_to_the_next_attempt():
    """Which begins at once, and asks for others."""
    calls = Calls(Provider("OLD", "NEW"), OLD="ExpiredTokenException")
    with pytest.raises(RetryableError) as caught:
        await calls.make()

    assert caught.value.at_once
    assert CANARY == await calls.make()
    assert ["OLD", "NEW"] == calls.made


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ThrottlingException"])
async def test_a_failure_that_is_not_about_credentials_does_not_change_them(caplog, code):
    """It costs no second call."""
    provider = Provider("OLD", "NEW")
    calls = Calls(provider, OLD=code)
    with pytest.raises((SecretError, RetryableError)):
        await calls.make()

    assert (["OLD"], ["OLD", "NEW"], []) == (calls.made, provider.keys, sources(caplog))


async def test_a_session_that_was_revoked_is_replaced(caplog):
    """IAM denies it all that it asks for, with the words of a policy; a newer session is not denied."""
    calls = Calls(Provider("OLD", "NEW"), OLD="AccessDeniedException")
    calls.message = "User: x is not authorized with an explicit deny in an identity-based policy"

    assert [CANARY] * 2 == [await calls.make() for _ in range(2)]
    assert ["OLD", "NEW", "NEW"] == calls.made
    assert ["somewhere"] == sources(caplog)


async def test_a_denial_that_newer_credentials_do_not_end_is_about_the_secret():
    """Each call for it costs one call, until there are other credentials."""
    calls = Calls(Provider("OLD", "NEW", "NEWEST"), OLD="AccessDenied", NEW="AccessDenied", NEWEST="AccessDenied")
    calls.message = "with an explicit deny in a resource-based policy"
    for _ in range(3):
        with pytest.raises(SecretRefused):
            await calls.make()

    assert ["OLD", "NEW", "NEW", "NEW"] == calls.made


async def test_credentials_that_stay_what_they_are_are_not_asked_for_again(caplog):
    """Nor is there a line about them: the error says it."""
    calls = Calls(StaticCredentials(Credentials("OLD", "", "")), OLD="UnrecognizedClientException")
    with contextlib.suppress(SecretRefused):
        await calls.make()

    assert (["OLD"], []) == (calls.made, sources(caplog))
