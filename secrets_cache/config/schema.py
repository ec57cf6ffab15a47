"""
YAML nodes to settings: the keys, the type of value of each, and a problem for everything else.

Rules
-----
1. A name is the text as written, even where YAML would read a number, a date or a boolean.
2. If it is not certain which value is meant, or how it is read, the whole item is left out.

Longer than most modules here: it is the one table of all keys, and the one place that gives them their meaning.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from secrets_cache.config import nodes, values
from secrets_cache.config.model import INVALID_TOKEN, Batch, ListedSecret, Problem, VariablesFrom
from secrets_cache.config.node_reader import NodeReader, show_key
from secrets_cache.config.nodes import Node
from secrets_cache.config.values import ValueType
from secrets_cache.core.arn import SecretReference, split_selector
from secrets_cache.core.secret import AwsContext, Ref

GENERAL: Mapping[str, ValueType[Any]] = {
    "ttl": values.TTL,
    "refresh_ahead": values.REFRESH_AHEAD,
    "stale_while_revalidate": values.STALE_TIME,
    "stale_if_error": values.STALE_TIME,
    "fetch_timeout": values.FETCH_TIMEOUT,
    "batch": values.Choice({member.value: member for member in Batch}),
}
LISTS = ("secrets", "parameters", "allow", "env")
SERVER: Mapping[str, ValueType[Any]] = {
    "port": values.PORT,
    "aws_port": values.PORT_OR_NONE,
    "token": values.TOKEN,
}
METRICS: Mapping[str, ValueType[Any]] = {
    "format": values.METRICS,
    "namespace": values.NAMESPACE,
    "by_secret": values.FLAG,
}
# By key: its name in `Config`.
METRICS_NAMES = {"format": "metrics", "namespace": "metrics_namespace", "by_secret": "metrics_by_secret"}
SECRET: Mapping[str, ValueType[Any]] = {
    "id": values.SECRET_ID,
    "name": values.ALIAS,
    "region": values.REGION,
    "role_arn": values.ROLE,
    "external_id": values.EXTERNAL_ID,
    "session_name": values.SESSION_NAME,
    "version_stage": values.STAGE,
    "ttl": values.TTL,
    "required": values.FLAG,
}
NEEDS_ROLE = ("external_id", "session_name")
# The keys that select which value is read, and how.
SELECTORS = (*AwsContext._fields, "version_stage", "version", "label")
PARAMETER: Mapping[str, ValueType[Any]] = {
    **{name: value_type for name, value_type in SECRET.items() if name != "version_stage"},
    "id": values.PARAMETER_ID,
    "version": values.PARAMETER_VERSION,
    "label": values.PARAMETER_LABEL,
}
VARIABLES: Mapping[str, ValueType[Any]] = {
    "secret": values.SECRET_REFERENCE,
    "parameter": values.PARAMETER_ID,
    "prefix": values.Text(r"[^=\0]*", "text without = and NUL"),
    "as": values.Text(r"[^=\0]+", "the name of a variable, without = and NUL"),
    "key": values.Text(r"[\s\S]+", "a key of a JSON value, or a JSON pointer such as /user/name"),
    "upper": values.FLAG,
    "override": values.FLAG,
    "required": values.FLAG,
}
VARIABLES_LISTS = ("include", "exclude", "allow_reserved")
# The keys that make no sense where the whole value becomes one variable.
NEEDS_KEYS = ("prefix", "include", "exclude", "rename", "upper")
# The keys that choose keys of the value, as a key behind the secret's ARN does.
CHOOSE_KEYS = ("include", "exclude", "key")


def _quote(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# What is allowed where keys exclude each other.
ONE_SELECTOR = "either version or label, once"
PATH_ALONE = "a path without version and label"
EITHER_KIND = "either secret or parameter"
AS_ALONE = f'"as" alone, or any of {_quote(NEEDS_KEYS)}'
ONE_KEY = f"either the key behind the ARN, or {_quote(CHOOSE_KEYS)}"


def read_document(root: Node | None, file: str) -> tuple[dict[str, Any], list[Problem]]:
    """Return the settings under `root`, by their names in `Config`, and the problems; `file` is the document's path."""
    schema = _Schema(file)
    if isinstance(root, nodes.Sequence):
        schema.read_groups(root, "")
    elif root is not None and (root.tag or not root.is_null):
        schema.read_top(root)
    for name in ("secrets", "parameters"):
        listed = (item for item in schema.listed.values() if item.ref.is_parameter == (name == "parameters"))
        schema.settings[name] = tuple(listed)
    return schema.settings, sorted(schema.problems, key=lambda problem: problem.line or 0)


