"""What environment variables set, that they beat the file, and the token."""

import pytest

from secrets_cache.aws.client import MAX_CONNECTIONS
from secrets_cache.config import Adjusted, AwsLayer, Metrics, Token, parse
from tests.support.configuration import find_problem, read, read_valid
from tests.support.fakes import CANARY


def test_the_token_may_come_from_the_file_the_environment_or_the_session():
    """The environment beats the file; the word session stands for AWS's own token."""
    assert None is read_valid("server: {token: ''}").tokens
    assert (Token("abc"),) == read_valid("server: {token: abc}").tokens
    assert (Token("xyz"),) == read_valid("server: {token: abc}", SECRETS_CACHE_TOKEN="xyz").tokens
    assert (Token("s"),) == read_valid("server: {token: session}", AWS_SESSION_TOKEN="s").tokens
    assert (Token("c"),) == read_valid("", SECRETS_CACHE_TOKEN="session", AWS_CONTAINER_AUTHORIZATION_TOKEN="c").tokens


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("server: {token: [a]}", {}),
        (f"server: {{token: '{CANARY} with blanks'}}", {}),
        ("", {"SECRETS_CACHE_TOKEN": f"{CANARY} with blanks"}),
        ("server: {token: session}", {}),
        ("server:\n  token: #abc", {}),
        ("server:\n  token: !abc", {}),
        ("server:\n  token: &abc", {}),
        ("server: {token: }", {}),
        ("server: {token: null}", {}),
        (f"server: {{token:{CANARY}}}", {}),
        (f"server:\n  token:{CANARY}", {}),
        (f"server:\n  ? {CANARY}", {}),
        (f"server: {{token: {CANARY}, port: x}}", {}),
    ],
)
def test_an_invalid_token_refuses_every_caller_and_is_never_shown(text, environ):
    """A misspelt token must not count as no token."""
    config = read(text, **environ)

    assert CANARY not in repr(config)
    assert CANARY not in str(find_problem(config))
    assert config.tokens in {(), (Token(CANARY),)}
    assert (config.tokens == ()) is ("port" not in text)


def test_a_session_without_a_token_is_one_sentence():
    """It says which variable is missing, and what follows."""
    text = 'environment: AWS_SESSION_TOKEN: not set, but server.token is "session": every request will be refused'

    assert text == str(find_problem(read("server: {token: session}")))


@pytest.mark.parametrize(
    ("text", "seconds"), [("10", 600), ("0.5", 30), (".02", 1.2), (" 5 ", 300), ("43200", 2592000), ("", 600)]
)
def test_cache_timeout_is_minutes_and_beats_the_file(text, seconds):
    """Decimals allowed; an empty variable is none."""
    assert pytest.approx(seconds) == read_valid("", CACHE_TIMEOUT=text).ttl
    assert pytest.approx(seconds if text else 7) == read_valid("ttl: 7", CACHE_TIMEOUT=text).ttl


@pytest.mark.parametrize(
    "text", ["abc", "0", "0.0166", "-1", "NaN", "inf", "1e3", "10m", "43201", "1,5", "٣", "1" * 400]
)
def test_a_bad_cache_timeout_takes_the_default_and_is_a_problem(text):
    """It must not mean "never refresh"."""
    config = read("", CACHE_TIMEOUT=text)

    assert 600 == config.ttl
    problem = find_problem(config)
    assert ("environment", None, "CACHE_TIMEOUT") == (problem.file, problem.line, problem.key)
    assert "a number of minutes, decimals allowed; at least a second, at most 43200" == problem.allowed
    assert str(problem).startswith("environment: CACHE_TIMEOUT: found ")


@pytest.mark.parametrize(("text", "strict"), [("1", True), ("true", True), ("Yes", True), ("0", False), ("off", False)])
def test_strict_is_a_flag(text, strict):
    """1, true, yes, on, or the opposite, in any case."""
    assert strict is read_valid("", SECRETS_CACHE_STRICT=text).strict


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("", {}, (Metrics.NONE, "secrets-cache", False)),
        ("metrics: emf", {}, (Metrics.EMF, "secrets-cache", False)),
        ("metrics: EMF", {"SECRETS_CACHE_METRICS": "none"}, (Metrics.NONE, "secrets-cache", False)),
        ("", {"SECRETS_CACHE_METRICS": "Emf"}, (Metrics.EMF, "secrets-cache", False)),
        ("metrics: {by_secret: yes}", {}, (Metrics.NONE, "secrets-cache", True)),
        ("metrics: {namespace: a/b}", {"SECRETS_CACHE_METRICS": "emf"}, (Metrics.EMF, "a/b", False)),
        ("metrics:\n  format: emf\n  namespace: x:y\n", {}, (Metrics.EMF, "x:y", False)),
    ],
)
def test_metrics_are_a_format_or_a_mapping_and_the_environment_beats_the_format(text, environ, expected):
    """A variable changes the format alone; the file keeps the rest."""
    config = read_valid(text, **environ)

    assert expected == (config.metrics, config.metrics_namespace, config.metrics_by_secret)


