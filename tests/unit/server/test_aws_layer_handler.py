"""The listener that speaks the protocol of AWS's own layer: each row of docs/migrating.md, over real sockets."""

import asyncio
import json

import pytest

from secrets_cache.config import parse
from secrets_cache.core.secret import AwsContext, ParameterFacts, Secret
from secrets_cache.server.aws_layer_handler import MAX_CONTEXTS, _build_json_response, _build_parameter
from tests.conftest import PATIENCE_SECONDS
from tests.support import aws_layer_table
from tests.support.aws_layer_table import BINARY, GOOD, PARAMETER, ROLE, ROWS, SECRET, Row, parameter, parameter_store
from tests.support.aws_listener import listeners, request, send
from tests.support.fakes import CANARY
from tests.support.http_server import LayerSetup, layer_request
from tests.support.pages import ROOT
from tests.support.upstream import ACCESS_DENIED, HANG, INTERNAL, REGION, RESET, THROTTLED, Answer, Call, arn_of
from tools.mutation import locate

TOKENS = ("AWS_TOKEN", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN")


@pytest.fixture(name="aws")
def _aws(upstream):
    """Give a stub that holds what the table says."""
    upstream.put("db", CANARY)
    upstream.put("certificate", BINARY)
    upstream.put("prod/api", CANARY)
    upstream.fault = parameter_store
    return upstream


# The table.


@pytest.mark.usefixtures("fast_paths")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.asked[:60]} {row.method}")
async def test_each_row_of_the_table_is_so(aws, row: Row):
    """The server answers what the page says, with the fast paths and without."""
    if row.fault is not None:
        aws.fault = row.fault
    async with listeners("fetch_timeout: 1s" if row.fault in (HANG, THROTTLED) else "") as running:
        received = await running.ask(row.target, method=row.method, headers=row.headers)

    assert row.status == received.status
    if isinstance(row.body, str):
        assert row.body == received.body.decode()
    elif row.body is not None:
        assert row.body == received.json()
    if row.calls:
        assert row.calls == aws.calls[0].arguments
    assert "no-store" == received.headers["cache-control"]
    is_json = row.target.startswith("/v1/") and received.body.startswith(b"{")
    assert ("application/json" if is_json else "text/plain; charset=utf-8") == received.headers["content-type"]
    assert received.status == 200 or CANARY not in received.body.decode()


def test_the_page_has_the_tables():
    """To write them anew: python -m tests.support.aws_layer_table."""
    page = aws_layer_table.PAGE.read_text(encoding="utf-8")

    assert aws_layer_table.written(page) == page


def test_each_rule_names_tests_that_exist():
    """Rules that no single request shows are proved by other tests."""
    rules = {**aws_layer_table.RULES, **aws_layer_table.VARIABLES}

    assert all(locate(test, ROOT / "tests").exists() for tests in rules.values() for test in tests)


async def test_an_answer_of_405_says_what_is_allowed(aws):
    """RFC 9110 section 15.5.6."""
    async with listeners() as running:
        assert "GET" == (await running.ask("/ping", method="POST")).headers["allow"]


# Who may ask.


@pytest.mark.parametrize("name", [*TOKENS, "SECRETS_CACHE_TOKEN"])
async def test_each_of_the_tokens_is_accepted(aws, name):
    """The tokens of both products, and that of secrets-cache; no other."""
    environ = {**dict.fromkeys(TOKENS, ""), name: f"{CANARY}-other"}
    async with listeners(variables=environ) as running:
        good = await running.ask(SECRET + "db", headers=[f"X-Aws-Parameters-Secrets-Token: {CANARY}-other"])
        bad = await running.ask(SECRET + "db")

    assert [200, 403] == [good.status, bad.status]


