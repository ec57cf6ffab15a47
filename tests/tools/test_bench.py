"""The benchmarks: the table says what was measured and what was not, and a stub counts what it is asked."""

import datetime as dt
import json
import urllib.request
from typing import Any

from botocore.credentials import ContainerProvider
from botocore.session import get_session

from bench.processes import Stub
from bench.rows import Row, at_least, at_most, measured
from bench.stubs.answers import TOKEN
from bench.table import render


def test_the_table_has_a_line_for_each_row_and_says_what_is_missing():
    """Ratio, budget and verdict come before the numbers; notes are numbered below."""
    slow = measured("a", "fast", [1, 2, 3], [4, 4, 4], against="slow", budget=at_most(0.25))
    lines = render([slow, Row(key="b", what="absent", budget=at_least(4), note="wrk is missing")]).splitlines()

    assert ["fast", "0.50", "<=", "0.25", "x", "MISSED", "2", "ms"] == lines[2].split()[:8]
    assert ["absent", "[1]", ">=", "4", "x", "not", "measured"] == lines[3].split()
    assert "[1] wrk is missing" in lines
    assert "Of 2 budgets: 0 met, 1 MISSED, 1 not measured" == lines[-1]


def test_the_stub_of_secrets_manager_answers_and_counts():
    """Every secret exists."""
    with Stub("upstream") as upstream:
        headers = {"X-Amz-Target": "secretsmanager.GetSecretValue"}
        url = f"http://127.0.0.1:{upstream.ports['port']}"
        with urllib.request.urlopen(urllib.request.Request(url, b'{"SecretId": "a"}', headers), timeout=10) as response:
            found = json.load(response)
        seen = upstream.ask()

    assert ("a", {"getsecretvalue": 1}) == (found["Name"], seen["calls"])


def test_the_stub_answers_each_call_of_the_set_ups_as_aws_does():
    """What botocore reads from it is complete: parameters by name and by path, a role, the container endpoint."""
    with Stub("upstream") as upstream:
        url = f"http://127.0.0.1:{upstream.ports['port']}"
        session: Any = get_session()
        session.set_credentials("AKIDEXAMPLE", "of-a-test", "of-a-test")
        ssm, sts = (session.create_client(name, region_name="eu-west-1", endpoint_url=url) for name in ("ssm", "sts"))
        found = ssm.get_parameters(Names=["/app/a", "/b"], WithDecryption=True)["Parameters"]
        by_arn = ssm.get_parameter(Name="arn:aws:ssm:eu-west-1:123456789012:parameter/app/a")["Parameter"]
        below = ssm.get_parameters_by_path(Path="/app/", Recursive=True)["Parameters"]
        role = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/reader", RoleSessionName="test")["Credentials"]
        from_container = ContainerProvider(
            {
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/credentials",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN": TOKEN,
            }
        ).load()

    assert (["/app/a", "/b"], "/app/a", 5) == ([one["Name"] for one in found], by_arn["Name"], len(below))
    assert ("ASIAROLE", True) == (role["AccessKeyId"], role["Expiration"] > dt.datetime.now(dt.UTC))
    assert "ASIACONTAINER" == from_container.get_frozen_credentials().access_key
