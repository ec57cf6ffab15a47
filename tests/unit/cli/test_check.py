"""`secrets-cache check`: every problem, and what a configuration means, without a value."""

import json
from pathlib import Path
from typing import Any

import pytest

from secrets_cache.cli import main
from tests.support import upstream as stub
from tests.support.fakes import CANARY
from tests.unit.aws.test_sts import ROLE
from tools.emulator import ROOT

FULL = f"""
secrets:
  - db
  - {{id: prod/db, name: theirs, role_arn: {ROLE}, region: us-west-2, ttl: 90s, required: true}}
  - {{id: db, name: old, version_stage: AWSPREVIOUS, ttl: 2h}}
parameters: [/prod/flag, /prod/app/, {{id: /x, version: 3}}]
env:
  - {{secret: db, prefix: db_, upper: true, exclude: [b], rename: {{c: C_TOO}}}}
  - {{secret: db, include: [a], required: false, override: false}}
  - {{parameter: /prod/flag, as: FLAG}}
allow: ["prod/*"]
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("SECRET_ARN", raising=False)
    return tmp_path / "config.yaml"


def check(capfd, file: Path, text: str | None, *options: str) -> tuple[int, str]:
    """Write a configuration and check it; return the exit code and what was written to standard output."""
    if text is not None:
        file.write_text(text, encoding="utf-8")
    code = main(["check", "--config", str(file), *options])
    return code, capfd.readouterr().out


def check_as_json(capfd, file: Path, text: str, *options: str) -> tuple[int, dict[str, Any]]:
    """Check with --json; return the exit code and the document."""
    code, out = check(capfd, file, text, "--json", *options)
    return code, json.loads(out)


def split_cells(out: str) -> list[list[str]]:
    """Return the lines as their words."""
    return [line.split() for line in out.splitlines()]


def test_a_variable_is_read_from_the_region_and_by_the_role_of_its_listed_item(capfd, file):
    """Below a listed path too; `policy` grants the same."""
    listed = f"secrets: [{{id: prod/db, name: theirs, role_arn: {ROLE}, region: us-west-2}}]\n"
    paths = f"parameters: [{{id: /prod/app/, role_arn: {ROLE}}}]\n"
    env = "env: [{secret: theirs, as: X}, {parameter: /prod/app/flag, as: FLAG}, {secret: prod/db, as: OWN}]"
    _, found = check_as_json(capfd, file, listed + paths + env)

    places = [(row["region"], row["role_arn"]) for row in found["variables"]]
    assert [("us-west-2", ROLE), (None, ROLE), (None, None)] == places


def test_every_problem_is_one_line_and_the_code_is_1(capfd, file):
    """As the extension would log them: file, line, key, what was found, what is allowed."""
    code, out = check(capfd, file, "ttl: soon\nsecretes: [db]\nsecrets: [pin]")
    lines = out.splitlines()

    assert (1, f"{file}: 2 problems") == (code, lines[0])
    assert lines[1].startswith(f"  {file}:1: ttl: found 'soon'; allowed: a duration such as 30s")
    assert lines[2].startswith(f"  {file}:2: secretes: found unknown key 'secretes' (did you mean secrets?); allowed: ")
    assert ["pin", "secret", "10m"] in split_cells(out)


def test_a_valid_configuration_is_0_and_shown_as_tables(capfd, file, monkeypatch):
    """Each listed item, each variable with its source, and the patterns; an empty column is left out."""
    monkeypatch.setenv("KEY", "secretsmanager://api#a")
    code, out = check(capfd, file, FULL)
    table = split_cells(out)

    assert (0, f"{file}: no problems") == (code, out.splitlines()[0])
    assert ["NAME", "KIND", "ASKED", "FOR", "REGION", "ROLE", "TTL", "REQUIRED"] in table
    assert ["db", "secret", "10m"] in table
    assert ["theirs", "secret", "prod/db", "us-west-2", ROLE, "90s", "yes"] in table
    assert ["old", "secret", "db", "AWSPREVIOUS", "2h"] in table
    assert ["/prod/app/", "path", "10m"] in table
    assert ["/x", "parameter", "/x:3", "10m"] in table
    assert ["DB_*,", "C_TOO", "env", "secret", "db", "yes"] in table
    assert ["a", "env", "secret", "db"] in table
    assert ["FLAG", "env", "parameter", "/prod/flag", "yes"] in table
    assert ["KEY", "reference", "secret", "api#a", "yes"] in table
    assert "On demand: prod/*" in out


def test_what_is_asked_for_is_only_shown_where_it_is_not_the_name(capfd, file):
    """The column is gone where it would repeat every name."""
    _, out = check(capfd, file, "secrets: [prod/db]\nparameters: [/prod/app/]")

    assert ["NAME", "KIND", "TTL"] in split_cells(out)
    assert ["prod/db", "secret", "10m"] in split_cells(out)


def test_a_version_is_shown_as_the_user_wrote_it(capfd, file, monkeypatch):
    """Version or label, of a listed item and of a variable, in AWS's notation or in that of ECS."""
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf"
    monkeypatch.setenv("ONE", f"secretsmanager://{arn}:a:AWSPREVIOUS:")
    monkeypatch.setenv("TWO", f"secretsmanager://{arn}:::v1#x:y")
    monkeypatch.setenv("THREE", "ssm:///limit:best")
    text = f"parameters: ['/limit:3', '/limit:best']\nenv: [{{secret: '{arn}::AWSPREVIOUS:v1', prefix: DB_}}]"
    table = split_cells(check(capfd, file, text)[1])

    assert ["/limit:3", "parameter", "10m"] in table
    assert ["/limit:best", "parameter", "10m"] in table
    assert ["DB_*", "env", "secret", f"{arn}::AWSPREVIOUS:v1", "yes"] in table
    assert ["ONE", "reference", "secret", f"{arn}:a:AWSPREVIOUS:", "yes"] in table
    assert ["TWO", "reference", "secret", f"{arn}:::v1#x:y", "yes"] in table
    assert ["THREE", "reference", "parameter", "/limit:best", "yes"] in table