async def test_with_no_token_to_be_had_everything_but_ping_is_refused(aws, caplog):
    """Whatever is sent, an empty token too; and the log has it."""
    async with listeners(variables=dict.fromkeys(TOKENS, "")) as running:
        for headers in ((), GOOD, ("X-Aws-Parameters-Secrets-Token: ",)):
            for target in (SECRET + "db", PARAMETER + "plain", "/v1/db", "/nothing"):
                received = await running.ask(target, headers=headers)
                assert (403, b"Bad Token") == (received.status, received.body)
        assert 200 == (await running.ask("/ping", headers=())).status

    (record,) = (record for record in caplog.records if record.msg == "server.no_token")
    assert ("ERROR", 2773) == (record.levelname, record.args["port"])
    assert "AWS_TOKEN" in record.args["advice"]
    assert 0 == len(aws.calls)


async def test_a_token_may_be_in_a_file(aws, tmp_path):
    """As the agent's, read once at the start; spaces around the token do not count."""
    file = tmp_path / "token"
    file.write_text(f"{CANARY}-in-file\n", encoding="utf-8")
    async with listeners(variables={"AWS_TOKEN": f"file://{file}"}) as running:
        file.unlink()
        for token, status in ((f"{CANARY}-in-file", 200), (f"file://{file}", 403)):
            received = await running.ask(SECRET + "db", headers=[f"X-Aws-Parameters-Secrets-Token: {token}"])
            assert status == received.status


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"x" * 8193, "it is larger than 8192 bytes"),
    ],
)
async def test_a_token_whose_file_cannot_be_read_is_none(aws, caplog, tmp_path, content, reason):
    """The log names the file, and no token is accepted in its place."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    async with listeners(variables={**dict.fromkeys(TOKENS, ""), "AWS_TOKEN": f"file://{file}"}) as running:
        for token in ("", f"file://{file}", "x" * 8193):
            headers = [f"X-Aws-Parameters-Secrets-Token: {token}"]
            assert 200 != (await running.ask(SECRET + "db", headers=headers)).status

    logged = {record.msg: record.args for record in caplog.records if record.levelname == "ERROR"}
    assert {"file": str(file), "reason": reason} == logged["server.token_unreadable"]
    assert "server.no_token" in logged


async def test_a_token_that_is_no_text_refuses_and_breaks_nothing(aws, caplog):
    """A variable of a process may hold any bytes."""
    async with listeners(variables={"AWS_TOKEN": b"\xff".decode("utf-8", "surrogateescape")}) as running:
        assert [200, 403] == [(await running.ask(SECRET + "db", headers=h)).status for h in (GOOD, (GOOD[0] + "x",))]

    assert [] == [record.msg for record in caplog.records if record.levelname == "ERROR"]


# One cache for both listeners.


@pytest.mark.usefixtures("fast_paths")
async def test_what_one_listener_has_the_other_serves(aws):
    """Listed by ARN with an alias: by any of its names, on either port, from the one fetch."""
    async with listeners(f"secrets: [{{id: '{arn_of('db')}', name: alias}}]\nparameters: [/app/secure]") as running:
        for name in ("db", arn_of("db"), "alias", "db&versionStage=AWSCURRENT"):
            assert CANARY == (await running.ask(SECRET + name)).json()["SecretString"]
        received = await running.ask(PARAMETER + "%2Fapp%2Fsecure&withDecryption=true")
        assert parameter("/app/secure", Type="SecureString") == received.json()
        assert CANARY.encode() == (await running.ask_other("/cache/alias")).body

    assert [1, 1] == [aws.count(), aws.count("", "GetParameter")]


async def test_a_fresh_fetch_by_one_listener_is_the_others_too(aws):
    """The other way round: what is asked for here with refreshNow is served there."""
    async with listeners("secrets: [db]") as running:
        await running.ask_other("/cache/db")
        aws.put("db", CANARY * 2)
        assert "fwd=request" == (await running.ask(SECRET + "db&refreshNow=1")).served
        assert (CANARY * 2).encode() == (await running.ask_other("/cache/db")).body

    assert 2 == aws.count()


@pytest.mark.parametrize(("name", "calls"), [("/app/plain", 1), ("/app/secure", 2)])
async def test_a_listed_parameter_is_shared_unless_its_ciphertext_is_wanted(aws, name, calls):
    """Decrypted or not, what was never encrypted is the same; asked before and after the first fetch."""
    async with listeners(f"parameters: ['{name}']") as running:
        first = await running.ask(PARAMETER + name)
        again = await running.ask(PARAMETER + name)
        listed = await running.ask_other(f"/cache/{name}")

    assert first.json() == again.json()
    assert (CANARY if calls == 1 else aws_layer_table.CIPHERTEXT) == first.json()["Parameter"]["Value"]
    assert CANARY.encode() == listed.body
    assert calls == aws.count("", "GetParameter")


async def test_what_is_below_a_listed_path_is_shared(aws):
    """It is part of that path's entry."""
    aws.fault = None
    aws.parameters["/app/one"] = CANARY
    async with listeners("parameters: [/app/]") as running:
        received = await running.ask(PARAMETER + "/app/one&withDecryption=true")

    assert ("/app/one", CANARY) == tuple(received.json()["Parameter"][key] for key in ("Name", "Value"))
    assert 0 == aws.count("", "GetParameter")


