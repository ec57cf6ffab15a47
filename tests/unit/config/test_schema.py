"""What each key of config.yaml may hold, and the problem that everything else is."""

import pytest

from secrets_cache.config import Metrics, VariablesFrom
from secrets_cache.config.schema import METRICS
from secrets_cache.core.secret import AwsContext, Ref
from tests.support.configuration import FILE, find_problem, list_names, read, read_valid


@pytest.mark.parametrize(
    ("text", "line", "key", "found", "allowed"),
    [
        ("foo: 1", 1, "foo", "unknown key 'foo'", "the keys secrets, parameters, allow, env, ttl"),
        ("ttl: 5m\nttl: 6m", 2, "ttl", "a second key 'ttl'", "each key only once"),
        ("? [a]\n: b", 1, "", "unknown key ''", "the keys"),
        ("just text", 1, "", "text without a key", "keys with values, such as secrets: [prod/db]"),
        ("# An .env file\nDB_PASSWORD=hunter2\n", 2, "", "text without a key", "keys with values"),
        ("secrets: db", 1, "secrets", "'db'", "a list"),
        ("secrets: {a: b}", 1, "secrets", "keys with values", "a list"),
        ("secrets:\n- a b", 2, "secrets[0]", "'a b'", "the name or ARN of a secret"),
        ("secrets:\n- ''", 2, "secrets[0]", "nothing", "the name or ARN"),
        ("secrets:\n-", 2, "secrets[0]", "nothing", "the name or ARN"),
        ("secrets:\n- [a]", 2, "secrets[0]", "a list", "the keys id, name"),
        ("secrets:\n- name: db", 2, "secrets[0].id", "nothing", "the name or ARN"),
        ("secrets:\n- id: [a]", 2, "secrets[0].id", "a list", "the name or ARN"),
        ("secrets:\n- id: arn:aws:s3:::bucket", 2, "secrets[0].id", "'arn:aws:s3:::bucket'", "the name or ARN"),
        ("secrets:\n- {id: a, ttl: soon}", 2, "secrets[0].ttl", "'soon'", "a duration such as 30s"),
        ("secrets:\n- {id: a, name: 'x y'}", 2, "secrets[0].name", "'x y'", "a name for requests"),
        ("secrets:\n- {id: a, required: maybe}", 2, "secrets[0].required", "'maybe'", "one of true, yes, on"),
        ("secrets:\n- {id: a, version_stage: ''}", 2, "secrets[0].version_stage", "nothing", "a staging label"),
        ("secrets:\n- {id: a, nmae: b}", 2, "secrets[0].nmae", "unknown key 'nmae'", "the keys id, name, region"),
        ("secrets:\n- a\n- {id: b, name: a}", 3, "secrets[1]", "a second entry named 'a'", "each name only once"),
        (
            "secrets:\n- a\n- {id: a, name: b}",
            3,
            "secrets[1]",
            "a second entry for 'a'",
            "each secret and stage only once",
        ),
        ("env:\n- as: X", 2, "env[0]", "neither secret nor parameter", "either secret or parameter"),
        ("env:\n- {secret: a, parameter: b, as: X}", 2, "env[0]", "both", "either secret or parameter"),
        ("env:\n- {secret: a, key: b}", 2, "env[0].as", "key, and no name for its variable", "the name of a variable"),
        ("env:\n- {secret: a, key: '', as: X}", 2, "env[0].key", "nothing", "a key of a JSON value"),
        (
            "env:\n- {secret: a, as: X, upper: true}",
            2,
            "env[0]",
            '"as" and "upper"',
            '"as" alone, or any of "prefix", "include", "exclude", "rename", "upper"',
        ),
        ("a: *supersecret", 1, "", "a text that begins with *", "quotes around it"),
        ("ttl: 0", 1, "ttl", "'0'", "at least 1 s, at most 2592000 s"),
        ("ttl: 0.999", 1, "ttl", "'0.999'", "at least 1 s, at most 2592000 s"),
        ("ttl: -5", 1, "ttl", "'-5'", "a duration"),
        ("ttl: 31d", 1, "ttl", "'31d'", "a duration"),
        ("ttl: 721h", 1, "ttl", "'721h'", "at most 2592000 s"),
        ("ttl: .inf", 1, "ttl", "'.inf'", "a duration"),
        ("ttl: '1e3'", 1, "ttl", "'1e3'", "a duration"),
        ("ttl: [5m]", 1, "ttl", "a list", "a duration"),
        ("ttl:", 1, "ttl", "nothing", "a duration"),
        ("refresh_ahead: 0.1", 1, "refresh_ahead", "'0.1'", "a percentage such as 10%, at least 0%, at most 90%; or 0"),
        ("refresh_ahead: 91%", 1, "refresh_ahead", "'91%'", "at most 90%"),
        ("stale_if_error: forever", 1, "stale_if_error", "'forever'", "at least 0 s"),
        ("stale_while_revalidate: 5 m", 1, "stale_while_revalidate", "'5 m'", "a duration"),
        ("fetch_timeout: 61", 1, "fetch_timeout", "'61'", "at most 60 s"),
        ("batch: sometimes", 1, "batch", "'sometimes'", "one of auto, never, always"),
        ("allow: '*'", 1, "allow", "'*'", "a list"),
        ("allow: [a b]", 1, "allow[0]", "'a b'", "a name or ARN, in which *"),
        ("server: 8080", 1, "server", "a value that is not shown", "the keys port, aws_port, token"),
        ("server:", 1, "server", "nothing", "the keys port, aws_port, token"),
        ("server: {token: }", 1, "server.token", "nothing", "printable ASCII"),
        ("server: {port: 0}", 1, "server.port", "'0'", "a whole number from 1 to 65535"),
        ("server: {port: 65536}", 1, "server.port", "'65536'", "from 1 to 65535"),
        ("server: {port: 80.5}", 1, "server.port", "'80.5'", "a whole number"),
        ("CacheManager: secret_now", 1, "CacheManager", "'secret_now'", "a list"),
        ("CacheManager: [secret_now]", 1, "CacheManager[0]", "'secret_now'", "the keys secrets"),
        ("- secret_now\n- b", 1, "", "a list of names", "secrets: on a line of its own, and the list below it"),
        ("- secret_now\n- secrets: [a]", 1, "[0]", "'secret_now'", "the keys secrets, parameters"),
        (
            "secrets:\n- prod/db: 5m",
            2,
            "secrets[0]",
            "'prod/db' as a key",
            "prod/db alone, or id: prod/db and further keys",
        ),
        ("secrets:\n- db:\n    ttl: 5m", 2, "secrets[0]", "'db' as a key", "db alone, or id: db and further keys"),
        (
            "secrets:\n- arn:aws:x:key::",
            2,
            "secrets[0]",
            "'arn:aws:x:key:' as a key",
            "in quotes if it ends with a colon",
        ),
        ("parameters:\n- /x:", 2, "parameters[0]", "'/x' as a key", "/x alone, or id: /x and further keys"),
        ("a: [", 1, "", "a bracket that is not closed", "] or } at the end"),
        ("a\n---\nb", 2, "", "a second document after ---", "one YAML document"),
        ("a: b: c", 1, "", "a second colon in one line", "quotes around"),
        ("a: *b", 1, "", "a text that begins with *", "quotes around it"),
        (b"ttl: 5m\nx: \xff", 2, "", "byte 0xff, which is not UTF-8", "UTF-8"),
        (b"ttl: 5m\nx: \x07", 2, "", "character U+0007", "printable characters"),
        ('a: "\\U00110000"', None, "", "broken YAML (a number out of range)", "one YAML document"),
        ('a: "\\Uffffffff"', None, "", "broken YAML (a number out of range)", "one YAML document"),
        (f"%YAML 1.{'9' * 5000}\n--- a", None, "", "broken YAML (a number out of range)", "one YAML document"),
        ("[" * 500, None, "", "YAML nested too deeply", "one YAML document"),
    ],
)
def test_a_problem_names_file_line_key_what_was_found_and_what_is_allowed(text, line, key, found, allowed):
    """One problem each; nothing else is affected."""
    problem = find_problem(read(text))

    assert (FILE, line, key) == (problem.file, line, problem.key)
    assert problem.found.startswith(found)
    assert allowed in problem.allowed
    assert str(problem).startswith(f"{FILE}:{line}: " if line else f"{FILE}: ")


