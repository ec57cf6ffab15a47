"""What a configuration lists, and what each is served as."""

import pytest

from secrets_cache.config import parse
from secrets_cache.config.listing import listed_by
from secrets_cache.core.secret import AwsContext, Ref


def listed(text: str) -> list[tuple[Ref, tuple[str, ...]]]:
    """Return what a configuration lists, by its names."""
    config = parse(text.encode(), file="f", environ={})
    assert () == config.problems
    return [(item.ref, item.names) for item in listed_by(config)]


def test_an_id_that_another_secret_has_as_its_name_belongs_to_that_one():
    """Names come before ids, whatever their order."""
    found = listed("secrets: [{id: a, name: b}, {id: b, name: a}, c]")

    assert [(Ref("a"), ("b",)), (Ref("b"), ("a",)), (Ref("c"), ("c",))] == found


@pytest.mark.parametrize(
    ("text", "ref", "names"),
    [
        ("parameters: [/a/b]", Ref("/a/b", is_parameter=True), ("/a/b", "a/b")),
        ("parameters: [x]", Ref("x", is_parameter=True), ("x",)),
        ("parameters: [{id: /a/, name: app}]", Ref("/a/", is_parameter=True), ("app", "/a/", "a/")),
        ("parameters: [{id: /x, version: 3}]", Ref("/x", "3", is_parameter=True), ("/x", "x")),
        ("parameters: [{id: /x, label: prod}]", Ref("/x", None, "prod", is_parameter=True), ("/x", "x")),
        ("secrets: [{id: a, region: eu-west-1}]", Ref("a", access=AwsContext("eu-west-1")), ("a",)),
    ],
)
def test_what_is_listed_is_served_as_its_name_and_its_id(text, ref, names):
    """A parameter also without its first slash: many clients make one of two."""
    assert [(ref, names)] == listed(text)


def test_a_ttl_of_its_own_comes_before_the_general_one():
    """Everything else is the same for all."""
    config = parse(b"{secrets: [{id: a, ttl: 5s}, b], ttl: 7s, stale_if_error: 9s}", file="f", environ={})

    assert [(5, 9), (7, 9)] == [(item.policy.ttl, item.policy.stale_if_error) for item in listed_by(config)]
