"""config.yaml and the environment: every shape that is accepted, and every problem, all of them at once."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from secrets_cache.config import Batch, Config, ListedSecret, Metrics, Problem, VariablesFrom, parse
from secrets_cache.config.environment import VARIABLES
from secrets_cache.config.schema import GENERAL, MAX_ITEMS, METRICS, PARAMETER, SECRET, SERVER
from secrets_cache.core.secret import AwsContext, Ref
from tests.support.fakes import CANARY
from tests.support.upstream import arn_of

FILE = "/var/task/config.yaml"


def read(text: str | bytes | None, **environ: str) -> Config:
    """Return the configuration of a text and an environment."""
    data = text.encode() if isinstance(text, str) else text
    return parse(data, file=FILE, environ=environ)


def good(text: str, **environ: str) -> Config:
    """Return the configuration of a text that has no problems."""
    config = read(text, **environ)
    assert () == config.problems
    return config


def names(config: Config) -> list[str]:
    """Return what the listed secrets are served as."""
    return [secret.name for secret in config.secrets]


def only_problem(config: Config) -> Problem:
    """Return the one problem of a configuration that has one."""
    (problem,) = config.problems
    return problem


def test_the_whole_contract_in_one_file():
    """Everything that can be set, set."""
    config = good(
        """
        secrets:
          - secret_now
          - id: prod/db
            name: db
            version_stage: AWSPREVIOUS
            ttl: 5m
            required: true
        allow: ["prod/*"]
        ttl: 10m
        refresh_ahead: 20%
        stale_while_revalidate: 30s
        stale_if_error: 2h
        fetch_timeout: 2.5
        batch: never
        metrics: {format: emf, namespace: Team/Secrets, by_secret: true}
        server: {port: 8081, aws_port: 0, token: "abc"}
        parameters: []
        env: []
        """
    )

    assert (
        Config(
            secrets=(
                ListedSecret(ref=Ref("secret_now"), name="secret_now"),
                ListedSecret(
                    ref=Ref("prod/db", version_stage="AWSPREVIOUS"), name="db", ttl_seconds=300, required=True
                ),
            ),
            allow=("prod/*",),
            ttl=600,
            refresh_ahead=0.2,
            stale_while_revalidate=30,
            stale_if_error=7200,
            fetch_timeout=2.5,
            batch=Batch.NEVER,
            port=8081,
            tokens=("abc",),
            metrics=Metrics.EMF,
            metrics_namespace="Team/Secrets",
            metrics_by_secret=True,
        )
        == config
    )


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "---\n", "secrets:\n", "secrets: []\nallow:\n", "null"])
def test_nothing_configured_gives_the_defaults(text):
    """No file, an empty one, or one with nothing but headings: the defaults of the contract."""
    config = read(text)

    assert Config() == config
    assert (600, 0.1, 0, 3600, 5, Batch.AUTO, 8080, None, "INFO", False) == (
        config.ttl,
        config.refresh_ahead,
        config.stale_while_revalidate,
        config.stale_if_error,
        config.fetch_timeout,
        config.batch,
        config.port,
        config.tokens,
        config.log_level,
        config.strict,
    )


@pytest.mark.parametrize(
    "text",
    [
        "secrets:\n  - secret_now\n",
        "secrets:\n- secret_now\n",
        "secrets:\n  \u2013 secret_now\n",
        "secrets: [secret_now]",
        "CacheManager:\n  - secrets:\n      - secret_now\n",
        "CacheManager:\n\u2013 secrets:\n  \u2013 secret_now\n",
        "CacheManager:\n\u2014 secrets:\n  \u2014 secret_now\n",
        "- secrets:\n    - secret_now\n",
        " \u2013 secrets:\n    \u2013 secret_now\n",
        "\u00a0\u2013 secrets:\n\u00a0\u00a0\u00a0 \u2013 secret_now\n",
        "\ufeffsecrets:\r\n  - secret_now\r\n",
        "- secrets:\n  - secret_now\n  parameters:\n",
        "secrets: [&name secret_now, *name]",
        "secrets: [secret_now, secret_now]",
        "secrets: [{id: secret_now, version_stage: AWSCURRENT}]",
        '"secrets": ["secret_\\u006eow"]',
    ],
)
def test_published_shapes_and_typing_habits_are_accepted_as_meant(text):
    """The original's shapes, dashes from a word processor, a byte order mark, repetitions that agree."""
    config = good(text)

    assert (ListedSecret(ref=Ref("secret_now"), name="secret_now"),) == config.secrets