async def test_what_was_fetched_on_demand_is_not_served_on_the_other_port(aws):
    """By none of its names, whatever was asked for here before."""
    async with listeners("secrets: [prod/api]") as running:
        for target in (
            SECRET + "db",
            SECRET + arn_of("db"),
            SECRET + "prod/api&versionId=" + "0" * 32,
            PARAMETER + "plain",
        ):
            assert 200 == (await running.ask(target)).status
        for name in ("db", arn_of("db"), "plain", "arn:aws:ssm:eu-west-1:123456789012:parameter/plain"):
            assert 404 == (await running.ask_other(f"/cache/{name}")).status
        assert CANARY not in (await running.ask_other("/health")).body.decode()


async def test_a_request_during_the_prefetch_waits_for_it(aws):
    """It is not told to come back, and makes no call of its own."""
    aws.delay = 0.2
    async with listeners("secrets: [db]") as running:
        assert 200 == (await running.ask(SECRET + "db")).status

    assert 1 == aws.count()


async def test_many_callers_share_one_call(aws):
    """Of what is listed and of what is not."""
    aws.delay = 0.2
    async with listeners() as running:
        received = await asyncio.gather(*(running.ask(SECRET + "db") for _ in range(30)))

    assert {200} == {one.status for one in received}
    assert 1 == aws.count()


# How old a value may be.


@pytest.mark.parametrize(
    ("target", "name", "operation"),
    [
        (SECRET + "db", "SECRETS_MANAGER_TTL", "GetSecretValue"),
        (PARAMETER + "plain", "SSM_PARAMETER_STORE_TTL", "GetParameter"),
    ],
)
@pytest.mark.parametrize("seconds", [300, 20])
async def test_the_ttl_is_300_seconds_unless_the_variable_says_otherwise(aws, clock, target, name, operation, seconds):
    """Younger than that, from memory; then a new fetch. The other service's variable has no say."""
    environ = {"SECRETS_MANAGER_TTL": "1", "SSM_PARAMETER_STORE_TTL": "1", name: str(seconds) if seconds < 300 else ""}
    async with listeners(variables=environ, clock=clock) as running:
        served = [(await running.ask(target)).served]
        for tick in (seconds - 1, 2):
            clock.tick(tick)
            served.append((await running.ask(target)).served)

    assert ["fwd=miss", "hit", "fwd=stale"] == served
    assert 2 == aws.count("", operation)


async def test_a_shorter_ttl_of_ours_counts_too(aws, clock):
    """No value is served on one port that would be too old on the other."""
    async with listeners("ttl: 10s", clock=clock) as running:
        await running.ask(SECRET + "db")
        clock.tick(11)
        assert "fwd=stale" == (await running.ask(SECRET + "db")).served


async def test_a_ttl_of_0_keeps_nothing(aws):
    """Each request is a call; and where that fails, it is a failure, whatever was fetched before."""
    async with listeners("secrets: [db]", {"SECRETS_MANAGER_TTL": "0"}) as running:
        for _ in range(3):
            assert 200 == (await running.ask(SECRET + "db")).status
        assert 3 == aws.count()  # the first is the prefetch's
        aws.fault = INTERNAL
        assert 500 == (await running.ask(SECRET + "db")).status
        assert 200 == (await running.ask_other("/cache/db")).status