def test_log_level_and_port_come_from_the_environment():
    """In any case of letters; the port beats the file's."""
    config = read_valid("server: {port: 1}", SECRETS_CACHE_LOG_LEVEL="debug", SECRETS_CACHE_PORT="9090")

    assert ("DEBUG", 9090) == (config.log_level, config.port)


# The variables of AWS's own layer.

LAYER = {
    "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "2773",
    "SECRETS_MANAGER_TTL": "60",
    "SSM_PARAMETER_STORE_TTL": "0",
    "SECRETS_MANAGER_TIMEOUT_MILLIS": "1500",
    "PARAMETERS_SECRETS_EXTENSION_CACHE_ENABLED": "false",
    "PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE": "10",
    "PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS": "3",
    "PARAMETERS_SECRETS_EXTENSION_LOG_LEVEL": "warn",
    "AWS_SESSION_TOKEN": "s",
}


def test_the_variables_of_awss_layer_set_its_listener():
    """Time-outs are milliseconds there and seconds here; 0, or none, is no time-out. Each token counts."""
    config = read_valid("", **LAYER)

    assert (2773, "WARNING") == (config.aws_port, config.log_level)
    assert config.aws_layer == AwsLayer(
        secret_ttl=60,
        parameter_ttl=0,
        secret_timeout=1.5,
        parameter_timeout=None,
        is_cached=False,
        cache_size=10,
        max_connections=3,
        tokens=(Token("s"),),
    )


def test_without_that_listener_they_do_not_count():
    """A function that has left AWS's layer may keep its variables. It learns that they are ignored, unless it knows."""
    variables = LAYER | {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "", "SECRETS_MANAGER_TTL": " "}
    config = read_valid("", **variables)

    assert (AwsLayer(), "INFO") == (config.aws_layer, config.log_level)
    assert (
        tuple(name for name in variables if variables[name].strip() and name != "AWS_SESSION_TOKEN") == config.ignored
    )
    assert () == read_valid("server: {aws_port: 0}", **variables).ignored
    assert () == read_valid("", **LAYER).ignored == read_valid("").ignored


def test_our_own_log_level_beats_that_of_the_layer():
    """It is set for this program."""
    assert "ERROR" == read_valid("", **LAYER, SECRETS_CACHE_LOG_LEVEL="error").log_level


def test_a_bad_variable_of_the_layer_is_a_problem():
    """It takes its default; the others count."""
    config = read("", **LAYER | {"SECRETS_MANAGER_TTL": "5m"})

    assert "SECRETS_MANAGER_TTL" == find_problem(config).key
    assert (None, 10) == (config.aws_layer.secret_ttl, config.aws_layer.cache_size)


@pytest.mark.parametrize(
    ("variable", "text", "used"),
    [
        ("SECRETS_MANAGER_TTL", "301", 300),
        ("SSM_PARAMETER_STORE_TTL", "-1", 0),
        ("SECRETS_MANAGER_TIMEOUT_MILLIS", "3600000", 900_000),
        ("PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS", "0", 1),
        ("PARAMETERS_SECRETS_EXTENSION_MAX_CONNECTIONS", "21", MAX_CONNECTIONS),
        ("PARAMETERS_SECRETS_EXTENSION_CACHE_SIZE", "9" * 18, 1000),
    ],
)
def test_a_number_out_of_bounds_is_the_nearest_and_no_problem(variable, text, used):
    """AWS's layer goes on with it, so it must not make /health bad, nor end a strict process."""
    config = read_valid("", **LAYER | {variable: text})

    assert (Adjusted(variable, int(text), used),) == config.adjusted


@pytest.mark.parametrize(
    ("text", "millis", "seconds"),
    [("", "", 5), ("", "30000", 30), ("fetch_timeout: 20s", "1000", 20), ("", "900000", 60)],
)
def test_a_fetch_may_take_as_long_as_the_most_patient_caller_waits(text, millis, seconds):
    """But no longer than any fetch_timeout."""
    assert seconds == read_valid(text, **LAYER | {"SSM_PARAMETER_STORE_TIMEOUT_MILLIS": millis}).fetch_budget


