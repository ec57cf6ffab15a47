"""The tree of errors."""

import pytest

from secrets_cache.errors import (
    ExtensionsApiError,
    KeyNotFound,
    MemberNotFound,
    SecretNotConfigured,
    SecretNotFound,
    SecretRefused,
    SecretTimeout,
    SecretUnavailable,
    VariablesFailed,
    VersionNotFound,
    add_advice,
)

OF_ANOTHER_ACCOUNT = "arn:aws:secretsmanager:us-east-1:999999999999:secret:db-AbCdEf"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            SecretNotConfigured("db"),
            "'db' is not listed in config.yaml, and no pattern under allow covers it",
        ),
        (
            SecretNotConfigured("db", suggestion="dbs"),
            "'db' is not listed in config.yaml, and no pattern under allow covers it (did you mean 'dbs'?)",
        ),
        (
            SecretNotConfigured("db", "/config.yaml", "dbs"),
            (
                "'db' is not listed: there is no config.yaml (looked for /config.yaml), and no variable lists it "
                "(did you mean 'dbs'?)"
            ),
        ),
        (
            SecretNotConfigured("app/db", suggestion="/app/db/"),
            (
                "'app/db' is not listed in config.yaml, and no pattern under allow covers it; a path ends in a slash: "
                "'/app/db/'"
            ),
        ),
        (
            SecretNotConfigured("//app/db/", suggestion="/app/db/"),
            "'//app/db/' is not listed in config.yaml, and no pattern under allow covers it (did you mean '/app/db/'?)",
        ),
        (KeyNotFound("db", "port"), "'db' has no key 'port'"),
        (SecretNotFound("db"), "secret 'db' was not found in AWS Secrets Manager in this region and this account"),
        (
            SecretNotFound("db", aws_message="Secrets Manager can't find the specified secret."),
            (
                "secret 'db' was not found in AWS Secrets Manager in this region and this account: "
                "Secrets Manager can't find the specified secret"
            ),
        ),
        (
            SecretNotFound(OF_ANOTHER_ACCOUNT),
            (
                f"secret '{OF_ANOTHER_ACCOUNT}' was not found in AWS Secrets Manager in this region and "
                "account 999999999999"
            ),
        ),
        (
            SecretNotFound("arn:aws"),
            "secret 'arn:aws' was not found in AWS Secrets Manager in this region and this account",
        ),
        (
            VersionNotFound("db", aws_message="no value for staging label: X"),
            (
                "this version of secret 'db' was not found in AWS Secrets Manager in this region and this account: "
                "no value for staging label: X"
            ),
        ),
        (
            MemberNotFound("/app/x", path="/app/", age_seconds=11.6),
            "parameter '/app/x' was not found below '/app/' when AWS was asked 12 s ago; refresh=true asks again",
        ),
        (SecretRefused("db", code="X"), "AWS refused secret 'db' with X"),
        (SecretRefused("db", code="X", aws_message="no"), "AWS refused secret 'db' with X: no"),
        (SecretRefused("db", code="X", aws_message="No. Not you."), "AWS refused secret 'db' with X: No. Not you"),
        (SecretRefused("db", code="X", aws_message="no ..."), "AWS refused secret 'db' with X: no ..."),
        (SecretUnavailable("db", code="x", cause="it rains"), "secret 'db' is unavailable: it rains"),
        (
            SecretTimeout("db", budget_seconds=0.5),
            "secret 'db' is unavailable: AWS did not answer within 0.5 s (fetch_timeout)",
        ),
        (VariablesFailed("because"), "because"),
        (ExtensionsApiError("GET /x", "gone"), "GET /x: gone"),
    ],
)
def test_text_is_derived_from_the_facts(error, text):
    """Each error names what, where and why."""
    assert text == str(error)


@pytest.mark.parametrize(
    ("kind", "selectors", "text"),
    [
        (SecretNotFound, ("AWSPREVIOUS",), "version 'AWSPREVIOUS' of secret 'db'"),
        (VersionNotFound, ("v1", "AWSPREVIOUS"), "version 'v1' and 'AWSPREVIOUS' of secret 'db'"),
        (VersionNotFound, (), "this version of secret 'db'"),
    ],
)
def test_the_version_that_was_asked_for_is_named(kind, selectors, text):
    """Also where AWS says only that there is no such secret, as it may for one without that label."""
    error = kind("db", aws_message="It is not there.")
    error.selectors = selectors

    place = "AWS Secrets Manager in this region and this account"
    assert f"{text} was not found in {place}: It is not there" == str(error)


@pytest.mark.parametrize(
    ("sentence", "advice", "expected"),
    [
        ("Not found.", "check its name", "Not found; check its name"),
        ("no", "ask", "no; ask"),
        ("Not found.", "", "Not found."),
    ],
)
def test_advice_follows_a_sentence_without_its_full_stop(sentence, advice, expected):
    """AWS's messages have one, those of this project do not."""
    assert expected == add_advice(sentence, advice)
