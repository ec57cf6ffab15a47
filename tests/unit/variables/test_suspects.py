"""Variables that are almost references. In the extension and in `run`: tests/process."""

import pytest

from secrets_cache.variables.rules import resembles_reference
from secrets_cache.variables.suspects import find_suspects, log_suspects
from tests.support.fakes import CANARY

# Of the lists of the IANA, of databases, brokers, stores and tools: what a function's variable may well begin with.
ORDINARY = """
    http https ws wss ftp ftps sftp ssh git git+ssh file data unix tcp udp mailto
    smb ssl ss ssr sm sms smtp smtps sip sips socks5 ssdp snmp
    s3 s3a gs hdfs abfss dynamodb sqs sns ecr docker oci
    postgres postgresql mysql mariadb mssql sqlserver sqlite oracle mongodb mongodb+srv redis rediss
    amqp amqps kafka nats mqtt mqtts ldap ldaps jdbc:postgresql jdbc:mysql jdbc-secretsmanager:mysql
    vault op keyvault sentry awskms awsparamstore awssecretsmanager aws-secretsmanager gcpsecretmanager
    elasticsearch memcached snowflake databricks cassandra secondlife secret command message
"""


@pytest.mark.parametrize("scheme", ORDINARY.split())
def test_an_ordinary_url_is_no_suspect(scheme):
    """A warning at every start that means nothing would be worse than none."""
    values = (f"{scheme}://user@host:1/path", f"{scheme}:/path", f"{scheme.upper()}://x")

    assert [] == list(find_suspects({str(number): value for number, value in enumerate(values)}))


@pytest.mark.parametrize(
    "scheme", ["https", "postgresql", "mongodb+srv", "redis", "s3", "smb", "ssh", "amqps", "kafka"]
)
def test_what_most_functions_have_costs_nothing(scheme):
    """Nothing more is imported for it."""
    assert not resembles_reference(f"{scheme}://host/secretsmanager://")


@pytest.mark.parametrize(
    "value",
    ["", "secret", "/secret:/x", "secretsmanager://db#key", "ssm:///x", "x" * 24 + "ssm:/", "a sentence: secrets"],
)
def test_a_reference_and_a_text_are_no_suspects(value):
    """Whatever else they hold."""
    assert [] == list(find_suspects({"X": value}))


@pytest.mark.parametrize(
    ("scheme", "meant"),
    [
        *((scheme, "secretsmanager://") for scheme in ("secretmanager://", "SecretsManager://", "secretsmanager:/")),
        *((scheme, "secretsmanager://") for scheme in ("secrets-manager://", "secretsmanger://", "sercetsmanager://")),
        *((scheme, "secretsmanager://") for scheme in ("ecretsmanager://", "secertsmanger://", "'secretsmanager://")),
        *((scheme, "ssm://") for scheme in ("ssm:/", "SSM://", " ssm://", '"ssm://')),
    ],
)
def test_a_mistyped_reference_is_a_suspect(scheme, meant):
    """With what begins a reference, and of the value only its scheme."""
    (suspect,) = find_suspects({"A": "https://x", "DB_PASSWORD": f"{scheme}prod/{CANARY}"})

    assert ("DB_PASSWORD", scheme, meant) == suspect


def test_the_log_shows_nothing_of_the_value(caplog):
    """It may be a secret after all."""
    log_suspects({"A": "secretmanager://prod/db", "B": "secretsmanager://prod/db", "C": f"ssm:/{CANARY}"})

    beginning = "the value stays as it is; a reference begins with"
    assert [
        ("WARNING", "variable.suspect", {"name": "A", "text": f"{beginning} secretsmanager://"}),
        ("WARNING", "variable.suspect", {"name": "C", "text": f"{beginning} ssm://"}),
    ] == [(record.levelname, record.msg, record.args) for record in caplog.records]
