"""What the cache needs of a configuration, and that no token shows."""

import pytest

from secrets_cache.config import AwsLayer, Config, Problem, Token, parse
from secrets_cache.core.secret import AwsContext, Ref
from tests.support.fakes import CANARY


def list_entries(text: str) -> list[tuple[Ref, tuple[str, ...]]]:
    """Return what a configuration lists, by its names."""
    config = parse(text.encode(), file="f", environ={})
    assert () == config.problems
    return [(item.ref, item.names) for item in config.entries()]


def test_an_id_that_is_the_name_of_another_secret_means_that_secret():
    """Names come before ids, whatever their order."""
    found = list_entries("secrets: [{id: a, name: b}, {id: b, name: a}, c]")

    assert [(Ref("a"), ("b",)), (Ref("b"), ("a",)), (Ref("c"), ("c",))] == found


@pytest.mark.parametrize(
    ("text", "ref", "names"),
    [
        ("parameters: [/a/b]", Ref("/a/b", is_parameter=True), ("/a/b", "a/b")),
        ("parameters: [x]", Ref("x", is_parameter=True), ("x",)),
        ("parameters: [{id: /a/, name: app}]", Ref("/a/", is_parameter=True), ("app", "/a/", "a/")),
        ("parameters: [{id: /x, version: 3}]", Ref("/x", "3", is_parameter=True), ("/x", "/x:3", "x", "x:3")),
        (
            "parameters: [{id: /x, label: prod}]",
            Ref("/x", None, "prod", is_parameter=True),
            ("/x", "/x:prod", "x", "x:prod"),
        ),
        ("parameters: [/x:3]", Ref("/x", "3", is_parameter=True), ("/x:3", "/x", "x", "x:3")),
        ("parameters: ['/x:prod']", Ref("/x", None, "prod", is_parameter=True), ("/x:prod", "/x", "x", "x:prod")),
        ("secrets: [{id: a, region: eu-west-1}]", Ref("a", context=AwsContext("eu-west-1")), ("a",)),
    ],
)
def test_a_listed_item_is_served_by_its_name_and_its_id(text, ref, names):
    """A parameter also without its first slash: many clients make one of two."""
    assert [(ref, names)] == list_entries(text)


def test_a_ttl_of_its_own_comes_before_the_general_one():
    """All other settings are the same for every item."""
    config = parse(b"{secrets: [{id: a, ttl: 5s}, b], ttl: 7s, stale_if_error: 9s}", file="f", environ={})

    assert [(5, 9), (7, 9)] == [
        (item.policy.ttl_seconds, item.policy.stale_if_error_seconds) for item in config.entries()
    ]


@pytest.mark.parametrize(
    "holder",
    [Token(CANARY), Config(tokens=(Token(CANARY),)), AwsLayer(tokens=(Token(CANARY),))],
    ids=["token", "configuration", "layer"],
)
def test_a_token_shows_in_no_repr_no_format_and_no_comparison(holder):
    """Whatever holds it."""
    other = Token("other") if isinstance(holder, Token) else holder._replace(tokens=(Token("other"),))
    with pytest.raises(AssertionError) as caught:
        assert holder == other

    assert not [text for text in (repr(holder), f"{holder}", str(holder), str(caught.value)) if CANARY in text]


def test_tokens_are_equal_by_their_text():
    """So are configurations that hold them."""
    assert Config(tokens=(Token("a"),)) == Config(tokens=(Token("a"),))
    assert Token("a") != Token("b")
    assert Token("a") != "a"
    assert 1 == len({Token("a"), Token("a")})


def test_a_problem_is_one_line_and_the_fields_of_a_log_event():
    """Both leave out what is not known; the event has the line as its text."""
    problem = Problem("f.yaml", None, "", "more", "less")

    assert "f.yaml: found more; allowed: less" == str(problem)
    assert {"file": "f.yaml", "found": "more", "allowed": "less", "text": str(problem)} == problem.as_fields()
    assert "f.yaml:3: ttl: found x; allowed: y" == str(Problem("f.yaml", 3, "ttl", "x", "y"))


def test_one_port_for_both_protocols_is_shared():
    """The same number twice means one port that speaks both."""
    assert Config(port=1, aws_port=1).is_port_shared
    assert not Config(port=1, aws_port=2).is_port_shared
