"""
What AWS's two products answer on port 2773, and what we do there: docs/migrating.md, and a test for each row.

The layer is the AWS Parameters and Secrets Lambda Extension; the agent is the AWS Secrets Manager Agent, which is now
the AWS Workload Credentials Provider. Of the layer, what its documentation says and what was recorded from it counts;
of the agent, its documentation and its source. A question mark: neither is known.

To write the tables anew: `python -m tests.support.aws_layer_table`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.support.fakes import CANARY
from tests.support.pages import ROOT, table, with_tables
from tests.support.upstream import ACCESS_DENIED, HANG, INTERNAL, RESET, THROTTLED, Answer, Call, arn_of, aws_error

PAGE = ROOT / "docs" / "migrating.md"

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
BINARY_REFERENCE = "/aws/reference/secretsmanager/bin"
PARAMETERS: dict[str, dict[str, object]] = {
    "/app/plain": {},
    "plain": {},
    "/app/list": {"Type": "StringList", "Value": f"a,b,{CANARY}"},
    "/app/secure": {"Type": "SecureString"},
    REFERENCE: {"Type": "SecureString", "Version": 0, "ARN": None, "DataType": None, "SourceResult": "{}"},
    BINARY_REFERENCE: {
        "Type": "SecureString",
        "Version": 0,
        "ARN": None,
        "DataType": None,
        "SourceResult": "{}",
        "Value": None,
    },
}


SELECTORS = ("", "3", "Dev")


def parameter_store(call: Call) -> Answer | None:
    """Answer GetParameter as AWS does; None for other calls."""
    if call.operation != "GetParameter":
        return None
    asked = call.arguments["Name"]
    name, _, selector = (asked.rpartition(":parameter")[2] if asked.startswith("arn:") else asked).partition(":")
    if name not in PARAMETERS:
        return aws_error("ParameterNotFound", "")
    if selector not in SELECTORS:
        return aws_error("ParameterVersionNotFound", f"Systems Manager could not find version {selector} of {name}.")
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
    One request. Its key has the cells of its row: the request, and the answers of layer, agent and secrets-cache.

    Attributes:
        target: What is sent.
        status: What comes back.
        body: The same: text, or what the JSON means; None if it does not matter.
        calls: What AWS is asked with, if that is what the row is about.
        fault: What AWS answers.
        asked: The first cell of the key.
    """

    target: str
    status: int = 200
    body: object = None
    method: str = "GET"
    headers: tuple[str, ...] = GOOD
    calls: Mapping[str, object] = field(default_factory=dict)
    fault: object = None
    asked: str = ""


OPAQUE = "400"
ERROR = "400, AWS's error"


def error(code: str, message: str) -> dict[str, str]:
    """Return the agent's form of AWS's error."""
    return {"__type": code, "message": message}