@pytest.mark.parametrize(
    ("secret", "parameter", "setting"),
    [
        ("", "", "fetch_timeout"),
        ("5000", "4000", "fetch_timeout"),
        ("6000", "", "SECRETS_MANAGER_TIMEOUT_MILLIS"),
        ("6000", "7000", "SSM_PARAMETER_STORE_TIMEOUT_MILLIS"),
    ],
)
def test_the_setting_that_bounds_a_fetch_is_known(secret, parameter, setting):
    """Errors name it."""
    timeouts = {"SECRETS_MANAGER_TIMEOUT_MILLIS": secret, "SSM_PARAMETER_STORE_TIMEOUT_MILLIS": parameter}

    assert setting == read_valid("", **LAYER | timeouts).fetch_budget_setting


def test_variables_list_secrets_and_parameters_besides_the_file():
    """Commas and line ends separate names; blanks and empty parts do not count; the file's own items come first."""
    config = read_valid(
        "secrets: [a]\nparameters: [/p]",
        SECRETS_CACHE_SECRETS=" b , c/d,\n\n arn:aws:secretsmanager:eu-west-1:123456789012:secret:e-AbCdEf\r\n",
        SECRETS_CACHE_PARAMETERS="/app/,/x:3",
    )

    assert ["a", "b", "c/d", "arn:aws:secretsmanager:eu-west-1:123456789012:secret:e-AbCdEf"] == [
        item.name for item in config.secrets
    ]
    assert [("/p", None), ("/app/", None), ("/x", "3")] == [
        (item.ref.secret_id, item.ref.version_id) for item in config.parameters
    ]
    assert all(item.ref.is_parameter for item in config.parameters)


def test_what_the_file_lists_already_keeps_its_settings():
    """A name in both, or twice in the variable, is one item: the file's, with its region and its ttl."""
    config = read_valid(
        "secrets: [{id: prod/db, name: db, region: eu-west-1, ttl: 1m}]", SECRETS_CACHE_SECRETS="prod/db,api,api"
    )

    assert [("db", 60.0), ("api", None)] == [(item.name, item.ttl_seconds) for item in config.secrets]


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("SECRETS_CACHE_SECRETS", "a,b c", "found 'b c'; allowed: the name or ARN of a secret"),
        ("SECRETS_CACHE_PARAMETERS", "/a b", "found '/a b'; allowed: the name, path or ARN of a parameter"),
        ("SECRETS_CACHE_PARAMETERS", "db", "found a second 'db'; allowed: each name only once"),
        (
            "SECRETS_CACHE_SECRETS",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:e-AbCdEf:key::",
            "the ARN alone, arn:aws:secretsmanager:eu-west-1:123456789012:secret:e-AbCdEf",
        ),
    ],
)
def test_a_wrong_item_of_a_list_names_its_variable_and_costs_only_itself(variable, text, expected):
    """The others of the list are served."""
    config = read("secrets: [{id: prod/db, name: db}]", **{variable: text})

    assert f"environment: {variable}: " in str(find_problem(config))
    assert expected in str(find_problem(config))
    assert ("a" in {item.name for item in config.secrets}) is text.startswith("a,")


@pytest.mark.parametrize("text", ['["a"]', "'a'", "[a]", "- a", "a b", "a;b"])
def test_another_form_of_list_is_told_to_use_commas(text):
    """Such as that of Terraform's jsonencode."""
    problem = find_problem(read("", SECRETS_CACHE_SECRETS=text))

    assert problem.allowed.endswith("; several need commas between them, without brackets, quotes or dashes")


@pytest.mark.parametrize("text", ["secrets: [", "TOKEN=abc", None])
def test_lists_of_variables_do_not_count_without_a_token_if_nothing_is_known_of_the_file(text):
    """The file may hold a token; its mistake must not open what the variables list."""
    environ = {"SECRETS_CACHE_SECRETS": "a", "SECRETS_CACHE_PARAMETERS": "/b"}

    def list_all(**more: str) -> list[str]:
        data, unreadable = (text.encode(), None) if text else (None, "no such file")
        config = parse(data, file="config.yaml", environ={**environ, **more}, unreadable=unreadable)
        return [item.name for item in config.listed]

    assert [] == list_all()
    assert ["a", "/b"] == list_all(SECRETS_CACHE_TOKEN="t")