def test_several_groups_add_up():
    """Each item of the older shape brings its own list."""
    assert ["a", "b", "c"] == names(good("- secrets: [a, b]\n- secrets: [c]\n"))


@pytest.mark.parametrize(
    "name", ["123456", "0123", "1e5", "yes", "NO", "true", "null", "2020-01-01", "1_000", "0x1F", ".5", arn_of("a")]
)
def test_names_are_the_text_that_was_written(name):
    """Whatever YAML would read it as."""
    assert [name] == names(good(f"secrets:\n  - {name}\n  - id: {name}\n"))


def test_a_dash_inside_a_name_stays():
    """Only a list's own dashes are put right."""
    problem = only_problem(read("secrets:\n  - a\u2013b\n"))

    assert "'a\u2013b'" == problem.found


@pytest.mark.parametrize(("text", "share"), [("0", 0), ("0%", 0), ("0.0", 0), ("12.5%", 0.125), ("90%", 0.9)])
def test_refresh_ahead_is_a_percentage_or_0(text, share):
    """Zero, however it is written, switches it off."""
    assert share == good(f"refresh_ahead: {text}").refresh_ahead


# Every problem.


@pytest.mark.parametrize(
    ("text", "line", "key", "found", "allowed"),
    [
        ("foo: 1", 1, "foo", "unknown key 'foo'", "the keys secrets, parameters, allow, env, ttl"),
        ("ttl: 5m\nttl: 6m", 2, "ttl", "a second key 'ttl'", "each key once"),
        ("? [a]\n: b", 1, "", "unknown key ''", "the keys"),
        ("just text", 1, "", "'just text'", "a mapping with the keys secrets"),
        ("secrets: db", 1, "secrets", "'db'", "a list"),
        ("secrets: {a: b}", 1, "secrets", "a mapping", "a list"),
        ("secrets:\n- a b", 2, "secrets[0]", "'a b'", "the name or ARN of a secret"),
        ("secrets:\n- ''", 2, "secrets[0]", "nothing", "the name or ARN"),
        ("secrets:\n-", 2, "secrets[0]", "nothing", "the name or ARN"),
        ("secrets:\n- [a]", 2, "secrets[0]", "a list", "a mapping with the keys id, name"),
        ("secrets:\n- name: db", 2, "secrets[0].id", "nothing", "the name or ARN"),
        ("secrets:\n- id: [a]", 2, "secrets[0].id", "a list", "the name or ARN"),
        ("secrets:\n- id: arn:aws:s3:::bucket", 2, "secrets[0].id", "'arn:aws:s3:::bucket'", "the name or ARN"),
        ("secrets:\n- {id: a, ttl: soon}", 2, "secrets[0].ttl", "'soon'", "a duration such as 30s"),
        ("secrets:\n- {id: a, name: 'x y'}", 2, "secrets[0].name", "'x y'", "a name to serve the secret as"),
        ("secrets:\n- {id: a, required: maybe}", 2, "secrets[0].required", "'maybe'", "one of true, yes, on"),
        ("secrets:\n- {id: a, version_stage: ''}", 2, "secrets[0].version_stage", "nothing", "a staging label"),
        ("secrets:\n- {id: a, nmae: b}", 2, "secrets[0].nmae", "unknown key 'nmae'", "the keys id, name, region"),
        ("secrets:\n- a\n- {id: b, name: a}", 3, "secrets[1]", "a second secret named 'a'", "one secret for each name"),
        ("secrets:\n- a\n- {id: a, name: b}", 3, "secrets[1]", "a second entry for 'a'", "one entry for each secret"),
        ("a: *supersecret", 1, "", "broken YAML (found undefined alias '...')", "one YAML document"),
        ("ttl: 0", 1, "ttl", "'0'", "more than 0, at most 2592000 s"),
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
        ("allow: [a b]", 1, "allow[0]", "'a b'", "a name or ARN in which *"),
        ("server: 8080", 1, "server", "something else", "a mapping with the keys port, aws_port, token"),
        ("server: {port: 0}", 1, "server.port", "'0'", "a whole number from 1 to 65535"),
        ("server: {port: 65536}", 1, "server.port", "'65536'", "from 1 to 65535"),
        ("server: {port: 80.5}", 1, "server.port", "'80.5'", "a whole number"),
        ("CacheManager: secret_now", 1, "CacheManager", "'secret_now'", "a list"),
        ("CacheManager: [secret_now]", 1, "CacheManager[0]", "'secret_now'", "a mapping with the keys secrets"),
        ("- secret_now", 1, "[0]", "'secret_now'", "a mapping with the keys secrets, parameters"),
        ("a: [", 1, "", "broken YAML (", "one YAML document"),
        ("a\n---\nb", 2, "", "broken YAML (", "one YAML document"),
        ("a: b: c", 1, "", "broken YAML (mapping values are not allowed here)", "one YAML document"),
        ("a: *b", 1, "", "broken YAML (found undefined alias", "one YAML document"),
        (b"ttl: 5m\nx: \xff", 2, "", "byte 0xff, which is not UTF-8", "UTF-8"),
        (b"ttl: 5m\nx: \x07", 2, "", "character U+0007", "printable characters"),
        ('a: "\\U00110000"', None, "", "broken YAML (a number out of range)", "one YAML document"),
        ('a: "\\Uffffffff"', None, "", "broken YAML (a number out of range)", "one YAML document"),
        (f"%YAML 1.{'9' * 5000}\n--- a", None, "", "broken YAML (a number out of range)", "one YAML document"),
        ("[" * 5000, None, "", "YAML nested too deeply", "one YAML document"),
    ],
)
def test_a_problem_names_file_line_key_what_was_found_and_what_is_allowed(text, line, key, found, allowed):
    """One problem each; nothing else is affected."""
    problem = only_problem(read(text))

    assert (FILE, line, key) == (problem.file, line, problem.key)
    assert line == problem.line
    assert problem.found.startswith(found)
    assert allowed in problem.allowed
    assert str(problem).startswith(f"{FILE}:{line}: " if line else f"{FILE}: ")