def test_no_configuration_is_a_problem_that_names_where_it_was_looked_for(capfd, tmp_path, monkeypatch):
    """Nothing is checked then; a config.yaml in the current folder is mentioned."""
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path.parent)

    assert 1 == main(["check"])
    out = capfd.readouterr().out
    assert f"{tmp_path}/config.yaml (no such file): 1 problem\n" in out
    assert f"{tmp_path}/config.yaml: no such file, and no variable lists anything: nothing is served\n" in out
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "config.yaml").write_text("secrets: [a]")
    monkeypatch.chdir(tmp_path / "here")
    assert 1 == main(["check"])
    assert "config.yaml in this folder is not read without --config config.yaml" in capfd.readouterr().out
    assert 1 == main(["check", "--config", str(tmp_path / "nope")])
    assert "nope: cannot be read: no such file" in capfd.readouterr().out
    monkeypatch.setenv("SECRETS_CACHE_SECRETS", "a")
    assert 0 == main(["check"])


def test_no_variable_stands_in_for_a_file_that_is_named_and_not_there(capfd, tmp_path, monkeypatch):
    """A file that is there gives way to SECRETS_CACHE_CONFIG_YAML, as in Lambda."""
    monkeypatch.setenv("SECRETS_CACHE_CONFIG_YAML", "secrets: [a]")
    named = tmp_path / "config.yaml"

    assert 1 == main(["check", "--config", str(named)])
    assert f"{named}: cannot be read: no such file" in capfd.readouterr().out
    named.write_text("secrets: [b]")
    assert 0 == main(["check", "--config", str(named)])
    assert "SECRETS_CACHE_CONFIG_YAML: no problems" in capfd.readouterr().out


@pytest.mark.parametrize("text", ["", "# nothing", "secrets: []", "ttl: 5m"])
def test_a_file_that_serves_nothing_is_a_problem(capfd, file, text):
    """It is valid, and hardly meant."""
    code, out = check(capfd, file, text)

    assert 1 == code
    assert "found nothing that is served; allowed: at least one item under secrets, parameters, allow or env" in out


@pytest.mark.parametrize(
    ("region", "suggestion"),
    [
        ("eu-wst-1", " (did you mean eu-west-1?)"),
        ("ue-west-1", None),
        ("us-gov-wst-1", " (did you mean us-gov-west-1?)"),
    ],
)
def test_a_region_of_no_known_form_is_a_problem_of_check_alone(capfd, file, region, suggestion):
    """A new region has a known form; the extension goes on."""
    code, out = check(capfd, file, f"secrets: [{{id: a, region: {region}}}, {{id: b, region: eu-west-9}}]")

    assert 1 == code
    assert f"{file}:1: region of a: found {region!r}" in out
    assert suggestion is None or suggestion in out
    assert "eu-west-9'" not in out


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("secretmanager://prod/db", "found 'secretmanager://' (did you mean secretsmanager://?)"),
        ("SSM:/prod/db", "found 'SSM:/' (did you mean ssm://?)"),
        ('"secretsmanager://prod/db"', "found a reference in quotes or after a blank; allowed: the reference alone"),
        (" ssm:///prod/db", "found a reference in quotes or after a blank; allowed: the reference alone"),
        ("https://example.com", None),
        ("ssh://host", None),
        ("secretsmanager:prod/db", "found 'secretsmanager:' (did you mean secretsmanager://?)"),
        ("secretsmanager:GetSecretValue", None),
    ],
)
def test_a_mistyped_scheme_is_a_problem(capfd, file, monkeypatch, value, expected):
    """The wrapper takes it as text, which the function then gets."""
    monkeypatch.setenv("KEY", value)
    code, out = check(capfd, file, "secrets: [a]")

    assert (0 if expected is None else 1) == code
    assert expected is None or f"environment: KEY: {expected}" in out


