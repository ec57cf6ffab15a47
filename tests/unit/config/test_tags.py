"""YAML tags: none means anything here, and none is dropped in silence."""

import pytest

from secrets_cache.config.node_reader import CLOUDFORMATION_TAGS
from tests.support.configuration import FILE, find_problem, list_names, read


@pytest.mark.parametrize(
    ("text", "line", "key", "tag"),
    [
        ("secrets:\n- !Ref DbSecret", 2, "secrets[0]", "!Ref"),
        ("secrets:\n- !Ref 'DbSecret'", 2, "secrets[0]", "!Ref"),
        ("secrets:\n- !Join ['/', [a, b]]", 2, "secrets[0]", "!Join"),
        ("secrets:\n- !my {id: a}", 2, "secrets[0]", "!my"),
        ("secrets:\n- {id: !Sub 'x'}", 2, "secrets[0].id", "!Sub"),
        ("secrets:\n- {id: a, region: !Ref Region}", 2, "secrets[0].region", "!Ref"),
        ("secrets: !If [a, b, c]", 1, "secrets", "!If"),
        ("secrets: !!str", 1, "secrets", "!!str"),
        ("parameters:\n- !GetAtt P.Name", 2, "parameters[0]", "!GetAtt"),
        ("allow:\n- !x a*", 2, "allow[0]", "!x"),
        ("env:\n- !x {secret: a}", 2, "env[0]", "!x"),
        ("env:\n- {secret: a, rename: {!x b: C}}", 2, "env[0].rename.b", "!x"),
        ("env:\n- {secret: a, include: [!x b]}", 2, "env[0].include[0]", "!x"),
        ("ttl: !!int 5", 1, "ttl", "!!int"),
        ("ttl: ! 5m", 1, "ttl", "!"),
        ("!x ttl: 5m", 1, "ttl", "!x"),
        ("!x whatever: 5m", 1, "", "!x"),
        ("metrics: !x emf", 1, "metrics", "!x"),
        ("server: {port: !Ref Port}", 1, "server.port", "!Ref"),
        ("!Ref Config", 1, "", "!Ref"),
        ("!!map {}", 1, "", "!!map"),
        ("!!null ''", 1, "", "!!null"),
        ("!!seq []", 1, "", "!!seq"),
        ("CacheManager:\n- !x {secrets: [a]}", 2, "CacheManager[0]", "!x"),
    ],
)
@pytest.mark.parametrize("fast_paths", ["1", "0"])
def test_a_tag_is_a_problem_that_names_it_and_where_it_is(text, line, key, tag, fast_paths):
    """One problem, whichever parser reads the file. What has the tag does not count."""
    config = read(text, SECRETS_CACHE_LANES=fast_paths)

    problem = find_problem(config)
    assert (FILE, line, key, f"the YAML tag {tag}") == (problem.file, problem.line, problem.key, problem.found)
    assert ("not a CloudFormation template" in problem.allowed) == (tag in CLOUDFORMATION_TAGS)
    assert () == (*config.secrets, *config.parameters, *config.allow, *config.env)
    assert (600, 8080) == (config.ttl, config.port)


def test_the_others_are_served():
    """A tag costs only what has it."""
    assert ["a", "b"] == list_names(read("secrets: [a, !Ref x, b]"))


@pytest.mark.parametrize("text", ["!Ref Token", "!Ref ''", '!x ""', "!CANARY-9f3c", "!CANARY-9f3c ''"])
def test_a_token_with_a_tag_is_neither_shown_nor_no_token(text):
    """Every request is refused."""
    config = read(f"server:\n  token: {text}\n")

    assert () == config.tokens
    assert "CANARY" not in str(find_problem(config))


def test_a_long_tag_is_shortened():
    """A problem is one readable line."""
    assert 200 > len(str(find_problem(read(f"ttl: !{'x' * 5000} 5m"))))


@pytest.mark.parametrize("text", ["secrets: ['!Ref']", 'secrets: ["!"]', "secrets: [a!b]"])
def test_an_exclamation_mark_in_a_name_is_no_tag(text):
    """In quotes, or not at the beginning."""
    assert () == read(text).problems