def test_env_has_every_key_of_an_item_and_its_default():
    """Of an item with all keys, of one with a whole value, and of the shortest one."""
    text = """env:
  - {secret: a, prefix: DB_, include: [x], exclude: [y], rename: {p: Q}, upper: true, allow_reserved: [LD_PRELOAD]}
  - {parameter: /a, as: X, override: false, required: no}
  - secret: b
"""
    every = VariablesFrom(
        "a", prefix="DB_", include=("x",), exclude=("y",), rename={"p": "Q"}, upper=True, allow_reserved=("LD_PRELOAD",)
    )
    config = read(text)

    assert () == config.problems
    whole = VariablesFrom("/a", is_parameter=True, as_name="X", override=False, required=False)
    assert (every, whole, VariablesFrom("b")) == config.env


ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-AbCdEf"


def test_env_takes_what_ecs_writes():
    """A key and a version behind an ARN."""
    config = read(f"env:\n- {{secret: '{ARN}:password::', as: X}}\n- secret: {ARN}:::9d4c\n")

    assert () == config.problems
    assert [f"{ARN}:password::", f"{ARN}:::9d4c"] == [item.id for item in config.env]


@pytest.mark.parametrize("name", ["include", "exclude"])
def test_a_key_behind_an_arn_is_the_only_one(name):
    """Nothing else may choose keys."""
    config = read(f"env: [{{secret: '{ARN}:password::', {name}: [a]}}]")

    assert f'found both, with "{name}"; allowed: either the key behind the ARN' in str(find_problem(config))


