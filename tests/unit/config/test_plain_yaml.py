"""The fast path for plain YAML, held to PyYAML: what it reads, PyYAML reads alike."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_cache.config import document, parse, plain_yaml, pyyaml
from secrets_cache.config.nodes import DocumentError, Mapping, Node, Scalar, Sequence
from tests.support.pages import CONFIGURATION, README, blocks_of

EXAMPLE = Path("example_function/config.yaml")


def to_tree(node: Node | None) -> object:
    """Return all that a node says."""
    if node is None:
        return None
    if isinstance(node, Scalar):
        return node.value, node.line, node.is_quoted, node.is_null
    if isinstance(node, Sequence):
        return "list", node.line, [to_tree(item) for item in node.value]
    assert isinstance(node, Mapping)
    return "mapping", node.line, [(to_tree(key), to_tree(value)) for key, value in node.value]


def is_read_alike(text: str) -> bool:
    """Return whether the fast path reads it, having checked that the library reads the same."""
    try:
        root = plain_yaml.compose(text)
    except plain_yaml.NotPlain:
        return False
    assert to_tree(root) == to_tree(pyyaml.compose(text)), text
    return True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n",
        "secrets: [a, b]",
        "secrets:\n- a\n- 'b c'\n-\n- # nothing\n- ~\nttl: 5m",
        "secrets:\n  - id: prod/db # its id\n    name:\n    ttl: 3s\n  -\n    id: b\n\nallow: ['prod/*', \"x#:,[]\"]",
        "CacheManager:\n  - secrets:\n    - a\n    - b\n  - secrets: [ c, d, ]\n",
        "- secrets:\n    - arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-a1b2c3\n",
        'server: {port: 8080, aws_port: 0, token: ""}   # all of it',
        "env:\n- {secret: prod/db, prefix: DB_, include: [a, b], rename: {'a b': \"C\"}, upper: y}\n- secret: x\n",
        "'a b': 1\n\"c\": {}\nd: []\n",
        "a:\n    b:\n        c: d\n    e: f\n",
        "a: arn:aws:iam::123456789012:role/x\nb:: c\nd::\n",
        "- {role_arn: arn:aws:iam::123456789012:role/x, b:: c}\n- a::\n- a:: # b",
        "a: 2024-01-01\nb: 0x10\nc: no\nd: null\ne: Null\nf: nULL\ng: 1:30\nh: ...\ni: .\nj: =",
    ],
)
def test_what_is_plain_is_read_alike(text: str) -> None:
    """Lists, mappings, both in brackets, quotes, comments, nothing at all."""
    assert is_read_alike(text)


@pytest.mark.parametrize("text", [b.text for page in (README, CONFIGURATION) for b in blocks_of(page, "yaml")])
def test_what_the_documentation_shows_is_read_alike(text: str) -> None:
    """Whether or not it is plain."""
    is_read_alike(text)


def test_the_example_needs_no_pyyaml() -> None:
    """Nor does what people make of it first."""
    assert is_read_alike(EXAMPLE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "a:\tb",
        "a: b c",
        "a: é",
        "a: |\n  b",
        "a: >\n  b",
        "a: &b c",
        "a: *b",
        "a: !!str b",
        '"a\\n": b',
        "a: 'it''s'",
        "a: b\n c",
        "a:\n  b\n",
        "a: b: c",
        "a: [b\n, c]",
        "a: [b: c]",
        "a: {b, c}",
        "a: [b",
        "a: {b: }",
        "a: [,]",
        "a: 'b'#c",
        "a: b#c",
        "? a",
        "- - a",
        "-a",
        "a",
        "a:b",
        "--- a",
        "a: b\n...\n",
        "%YAML 1.1",
        "a: b\r\n",
        " a: b\nc: d",
        "a:\n  - b\n c: d",
        "a:\n    b: c\n  d: e",
        "- a\nb: c",
        "a: b\n- c",
        "a: " + "b" * 1000,
        "a: " + "[" * 30 + "]" * 30,
        "- " * 30,
        "".join(" " * depth + "a:\n" for depth in range(30)),
        "a: 'b",
        "a: @b",
        "a: `b`",
    ],
)
def test_what_is_not_plain_is_left_to_pyyaml(text: str) -> None:
    """Right or wrong: PyYAML says which."""
    assert not is_read_alike(text)


WORDS = """null ttl:5m secrets: - # 'a' "b" '' "" --- {a:b} [a,b] ~ a"""
PIECES = st.sampled_from(
    [*"abn~-:,[]{}#'\"&*!|>%@`?=. \n\t\\é\u2013", *WORDS.split(), "  ", "- ", ": ", "\n  ", "\n- ", "\n  - ", "a: b\n"]
)


