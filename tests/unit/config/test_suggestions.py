"""What a wrong word was probably meant to be."""

import pytest

from tests.support.configuration import find_problem, read
from tests.support.fakes import CANARY

SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf"
PARAMETER = "arn:aws:ssm:eu-west-1:123456789012:parameter/a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("secret: [a]", "secret: found unknown key 'secret' (did you mean secrets?)"),
        ("tll: 5m", "tll: found unknown key 'tll' (did you mean ttl?)"),
        ("TTL: 5m", "TTL: found unknown key 'TTL' (did you mean ttl?)"),
        ("foo: 5m", "foo: found unknown key 'foo';"),
        ("secrets: [{id: a, nmae: b}]", "nmae: found unknown key 'nmae' (did you mean name?)"),
        ("ttl: 10min", "ttl: found '10min' (did you mean 10m?)"),
        ("ttl: 5 m", "ttl: found '5 m' (did you mean 5m?)"),
        ("ttl: 2 Days", "ttl: found '2 Days' (did you mean 48h?)"),
        ("ttl: 90days", "ttl: found '90days';"),
        ("ttl: soon", "ttl: found 'soon';"),
        ("ttl: 5x", "ttl: found '5x';"),
        ("fetch_timeout: 5sec", "fetch_timeout: found '5sec' (did you mean 5s?)"),
        ("batch: alwayz", "batch: found 'alwayz' (did you mean always?)"),
        ("batch: 17", "batch: found '17';"),
        ("refresh_ahead: 10", "refresh_ahead: found '10' (did you mean 10%?)"),
        ("refresh_ahead: 0.25", "refresh_ahead: found '0.25' (did you mean 25%?)"),
        ("refresh_ahead: 95", "refresh_ahead: found '95';"),
        ("refresh_ahead: 30s", "refresh_ahead: found '30s';"),
        ("ttl: 1h30m", "ttl: found '1h30m' (did you mean 90m?)"),
        ("ttl: 1.5 hours", "ttl: found '1.5 hours' (did you mean 90m?)"),
        ("ttl: PT5M", "ttl: found 'PT5M' (did you mean 5m?)"),
        ("ttl: 1w", "ttl: found '1w' (did you mean 168h?)"),
        ("ttl: 500ms", "ttl: found '500ms';"),
        ("fetch_timeout: 500ms", "fetch_timeout: found '500ms' (did you mean 0.5s?)"),
        ("ttl: 5 5", "ttl: found '5 5';"),
        ("prot: 80", "prot: found unknown key 'prot';"),
        ("server: {prot: 80}", "server.prot: found unknown key 'prot' (did you mean port?)"),
        ("port: 80", "port: found unknown key 'port' (did you mean port, under server?)"),
        ("log_level: debug", "(did you mean the variable SECRETS_CACHE_LOG_LEVEL?)"),
        ("ssm: [/a]", "ssm: found unknown key 'ssm' (did you mean parameters?)"),
        ("secrets: [{secretId: a}]", "unknown key 'secretId' (did you mean id?)"),
        ("secrets: [{id: a, alias: b}]", "unknown key 'alias' (did you mean name?)"),
        ("env: [{secret: a, name: b}]", "unknown key 'name' (did you mean as?)"),
        ("env: [{id: a, as: b}]", "unknown key 'id' (did you mean secret?)"),
        ("secrets: [{id: a, region: EU-West-1}]", "region: found 'EU-West-1' (did you mean eu-west-1?)"),
        ("secrets: [{id: a, region: eu-west-1a}]", "region: found 'eu-west-1a' (did you mean eu-west-1?)"),
        ("secrets: [{id: a, region: Ireland}]", "region: found 'Ireland';"),
        ("secrets: ['secretsmanager://prod/db#key']", "(did you mean prod/db?)"),
        ("secrets: [“prod/db”]", "(did you mean prod/db?)"),
        ("secrets: ['ssm:///prod/x']", "'ssm:///prod/x' (a parameter, not a secret);"),
        (f"secrets: ['{PARAMETER}']", "(a parameter, not a secret);"),
        (f"parameters: ['{SECRET}']", "(a secret, not a parameter);"),
        ("secrets: [prod/db#key]", "found 'prod/db#key' (did you mean prod/db?)"),
        ("secrets: ['prod/*']", "found 'prod/*' (a pattern, which belongs under allow);"),
        ("parameters: ['/prod/**']", "found '/prod/**' (did you mean /prod/?)"),
        ("parameters: ['/prod*']", "found '/prod*';"),
        ("secrets: ['a b']", "found 'a b';"),
        ("server: {host: 0.0.0.0}", "server.host: found unknown key 'host'; allowed: the keys port, aws_port, token"),
        ("server: {prt: 80}", "server.prt: found unknown key 'prt' (did you mean port?)"),
    ],
)
def test_a_problem_names_what_was_probably_meant(text, expected):
    """A key, a duration, a word; only if something is close, and allowed."""
    assert expected in str(read(text).problems[0])


@pytest.mark.parametrize(
    "text", [f"server: {{token:{CANARY}}}", f"server: {{{CANARY}: x}}", f"server:\n  ? {CANARY}", "server: {abcdef: }"]
)
def test_a_key_that_may_hold_the_token_is_not_shown(text):
    """Only a short plain word with a value is the name of a setting."""
    assert "found an unknown key; allowed: the keys port, aws_port, token" in str(find_problem(read(text)))


@pytest.mark.parametrize(
    ("variable", "text", "expected"),
    [
        ("SECRETS_CACHE_LOG_LEVEL", "warn", "found 'warn' (did you mean WARNING?)"),
        ("CACHE_TIMEOUT", "10m", "found '10m' (did you mean 10?)"),
        ("CACHE_TIMEOUT", "90 sec", "found '90 sec' (did you mean 1.5?)"),
        ("CACHE_TIMEOUT", "60d", "found '60d';"),
        ("CACHE_TIMEOUT", "0s", "found '0s';"),
    ],
)
def test_a_variable_is_asked_about_too(variable, text, expected):
    """As a value in the file; minutes are written without a unit."""
    assert f"{variable}: {expected}" in str(find_problem(read("", **{variable: text})))


def test_an_item_of_a_list_in_a_variable_is_asked_about_too():
    """As in the file."""
    problem = find_problem(read("", SECRETS_CACHE_SECRETS="ssm:///prod/x"))

    assert "SECRETS_CACHE_SECRETS: found 'ssm:///prod/x' (a parameter, not a secret)" in str(problem)


def test_a_mistyped_id_is_one_problem():
    """That there is no id follows from it."""
    assert "(did you mean id?)" in str(find_problem(read("secrets: [{arn: a, ttl: 5m}]")))