def test_a_key_behind_an_arn_and_a_key_are_one_too_many():
    """It is not certain which one is meant."""
    config = read(f"env: [{{secret: '{ARN}:password::', key: user, as: X}}]")

    assert 'found both, with "key"; allowed: either the key behind the ARN' in str(find_problem(config))
    assert () == config.env


@pytest.mark.parametrize(
    ("behind", "said"),
    [
        (":password::", "; callers ask for the key with ?key=password; "),
        ("::AWSPREVIOUS:", ", with version_stage: AWSPREVIOUS; "),
        (":::9d4c", "; callers ask for the version with ?version_id=9d4c; "),
        (":", "is for env: and for references in variables"),
    ],
)
@pytest.mark.parametrize("form", ["secrets: ['{}']", "secrets: [{{id: '{}'}}]"])
def test_a_listed_arn_as_ecs_writes_it_is_a_problem_that_says_what_to_write(behind, said, form):
    """The whole of what was found is not the ARN alone."""
    problem = find_problem(read(form.format(ARN + behind)))

    assert problem.found.endswith(f"{behind}'")
    assert problem.allowed.startswith(f"the ARN alone, {ARN}")
    assert said in problem.allowed


def test_an_incomplete_item_of_env_sets_nothing():
    """The invalid part might have kept a variable from being set."""
    config = read("env: [{secret: a, exclude: '*'}, {secret: b}]")

    assert "env[0].exclude" == find_problem(config).key
    assert (VariablesFrom("b"),) == config.env


def test_long_names_that_begin_alike_are_renamed_each_by_itself():
    """A problem shows 60 characters of a name; the name itself stays whole."""
    first, second = "x" * 100 + "1", "x" * 100 + "2"

    assert {first: "A", second: "B"} == read_valid(f"env: [{{secret: a, rename: {{{first}: A, {second}: B}}}}]").env[
        0
    ].rename


ROLE = "arn:aws:iam::123456789012:role/reader"


def test_secrets_of_other_regions_and_roles():
    """Two of one id are told apart by their names."""
    config = read_valid(
        f"""
        secrets:
          - {{id: db, region: eu-west-1}}
          - {{id: db, name: far, region: us-east-1, role_arn: "{ROLE}", external_id: "1/2", session_name: me}}
        """
    )

    assert [
        ("db", Ref("db", context=AwsContext("eu-west-1"))),
        ("far", Ref("db", context=AwsContext("us-east-1", ROLE, "1/2", "me"))),
    ] == [(item.name, item.ref) for item in config.secrets]