@pytest.mark.parametrize(("ttl", "calls"), [("", 1), ("100", 3)])
async def test_what_is_listed_keeps_its_ttl_unless_the_variable_is_set(aws, clock, ttl, calls):
    """An hour is an hour here too; and what is remembered of it does not outlive the variable's."""
    async with listeners("secrets: [{id: db, ttl: 1h}]", {"SECRETS_MANAGER_TTL": ttl}, clock=clock) as running:
        for tick in (0, 99, 2, 300):
            clock.tick(tick)
            for _ in range(2):
                assert 200 == (await running.ask(SECRET + "db")).status

    assert calls == aws.count()


@pytest.mark.parametrize("name", ["ENABLED=false", "SIZE=0"])
async def test_a_cache_that_is_off_keeps_nothing_for_this_listener(aws, name):
    """The other one goes on as ever, with what `allow` covers too."""
    variable, _, value = name.partition("=")
    environ = {f"PARAMETERS_SECRETS_EXTENSION_CACHE_{variable}": value}
    async with listeners("secrets: [db]\nallow: [prod/*]", environ) as running:
        for _ in range(3):
            await running.ask(SECRET + "db")
            await running.ask_other("/cache/prod/api")
            await running.ask_other("/cache/db")

    assert [3, 1] == [aws.count("db"), aws.count("prod/api")]


async def test_an_old_value_is_served_while_aws_cannot_be_asked(aws, clock):
    """And marked as such, though it is no older than the general ttl; not after AWS has refused."""
    async with listeners(clock=clock) as running:
        await running.ask(SECRET + "db")
        clock.tick(301)
        aws.fault = INTERNAL
        received = await running.ask(SECRET + "db")
        assert (200, "hit; detail=stale") == (received.status, received.served)
        clock.tick(100)
        aws.fault = ACCESS_DENIED
        assert 400 == (await running.ask(SECRET + "db")).status


# What it costs.


