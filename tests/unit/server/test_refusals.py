"""What callers name and there is not: what they get, and what the log says of it."""

import json

import pytest

from secrets_cache.config import Config, Problem
from secrets_cache.server import NativeHandler
from secrets_cache.server.message import Request
from secrets_cache.server.refusals import MAX_COMPARED, suggest_name
from tests.support.fakes import CANARY
from tests.support.upstream import arn_of

KEY_REASON = "there is no key 'passwort'"
PARAMETER_REASON = "unknown parameter 'kye'; allowed: key, version_stage, version_id, refresh"


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, str]]:
    """Return the fields of each line of an event."""
    return [dict(record.args) for record in caplog.records if record.msg == event and isinstance(record.args, dict)]


# Names that are not listed.


async def test_a_name_that_is_not_listed_is_logged_once_and_not_more_than_50(running, caplog):
    """The name is shortened, since callers choose it."""
    for number in [0, 0, *range(60)]:
        await running.get(f"/cache/unknown-{number}")

    assert [{"secret": f"unknown-{number}"} for number in range(50)] == logged(caplog, "secret.not_configured")


async def test_a_file_that_is_missing_is_named(setup, caplog):
    """The caller learns that there is no config.yaml, and where it was looked for."""
    setup.open_cache()
    handler = NativeHandler(
        cache=setup.cache,
        tokens=None,
        list_problems=tuple,
        clock=setup.clock,
        config=lambda: Config(missing_file="/var/task/config.yaml"),
    )
    response = await handler.handle(Request(method="GET", target=f"/cache/{'n' * 80}", hosts=["localhost"]))
    await setup.cache.aclose()

    assert (
        f"'{'n' * 80}' is not listed: there is no config.yaml (looked for /var/task/config.yaml), "
        "and no variable lists it" == json.loads(response.body)["detail"]
    )
    (record,) = [record for record in caplog.records if record.msg == "secret.not_configured"]
    assert "/var/task/config.yaml" == record.args["file"]
    assert 60 == len(record.args["secret"])


async def test_problems_of_the_configuration_may_be_why(setup):
    """A mistake may have left out the name, which the caller knows to be in the file."""
    setup.open_cache()
    config = Config(problems=(Problem("config.yaml", 1, "secret", "unknown key 'secret'", "the keys secrets"),))
    handler = NativeHandler(
        cache=setup.cache, tokens=None, list_problems=tuple, clock=setup.clock, config=lambda: config
    )
    response = await handler.handle(Request(method="GET", target="/cache/other", hosts=["localhost"]))
    await setup.cache.aclose()

    detail = json.loads(response.body)["detail"]
    assert detail.endswith("covers it; the configuration has problems, which /health and the log list")


@pytest.mark.parametrize("times", [1, 2])
async def test_a_misspelt_name_gets_the_listed_one(running, caplog, times):
    """In every response, and in the one line of the log."""
    for _ in range(times):
        details = await running.problem("/cache/prod/bd")

    assert str(details["detail"]).endswith("allow covers it (did you mean 'prod/db'?)")
    assert [{"secret": "prod/bd", "suggestion": "prod/db"}] == logged(caplog, "secret.not_configured")


async def test_what_is_not_logged_gets_no_suggestion(running):
    """A flood of such requests costs no more than before."""
    for number in range(50):
        await running.get(f"/cache/unknown-{number}")
    details = await running.problem("/cache/prod/bd")

    assert str(details["detail"]).endswith("allow covers it")


async def test_without_the_token_nothing_is_suggested_and_nothing_logged(setup, caplog):
    """Names are for those who may have the values."""
    setup.tokens = ("t",)
    async with setup.running() as running:
        details = [
            await running.problem(f"/cache/{target}") for target in ("prod/bd", "json?key=passwort", "json?kye=x")
        ]

    assert {"token-required"} == {each["code"] for each in details}
    assert "prod/db" not in str(details)
    assert [] == [*logged(caplog, "secret.not_configured"), *logged(caplog, "request.refused")]