def test_every_problem_is_reported_at_once_and_what_is_valid_counts():
    """Nothing hides behind the first problem; a bad setting takes its default."""
    config = read(
        "ttl: soon\nsecrets:\n  - good\n  - bad name\n  - id: also-good\n    ttl: never\nwhat: 1\nbatch: never\n",
        CACHE_TIMEOUT="abc",
        SECRETS_CACHE_PORT="http",
    )

    assert ["ttl", "secrets[1]", "secrets[2].ttl", "what", "CACHE_TIMEOUT", "SECRETS_CACHE_PORT"] == [
        problem.key for problem in config.problems
    ]
    assert ["good", "also-good"] == names(config)
    assert (600, Batch.NEVER, 8080) == (config.ttl, config.batch, config.port)


def test_long_values_are_shortened():
    """A problem is one readable line."""
    assert 70 > len(only_problem(read(f"ttl: {'x' * 5000}")).found)


def test_keys_are_shown_shortened_and_in_one_line():
    """Whatever stands there: an alias could else make hundreds of megabytes of problems of a small file."""
    renamed = "env: [{secret: a, rename: {" + "x" * 500 + ": '='}}]"
    config = read(f"{renamed}\n'{'y' * 900}': 1\n" + r'"a\nb\ud800": 1')

    assert [f"env[0].rename.{'x' * 60}...", "y" * 60 + "...", r"a\nb\ud800"] == [one.key for one in config.problems]
    assert all(str(problem).isprintable() and len(str(problem)) < 500 for problem in config.problems)