async def test_only_so_many_are_kept(aws):
    """The least recently used entry goes first; before those with a value, those without one."""
    async with listeners(variables={"PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "4"}) as running:
        for number in range(3):
            for target in (f"{SECRET}nobody-{number}", f"{PARAMETER}nobody-{number}", f"/v1/db?versionId={number:032}"):
                await running.ask(target)
        registry = running.application.cache._registry  # noqa: SLF001 - it shows nowhere else
        assert (3, 1) == (len(registry._unlisted), len(registry._valueless))  # noqa: SLF001
        for target in (SECRET + "db", f"{SECRET}prod/api", SECRET + "db"):
            await running.ask(target)

    assert 1 == sum(call.arguments == {"SecretId": "db"} for call in aws.calls)


async def test_no_more_calls_at_once_than_connections(aws):
    """Calls above the number of connections wait."""
    at_once: list[int] = []

    def count(call: Call) -> Answer | None:
        at_once.append(len(aws.calls) - aws.answered)
        found = aws.good(call)
        return Answer(body=found.body, delay=0.03)

    aws.fault = count
    names = [f"n{number}" for number in range(8)]
    for name in names:
        aws.put(name, CANARY)
    async with listeners(variables={"PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS": "2"}) as running:
        received = await asyncio.gather(*(running.ask(SECRET + name) for name in names))

    assert {200} == {one.status for one in received}
    assert 2 == max(at_once)


@pytest.mark.parametrize(
    ("target", "name"),
    [(SECRET + "db", "SECRETS_MANAGER_TIMEOUT_MILLIS"), (PARAMETER + "plain", "SSM_PARAMETER_STORE_TIMEOUT_MILLIS")],
)
async def test_a_timeout_ends_the_wait_with_504(aws, target, name):
    """Long before the fetch itself is given up, which goes on for others."""
    aws.fault = HANG
    async with asyncio.timeout(PATIENCE_SECONDS), listeners("fetch_timeout: 60s", {name: "50"}) as running:
        assert 504 == (await running.ask(target)).status


@pytest.mark.parametrize(("more", "status"), [({}, 200), ({"SECRETS_MANAGER_TTL": "0"}, 504)])
async def test_a_timeout_ends_the_wait_with_the_old_value(aws, clock, more, status):
    """While `stale_if_error` covers it; a caller for whom nothing is kept gets the failure."""
    async with listeners(variables={"SECRETS_MANAGER_TIMEOUT_MILLIS": "1000", **more}, clock=clock) as running:
        assert 200 == (await running.ask(SECRET + "db")).status
        aws.fault = HANG
        clock.tick(700)
        received = await running.ask(SECRET + "db")

    assert status == received.status
    assert status == 504 or received.served == "hit; detail=stale"


async def test_a_timeout_that_is_longer_than_ours_counts(aws):
    """A caller that is willing to wait gets what comes after `fetch_timeout`."""
    aws.delay = 0.5
    async with listeners("fetch_timeout: 0.1s") as running:
        assert 504 == (await running.ask(SECRET + "db")).status
    async with listeners("fetch_timeout: 0.1s", {"SECRETS_MANAGER_TIMEOUT_MILLIS": "20000"}) as running:
        assert 200 == (await running.ask(SECRET + "db")).status


async def test_a_ttl_above_the_largest_caps_what_is_listed(aws, clock):
    """As 300 does."""
    async with listeners("secrets: [{id: db, ttl: 1h}]", {"SECRETS_MANAGER_TTL": "3600"}, clock=clock) as running:
        for tick in (0, 299, 2):
            clock.tick(tick)
            await running.ask(SECRET + "db")

    assert 2 == aws.count()


@pytest.mark.parametrize("fault", [THROTTLED, INTERNAL, RESET, HANG], ids=["throttled", "500", "reset", "hang"])
async def test_what_may_pass_says_when_to_ask_again(aws, fault):
    """In whole seconds, at least one (RFC 9110 section 10.2.3); what is definite does not."""
    aws.fault = fault
    async with listeners("fetch_timeout: 0.5s") as running:
        for path in (SECRET + "db", "/v1/prod/api", PARAMETER + "plain"):
            assert int((await running.ask(path)).headers["retry-after"]) >= 1
        aws.fault = ACCESS_DENIED
        assert "retry-after" not in (await running.ask(SECRET + "other")).headers


@pytest.mark.usefixtures("fast_paths")
@pytest.mark.parametrize(("status", "passed_on"), [(403, 403), (499, 499), (520, 520), (302, 400), (999, 500)])
async def test_the_status_of_an_error_is_awss_own(aws, status, passed_on):
    """Registered or not; what is no status of an error becomes the usual one."""
    aws.fault = Answer(status, b'{"__type": "StrangeException", "message": "no"}')
    async with listeners() as running:
        received = await running.ask(SECRET + "db")

    assert (passed_on, "StrangeException") == (received.status, received.json()["__type"])


async def test_parameters_of_one_round_share_awss_own_words(aws):
    """A batch that is throttled is the failure of each, with AWS's status."""
    aws.fault = THROTTLED
    async with listeners("parameters: [/app/plain, /app/list]\nfetch_timeout: 1.5s") as running:
        received = await running.ask(PARAMETER + "/app/plain&withDecryption=true")

    assert (400, "Rate exceeded") == (received.status, received.json()["message"])


async def test_a_parameter_without_a_value_has_null(clock):
    """A reference to a binary secret: AWS gives only its source."""
    facts = ParameterFacts(type="SecureString", version=0, source_result="{}")
    found = Secret(arn="", name="/x", version_id="0", created_at=None, value=b"", is_text=False, parameter=facts)

    body = _build_parameter(found)["Parameter"]

    assert isinstance(body, dict)
    assert (None, None, "{}") == (body["Value"], body["DataType"], body["SourceResult"])


async def test_both_protocols_on_one_port(aws):
    """Each path with its own rules; what neither knows gets the answer of ours."""
    environ = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "8080"}
    async with listeners("secrets: [db]", environ, is_shared=True) as running:
        assert CANARY.encode() == (await running.ask_other("/cache/db")).body
        assert 200 == (await running.ask_other("/ping")).status
        assert 403 == (await running.ask_other(SECRET + "db")).status
        for target in (SECRET + "db", PARAMETER + "plain", "/v1/db", "//secretsmanager/get?secretId=db"):
            assert 200 == (await send(running.other_port, request(target)))[0].status
        assert "problem+json" in (await running.ask_other("/nothing")).headers["content-type"]
        malformed = (await send(running.other_port, b"nonsense\r\n\r\n"))[0]
        assert (400, True) == (malformed.status, b"invalid-request" in malformed.body)


@pytest.mark.parametrize(
    ("layers", "ours", "level"),
    [
        ("", "", "INFO"),
        ("debug", "", "DEBUG"),
        ("WARN", "", "WARNING"),
        ("none", "", "ERROR"),
        ("debug", "ERROR", "ERROR"),
    ],
)
def test_the_log_level_is_the_layers_unless_ours_is_set(layers, ours, level):
    """Only where its protocol is spoken."""
    variables = {"PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL": layers, "SECRETS_CACHE_LOG_LEVEL": ours}
    port = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "2773"}

    assert level == parse(b"", file="f", environ={**variables, **port}).log_level
    assert (ours or "INFO") == parse(b"", file="f", environ=variables).log_level