def test_parameters_by_name_path_arn_version_and_label():
    """Secrets and parameters share the names of requests."""
    arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/a"
    config = read_valid(
        f"""
        secrets: [s]
        parameters:
          - /prod/app/feature
          - id: /prod/app/
            ttl: 5m
          - {arn}
          - {{id: /v, name: third, version: 3}}
          - {{id: /v, name: stable, label: prod, required: true}}
          - /w:3
          - {arn}:prod
        """
    )

    assert ["s"] == list_names(config)
    assert [
        ("/prod/app/feature", Ref("/prod/app/feature", is_parameter=True)),
        ("/prod/app/", Ref("/prod/app/", is_parameter=True)),
        (arn, Ref(arn, is_parameter=True)),
        ("third", Ref("/v", "3", is_parameter=True)),
        ("stable", Ref("/v", None, "prod", is_parameter=True)),
        ("/w:3", Ref("/w", "3", is_parameter=True)),
        (f"{arn}:prod", Ref(arn, None, "prod", is_parameter=True)),
    ] == [(item.name, item.ref) for item in config.parameters]
    assert [item.name for item in (*config.secrets, *config.parameters)] == [item.name for item in config.listed]


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("parameters: [{id: /a, version: 0}]", "parameters[0].version", "a version number, at least 1"),
        ("parameters: [{id: /a, label: 1a}]", "parameters[0].label", "it does not start with a digit"),
        ("parameters: [{id: /a, version: 1, label: b}]", "parameters[0]", "either version or label"),
        ("parameters: [{id: /a/, version: 1}]", "parameters[0]", "a path without version and label"),
        ("parameters: [{id: '/a:1', version: 1}]", "parameters[0]", "either version or label, once"),
        ("parameters: [{id: '/a:b', version: 1}]", "parameters[0]", "either version or label, once"),
        ("parameters: ['/a/:1']", "parameters[0]", "a version or a label may follow a colon"),
        ("parameters: ['/a:0']", "parameters[0]", "a version or a label may follow a colon"),
        ("parameters: ['/a:1b']", "parameters[0]", "a version or a label may follow a colon"),
        ("secrets: [a]\nparameters: [{id: /a, name: a}]", "parameters[0]", "each name only once"),
        ("secrets: [{id: a, external_id: '12'}]", "secrets[0].external_id", "external_id only together with role_arn"),
        ("secrets: [{id: a, session_name: 'a b'}]", "secrets[0].session_name", "a session name"),
        ("secrets: [{id: a, session_name: jürgen}]", "secrets[0].session_name", "a session name"),
        ("secrets: [{id: a, external_id: jürgen}]", "secrets[0].external_id", "an external id"),
        (
            "secrets: [{id: a, role_arn: 'arn:aws:iam::123456789012:role/jürgen'}]",
            "secrets[0].role_arn",
            "of an IAM role",
        ),
    ],
)
def test_an_item_with_an_invalid_version_or_place_is_left_out(text, key, allowed):
    """Without it, another version or another account's secret would be read."""
    config = read(text)
    problem = next(problem for problem in config.problems if problem.key == key)

    assert allowed in problem.allowed
    assert [] == [item for item in config.listed if item.name != "a" or item.ref.is_parameter]


@pytest.mark.parametrize(
    "item", ["{id: a, region: Ireland}", "{id: a, role_arn: reader}", "{id: a, version_stage: ''}"]
)
def test_a_secret_with_an_invalid_place_or_stage_is_left_out(item):
    """The function's own region and role, and the current version, are not the ones that were meant."""
    assert [] == list_names(read(f"secrets: [{item}]"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("secrets: [{id: a, region: Ireland}]", "secrets[0].region"),
        ("secrets: [{id: a, role_arn: reader}]", "secrets[0].role_arn"),
        ("parameters: ['a b']", "parameters[0]"),
        ("env: [{}]", "env[0]"),
        ("env: [{secret: a, parameter: /b}]", "env[0]"),
        ("env: [{secret: a, as: 'X='}]", "env[0].as"),
        ("env: [{secret: a, as: X, prefix: P}]", "env[0]"),
        ("env: [{secret: a, include: X}]", "env[0].include"),
        ("env: [{secret: a, include: ['=']}]", "env[0].include[0]"),
        ("env: [{secret: a, rename: {p: ''}}]", "env[0].rename.p"),
        ("env: [{secret: a, rename: p}]", "env[0].rename"),
        ("env: [text]", "env[0]"),
    ],
)
def test_a_mistake_in_an_item_names_its_key(text, key):
    """The problem names the key."""
    assert key in [problem.key for problem in read(text).problems]


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("metrics: statsd", "metrics", "one of none, emf"),
        ("metrics:", "metrics", "one of none, emf"),
        ("metrics: [emf]", "metrics", "the keys format, namespace, by_secret"),
        ("metrics: {format: x}", "metrics.format", "one of none, emf"),
        ("metrics: {format: none, by_secrets: true}", "metrics.by_secrets", "the keys format, namespace, by_secret"),
        ("metrics: {by_secret: 2}", "metrics.by_secret", METRICS["by_secret"].allowed),
        *(
            (f"metrics: {{namespace: '{name}'}}", "metrics.namespace", METRICS["namespace"].allowed)
            for name in ("", "AWS/Lambda", ":x", "a b", "a" * 256, "é")
        ),
    ],
)
def test_invalid_metrics_are_a_problem_and_take_the_defaults(text, key, allowed):
    """A bad namespace or format never reaches CloudWatch."""
    config = read(text)
    problem = find_problem(config)

    assert (key, allowed) == (problem.key, problem.allowed)
    assert (Metrics.NONE, "secrets-cache", False) == (
        config.metrics,
        config.metrics_namespace,
        config.metrics_by_secret,
    )