def test_an_input_without_variables_is_a_problem(capfd, file, tmp_path):
    """It might have held references, and nothing of that was checked."""
    (tmp_path / "empty").write_text("")
    code, out = check(capfd, file, "secrets: [a]", "--environment", str(tmp_path / "empty"))

    assert 1 == code
    assert f"  --environment {tmp_path}/empty: the input is empty: no variables were checked\n" in out
    code, out = check(capfd, file, "secrets: [a]", "--environment", str(tmp_path / "nope"))
    assert 1 == code
    assert f"  --environment {tmp_path}/nope: No such file or directory\n" in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "parameters: [prod/x]",
            ":1: parameters: found 'prod/x' (did you mean /prod/x?); allowed: a name with slashes",
        ),
        ("parameters: [x, /prod/x, 'arn:aws:ssm:eu-west-1:123456789012:parameter/a/b']", ": no problems"),
    ],
)
def test_a_parameters_name_with_slashes_begins_with_one(capfd, file, text, said):
    """AWS has no other, and would only say that it has not found it."""
    code, out = check(capfd, file, text)

    assert ("no problems" not in said) == (code == 1)
    assert f"{file}{said}" in out


@pytest.mark.parametrize("place", ["file", "variable", "reference"])
def test_a_region_in_an_arn_counts_too(capfd, file, monkeypatch, place):
    """Wherever the ARN is; a line is named if the file has it."""
    arn = "arn:aws:secretsmanager:eu-wst-1:123456789012:secret:db-AbCdEf"
    if place != "file":
        monkeypatch.setenv("SECRETS_CACHE_SECRETS" if place == "variable" else "KEY", arn)
    if place == "reference":
        monkeypatch.setenv("KEY", f"secretsmanager://{arn}")
    code, out = check(capfd, file, f"ttl: 5m\nsecrets: [{arn if place == 'file' else 'a'}]")

    start = f"{file}:2" if place == "file" else "environment"
    assert 1 == code
    assert f"  {start}: arn:aws:secretsmanager:eu-wst" in out
    assert "found 'eu-wst-1' (did you mean eu-west-1?)" in out


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SECRETS_CACHE_SECRET", "SECRETS_CACHE_SECRETS"),
        ("SECRETS_CACHE_LOGLEVEL", "SECRETS_CACHE_LOG_LEVEL"),
        ("SECRETS_CACHE_TTL", "CACHE_TIMEOUT"),
        ("SECRETS_CACHE_URL", None),
        ("SECRETS_CACHE_LANES", None),
    ],
)
def test_a_variable_that_is_almost_a_setting_is_a_problem(capfd, file, monkeypatch, name, meant):
    """It would be ignored. A variable of the function's own may have any other name."""
    monkeypatch.setenv(name, "1")
    code, out = check(capfd, file, "secrets: [a]")

    assert (0 if meant is None else 1) == code
    assert meant is None or f"environment: {name}: an unknown setting (did you mean {meant}?)" in out


def test_a_tag_of_a_template_is_said_in_plain_words(capfd, file):
    """In a list of names, and alone."""
    code, out = check(capfd, file, "- !Ref Foo")

    assert 1 == code
    assert "config.yaml is not a CloudFormation template" in out


def test_a_file_that_cannot_be_read_is_not_a_missing_one(capfd, tmp_path):
    """The directory exists: the first line does not deny it, and the problem says what it is."""
    code, out = check(capfd, tmp_path, None)
    _, as_json = check(capfd, tmp_path, None, "--json")

    problem = f"  {tmp_path}: cannot be read: it is not a regular file"
    assert (1, [f"{tmp_path}: 1 problem", problem]) == (code, out.splitlines()[:2])
    assert json.loads(as_json)["file_exists"] is True