SECRETS = {
    "`/secretsmanager/get?secretId=db` | "
    "the SDK's JSON: missing fields are null, `CreatedDate` in ISO 8601, `ResultMetadata` | "
    "JSON: missing fields left out, `CreatedDate` as seconds in a string | as the layer": Row(
        SECRET + "db",
        200,
        secret("db"),
        # The layer's clients expect every field, and the agent's accept it.
    ),
    "a binary secret | `SecretBinary` in Base64, `SecretString` null | `SecretBinary` in Base64 | as the layer": Row(
        SECRET + "certificate",
        200,
        secret(
            "certificate",
            SecretString=None,
            SecretBinary="Q0FOQVJZLTlmM2MA/w==",
            VersionId=VERSION_ID[:7] + "2" + VERSION_ID[8:],
        ),
    ),
    "`/` in a name | 200 | 200 | the same": Row(SECRET + "prod/api"),
    "`%2F` in a name | 200 | 200 | the same": Row(SECRET + "prod%2Fapi"),
    "`:` or `%3A` in an ARN | 200 | 200 | the same": Row(
        SECRET + arn_of("db").replace(":", "%3A", 3), 200, secret("db")
    ),
    "`&versionStage=AWSPREVIOUS` | that version | that version | the same": Row(
        SECRET + "db&versionStage=AWSPREVIOUS", calls={"SecretId": "db", "VersionStage": "AWSPREVIOUS"}
    ),
    "`&versionId=` | that version | that version | the same": Row(
        SECRET + "db&versionId=" + "0" * 32, calls={"SecretId": "db", "VersionId": "0" * 32}
    ),
    "`&versionId=` and `&versionStage=` | ? | AWS is asked for both | the same": Row(
        SECRET + "db&versionStage=AWSCURRENT&versionId=" + "0" * 32,
        calls={"SecretId": "db", "VersionId": "0" * 32, "VersionStage": "AWSCURRENT"},
    ),
    "a query parameter twice | ? | the last one counts | as the agent": Row(SECRET + "nobody&secretId=db"),
    "`/v1/prod/api` | - | 200 | the same": Row("/v1/prod/api"),
    "`/v1/prod%2Fapi` | - | asks AWS for a name with `%2F` in it | 200, the secret `prod/api`": Row(
        "/v1/prod%2Fapi"  # no secret's name contains a percent sign
    ),
    "`/v1/` | - | 400 `missing secret ID` | the same": Row("/v1/", 400, "missing secret ID"),
    "`&refreshNow=true`, `1` or `TRUE` | - | a new fetch | "
    "a new fetch, [at most once a second](http.md#a-new-fetch)": Row(
        SECRET + "db&refreshNow=TRUE",
        200,
        secret("db"),
    ),
    "`&refreshNow=maybe` | - | 400 `invalid refreshNow value` | the same": Row(
        SECRET + "db&refreshNow=maybe", 400, "invalid refreshNow value"
    ),
    "`&roleArn=` | - | assumes that role | the same": Row(f"{SECRET}db&roleArn={ROLE}", 200, secret("db")),
    "an invalid `&roleArn=` | - | 400 `invalid roleArn format, ...` | the same": Row(
        SECRET + "db&roleArn=reader", 400, "invalid roleArn format, expected arn:<partition>:iam::<account>:role/<name>"
    ),
    "an empty `&roleArn=` | - | 400 `invalid roleArn format, ...` | the same": Row(
        SECRET + "db&roleArn=", 400, "invalid roleArn format, expected arn:<partition>:iam::<account>:role/<name>"
    ),
    "a missing or empty `secretId` | ? | 400 `missing parameter secretId` | as the agent": Row(
        SECRET, 400, "missing parameter secretId"
    ),
    "`&withDecryption=true`, `&abc=%z` | ? | 400 `unknown parameter: ...` | 200": Row(
        SECRET + "db&withDecryption=true&abc=%z",
        200,
        secret("db"),
        # Programs with one function for secrets and parameters send it; the layer documents no error.
    ),
    "`/v1/prod/api?abc=1` | - | 400 `unknown parameter: abc` | the same": Row(
        "/v1/prod/api?abc=1", 400, "unknown parameter: abc"
    ),
    "doubled slashes | ? | 404 `Not found` | 200": Row(
        "//secretsmanager//get/?secretId=db",
        200,
        secret("db"),
        # Programs that join an address and a path send it; the layer documents no error.
    ),
    f"a name that no secret can have | {OPAQUE} | {ERROR} | {ERROR}": Row(
        SECRET + "a%20b", 400, error("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    ),
    "an ARN with an invalid region | ? | ? | 400, without asking AWS": Row(
        SECRET + "arn:aws:secretsmanager:example.org%2F:123456789012:secret:db",
        400,
        "Invalid name. Must be a valid name or ARN of a secret",
        # The region becomes part of the endpoint's name.
    ),
}

STORE = {
    "`/systemsmanager/parameters/get?name=/app/plain`, also with `%2F` | its SDK's JSON | - | the same": Row(
        PARAMETER + "%2Fapp/plain", 200, parameter("/app/plain")
    ),
    "`/systemsmanager/parameters/get/?name=plain` | 200 | - | the same": Row(
        "/systemsmanager/parameters/get/?name=plain", 200, parameter("plain")
    ),
    "an ARN | 200 | - | the same": Row(
        PARAMETER + "arn:aws:ssm:eu-west-1:123456789012:parameter/app/plain", 200, parameter("/app/plain")
    ),
    "a StringList | its items, separated by commas | - | the same": Row(
        PARAMETER + "/app/list", 200, parameter("/app/list", **PARAMETERS["/app/list"])
    ),
    "a SecureString (its ciphertext) | its ciphertext | - | the same": Row(
        PARAMETER + "/app/secure", 200, parameter("/app/secure", Type="SecureString", Value=CIPHERTEXT)
    ),
    "a SecureString with `&withDecryption=true` (its value) | its value | - | the same": Row(
        PARAMETER + "/app/secure&withDecryption=true", 200, parameter("/app/secure", Type="SecureString")
    ),
    "`&version=3` | that version; `Selector` is `:3` | - | the same": Row(
        PARAMETER + "/app/plain&version=3", 200, parameter("/app/plain", Selector=":3")
    ),
    "`&label=Dev` | that version; `Selector` is `:Dev` | - | the same": Row(
        PARAMETER + "/app/plain&label=Dev", 200, parameter("/app/plain", Selector=":Dev")
    ),
    "`&label=Dev&version=3` (the first one counts) | the first one counts | - | the same": Row(
        PARAMETER + "/app/plain&label=Dev&version=3", 200, parameter("/app/plain", Selector=":Dev")
    ),
    "`/aws/reference/secretsmanager/db`, with decryption | the secret's value; `Version` 0, `SourceResult` | - | "
    "the same": Row(
        PARAMETER + "%2Faws%2Freference%2Fsecretsmanager%2Fdb&withDecryption=true",
        200,
        parameter(REFERENCE, **PARAMETERS[REFERENCE]),
    ),
    "the same for a binary secret | `Value` null, `SourceResult` | - | the same": Row(
        PARAMETER + "%2Faws%2Freference%2Fsecretsmanager%2Fbin&withDecryption=true",
        200,
        parameter(BINARY_REFERENCE, **PARAMETERS[BINARY_REFERENCE]),
    ),
    "no `name` | ? | - | 400 `missing parameter name`": Row(PARAMETER, 400, "missing parameter name"),
    f"a name that ends in a slash | {OPAQUE} | - | 400, without asking AWS": Row(
        PARAMETER + "%2Fa%2Fb%2F&label=release", 400, "Invalid name. A path is not a parameter"
    ),
    "`name=/app/plain:3` | ? | - | that version, named in `Selector`": Row(
        PARAMETER + "/app/plain:3",
        200,
        parameter("/app/plain", Selector=":3"),
        # SSM's own API accepts it.
    ),
    "`name=/app/plain:Dev` | ? | - | that version, named in `Selector`": Row(
        PARAMETER + "%2Fapp%2Fplain%3ADev",
        200,
        parameter("/app/plain", Selector=":Dev"),
        # SSM's own API accepts it.
    ),
    "an ARN with `:3` | ? | - | that version, named in `Selector`": Row(
        PARAMETER + "arn:aws:ssm:eu-west-1:123456789012:parameter/app/plain:3",
        200,
        parameter("/app/plain", Selector=":3"),
        # SSM's own API accepts it.
    ),
    f"a version that does not exist | {OPAQUE} | - | {ERROR}": Row(
        PARAMETER + "plain&version=0",
        400,
        error("ParameterVersionNotFound", "Systems Manager could not find version 0 of plain."),
    ),
    f"a name that no parameter can have | {OPAQUE} | - | {ERROR}": Row(PARAMETER + "a%20b&label=x%20y", 400),
    "`&withDecryption=maybe` | ? | - | as `false`": Row(
        PARAMETER + "/app/secure&withDecryption=maybe",
        200,
        parameter("/app/secure", Type="SecureString", Value=CIPHERTEXT),
        # The layer documents no error.
    ),
    "an unknown query parameter, doubled slashes | ? | - | 200": Row(
        "//systemsmanager/parameters//get?name=plain&secretId=x&abc=1",
        200,
        parameter("plain"),
        # Programs send both; the layer documents no error.
    ),
}

CALLERS = {
    "the token's header in upper or lower case | 200 | 200 | the same": Row(
        SECRET + "db", headers=(f"x-aws-parameters-SECRETS-token: {TOKEN}",)
    ),
    "the token in `X-Vault-Token` | ? | 200 | as the agent": Row(SECRET + "db", headers=(f"X-Vault-Token: {TOKEN}",)),
    "no token | ? | 403 `Bad Token` | as the agent": Row(SECRET + "db", 403, "Bad Token", headers=()),
    "a wrong token | ? | 403 `Bad Token` | as the agent": Row(
        SECRET + "db", 403, "Bad Token", headers=(GOOD[0] + "x",)
    ),
    "two tokens | ? | the first one counts | 403 `Bad Token`": Row(
        SECRET + "db",
        403,
        "Bad Token",
        headers=GOOD * 2,
        # A proxy and a server may disagree about which one counts.
    ),
    "`X-Forwarded-For` | ? | 400 `Forwarded` | 400 `Forwarded`, also for `Forwarded`, `Via` and `/ping`": Row(
        SECRET + "db",
        400,
        "Forwarded",
        headers=(*GOOD, "X-Forwarded-For: 192.0.2.1"),
    ),
    "another `Host` | ? | 200 | 403 `Forbidden`": Row(
        SECRET + "db",
        403,
        "Forbidden",
        headers=(*GOOD, "Host: example.org"),
    ),
    "a request from a web page | ? | 200 | 403 `Forbidden`": Row(
        SECRET + "db",
        403,
        "Forbidden",
        headers=(*GOOD, "Origin: https://example.org"),
    ),
    **{
        f"`{method}` | ? | 405 `Not allowed` | as the agent": Row(SECRET + "db", 405, body, method=method)
        for method, body in (("POST", "Not allowed"), ("PUT", "Not allowed"), ("DELETE", "Not allowed"), ("HEAD", ""))
    },
    "another path | ? | 404 `Not found` | as the agent": Row("/cache/db", 404, "Not found"),
    "`/ping` without a token | ? | 200 `healthy` | as the agent": Row("/ping", 200, "healthy", headers=()),
    "`POST /ping` | ? | 405 `Not allowed` | as the agent": Row("/ping", 405, "Not allowed", method="POST"),
    "a percent sign without two digits | ? | ? | 400": Row(SECRET + "d%b", 400),
}

FAILURES = {
    f"a secret that does not exist | {OPAQUE} | {ERROR} | {ERROR}": Row(
        SECRET + "nobody",
        400,
        error("ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
    ),
    f"a parameter that does not exist | {OPAQUE} | - | {ERROR}": Row(
        PARAMETER + "nobody",
        400,
        error("ParameterNotFound", "parameter 'nobody' was not found in Parameter Store in eu-west-1 and this account"),
    ),
    f"a secret that the role may not read | {OPAQUE} | {ERROR} | {ERROR}": Row(
        SECRET + "db",
        400,
        error("AccessDeniedException", "User: arn:aws:sts::1:role is not authorized"),
        fault=ACCESS_DENIED,
    ),
    "a role that may not be assumed | - | 403, `AccessDeniedException` as JSON | the same": Row(
        f"{SECRET}db&roleArn={ROLE}",
        403,
        fault=Answer(
            403,
            b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>",
            headers=("Content-Type: text/xml",),
        ),
    ),
    f"AWS throttles | {OPAQUE} | {ERROR} | {ERROR}": Row(
        SECRET + "db",
        400,
        error("ThrottlingException", "Rate exceeded"),
        fault=THROTTLED,
    ),
    f"AWS fails (status 500) | {OPAQUE} | AWS's status and error | AWS's status and error": Row(
        SECRET + "db",
        500,
        error("InternalServiceError", "AWS answered with status 500"),
        fault=INTERNAL,
    ),
    f"the connection to AWS breaks | {OPAQUE} | 502, `ConnectionError` as JSON | 502, `ConnectionError` as JSON": Row(
        SECRET + "db",
        502,
        error("ConnectionError", "secret 'db' is unavailable: AWS closed the connection before it answered"),
        fault=RESET,
    ),
    f"AWS does not answer | {OPAQUE} | 504, `TimeoutError` as JSON | "
    "504, `TimeoutError` as JSON, after [`fetch_timeout`](configuration.md#fetch_timeout)": Row(
        SECRET + "db",
        504,
        error("TimeoutError", "Timeout"),
        fault=HANG,
    ),
}

GROUPS = {"secrets": SECRETS, "parameters": STORE, "callers": CALLERS, "failures": FAILURES}
ROWS = tuple(replace(row, asked=key.split(" | ")[0]) for group in GROUPS.values() for key, row in group.items())


# What no single request shows: the cells, and the tests that prove the last one.

RULES: dict[str, tuple[str, ...]] = {
    "a request during the init | 400 `not ready to serve traffic, please wait` | "
    "AWS's example starts the agent with the first invocation | waits until the value is there": (
        "test_asked_at_import_the_listener_answers",
        "test_a_request_during_the_prefetch_waits_for_it",
    ),
    "listens on | port 2773 of 127.0.0.1 | port 2773 of 127.0.0.1 | "
    "the port that you set, of 127.0.0.1 and [::1]; none by default": (
        "test_without_the_variable_nobody_listens",
        "test_serve_speaks_it_too",
    ),
    "the token | `AWS_SESSION_TOKEN` | "
    "the first set of `AWS_TOKEN`, `AWS_SESSION_TOKEN`, `AWS_CONTAINER_AUTHORIZATION_TOKEN`; `file://` | "
    "any of these, or `server.token`; if none is set, only `/ping` is answered": (
        "test_each_of_the_tokens_is_accepted",
        "test_with_no_token_to_be_had_everything_but_ping_is_refused",
    ),
    "names a caller may request | any; IAM decides | any; IAM decides | "
    "any; on the other port only listed and allowed ones": (
        "test_what_was_fetched_on_demand_is_not_served_on_the_other_port",
    ),
    "listed secrets | - | fetched once, after the start; found only by name | "
    "fetched at the start and refreshed; also by ARN or alias; one cache for both ports": (
        "test_what_one_listener_has_the_other_serves",
        "test_a_listed_parameter_is_shared_unless_its_ciphertext_is_wanted",
    ),
    "calls to AWS for many callers at once | ? | one each | one in all": ("test_many_callers_share_one_call",),
    "the ttl is over, and AWS fails | ? | "
    "the old value, unmarked, without limit; an error if AWS throttles or refuses | "
    "the old value, marked in `Cache-Status`, for `stale_if_error`; an error if AWS refuses": (
        "test_an_old_value_is_served_while_aws_cannot_be_asked",
    ),
    "roles that callers name | - | at most 20, then 400 `MaxRolesExceeded` | "
    "as the agent; other regions count too; those that do not work do not": (
        "test_more_than_twenty_roles_and_regions_are_refused",
        "test_a_role_that_cannot_be_assumed_keeps_no_place",
    ),
    "the content type | `text/plain` | none | `text/plain`; for JSON on `/v1/` `application/json`": (
        "test_each_row_of_the_table_is_so",
        "test_a_recorded_exchange_is_the_same_here",
    ),
}

VARIABLES: dict[str, tuple[str, ...]] = {
    "`SECRETS_MANAGER_TTL`, `SSM_PARAMETER_STORE_TTL` | 0 to 300 s, default 300; 0: no caching; more is 300 | "
    "the same, with a warning `config.adjusted`; unless set, listed secrets keep their own ttl; a shorter `ttl` wins": (
        "test_the_ttl_is_300_seconds_unless_the_variable_says_otherwise",
        "test_a_ttl_of_0_keeps_nothing",
        "test_what_is_listed_keeps_its_ttl_unless_the_variable_is_set",
        "test_what_awss_layer_allows_and_we_do_not_is_one_warning_and_no_problem",
    ),
    "`PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED` | `FALSE`: no caching | the same, on this port only": (
        "test_a_cache_that_is_off_keeps_nothing_for_this_listener",
    ),
    "`PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE` | 0 to 1000, default 1000; 0: no caching | "
    "the same; listed secrets do not count, unless it is 0; the least recently used goes first": (
        "test_only_so_many_are_kept",
        "test_a_cache_that_is_off_keeps_nothing_for_this_listener",
    ),
    "`PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS` | connections to AWS per service; default 3, no maximum | "
    "per service, region and role; default and maximum 20; more is 20, with a warning `config.adjusted`": (
        "test_no_more_calls_at_once_than_connections",
        "test_what_awss_layer_allows_and_we_do_not_is_one_warning_and_no_problem",
    ),
    "`SECRETS_MANAGER_TIMEOUT_MILLIS`, `SSM_PARAMETER_STORE_TIMEOUT_MILLIS` | default 0: none | "
    "how long a caller waits; 0 means `fetch_timeout`; a longer time extends that, up to 60 s": (
        "test_a_timeout_ends_the_wait_with_504",
        "test_a_timeout_ends_the_wait_with_the_old_value",
        "test_a_timeout_that_is_longer_than_ours_counts",
    ),
    "`PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL` | `DEBUG`, `INFO`, `WARN`, `ERROR`, `NONE`; default `INFO` | "
    "the same, unless `SECRETS_CACHE_LOG_LEVEL` is set; `NONE` means `ERROR`": (
        "test_the_log_level_is_the_layers_unless_ours_is_set",
    ),
}


# The page.


def tables() -> dict[str, str]:
    """Return the tables by their names."""
    head = ("AWS's layer", "AWS's agent", "secrets-cache")
    return {
        **{name: _group(rows, ("request", *head)) for name, rows in GROUPS.items()},
        "rules": table(("what", *head), *(key.split(" | ") for key in RULES)),
        "variables": table(("variable", head[0], head[-1]), *(key.split(" | ") for key in VARIABLES)),
    }


def _group(rows: Mapping[str, Row], head: tuple[str, ...]) -> str:
    """Return the requests that are answered differently as a table, and the others as sentences."""
    same: list[str] = []
    as_agent: dict[str, list[str]] = {}
    different: dict[tuple[str, ...], list[str]] = {}
    for key in rows:
        request, of_layer, of_agent, answer = key.split(" | ")
        if answer == "the same":
            same.append(request)
        elif answer == "as the agent" and of_layer == "?":
            as_agent.setdefault(of_agent, []).append(request)
        else:
            different.setdefault((of_layer, of_agent, answer), []).append(request)
    sentences = [f"No difference, where a product offers it: {'; '.join(same)}."]
    if as_agent:
        found = (f"{', '.join(requests)} ({answer})" for answer, requests in as_agent.items())
        sentences.append(f"As the agent (the layer's answer is unknown): {'; '.join(found)}.")
    made = table(head, *(["; ".join(requests), *cells] for cells, requests in different.items()))
    return "\n".join([made, "\n\n".join(sentences), ""])


def written(text: str) -> str:
    """Return the page's text with the tables as they are now."""
    return with_tables(text, "aws_layer_table", tables())


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
