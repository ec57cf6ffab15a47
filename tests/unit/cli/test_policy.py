"""`secrets-cache policy`: what it prints, and when it prints nothing. What is in a policy: test_policy_document.py."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from secrets_cache.cli import main
from tests.support.upstream import ACCOUNT, arn_of
from tests.unit.cli.test_policy_document import FOREIGN, ROLE

HERE = ("--region", "eu-west-1", "--account", ACCOUNT)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text("secrets: [db]", encoding="utf-8")
    return file


def print_policy(capfd, file: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Return the policy, and what was written to standard error."""
    assert 0 == main(["policy", "--config", str(file), *options])
    out, err = capfd.readouterr()
    found = json.loads(out)
    assert json.dumps(found, indent=4, sort_keys=True) + "\n" == out
    return found, err


def test_the_policy_is_printed_as_json_with_sorted_keys(capfd, file):
    """So that two of them can be compared as text; the partition is the region's."""
    found, err = print_policy(capfd, file, "--region", "cn-north-1", "--account", ACCOUNT)

    assert [f"arn:aws-cn:secretsmanager:cn-north-1:{ACCOUNT}:secret:db-??????"] == found["Statement"][0]["Resource"]
    assert "" == err


def test_the_session_token_of_lambda_is_not_missed(capfd, file, monkeypatch):
    """Where the policy is printed there is none; `check` does not miss it either."""
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    file.write_text(f"secrets: [{arn_of('db')}]\nserver: {{token: session}}", encoding="utf-8")
    document, said = print_policy(capfd, file)

    assert ([arn_of("db")], "") == (document["Statement"][0]["Resource"], said)
    assert 0 == main(["check", "--config", str(file)])


def test_the_region_may_be_that_of_the_environment(capfd, file, monkeypatch):
    """An option comes first."""
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    regions = [
        print_policy(capfd, file, "--account", ACCOUNT, *more)[0]["Statement"][0]["Resource"][0].split(":")[3]
        for more in ((), ("--region", "eu-west-1"))
    ]

    assert ["us-west-2", "eu-west-1"] == regions


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--region", "eu-west-1"), "give it with --account"),
        (("--account", ACCOUNT), "give it with --region"),
        (
            (),
            "'db' is a name, not an ARN, and its region and account are unknown; give them with --region and --account",
        ),
        (("--region", "nowhere"), "--region: found 'nowhere'; allowed: an AWS region such as eu-west-1"),
        ((*HERE, "--account", "12"), "--account: found '12'; allowed: the 12 digits of an AWS account"),
        ((*HERE, "--partition", "x"), "--partition: found 'x'; allowed: an AWS partition such as aws or aws-cn"),
        ((*HERE, "--role", "x"), "--role: found 'x'; allowed: the ARN of an IAM role"),
        ((*HERE, "--role", ROLE), "--role: the configuration assumes no role"),
    ],
)
def test_options_that_do_not_fit_are_wrong_usage(capfd, file, monkeypatch, options, said):
    """Nothing is guessed: a star in place of the account would allow too much."""
    monkeypatch.delenv("AWS_REGION")
    with pytest.raises(SystemExit) as caught:
        main(["policy", "--config", str(file), *options])
    out, err = capfd.readouterr()

    assert (2, "") == (caught.value.code, out)
    assert said in err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("secretes: [db]", ":1: secretes: found unknown key 'secretes'"),
        ("ttl: 5m", "nothing is listed; add an entry under secrets, parameters, allow or env"),
        (None, "cannot be read: no such file"),
    ],
)
def test_a_problem_prints_no_policy(capfd, file, text, said):
    """A policy for half a configuration would allow too little."""
    file.unlink()
    if text is not None:
        file.write_text(text, encoding="utf-8")

    assert 1 == main(["policy", "--config", str(file), *HERE])
    out, err = capfd.readouterr()
    assert "" == out
    assert said in err


def test_a_missing_file_is_named_as_such(capfd, tmp_path, monkeypatch):
    """Nothing is wrong with what the file lists: there is no file."""
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))

    assert 1 == main(["policy", *HERE])
    assert f"secrets-cache: {tmp_path}/config.yaml: no such file\n" == capfd.readouterr().err

    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "config.yaml").write_text("secrets: [db]", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "here")

    assert 1 == main(["policy", *HERE])
    assert "; config.yaml in this folder is not read without --config config.yaml\n" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "No such file or directory"), ("what?", "the input is neither JSON nor NAME=value entries")],
)
def test_variables_that_cannot_be_read_print_no_policy(capfd, file, tmp_path, text, said):
    """One line, and exit code 1, as for the file of --config."""
    variables = tmp_path / "variables"
    if text is not None:
        variables.write_text(text, encoding="utf-8")

    assert 1 == main(["policy", "--config", str(file), *HERE, "--environment", str(variables)])
    assert ("", f"secrets-cache: --environment {variables}: {said}\n") == capfd.readouterr()


def test_variables_that_name_no_secret_print_no_policy(capfd, file, tmp_path):
    """IAM takes no document without a statement."""
    variables = tmp_path / "variables"
    variables.write_text("SECRET_ARN= ,\n", encoding="utf-8")
    file.write_text("ttl: 5m", encoding="utf-8")

    assert 1 == main(["policy", "--config", str(file), *HERE, "--environment", str(variables)])
    assert "nothing is listed" in capfd.readouterr().err


def test_a_role_has_a_policy_of_its_own(capfd, file):
    """The function's may assume it, and a note says how to print the other one."""
    file.write_text(f"secrets: [db, {{id: theirs, role_arn: {ROLE}}}]", encoding="utf-8")
    own, note = print_policy(capfd, file, *HERE)
    of_role, silence = print_policy(capfd, file, *HERE, "--role", ROLE)

    assert ("sts:AssumeRole", [ROLE]) == (own["Statement"][-1]["Action"], own["Statement"][-1]["Resource"])
    assert "with --role" in note
    assert ROLE in note
    assert ["arn:aws:secretsmanager:eu-west-1:999999999999:secret:theirs-??????"] == of_role["Statement"][0]["Resource"]
    assert "" == silence


def test_only_the_variables_that_are_given_count(capfd, file, monkeypatch):
    """From a file or standard input; those of the command's own environment are not the function's."""
    monkeypatch.setenv("SECRET_ARN", f"{FOREIGN}ours-AbCdEf")
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"KEY": "secretsmanager://api", "CACHE_TIMEOUT": "5"}'))
    )
    plain, _ = print_policy(capfd, file, *HERE)
    piped, _ = print_policy(capfd, file, *HERE, "--environment", "-")
    names = [[arn.rpartition(":")[2] for arn in found["Statement"][0]["Resource"]] for found in (plain, piped)]

    assert [["db-??????"], ["api-??????", "db-??????"]] == names


def test_invalid_variables_are_a_problem(capfd, file, tmp_path):
    """The wrapper refuses them too."""
    variables = tmp_path / "variables"
    variables.write_text("KEY=ssm://what?\n", encoding="utf-8")

    assert 1 == main(["policy", "--config", str(file), *HERE, "--environment", str(variables)])
    assert "KEY: found 'what?'" in capfd.readouterr().err