def test_an_invalid_variable_is_a_problem(capfd, file, monkeypatch):
    """Settings and references alike."""
    monkeypatch.setenv("CACHE_TIMEOUT", "soon")
    monkeypatch.setenv("KEY", "ssm://what?")
    code, found = check_as_json(capfd, file, "secrets: [db]")

    assert (1, False) == (code, found["ok"])
    assert ["CACHE_TIMEOUT", ""] == [problem["key"] for problem in found["problems"]]
    assert "KEY: found 'what?'" in found["problems"][1]["text"]


def test_the_functions_variables_may_come_from_a_file(capfd, file, tmp_path, monkeypatch):
    """Then those of the command's own environment do not count."""
    monkeypatch.setenv("OURS", "secretsmanager://ours")
    variables = tmp_path / "variables.json"
    variables.write_text(json.dumps({"THEIRS": "ssm:///theirs", "CACHE_TIMEOUT": "2"}), encoding="utf-8")
    _, found = check_as_json(capfd, file, "secrets: [db]", "--environment", str(variables))

    assert [["THEIRS"]] == [row["variables"] for row in found["variables"]]
    assert 120 == found["listed"][0]["ttl_seconds"]


# With --fetch.


def refuse_denied(call: stub.Call) -> stub.Answer | None:
    """Refuse one secret."""
    return stub.ACCESS_DENIED if call.ids == ["denied"] else None


@pytest.fixture(name="filled")
def _filled(upstream: stub.Upstream) -> stub.Upstream:
    upstream.put("db", json.dumps({"a": CANARY, "b": CANARY, "c": CANARY, "PATH": CANARY, "x=y": CANARY, "n": None}))
    upstream.put("pin", CANARY)
    upstream.parameters.update({"/prod/flag": CANARY, "/prod/app/a": CANARY})
    upstream.fault = refuse_denied
    return upstream


def test_fetch_reports_the_state_of_each_item(capfd, file, filled):
    """State, version and time after a success; code and reason after a failure, and then the exit code is 1."""
    text = "secrets: [db, denied, missing]\nparameters: [/prod/flag, /prod/app/]"
    code, out = check(capfd, file, text, "--fetch")
    rows = {line[0]: line for line in split_cells(out) if line}

    assert 1 == code
    for name in ("db", "/prod/flag", "/prod/app/"):
        assert "fresh" == rows[name][3], name
        assert "ms" == rows[name][-1]
    assert ["denied", "secret", "10m", "failed"] == rows["denied"][:4]
    assert "AccessDeniedException" == rows["denied"][-1]
    assert "AWS refused secret 'denied' with AccessDeniedException" in out
    assert "secret 'missing' was not found in AWS Secrets Manager" in out
    assert filled.secrets["db"][0] in out


def test_fetch_without_a_failure_is_0(capfd, file, filled):
    """AWS is asked once for each secret: a variable takes its value from the same fetch."""
    code, found = check_as_json(capfd, file, "secrets: [db]\nenv: [{secret: db, include: [a]}]", "--fetch")

    assert (0, True, True) == (code, found["ok"], found["fetched"])
    assert 1 == filled.count("db")
    row = found["listed"][0]
    assert ("fresh", filled.secrets["db"][0], None, None) == (
        row["state"],
        row["version_id"],
        row["code"],
        row["reason"],
    )
    assert isinstance(row["took_ms"], int)


def test_fetch_names_the_variables_and_their_sources(capfd, file, filled, monkeypatch):
    """A later source wins over an earlier one; refused names are listed; null unsets a variable."""
    monkeypatch.setenv("b", "there already")
    monkeypatch.setenv("GONE", "secretsmanager://db#n")
    monkeypatch.setenv("a", "ssm:///prod/flag")
    text = """
      env: [{secret: db, override: false}, {secret: db, prefix: P_, exclude: [PATH, n]}, {secret: pin, as: PIN}]
    """
    code, found = check_as_json(capfd, file, text, "--fetch")
    by_source = [(row["source"], row["id"], row["variables"], row["unset"]) for row in found["variables"]]

    assert 0 == code
    assert [
        ("env", "db", ["c"], []),
        ("env", "db", ["P_a", "P_b", "P_c"], []),
        ("env", "pin", ["PIN"], []),
        ("reference", "db", [], ["GONE"]),
        ("reference", "/prod/flag", ["a"], []),
    ] == by_source
    refused = [[one["name"] for one in row["refused"]] for row in found["variables"]]
    assert [["x=y"], ["P_x=y"], [], [], []] == refused


