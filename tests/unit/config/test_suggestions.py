"""What a wrong word was probably meant to be."""

import pytest

from tests.support.configuration import find_problem, read
from tests.support.fakes import CANARY


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
        ("refresh_ahead: 10", "refresh_ahead: found '10';"),
        ("server: {host: 0.0.0.0}", "server.host: found unknown key 'host'; allowed: the keys port, aws_port, token"),
        ("server: {prt: 80}", "server.prt: found unknown key 'prt' (did you mean port?)"),
    ],
)
def test_a_problem_names_what_was_probably_meant(text, expected):
    """A key, a duration, a word; only if something is close, and allowed."""
    assert expected in str(find_problem(read(text)))


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