def test_long_names_that_begin_alike_are_renamed_each_by_itself():
    """However much of them a problem would show."""
    first, second = "x" * 100 + "1", "x" * 100 + "2"

    assert {first: "A", second: "B"} == good(f"env: [{{secret: a, rename: {{{first}: A, {second}: B}}}}]").env[0].rename


def test_env_says_what_becomes_of_a_value():
    """Every key of an item, and what it is where it is not given."""
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


def test_half_an_item_of_env_sets_nothing():
    """What is wrong in it might be what kept something from being set."""
    config = read("env: [{secret: a, exclude: '*'}, {secret: b}]")

    assert "env[0].exclude" == only_problem(config).key
    assert (VariablesFrom("b"),) == config.env


ROLE = "arn:aws:iam::123456789012:role/reader"


def test_secrets_of_other_regions_and_roles():
    """Two of one id are told apart by their names."""
    config = good(
        f"""
        secrets:
          - {{id: db, region: eu-west-1}}
          - {{id: db, name: far, region: us-east-1, role_arn: "{ROLE}", external_id: "1/2", session_name: me}}
        """
    )

    assert [
        ("db", Ref("db", access=AwsContext("eu-west-1"))),
        ("far", Ref("db", access=AwsContext("us-east-1", ROLE, "1/2", "me"))),
    ] == [(item.name, item.ref) for item in config.secrets]


def test_parameters_by_name_path_arn_version_and_label():
    """They stand beside the secrets, and share their names."""
    arn = "arn:aws:ssm:eu-west-1:123456789012:parameter/a"
    config = good(
        f"""
        secrets: [s]
        parameters:
          - /prod/app/feature
          - id: /prod/app/
            ttl: 5m
          - {arn}
          - {{id: /v, name: third, version: 3}}
          - {{id: /v, name: stable, label: prod, required: true}}
        """
    )

    assert ["s"] == names(config)
    assert [
        ("/prod/app/feature", Ref("/prod/app/feature", is_parameter=True)),
        ("/prod/app/", Ref("/prod/app/", is_parameter=True)),
        (arn, Ref(arn, is_parameter=True)),
        ("third", Ref("/v", "3", is_parameter=True)),
        ("stable", Ref("/v", None, "prod", is_parameter=True)),
    ] == [(item.name, item.ref) for item in config.parameters]
    assert [item.name for item in (*config.secrets, *config.parameters)] == [item.name for item in config.listed]


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("parameters: [{id: /a, version: 0}]", "parameters[0].version", "the number of a version, from 1"),
        ("parameters: [{id: /a, label: 1a}]", "parameters[0].label", "no digit first"),
        ("parameters: [{id: /a, version: 1, label: b}]", "parameters[0]", "either version or label"),
        ("parameters: [{id: /a/, version: 1}]", "parameters[0]", "no version and no label of a path"),
        ("secrets: [a]\nparameters: [{id: /a, name: a}]", "parameters[0]", "one secret for each name"),
        ("secrets: [{id: a, external_id: '12'}]", "secrets[0].external_id", "it only beside role_arn"),
        ("secrets: [{id: a, session_name: 'a b'}]", "secrets[0].session_name", "the name of a session"),
    ],
)
def test_what_says_where_and_which_is_right_or_nothing_is_asked_for(text, key, allowed):
    """Half of it would be another secret, or another's."""
    config = read(text)
    problem = next(problem for problem in config.problems if problem.key == key)

    assert allowed in problem.allowed
    assert [] == [item for item in config.listed if item.name != "a" or item.ref.is_parameter]