class _Schema(NodeReader):
    """One pass over one document, from the top down. Each method gives the nodes of one level their meaning."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.settings: dict[str, Any] = {}
        self.listed: dict[str, ListedSecret] = {}
        self._refs: set[Ref] = set()

    def read_top(self, node: Node) -> None:
        parts = self.read_mapping(node, "", (*LISTS, *GENERAL, "metrics", "server", "CacheManager"))
        self.settings.update(self.read_values(parts, "", GENERAL))
        self.read_lists(parts, "")
        if "CacheManager" in parts:
            self.read_groups(parts["CacheManager"], "CacheManager")
        if "metrics" in parts:
            self.read_metrics(parts["metrics"])
        if "server" in parts:
            self.read_server(parts["server"])

    def read_groups(self, node: Node, key: str) -> None:
        """Read the older form, which published examples use: a list of groups, each with its own list of secrets."""
        items = node.value if isinstance(node, nodes.Sequence) and not node.tag else ()
        if items and not key and all(isinstance(item, nodes.Scalar) and not item.tag for item in items):
            self.note_problem(node, key, "secrets: on a line of its own, and the list below it", "a list of names")
            return
        for item, at in self.read_items(node, key):
            self.read_lists(self.read_mapping(item, at, ("secrets", "parameters")), f"{at}.")

    def read_lists(self, parts: Mapping[str, Node], prefix: str) -> None:
        readers: dict[str, Callable[[Node, str], None]] = {
            "secrets": self.read_secret,
            "parameters": self.read_parameter,
            "allow": self.read_allow,
            "env": self.read_variables,
        }
        for name, read in readers.items():
            if name in parts:
                for item, at in self.read_items(parts[name], prefix + name):
                    read(item, at)

    def read_metrics(self, node: Node) -> None:
        """Read a format alone, or a mapping with the format and more."""
        if isinstance(node, nodes.Scalar):
            found = self.read_values({"metrics": node}, "", {"metrics": METRICS["format"]})
        else:
            found = self.read_values(self.read_mapping(node, "metrics", METRICS), "metrics.", METRICS)
        self.settings.update((METRICS_NAMES.get(name, name), value) for name, value in found.items())

    def read_server(self, node: Node) -> None:
        before = len(self.problems)
        parts = self.read_mapping(node, "server", SERVER, hidden=True)
        if len(self.problems) > before:
            # `token:abc` without a space is a key. It must not be shown, and it must not count as no token.
            self.settings["token"] = INVALID_TOKEN
        token = parts.pop("token", None)
        self.settings.update(self.read_values(parts, "server.", SERVER))
        # A quoted empty text is no token. Nothing at all, or a comment in its place, is a problem.
        if token is not None and not _is_empty(token):
            self.settings["token"] = (
                self.read_value(token, "server.token", SERVER["token"], hidden=True) or INVALID_TOKEN
            )

    def read_secret(self, node: Node, key: str) -> None:
        parsed = self.read_long_form(node, key, SECRET)
        if parsed is not None and (context := self.read_context(node, key, parsed)) is not None:
            stage = parsed.get("version_stage")
            self.add_item(node, key, parsed, Ref(parsed["id"], None, None if stage == "AWSCURRENT" else stage, context))

    def read_parameter(self, node: Node, key: str) -> None:
        parsed = self.read_long_form(node, key, PARAMETER)
        if parsed is None or (context := self.read_context(node, key, parsed)) is None:
            return
        plain, version, label = split_selector(parsed["id"])
        selectors = [f":{one}" for one in (version, label) if one] + [n for n in ("version", "label") if n in parsed]
        version, label = version or parsed.get("version"), label or parsed.get("label")
        ref = Ref(plain, version, label, context, is_parameter=True)
        if len(selectors) > 1 or (selectors and ref.is_path):
            allowed = PATH_ALONE if ref.is_path else ONE_SELECTOR
            self.note_problem(node, key, allowed, found=" and ".join(selectors))
        else:
            self.add_item(node, key, parsed, ref)

    def read_context(self, node: Node, key: str, parsed: Mapping[str, Any]) -> AwsContext | None:
        """Return the region and the role of an item; None if they are incomplete."""
        lonely = [name for name in NEEDS_ROLE if name in parsed and "role_arn" not in parsed]
        for name in lonely:
            self.note_problem(node, f"{key}.{name}", f"{name} only together with role_arn", found=repr(parsed[name]))
        return None if lonely else AwsContext(**{name: parsed.get(name, "") for name in AwsContext._fields})

    def add_item(self, node: Node, key: str, parsed: Mapping[str, Any], ref: Ref) -> None:
        """List a secret or a parameter, unless its name is taken or it is listed already."""
        listed = ListedSecret(
            ref=ref,
            name=parsed.get("name", parsed["id"]),
            ttl_seconds=parsed.get("ttl"),
            required=parsed.get("required", False),
        )
        known = self.listed.setdefault(listed.name, listed)
        if known != listed:
            self.note_problem(node, key, "each name only once", found=f"a second entry named {listed.name!r}")
        elif known is listed and listed.ref in self._refs:
            del self.listed[listed.name]
            self.note_problem(
                node, key, "each secret and stage only once", found=f"a second entry for {parsed['id']!r}"
            )
        self._refs.add(listed.ref)

    def read_allow(self, node: Node, key: str) -> None:
        pattern = self.read_value(node, key, values.PATTERN)
        if pattern:
            self.settings["allow"] = (*self.settings.get("allow", ()), pattern)

    def read_variables(self, node: Node, key: str) -> None:
        before = len(self.problems)
        parts = self.read_mapping(node, key, (*VARIABLES, *VARIABLES_LISTS, "rename"))
        parsed = self.read_values(parts, f"{key}.", VARIABLES)
        for name in VARIABLES_LISTS:
            if name in parts:
                parsed[name] = tuple(self.read_names(self.read_items(parts[name], f"{key}.{name}")))
        if "rename" in parts:
            renamed = self.read_mapping(parts["rename"], f"{key}.rename", None)
            items = [(item, f"{key}.rename.{show_key(name)}") for name, item in renamed.items()]
            parsed["rename"] = dict(zip(renamed, self.read_names(items), strict=False))
        if isinstance(node, nodes.Mapping) and not node.tag and ("secret" in parts) == ("parameter" in parts):
            found = "both" if "secret" in parts else "neither secret nor parameter"
            self.note_problem(node, key, EITHER_KIND, found=found)
        if "as" in parts and (needs_keys := [name for name in NEEDS_KEYS if name in parts]):
            self.note_problem(node, key, AS_ALONE, found=f'"as" and {_quote(needs_keys)}')
        if "key" in parts and "as" not in parts:
            self.note_problem(node, f"{key}.as", VARIABLES["as"].allowed, found="key, and no name for its variable")
        if SecretReference.parse(parsed.get("secret", "")).key and (
            chosen := [name for name in CHOOSE_KEYS if name in parts]
        ):
            self.note_problem(node, key, ONE_KEY, found=f"both, with {_quote(chosen)}")
        # An incomplete rule might set a variable that it should not.
        if before == len(self.problems):
            parsed["is_parameter"] = "parameter" in parsed
            parsed["id"] = parsed.pop("parameter", None) or parsed.pop("secret")
            parsed["as_name"] = parsed.pop("as", "")
            self.settings["env"] = (*self.settings.get("env", ()), VariablesFrom(**parsed))

    def read_names(self, items: list[tuple[Node, str]]) -> list[str]:
        """Return the names in a list of nodes and their keys."""
        return [name for item, at in items if (name := self.read_value(item, at, VARIABLES["as"]))]

    def read_long_form(self, node: Node, key: str, value_types: Mapping[str, ValueType[Any]]) -> dict[str, Any] | None:
        """Return the values of an item, an id alone or a mapping; None if it is not certain which value is meant."""
        if isinstance(node, nodes.Scalar):
            name = self.read_value(node, key, value_types["id"])
            return {"id": name} if name else None
        if self._note_name_as_key(node, key, value_types):
            return None
        before = len(self.problems)
        parts = self.read_mapping(node, key, value_types)
        parsed = self.read_values(parts, f"{key}.", value_types)
        # A key that was taken for a mistyped id is a problem already.
        is_mistyped = any("did you mean id?" in problem.found for problem in self.problems[before:])
        if "id" not in parts and isinstance(node, nodes.Mapping) and not node.tag and not is_mistyped:
            self.note_problem(node, f"{key}.id", value_types["id"].allowed, found="nothing")
        # Without an invalid selector, another value would be read.
        is_known = "id" in parsed and not any(name in parts and name not in parsed for name in SELECTORS)
        return parsed if is_known else None

    def _note_name_as_key(self, node: Node, key: str, value_types: Mapping[str, ValueType[Any]]) -> bool:
        """Note the problem that an item is `NAME:` with keys below it, or with one value; return whether it is."""
        if not isinstance(node, nodes.Mapping) or node.tag or len(node.value) != 1:
            return False
        name, value = node.value[0]
        if not isinstance(name, nodes.Scalar) or name.value in value_types or name.tag:
            return False
        if isinstance(value, nodes.Scalar) and not value.is_null and "/" not in name.value:
            return False
        shown = show_key(name.value)
        allowed = f"{shown} alone, or id: {shown} and further keys"
        if name.value.startswith("arn:"):
            allowed = "the ARN alone, in quotes if it ends with a colon; or id: with the ARN, and further keys"
        self.note_problem(name, key, allowed, f"{shown!r} as a key")
        return True


def _is_empty(node: Node) -> bool:
    """Return whether a node is a text in quotes, and empty."""
    return isinstance(node, nodes.Scalar) and node.is_quoted and not node.value and not node.tag