def test_fetch_names_a_variable_only_with_the_source_that_wins(capfd, file, filled):
    """The last source wins, unless it has `override: false`."""
    text = """
      env: [{secret: db, include: [a]}, {secret: db, include: [a, c]}, {secret: db, include: [b, c], override: false}]
    """
    _, found = check_as_json(capfd, file, text, "--fetch")

    assert [[], ["a", "c"], ["b"]] == [row["variables"] for row in found["variables"]]


def test_variables_that_cannot_be_fetched_are_a_problem(capfd, file, filled, monkeypatch):
    """Optional ones too: a check reports every failure. The reason says what to do."""
    monkeypatch.setenv("KEY", "secretsmanager://db#nope")
    text = "env: [{secret: denied, required: false}, {secret: pin}, {parameter: /no, as: N}]"
    code, out = check(capfd, file, text, "--fetch")

    assert 1 == code
    assert "allow the user or role of the AWS credentials secretsmanager:GetSecretValue on this secret" in out
    assert "env: pin: secret 'pin' is not a JSON object" in out
    assert "parameter '/no' was not found in Parameter Store" in out
    assert "KEY: secret 'db' has no key 'nope'" in out
    assert 4 == out.count(" failed")
    rows = [line.split()[:2] for line in out.splitlines() if " failed" in line]
    assert [["*", "env"], ["*", "env"], ["N", "env"], ["KEY", "reference"]] == rows


def test_a_reason_is_said_once_with_the_names_that_it_applies_to(capfd, file, upstream, monkeypatch):
    """Advice that only variables get counts for all; the first line counts each secret once."""
    monkeypatch.setenv("KEY", "secretsmanager://db#a")
    upstream.fault = lambda _: stub.ACCESS_DENIED
    code, out = check(capfd, file, "secrets: [db, api]\nenv: [{secret: db}, {secret: other}]", "--fetch")
    lines = out.splitlines()

    assert (1, f"{file}: no mistakes in the file; 3 of 3 could not be fetched") == (code, lines[0])
    (reason,) = (line for line in lines if "AccessDeniedException:" in line)
    assert reason.startswith("db, api, other, KEY: AWS refused this secret with AccessDeniedException")
    assert reason.endswith(
        "; allow the user or role of the AWS credentials secretsmanager:GetSecretValue on this secret"
    )


def test_the_first_line_tells_what_failed_from_what_is_wrong_in_the_file(capfd, file, filled, monkeypatch):
    """A secret that was fetched may still set no variable."""
    monkeypatch.setenv("KEY", "secretsmanager://db#nope")
    firsts = [
        check(capfd, file, text, *options)[1].splitlines()[0].removeprefix(f"{file}: ")
        for text, *options in (
            ("secrets: [db]",),
            ("secrets: [db, missing]\nenv: [{secret: db, as: X}]", "--fetch"),
            ("secrets: [db, missing]\ntll: 1m", "--fetch"),
        )
    ]

    useless = "1 of {} sources of variables failed"
    assert [
        "no problems",
        f"no mistakes in the file; 1 of 2 could not be fetched; {useless.format(2)}",
        f"1 problem; 1 of 2 could not be fetched; {useless.format(1)}",
    ] == firsts


def test_without_fetch_aws_is_not_asked(capfd, file, filled):
    """A check needs no credentials."""
    check(capfd, file, FULL)

    assert [] == filled.calls


def test_the_json_document_has_the_documented_keys(capfd, file, filled):
    """All of them, also those without a value, in the documented order."""
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    _, found = check_as_json(capfd, file, "secrets: [db, denied]\nenv: [{secret: db}]\nttl: soon", "--fetch")
    for part, rows in (("problems", found["problems"]), ("listed", found["listed"]), ("variables", found["variables"])):
        (documented,) = (line for line in page.splitlines() if line.startswith(f"| `{part}[]` |"))
        names = documented.split("`")[3::2]
        assert rows
        for row in rows:
            assert names == list(row), part
    (documented,) = (line for line in page.splitlines() if line.startswith("| the document |"))
    assert documented.split("`")[1::2] == list(found)


def test_without_a_terminal_there_are_no_colours_and_no_progress_and_nothing_is_cut(capfd, file, filled):
    """A script reads whole names."""
    name = "long/" * 40 + "x"
    file.write_text(f"secrets: [db, {name}]", encoding="utf-8")
    assert 1 == main(["check", "--fetch", "--config", str(file)])
    out, err = capfd.readouterr()

    assert ("", False) == (err, "\x1b" in out)
    assert name in out