@pytest.mark.parametrize(
    "item", ["{id: a, region: Ireland}", "{id: a, role_arn: reader}", "{id: a, version_stage: ''}"]
)
def test_a_secret_is_not_asked_for_elsewhere_than_it_was_meant(item):
    """Its own region and role are not the ones that were written, and the current version is not that stage."""
    assert [] == names(read(f"secrets: [{item}]"))


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
def test_a_mistake_in_an_item_is_told_where_it_is(text, key):
    """By the key that it stands under."""
    assert key in [problem.key for problem in read(text).problems]


# The token.


def test_the_token_may_come_from_the_file_the_environment_or_the_session():
    """The environment beats the file; the word session stands for AWS's own token."""
    assert None is good("server: {token: ''}").tokens
    assert ("abc",) == good("server: {token: abc}").tokens
    assert ("xyz",) == good("server: {token: abc}", SECRETS_CACHE_TOKEN="xyz").tokens
    assert ("s",) == good("server: {token: session}", AWS_SESSION_TOKEN="s").tokens
    assert ("c",) == good("", SECRETS_CACHE_TOKEN="session", AWS_CONTAINER_AUTHORIZATION_TOKEN="c").tokens


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
def test_a_token_that_cannot_be_read_refuses_everybody_and_is_never_shown(text, environ):
    """Wanting a token and misspelling it must not open the door."""
    config = read(text, **environ)

    assert CANARY not in repr(config)
    assert CANARY not in str(only_problem(config))
    assert config.tokens in {(), (CANARY,)}
    assert (config.tokens == ()) is ("port" not in text)


# The environment.


@pytest.mark.parametrize(
    ("text", "seconds"), [("10", 600), ("0.5", 30), (".001", 0.06), (" 5 ", 300), ("43200", 2592000), ("", 600)]
)
def test_cache_timeout_is_minutes_and_beats_the_file(text, seconds):
    """Decimals allowed; an empty variable is none."""
    assert pytest.approx(seconds) == good("", CACHE_TIMEOUT=text).ttl
    assert pytest.approx(seconds if text else 7) == good("ttl: 7", CACHE_TIMEOUT=text).ttl


@pytest.mark.parametrize("text", ["abc", "0", "-1", "NaN", "inf", "1e3", "10m", "43201", "1,5", "٣", "1" * 400])
def test_a_bad_cache_timeout_takes_the_default_and_says_so(text):
    """The original took it as "never refresh" without a word."""
    config = read("", CACHE_TIMEOUT=text)

    assert 600 == config.ttl
    problem = only_problem(config)
    assert ("environment", None, "CACHE_TIMEOUT") == (problem.file, problem.line, problem.key)
    assert "a number of minutes, decimals allowed; more than 0, at most 43200" == problem.allowed
    assert str(problem).startswith("environment: CACHE_TIMEOUT: found ")


@pytest.mark.parametrize(("text", "strict"), [("1", True), ("true", True), ("Yes", True), ("0", False), ("off", False)])
def test_strict_is_a_flag(text, strict):
    """Written as people write flags."""
    assert strict is good("", SECRETS_CACHE_STRICT=text).strict


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
    """What the environment does not say stays as the file has it."""
    config = good(text, **environ)

    assert expected == (config.metrics, config.metrics_namespace, config.metrics_by_secret)


@pytest.mark.parametrize(
    ("text", "key", "allowed"),
    [
        ("metrics: statsd", "metrics", "one of none, emf"),
        ("metrics:", "metrics", "one of none, emf"),
        ("metrics: [emf]", "metrics", "a mapping with the keys format, namespace, by_secret"),
        ("metrics: {format: x}", "metrics.format", "one of none, emf"),
        ("metrics: {format: none, by_secrets: true}", "metrics.by_secrets", "the keys format, namespace, by_secret"),
        ("metrics: {by_secret: 2}", "metrics.by_secret", METRICS["by_secret"].allowed),
        *(
            (f"metrics: {{namespace: '{name}'}}", "metrics.namespace", METRICS["namespace"].allowed)
            for name in ("", "AWS/Lambda", ":x", "a b", "a" * 256, "é")
        ),
    ],
)
def test_metrics_that_cannot_be_are_a_problem_and_none(text, key, allowed):
    """With the defaults instead."""
    config = read(text)
    problem = only_problem(config)

    assert (key, allowed) == (problem.key, problem.allowed)
    assert (Metrics.NONE, "secrets-cache", False) == (
        config.metrics,
        config.metrics_namespace,
        config.metrics_by_secret,
    )