@pytest.mark.parametrize(
    ("name", "listed", "expected"),
    [
        ("shop/databaze", ["shop/cart", "shop/database"], "shop/database"),
        ("Shop/Database", ["shop/database"], "shop/database"),
        ("shop/feature", ["/shop/features", "/shop/feature/"], "/shop/feature/"),
        ("/shop/feature", ["/shop/feature/"], "/shop/feature/"),
        ("db", ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:other-AbCdEf"], ""),
        ("", ["db"], ""),
        ("db", [], ""),
        # However many are listed, the time is bounded: those of the most similar length are compared.
        ("databaze", [*("x" * 30 for _ in range(MAX_COMPARED)), "database"], "database"),
        ("databaze", [*(f"{number:08}" for number in range(MAX_COMPARED)), "database"], ""),
    ],
)
def test_the_name_that_was_meant(name, listed, expected):
    """A path of parameters may lack its last slash; else the most similar of the listed names, if any is similar."""
    assert expected == suggest_name(name, listed)


# Names that are right, in requests that are not.


@pytest.mark.parametrize(
    ("target", "secret", "code", "reason"),
    [
        ("json?key=passwort", "json", "key-not-found", KEY_REASON),
        ("json?kye=x", "json", "invalid-request", PARAMETER_REASON),
        ("prod%2Fdb?kye=x", "prod/db", "invalid-request", PARAMETER_REASON),
        ("allowed?kye=x", "allowed", "invalid-request", PARAMETER_REASON),
        (
            "text?key=x",
            "text",
            "invalid-request",
            "parameter 'key' needs a secret that is a JSON object; this one is not",
        ),
    ],
)
async def test_a_request_that_is_refused_is_a_line(running, caplog, target, secret, code, reason):
    """Once for each secret and code, however often it comes: many clients do not show the body of an error."""
    for _ in range(3):
        assert code == (await running.problem(f"/cache/{target}"))["code"]
    await running.get(f"/cache/{target}", "HEAD")

    assert [{"secret": secret, "code": code, "reason": reason}] == logged(caplog, "request.refused")


async def test_a_listed_secret_has_its_name_of_the_configuration_in_the_line(running, caplog):
    """Whichever of its names the caller uses, it is one line."""
    await running.get("/cache/json")
    for name in (arn_of("json"), "json"):
        await running.problem(f"/cache/{name}?key=x")

    assert ["json"] == [fields["secret"] for fields in logged(caplog, "request.refused")]


@pytest.mark.parametrize("target", ["unknown?kye=x", "%zz?kye=x", "json%zz"])
async def test_a_name_that_is_not_known_is_no_such_line(running, caplog, target):
    """Callers could fill the log with invented names."""
    assert "invalid-request" == (await running.problem(f"/cache/{target}"))["code"]
    assert [] == logged(caplog, "request.refused")


async def test_what_the_caller_sent_is_shortened_and_escaped(running, caplog):
    """A line holds no line end, and at most 60 characters of a key or of a parameter's name."""
    await running.problem(f"/cache/json?key=a%0ab{'k' * 3000}")
    await running.problem(f"/cache/json?{'p' * 3000}%0d=x")
    reasons = [fields["reason"] for fields in logged(caplog, "request.refused")]

    assert 2 == len(reasons)
    assert all(len(reason) < 150 and reason.isprintable() for reason in reasons)


async def test_there_are_at_most_50_such_lines(running, caplog):
    """Of all names that `allow` covers, and all codes."""
    for number in range(60):
        await running.problem(f"/cache/allowed-{number}?kye=x")

    assert 50 == len(logged(caplog, "request.refused"))


async def test_no_line_tells_what_keys_a_secret_has(running, caplog):
    """Nor any part of its value."""
    await running.problem("/cache/json?key=passw")
    text = json.dumps(logged(caplog, "request.refused"))

    assert "password" not in text
    assert CANARY not in text