@given(st.lists(PIECES, max_size=20).map("".join))
def test_any_text_is_read_alike_or_left(text: str) -> None:
    """Mostly wrong, some of it nearly right."""
    is_read_alike(text)


scalars = st.sampled_from(
    [
        "a",
        "prod/db",
        "5m",
        "10%",
        "null",
        "~",
        "true",
        "1",
        "'a b'",
        '"x: y"',
        "''",
        '"#"',
        "a:b",
        "a#b",
        "é",
        "a b",
        "",
    ]
)
flows = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(scalars, inner), max_size=3).map(
            lambda p: "{" + ", ".join(f"{k}: {v}" for k, v in p) + "}"
        )
    ),
    max_leaves=6,
)


def lines_of(depth: int) -> st.SearchStrategy[list[str]]:
    """Give the lines of a collection in block style, indented at random."""
    if depth == 0:
        return flows.map(lambda flow: [flow])
    inner, indents = lines_of(depth - 1), st.integers(0, 3)

    def item(parts: tuple[list[str], int]) -> list[str]:
        (first, *rest), indent = parts
        return [f"- {first}", *(" " * (indent if indent != 3 else 2) + line for line in rest)]

    def pair(parts: tuple[str, list[str], int]) -> list[str]:
        key, lines, indent = parts
        if len(lines) == 1 and indent:
            return [f"{key}: {lines[0]}  # c"]
        return [f"{key}:", "# between", *(" " * indent + line for line in lines)]

    def joined(parts: list[list[str]]) -> list[str]:
        return [line for part in parts for line in part]

    lists = st.lists(st.tuples(inner, indents).map(item), min_size=1, max_size=3).map(joined)
    mappings = st.lists(st.tuples(scalars, inner, indents).map(pair), min_size=1, max_size=3).map(joined)
    return lists | mappings | inner


@given(st.integers(1, 3).flatmap(lines_of).map("\n".join))
def test_anything_that_looks_like_a_configuration_is_read_alike_or_left(text: str) -> None:
    """Mostly right, some of it indented by a blank too many."""
    is_read_alike(text)


@pytest.mark.parametrize("text", ["secrets: [a, {id: b, ttl: soon}]\nport: 1", "secrets: [a", "a: \t- b"])
def test_the_switch_changes_no_configuration(text: str) -> None:
    """With the fast path or without it: the same values, and the same problems."""
    with_fast_path = parse(text.encode(), file="config.yaml", environ={})
    assert with_fast_path == parse(text.encode(), file="config.yaml", environ={"SECRETS_CACHE_LANES": "0"})
    assert with_fast_path.problems


def test_the_switch_turns_the_fast_path_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library then reads everything, and says what it has always said."""

    def never(_: str) -> None:
        raise AssertionError

    monkeypatch.setattr(plain_yaml, "compose", never)
    root = document.compose(b"a: b", is_fast=False)
    assert isinstance(root, Mapping)
    with pytest.raises(AssertionError):
        document.compose(b"a: b", is_fast=True)
    with pytest.raises(DocumentError):
        document.compose(b"a: [", is_fast=False)
