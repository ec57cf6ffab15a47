"""
Reads YAML nodes of one form each: a list, a mapping, a single value. Collects the problems on the way.

Rules
-----
1. A wrong node costs only itself.
2. The work is bounded, however much a few aliases repeat in a small file.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from secrets_cache.config import nodes
from secrets_cache.config.model import HIDDEN, Problem
from secrets_cache.config.nodes import Node
from secrets_cache.config.values import InvalidValue, ValueType, suggest_value
from secrets_cache.core.text import shorten

MAX_ITEMS = 20_000
# No setting of `server` has a longer name.
MAX_SETTING = 12
# What is allowed, in words.
A_LIST = "a list, with a dash and a space before each item"
ANY_KEYS = "any keys with values"


# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
CLOUDFORMATION_TAGS = frozenset(
    [
        "!And",
        "!Base64",
        "!Cidr",
        "!Condition",
        "!Equals",
        "!FindInMap",
        "!GetAtt",
        "!GetAZs",
        "!If",
        "!ImportValue",
        "!Join",
        "!Not",
        "!Or",
        "!Ref",
        "!Select",
        "!Split",
        "!Sub",
        "!Transform",
    ]
)


class NodeReader:
    """
    Reads the nodes of one document. Methods take a node and its key in the document, such as "secrets[2].ttl".

    Args:
        file: The document's path, for the problems.

    Attributes:
        problems: The problems found so far.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._items_left = MAX_ITEMS
        self.problems: list[Problem] = []

    def note_problem(self, node: Node, key: str, allowed: str, found: str = "") -> None:
        """Note a problem; without `found`, the node itself is described."""
        self.problems.append(Problem(self._file, node.line, key, found or _describe(node), allowed))

    def read_mapping(
        self, node: Node, key: str, known: tuple[str, ...] | Mapping[str, Any] | None, *, hidden: bool = False
    ) -> dict[str, Node]:
        """
        Return a mapping's nodes by key.

        Args:
            node: The mapping.
            key: Its key in the document.
            known: The keys that may occur; None for any.
            hidden: Whether keys and values might be, or hold, a token, so that no problem may show them.
        """
        if self._note_tag(node, key, hidden=hidden):
            return {}
        if not isinstance(node, nodes.Mapping):
            allowed = ANY_KEYS if known is None else describe_keys(known)
            allowed += ", each with a colon and a space after it" if isinstance(node, nodes.Scalar) else ""
            self.note_problem(node, key, allowed, _describe(node, hidden=hidden))
            return {}
        parts: dict[str, Node] = {}
        for name_node, value in self._take(node, key):
            name = name_node.value if isinstance(name_node, nodes.Scalar) else ""
            at = (f"{key}." if key else "") + show_key(name)
            shown = repr(shorten(name))
            if self._note_tag(name_node, at if known is None or name in known else key, hidden=hidden):
                continue
            if known is not None and name not in known:
                place, found = (at, f"unknown key {shown}{_suggest_key(name, known)}")
                if hidden and not _is_plain_key(name, value):
                    place, found = key, "an unknown key"
                self.note_problem(name_node, place, describe_keys(known), found)
            elif name in parts:
                self.note_problem(name_node, at, "each key only once", found=f"a second key {shown}")
            else:
                parts[name] = value
        return parts

    def read_items(self, node: Node, key: str) -> list[tuple[Node, str]]:
        """Return a list's items with their keys; null counts as an empty list."""
        if self._note_tag(node, key) or node.is_null:
            return []
        if not isinstance(node, nodes.Sequence):
            self.note_problem(node, key, A_LIST)
            return []
        return [(item, f"{key}[{number}]") for number, item in enumerate(self._take(node, key))]

    def _note_tag(self, node: Node, key: str, *, hidden: bool = False) -> bool:
        """Note a problem if the node has a tag, which would give it another meaning than its text has."""
        if not node.tag:
            return False
        is_of_template = node.tag in CLOUDFORMATION_TAGS
        # What YAML reads as a tag may be a token that begins with an exclamation mark.
        shown = "a YAML tag" if hidden and not is_of_template else f"the YAML tag {show_key(node.tag)}"
        if is_of_template:
            allowed = f"what {node.tag} would give, written out: config.yaml is not a CloudFormation template"
        else:
            allowed = "no tag; text that begins with ! needs quotes"
        self.note_problem(node, key, allowed, found=shown)
        return True

    def _take(self, node: nodes.Sequence | nodes.Mapping, key: str) -> list[Any]:
        """Return the items of a list or the pairs of a mapping, as many as the bound leaves."""
        taken: list[Any] = [*node.value[: self._items_left]]
        if len(taken) < len(node.value) and self._items_left:
            self.note_problem(node, key, f"at most {MAX_ITEMS} items and keys in all", found=f"more than {MAX_ITEMS}")
        self._items_left -= len(taken)
        return taken

    def read_value(self, node: Node, key: str, value_type: ValueType[Any], *, hidden: bool = False) -> Any:  # noqa: ANN401
        """Return the value of a scalar; None after a problem, since no value is None."""
        if self._note_tag(node, key, hidden=hidden):
            return None
        allowed, found = value_type.allowed, _describe(node, hidden=hidden)
        # `token: null` is not a token with the text "null".
        if isinstance(node, nodes.Scalar) and not (hidden and node.is_null):
            try:
                return value_type.parse(node.value)
            except InvalidValue as error:
                allowed = str(error) or allowed
                if not hidden and node.value:
                    found += suggest_value(value_type, node.value)
        self.note_problem(node, key, allowed, found)
        return None

    def read_values(
        self, parts: Mapping[str, Node], prefix: str, value_types: Mapping[str, ValueType[Any]]
    ) -> dict[str, Any]:
        """Return the valid values of those parts of a mapping that have a type; `prefix` comes before their keys."""
        found = {
            name: self.read_value(parts[name], prefix + name, value_type)
            for name, value_type in value_types.items()
            if name in parts
        }
        return {name: value for name, value in found.items() if value is not None}


def _suggest_key(name: str, known: Iterable[str]) -> str:
    from secrets_cache.config.suggestions import suggest_key, write_question  # noqa: PLC0415 - for problems only

    return write_question(suggest_key(name, known))


def _is_plain_key(name: str, value: Node) -> bool:
    """Return whether a key with a value looks like the name of a setting, and so cannot be, or hold, a token."""
    return (
        not value.is_null
        and len(name) <= MAX_SETTING
        and name.isascii()
        and name.replace("_", "").isalpha()
        and name.islower()
    )


def describe_keys(known: Iterable[str]) -> str:
    """Return in words that these keys are allowed."""
    return f"the keys {', '.join(known)}"


def show_key(name: str) -> str:
    """Return a key's name for the key of a problem: shortened and printable, so that a problem is one line."""
    text = shorten(name)
    return text if text.isprintable() else repr(text)[1:-1]


def _describe(node: Node, *, hidden: bool = False) -> str:
    """Describe a node in words for a problem; what is hidden might be, or hold, a token."""
    if isinstance(node, nodes.Scalar) and not node.value:
        return "nothing"
    if hidden:
        return HIDDEN
    if isinstance(node, nodes.Scalar):
        return repr(shorten(node.value))
    return "a list" if isinstance(node, nodes.Sequence) else "keys with values"