def test_without_the_variable_nobody_listens():
    """Nor are the layer's other variables looked at."""
    environ = {"SECRETS_MANAGER_TTL": "soon", "PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "many"}
    off, on = (
        parse(b"", file="f", environ={**environ, **more})
        for more in ({}, {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "1"})
    )

    assert (0, ()) == (off.aws_port, off.problems)
    assert (1, [*environ]) == (on.aws_port, [problem.key for problem in on.problems])


def test_the_json_is_small_and_whole():
    """No spaces between its parts, and text of any script as itself."""
    assert b'{"a":[1,"\xc3\xa9\\n"]}' == _build_json_response(200, json.loads('{"a": [1, "\\u00e9\\n"]}')).body


async def test_a_role_that_cannot_be_assumed_keeps_no_place(aws):
    """A mistyped name, again and again, keeps no other role out; nor does a region where nobody answers."""
    denied = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"

    def refuse(call: Call) -> Answer | None:
        is_wrong = call.operation == "AssumeRole" and "typo" in call.arguments["RoleArn"]
        return Answer(403, denied, headers=("Content-Type: text/xml",)) if is_wrong else None

    aws.fault = refuse
    async with listeners() as running:
        for number in range(MAX_CONTEXTS + 1):
            received = await running.ask(f"{SECRET}db&roleArn={ROLE}-typo-{number}")
            assert (403, {"__type": "AccessDeniedException", "message": "no"}) == (received.status, received.json())
        assert 200 == (await running.ask(f"{SECRET}db&roleArn={ROLE}")).status
        assert 400 == (await running.ask(f"{SECRET}nobody&roleArn={ROLE}-other")).status


async def test_more_than_twenty_roles_and_regions_are_refused(clock):
    """Each has connections of its own. Those that are there go on, the function's own always."""
    setup = LayerSetup(clock)
    setup.source.values["new"] = 1
    roles = [f"{SECRET}new&roleArn={ROLE}-{number}" for number in range(MAX_CONTEXTS - 1)]
    elsewhere = arn_of("new").replace(REGION, "us-east-1")
    setup.source.values[elsewhere] = 1
    async with setup.running():
        caller = await setup.connect()

        async def ask(target: str) -> bytes:
            head = await caller.answer(layer_request(target))
            await caller.skip_body(head)
            return head

        for target in (*roles, SECRET + elsewhere):
            assert b" 200 " in await ask(target)
        refused = await setup.raw(layer_request(f"{SECRET}new&roleArn={ROLE}-x", "Connection: close"))
        assert refused.startswith(b"HTTP/1.1 400 ")
        assert b'{"__type":"MaxRolesExceeded","message":"allowed: 20 roles and regions"}' in refused
        for target in (roles[0], SECRET + elsewhere, SECRET + "new", SECRET + arn_of("text")):
            assert b" 200 " in await ask(target)

    contexts = {ref.context for ref in setup.source.fetched}
    assert MAX_CONTEXTS == len(contexts)  # the region is the ARN's
    assert AwsContext(role_arn=f"{ROLE}-x") not in contexts
