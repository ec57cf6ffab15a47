"""The whole way from bytes and environment to a `Config`: the shapes that are accepted, and any input at all."""

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from secrets_cache.config import Batch, Config, ListedSecret, Metrics, Token, parse
from secrets_cache.config.environment import VARIABLES
from secrets_cache.config.schema import GENERAL, METRICS, PARAMETER, SECRET, SERVER
from secrets_cache.core.secret import Ref
from tests.conftest import EXAMPLES
from tests.support.configuration import FILE, find_problem, list_names, read, read_valid
from tests.support.upstream import arn_of


def test_the_whole_contract_in_one_file():
    """Everything that can be set, set."""
    config = read_valid(
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
            tokens=(Token("abc"),),
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
    """The older shapes, dashes from a word processor, a byte order mark, repetitions that agree."""
    config = read_valid(text)

    assert (ListedSecret(ref=Ref("secret_now"), name="secret_now"),) == config.secrets


def test_several_groups_add_up():
    """Each item of the older shape brings its own list."""
    assert ["a", "b", "c"] == list_names(read_valid("- secrets: [a, b]\n- secrets: [c]\n"))


@pytest.mark.parametrize(
    "name", ["123456", "0123", "1e5", "yes", "NO", "true", "null", "2020-01-01", "1_000", "0x1F", ".5", arn_of("a")]
)
def test_names_are_the_text_that_was_written(name):
    """Also where YAML reads a number, a date or a boolean."""
    assert [name] == list_names(read_valid(f"secrets:\n  - {name}\n  - id: {name}\n"))


def test_a_dash_inside_a_name_stays():
    """Only the dashes of a list are corrected."""
    problem = find_problem(read("secrets:\n  - a\u2013b\n"))

    assert "'a\u2013b'" == problem.found


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
    assert ["good", "also-good"] == list_names(config)
    assert (600, Batch.NEVER, 8080) == (config.ttl, config.batch, config.port)


def test_an_unreadable_file_is_a_problem_and_not_the_end():
    """The environment still counts."""
    config = parse(None, file=FILE, environ={"CACHE_TIMEOUT": "1"}, unreadable="permission denied")

    assert f"{FILE}: cannot be read: permission denied" == str(find_problem(config))
    assert 60 == config.ttl


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
    """No bytes make the parser raise or hang."""
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


@settings(max_examples=40 * EXAMPLES)
@given(st.dictionaries(KEYS, VALUES), st.dictionaries(st.sampled_from(sorted(VARIABLES)), st.text()))
def test_any_structure_gives_a_configuration_within_bounds(document, environ):
    """Every setting of the result has an allowed value."""
    config = parse(yaml.safe_dump(document).encode(), file=FILE, environ=environ)

    assert 0 < config.ttl <= 30 * 86400
    assert 0 <= config.refresh_ahead <= 0.9
    assert 0 < config.fetch_timeout <= 60
    assert 1 <= config.port <= 65535
    assert isinstance(config.batch, Batch)
    assert isinstance(config.metrics, Metrics)
    assert 1 <= len(config.metrics_namespace) <= 255
    assert isinstance(config.metrics_by_secret, bool)
    assert len(list_names(config)) == len(set(list_names(config)))