def test_log_level_and_port_come_from_the_environment():
    """In any case of letters; the port beats the file's."""
    config = good("server: {port: 1}", SECRETS_CACHE_LOG_LEVEL="debug", SECRETS_CACHE_PORT="9090")

    assert ("DEBUG", 9090) == (config.log_level, config.port)


def test_an_unreadable_file_is_a_problem_and_not_the_end():
    """Whatever the reason, the environment still counts."""
    config = parse(None, file=FILE, environ={"CACHE_TIMEOUT": "1"}, unreadable="permission denied")

    assert f"{FILE}: found permission denied; allowed: a readable YAML file in UTF-8" == str(only_problem(config))
    assert 60 == config.ttl


# Any bytes at all.


@given(st.binary() | st.text().map(str.encode))
@example(b"\xef\xbb\xbf")
@example(b"!!python/object/apply:os.system [true]")
@example(b"a: &a [*a, *a]\nsecrets: *a")
@example(b"secrets: &a [*a]")
@example(b"server: &s {token: *s}")
@example(b"<<: {ttl: 5m}")
@example(b"? ? ? ?")
@example(b"%YAML 9.9\n---\n")
@example(b"secrets: [!!binary YQ==, !!set {a, b}]")
def test_any_bytes_give_a_configuration(data):
    """Nothing in the file raises, hangs, or is believed without having been said."""
    config = parse(data, file=FILE, environ={})

    assert isinstance(config, Config)
    assert 0 < config.ttl


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*SECRET, *SERVER, *METRICS, *GENERAL, "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [*GENERAL, *SERVER, *PARAMETER, "secrets", "parameters", "allow", "env", "metrics", "server", "CacheManager"]
)


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(st.sampled_from(sorted(VARIABLES)), st.text()))
def test_any_structure_gives_a_configuration_within_bounds(document, environ):
    """Whatever is under a known key, every setting that comes out is one that is allowed."""
    import yaml

    config = parse(yaml.safe_dump(document).encode(), file=FILE, environ=environ)

    assert 0 < config.ttl <= 30 * 86400
    assert 0 <= config.refresh_ahead <= 0.9
    assert 0 < config.fetch_timeout <= 60
    assert 1 <= config.port <= 65535
    assert isinstance(config.batch, Batch)
    assert isinstance(config.metrics, Metrics)
    assert 1 <= len(config.metrics_namespace) <= 255
    assert isinstance(config.metrics_by_secret, bool)
    assert len(names(config)) == len(set(names(config)))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("secrets: &a [" + "x," * 15_000 + "]\nallow: *a", "allow"),
        (
            "CacheManager: [{secrets: &a [" + "x," * 5_000 + "]}," + "{secrets: *a}," * 500 + "]",
            "CacheManager[3].secrets",
        ),
        ("- &a {" + "".join(f"k{number}: x," for number in range(3_000)) + "}\n" + "- *a\n" * 3_000, "[5]"),
    ],
    ids=["list", "groups", "keys"],
)
def test_what_aliases_make_of_a_small_file_is_bounded(text, key):
    """So many keys and items in all: beyond them one problem, and an end."""
    config = read(text)

    bound = [problem for problem in config.problems if problem.found == "more"]
    assert [key] == [problem.key for problem in bound]
    assert f"at most {MAX_ITEMS} items and keys in all" == bound[0].allowed
    assert len(config.problems) <= MAX_ITEMS + 1


def test_as_many_secrets_as_fit_are_read():
    """Each in its long form."""
    text = "secrets:\n" + "".join(f"  - {{id: s{number}, ttl: 5m}}\n" for number in range(4_000))

    assert 4_000 == len(good(text).secrets)
