"""
What AWS's two products answer on port 2773, and what we do there: docs/migrating.md, and a test for each row.

The layer is the AWS Parameters and Secrets Lambda Extension; the agent is the AWS Secrets Manager Agent, which is now
the AWS Workload Credentials Provider. Of the layer, what its documentation says and what was recorded from it counts;
of the agent, its documentation and its source. A question mark: neither is known.

To write the tables anew: `python -m tests.support.aws_layer_table`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.fakes import CANARY
from tests.support.upstream import ACCESS_DENIED, HANG, INTERNAL, RESET, THROTTLED, Answer, Call, arn_of, aws_error

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "migrating.md"
MARKS = ("<!-- by tests.support.aws_layer_table: {} -->\n", "<!-- end -->\n")

TOKEN = f"{CANARY}-session"
GOOD = (f"X-Aws-Parameters-Secrets-Token: {TOKEN}",)
ROLE = "arn:aws:iam::123456789012:role/reader"
SECRET = "/secretsmanager/get?secretId="
PARAMETER = "/systemsmanager/parameters/get?name="

# What AWS holds.

BINARY = CANARY.encode() + b"\x00\xff"
VERSION_ID = "00000001-0000-4000-8000-000000000000"
CIPHERTEXT = f"AQICAH-{CANARY}-ciphertext"


def secret(name: str, **changes: object) -> dict[str, object]:
    """Return what the layer was recorded to answer for a secret."""
    return {
        "ARN": arn_of(name),
        "CreatedDate": "2025-12-17T19:33:20.000Z",
        "Name": name,
        "SecretBinary": None,
        "SecretString": CANARY,
        "VersionId": VERSION_ID,
        "VersionStages": ["AWSCURRENT"],
        "ResultMetadata": {},
        **changes,
    }


def parameter(name: str, **changes: object) -> dict[str, object]:
    """Return what the layer was recorded to answer for a parameter."""
    found = {
        "ARN": f"arn:aws:ssm:eu-west-1:123456789012:parameter/{name.removeprefix('/')}",
        "DataType": "text",
        "LastModifiedDate": "2022-11-16T08:22:40.362Z",
        "Name": name,
        "Selector": None,
        "SourceResult": None,
        "Type": "String",
        "Value": CANARY,
        "Version": 3,
        **changes,
    }
    return {"Parameter": found, "ResultMetadata": {}}


REFERENCE = "/aws/reference/secretsmanager/db"
PARAMETERS: dict[str, dict[str, object]] = {
    "/app/plain": {},
    "plain": {},
    "/app/list": {"Type": "StringList", "Value": f"a,b,{CANARY}"},
    "/app/secure": {"Type": "SecureString"},
    REFERENCE: {"Type": "SecureString", "Version": 0, "ARN": None, "DataType": None, "SourceResult": "{}"},
}


def parameter_store(call: Call) -> Answer | None:
    """Answer GetParameter as AWS does; None for other calls."""
    if call.operation != "GetParameter":
        return None
    asked = call.arguments["Name"]
    name, _, selector = (asked.rpartition(":parameter")[2] if asked.startswith("arn:") else asked).partition(":")
    if name not in PARAMETERS:
        return aws_error("ParameterNotFound", "")
    found = parameter(name, **PARAMETERS[name])["Parameter"]
    assert isinstance(found, dict)
    if found["Type"] == "SecureString" and not call.arguments.get("WithDecryption"):
        found["Value"] = CIPHERTEXT
    found["LastModifiedDate"] = 1668586960.362
    found["Selector"] = f":{selector}" if selector else None
    body = {"Parameter": {key: value for key, value in found.items() if value is not None}}
    return Answer(body=json.dumps(body).encode())


# What is asked, and answered.


@dataclass(frozen=True)
class Row:
    """
    One request, and what each of the three answers.

    Attributes:
        asked: The request, in Markdown.
        layer: What AWS's layer answers.
        agent: What AWS's agent answers.
        ours: What we answer.
        why: Why ours is another one.
        target: What is sent.
        status: What comes back.
        body: The same: text, or what the JSON means; None if it does not matter.
        calls: What AWS is asked with, if that is what the row is about.
        fault: What AWS answers.
    """

    asked: str
    layer: str
    agent: str
    ours: str
    target: str
    status: int
    body: object
    why: str = ""
    method: str = "GET"
    headers: tuple[str, ...] = GOOD
    calls: Mapping[str, object] = field(default_factory=dict)
    fault: object = None


SAME = "the same"
OPAQUE = "400, one sentence for every failure"
ERROR = "400, AWS's error as JSON"
NOT_KNOWN = "?"


def error(code: str, message: str) -> dict[str, str]:
    """Return the agent's form of AWS's error."""
    return {"__type": code, "message": message}


SECRETS = (
    Row(
        "`/secretsmanager/get?secretId=db`",
        "200, the JSON of its SDK: what is not there is null, `CreatedDate` in ISO 8601, `ResultMetadata`",
        "200, JSON: what is not there is left out, `CreatedDate` as seconds in a string",
        "as the layer",
        SECRET + "db",
        200,
        secret("db"),
        why="what the layer's clients declare is all there; the agent's have no use for less",
    ),
    Row(
        "the same of a binary secret",
        "`SecretBinary` in Base64, `SecretString` null",
        "`SecretBinary` in Base64",
        "as the layer",
        SECRET + "certificate",
        200,
        secret(
            "certificate",
            SecretString=None,
            SecretBinary="Q0FOQVJZLTlmM2MA/w==",
            VersionId=VERSION_ID[:7] + "2" + VERSION_ID[8:],
        ),
    ),
    Row("a name with `/` as it is", "200", "200", SAME, SECRET + "prod/api", 200, None),
    Row("a name with `%2F`", "200", "200", SAME, SECRET + "prod%2Fapi", 200, None),
    Row(
        "an ARN with `:` as it is, or as `%3A`",
        "200",
        "200",
        SAME,
        SECRET + arn_of("db").replace(":", "%3A", 3),
        200,
        secret("db"),
    ),
    Row(
        "`&versionStage=AWSPREVIOUS`",
        "that version",
        "that version",
        SAME,
        SECRET + "db&versionStage=AWSPREVIOUS",
        200,
        None,
        calls={"SecretId": "db", "VersionStage": "AWSPREVIOUS"},
    ),
    Row(
        "`&versionId=`",
        "that version",
        "that version",
        SAME,
        SECRET + "db&versionId=" + "0" * 32,
        200,
        None,
        calls={"SecretId": "db", "VersionId": "0" * 32},
    ),
    Row(
        "`&versionId=` and `&versionStage=`",
        NOT_KNOWN,
        "AWS is asked for both",
        SAME,
        SECRET + "db&versionStage=AWSCURRENT&versionId=" + "0" * 32,
        200,
        None,
        calls={"SecretId": "db", "VersionId": "0" * 32, "VersionStage": "AWSCURRENT"},
    ),
    Row(
        "a parameter twice",
        NOT_KNOWN,
        "the last one counts",
        "as the agent",
        SECRET + "nobody&secretId=db",
        200,
        None,
    ),
    Row("`/v1/prod/api`, the agent's other path", "-", "200", SAME, "/v1/prod/api", 200, None),
    Row(
        "`/v1/prod%2Fapi`",
        "-",
        "asks AWS for a name with `%2F` in it",
        "200",
        "/v1/prod%2Fapi",
        200,
        None,
        why="no secret's name holds a percent sign",
    ),
    Row("`/v1/`", "-", "400 `missing secret ID`", SAME, "/v1/", 400, "missing secret ID"),
    Row(
        "`&refreshNow=true`, `1` or `TRUE`",
        "-",
        "after a new fetch",
        "the same, but at most once a second for each secret, and none in the pause after a failure",
        SECRET + "db&refreshNow=TRUE",
        200,
        secret("db"),
        why="[one rule](http.md#a-new-fetch) for both listeners",
    ),
    Row(
        "`&refreshNow=maybe`",
        "-",
        "400 `invalid refreshNow value`",
        SAME,
        SECRET + "db&refreshNow=maybe",
        400,
        "invalid refreshNow value",
    ),
    Row(
        "`&roleArn=`",
        "-",
        "read by that role, which is assumed",
        SAME,
        f"{SECRET}db&roleArn={ROLE}",
        200,
        secret("db"),
    ),
    Row(
        "`&roleArn=` of another form",
        "-",
        "400 `invalid roleArn format, ...`",
        SAME,
        SECRET + "db&roleArn=reader",
        400,
        "invalid roleArn format, expected arn:<partition>:iam::<account>:role/<name>",
    ),
    Row(
        "no `secretId`, or an empty one",
        NOT_KNOWN,
        "400 `missing parameter secretId`",
        "as the agent",
        SECRET,
        400,
        "missing parameter secretId",
    ),
    Row(
        "`&abc=1`",
        NOT_KNOWN,
        "400 `unknown parameter: abc`",
        "as the agent",
        SECRET + "db&abc=1",
        400,
        "unknown parameter: abc",
    ),
    Row(
        "what is no secret's name",
        OPAQUE,
        ERROR,
        "400, and AWS is not asked",
        SECRET + "a%20b",
        400,
        "Invalid name. Must be a valid name or ARN of a secret",
    ),
)

STORE = (
    Row(
        "`/systemsmanager/parameters/get?name=/app/plain`, the slashes as they are or as `%2F`",
        "200, the JSON of its SDK",
        "-",
        "as the layer",
        PARAMETER + "%2Fapp/plain",
        200,
        parameter("/app/plain"),
    ),
    Row(
        "`/systemsmanager/parameters/get/?name=plain`",
        "200",
        "-",
        SAME,
        "/systemsmanager/parameters/get/?name=plain",
        200,
        parameter("plain"),
    ),
    Row(
        "an ARN",
        "200",
        "-",
        SAME,
        PARAMETER + "arn:aws:ssm:eu-west-1:123456789012:parameter/app/plain",
        200,
        parameter("/app/plain"),
    ),
    Row(
        "a StringList",
        "its items with commas between",
        "-",
        SAME,
        PARAMETER + "/app/list",
        200,
        parameter("/app/list", **PARAMETERS["/app/list"]),
    ),
    Row(
        "a SecureString",
        "its ciphertext",
        "-",
        SAME,
        PARAMETER + "/app/secure",
        200,
        parameter("/app/secure", Type="SecureString", Value=CIPHERTEXT),
    ),
    Row(
        "the same with `&withDecryption=true`",
        "its value",
        "-",
        SAME,
        PARAMETER + "/app/secure&withDecryption=true",
        200,
        parameter("/app/secure", Type="SecureString"),
    ),
    Row(
        "`&version=3`",
        "that version; `Selector` is `:3`",
        "-",
        SAME,
        PARAMETER + "/app/plain&version=3",
        200,
        parameter("/app/plain", Selector=":3"),
    ),
    Row(
        "`&label=Dev`",
        "that version; `Selector` is `:Dev`",
        "-",
        SAME,
        PARAMETER + "/app/plain&label=Dev",
        200,
        parameter("/app/plain", Selector=":Dev"),
    ),
    Row(
        "`&label=Dev&version=3`, or the other way round",
        "the first one counts",
        "-",
        SAME,
        PARAMETER + "/app/plain&label=Dev&version=3",
        200,
        parameter("/app/plain", Selector=":Dev"),
    ),
    Row(
        "`/aws/reference/secretsmanager/db`, with decryption",
        "the secret's value; `Version` 0, `SourceResult`",
        "-",
        SAME,
        PARAMETER + "%2Faws%2Freference%2Fsecretsmanager%2Fdb&withDecryption=true",
        200,
        parameter(REFERENCE, **PARAMETERS[REFERENCE]),
    ),
    Row("no `name`", NOT_KNOWN, "-", "400 `missing parameter name`", PARAMETER, 400, "missing parameter name"),
    Row(
        "a name that ends in a slash",
        OPAQUE,
        "-",
        "400, and AWS is not asked",
        PARAMETER + "%2Fa%2Fb%2F&label=release",
        400,
        "Invalid name. A path is not a parameter",
    ),
    Row(
        "`&version=last`",
        OPAQUE,
        "-",
        "400 `invalid version value`",
        PARAMETER + "plain&version=last",
        400,
        "invalid version value",
    ),
    Row(
        "`&withDecryption=maybe`",
        NOT_KNOWN,
        "-",
        "400 `invalid withDecryption value`",
        PARAMETER + "plain&withDecryption=maybe",
        400,
        "invalid withDecryption value",
    ),
)

CALLERS = (
    Row(
        "the token's header in another case",
        "200",
        "200",
        SAME,
        SECRET + "db",
        200,
        None,
        headers=(f"x-aws-parameters-SECRETS-token: {TOKEN}",),
    ),
    Row(
        "the token in `X-Vault-Token`",
        NOT_KNOWN,
        "200",
        "as the agent",
        SECRET + "db",
        200,
        None,
        headers=(f"X-Vault-Token: {TOKEN}",),
    ),
    Row("no token", NOT_KNOWN, "403 `Bad Token`", "as the agent", SECRET + "db", 403, "Bad Token", headers=()),
    Row(
        "a wrong one",
        NOT_KNOWN,
        "403 `Bad Token`",
        "as the agent",
        SECRET + "db",
        403,
        "Bad Token",
        headers=(GOOD[0] + "x",),
    ),
    Row(
        "two",
        NOT_KNOWN,
        "the first one counts",
        "403 `Bad Token`",
        SECRET + "db",
        403,
        "Bad Token",
        headers=GOOD * 2,
        why="which of two counts is what a proxy and a server may be made to disagree about",
    ),
    Row(
        "`X-Forwarded-For`",
        NOT_KNOWN,
        "400 `Forwarded`",
        "the same, also for `Forwarded` and `Via`, and for `/ping`",
        SECRET + "db",
        400,
        "Forwarded",
        headers=(*GOOD, "X-Forwarded-For: 192.0.2.1"),
        why="[one rule](security.md#what-forged-requests-cannot-reach) for both listeners",
    ),
    Row(
        "a `Host` that is not this machine",
        NOT_KNOWN,
        "200",
        "403 `Forbidden`",
        SECRET + "db",
        403,
        "Forbidden",
        headers=(*GOOD, "Host: example.org"),
        why="the same",
    ),
    Row(
        "a page in a browser",
        NOT_KNOWN,
        "200",
        "403 `Forbidden`",
        SECRET + "db",
        403,
        "Forbidden",
        headers=(*GOOD, "Origin: https://example.org"),
        why="the same",
    ),
    *(
        Row(f"`{method}`", NOT_KNOWN, "405 `Not allowed`", "as the agent", SECRET + "db", 405, body, method=method)
        for method, body in (("POST", "Not allowed"), ("PUT", "Not allowed"), ("DELETE", "Not allowed"), ("HEAD", ""))
    ),
    Row("another path", NOT_KNOWN, "404 `Not found`", "as the agent", "/cache/db", 404, "Not found"),
    Row("`/ping`", NOT_KNOWN, "200 `healthy`, without a token", "as the agent", "/ping", 200, "healthy", headers=()),
    Row("`POST /ping`", NOT_KNOWN, "405 `Not allowed`", "as the agent", "/ping", 405, "Not allowed", method="POST"),
    Row("a percent sign without two digits", NOT_KNOWN, NOT_KNOWN, "400", SECRET + "d%b", 400, None),
)

FAILURES = (
    Row(
        "a secret that there is not",
        OPAQUE,
        ERROR,
        "as the agent",
        SECRET + "nobody",
        400,
        error(
            "ResourceNotFoundException",
            "secret 'nobody' was not found in AWS Secrets Manager in this region and this account",
        ),
        why="the same status as the layer, and the reason",
    ),
    Row(
        "a parameter that there is not",
        OPAQUE,
        "-",
        ERROR,
        PARAMETER + "nobody",
        400,
        error(
            "ParameterNotFound", "parameter 'nobody' was not found in Parameter Store in this region and this account"
        ),
        why="the same",
    ),
    Row(
        "one that the role may not read",
        OPAQUE,
        ERROR,
        "as the agent",
        SECRET + "db",
        400,
        error("AccessDeniedException", "User: arn:aws:sts::1:role is not authorized"),
        fault=ACCESS_DENIED,
        why="the same",
    ),
    Row(
        "a role that may not be assumed",
        "-",
        "403, `AccessDeniedException` as JSON",
        SAME,
        f"{SECRET}db&roleArn={ROLE}",
        403,
        None,
        fault=Answer(
            403,
            b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>",
            headers=("Content-Type: text/xml",),
        ),
    ),
    Row(
        "AWS throttles",
        OPAQUE,
        ERROR,
        "502, `ConnectionError` as JSON",
        SECRET + "db",
        502,
        error("ConnectionError", "secret 'db' is unavailable: AWS is throttling the calls of this account"),
        fault=THROTTLED,
        why="it may pass, which a status in the 400s denies. An old value is served instead, where there is one",
    ),
    Row(
        "AWS fails (status 500)",
        OPAQUE,
        "AWS's status, and its error as JSON",
        "502, `ConnectionError` as JSON",
        SECRET + "db",
        502,
        error("ConnectionError", "secret 'db' is unavailable: AWS answered with status 500"),
        fault=INTERNAL,
        why="the same",
    ),
    Row(
        "the connection to AWS breaks",
        OPAQUE,
        "502, `ConnectionError` as JSON",
        "as the agent",
        SECRET + "db",
        502,
        error("ConnectionError", "secret 'db' is unavailable: AWS closed the connection before it answered"),
        fault=RESET,
        why="an old value is served instead, where there is one",
    ),
    Row(
        "AWS does not answer",
        OPAQUE,
        "504, `TimeoutError` as JSON",
        "the same, after [`fetch_timeout`](configuration.md#fetch_timeout)",
        SECRET + "db",
        504,
        error("TimeoutError", "Timeout"),
        fault=HANG,
        why="the same",
    ),
)

GROUPS = {"secrets": SECRETS, "parameters": STORE, "callers": CALLERS, "failures": FAILURES}
ROWS = tuple(row for group in GROUPS.values() for row in group)


# What is no single request.


@dataclass(frozen=True)
class Rule:
    """A rule of the three, and the tests that prove ours."""

    about: str
    layer: str
    agent: str
    ours: str
    tests: tuple[str, ...]


RULES = (
    Rule(
        "asked while the function is initialised",
        "400 `not ready to serve traffic, please wait`, until the first invocation",
        "in AWS's example it starts with the first invocation",
        "the request waits until the value is there",
        ("test_asked_at_import_the_listener_answers", "test_a_request_during_the_prefetch_waits_for_it"),
    ),
    Rule(
        "where it listens",
        "port 2773 of 127.0.0.1; `PARAMETERS_SECRETS_EXTENSION_HTTP_PORT`",
        "port 2773 of 127.0.0.1; `http_port`",
        "nowhere, unless that variable or `server.aws_port` says where; then on 127.0.0.1 and [::1]",
        ("test_without_the_variable_nobody_listens", "test_serve_speaks_it_too"),
    ),
    Rule(
        "the token",
        "`AWS_SESSION_TOKEN`",
        "the first that is set of `AWS_TOKEN`, `AWS_SESSION_TOKEN`, `AWS_CONTAINER_AUTHORIZATION_TOKEN`; `file://`",
        "any of these, and `server.token`; none at all: everything but `/ping` is refused",
        ("test_each_of_the_tokens_is_accepted", "test_with_no_token_to_be_had_everything_but_ping_is_refused"),
    ),
    Rule(
        "which names may be asked for",
        "any; IAM decides",
        "any; IAM decides",
        "any here; on the other port what is listed or allowed, as ever",
        ("test_what_was_fetched_on_demand_is_not_served_on_the_other_port",),
    ),
    Rule(
        "what is listed",
        "-",
        "fetched once, after the start; found again only by name",
        "one cache for both ports: by name, ARN or alias, fetched ahead and refreshed",
        (
            "test_what_one_listener_has_the_other_serves",
            "test_a_listed_parameter_is_shared_unless_its_ciphertext_is_wanted",
        ),
    ),
    Rule(
        "many ask for one at a time",
        NOT_KNOWN,
        "as many calls",
        "one call",
        ("test_many_callers_share_one_call",),
    ),
    Rule(
        "a value's time is up, and AWS cannot be asked",
        NOT_KNOWN,
        "the old one, as if it were new, for ever; an error if AWS throttles or refuses",
        "the old one, for as long as `stale_if_error`, said so in `Cache-Status`; an error if AWS refuses",
        ("test_an_old_value_is_served_while_aws_cannot_be_asked",),
    ),
    Rule(
        "roles",
        "-",
        "at most 20, then 400 `MaxRolesExceeded`; none is ever forgotten",
        "the same; a region besides the function's own counts as a role does",
        ("test_more_than_twenty_roles_and_regions_are_refused",),
    ),
)

VARIABLES = (
    Rule(
        "`SECRETS_MANAGER_TTL`, `SSM_PARAMETER_STORE_TTL`",
        "0 to 300 s, default 300; 0: nothing is kept; more is 300",
        "`ttl_seconds`",
        "the same; what is listed keeps the ttl that it has there, unless the variable is set. "
        "More than 300 is reported as a problem. A shorter general `ttl` counts as well",
        (
            "test_the_ttl_is_300_seconds_unless_the_variable_says_otherwise",
            "test_a_ttl_of_0_keeps_nothing",
            "test_what_is_listed_keeps_its_ttl_unless_the_variable_is_set",
        ),
    ),
    Rule(
        "`PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED`",
        "`FALSE`: nothing is kept",
        "-",
        "the same, here; the other port goes on",
        ("test_a_cache_that_is_off_keeps_nothing_for_this_listener",),
    ),
    Rule(
        "`PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE`",
        "0 to 1000, default 1000; 0: nothing is kept",
        "`cache_size`",
        "the same, besides what is listed; the least recently used goes first",
        ("test_only_so_many_are_kept", "test_a_cache_that_is_off_keeps_nothing_for_this_listener"),
    ),
    Rule(
        "`PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS`",
        "connections to AWS, of each service; default 3, no maximum",
        "-",
        "the same, of each service, region and role; default and maximum 20",
        ("test_no_more_calls_at_once_than_connections",),
    ),
    Rule(
        "`SECRETS_MANAGER_TIMEOUT_MILLIS`, `SSM_PARAMETER_STORE_TIMEOUT_MILLIS`",
        "default 0: none",
        "-",
        "how long a caller waits, then 504; 0: as long as `fetch_timeout`",
        ("test_a_timeout_ends_the_wait_with_504",),
    ),
    Rule(
        "`PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL`",
        "`DEBUG`, `INFO`, `WARN`, `ERROR`, `NONE`; default `INFO`",
        "`log_level`",
        "the same, unless `SECRETS_CACHE_LOG_LEVEL` is set; `NONE` is `ERROR`: somebody must act on those",
        ("test_the_log_level_is_the_layers_unless_ours_is_set",),
    ),
)


# The page.


def table(*rows: tuple[str, ...]) -> str:
    """Return a table in Markdown, the first row its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:], ""])


def tables() -> dict[str, str]:
    """Return the tables by their names."""
    head = ("AWS's layer", "AWS's agent", "secrets-cache")
    found = {
        name: table(("asked", *head, "why"), *((row.asked, row.layer, row.agent, row.ours, row.why) for row in rows))
        for name, rows in GROUPS.items()
    }
    for name, rules in (("rules", RULES), ("variables", VARIABLES)):
        rows = (
            (rule.about, rule.layer, rule.agent, rule.ours, ", ".join(f"`{t}`" for t in rule.tests)) for rule in rules
        )
        found[name] = table(("what" if name == "rules" else "variable", *head, "proof"), *rows)
    return found


def written(text: str) -> str:
    """Return the page's text with the tables as they are now."""
    for name, made in tables().items():
        begin, end = MARKS[0].format(name), MARKS[1]
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{made}\n{end}{rest.partition(end)[2]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
