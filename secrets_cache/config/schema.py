"""
YAML nodes to settings: which keys there are, what each may hold, and a problem for everything else.

Rules
-----
1. A node that is wrong costs itself and nothing beside it.
2. A name is the text as written, whatever YAML would read it as.
3. The work is bounded, whatever aliases make of a small file.

Longer than most modules here: it is the whole table of what may stand where, and best read in one piece.
"""

from collections.abc import Callable, Mapping
from typing import Any

from secrets_cache.config import document, nodes, values
from secrets_cache.config.model import UNREADABLE_TOKEN, Batch, ListedSecret, Problem, VariablesFrom
from secrets_cache.config.nodes import Node
from secrets_cache.config.values import Kind, Unacceptable
from secrets_cache.core.secret import AwsContext, Ref

MAX_ITEMS = 20_000

GENERAL: Mapping[str, Kind[Any]] = {
    "ttl": values.TTL,
    "refresh_ahead": values.REFRESH_AHEAD,
    "stale_while_revalidate": values.LONG,
    "stale_if_error": values.LONG,
    "fetch_timeout": values.FETCH_TIMEOUT,
    "batch": values.Choice({member.value: member for member in Batch}),
}
LISTS = ("secrets", "parameters", "allow", "env")
SERVER: Mapping[str, Kind[Any]] = {
    "port": values.Port(),
    "aws_port": values.Port(at_least=0),
    "token": values.TOKEN,
}
METRICS: Mapping[str, Kind[Any]] = {
    "format": values.METRICS,
    "namespace": values.NAMESPACE,
    "by_secret": values.FLAG,
}
# By key: what it is in `Config`.
METRICS_NAMES = {"format": "metrics", "namespace": "metrics_namespace", "by_secret": "metrics_by_secret"}
SECRET: Mapping[str, Kind[Any]] = {
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
OF_ROLES = ("external_id", "session_name")
# What says which value is meant, and how to get at it.
WHAT = (*AwsContext._fields, "version_stage", "version", "label")
PARAMETER: Mapping[str, Kind[Any]] = {
    **{name: kind for name, kind in SECRET.items() if name != "version_stage"},
    "id": values.PARAMETER_ID,
    "version": values.PARAMETER_VERSION,
    "label": values.PARAMETER_LABEL,
}
VARIABLES: Mapping[str, Kind[Any]] = {
    "secret": values.SECRET_ID,
    "parameter": values.PARAMETER_ID,
    "prefix": values.Text(r"[^=\0]*", "text without = and NUL"),
    "as": values.Text(r"[^=\0]+", "the name of a variable, without = and NUL"),
    "upper": values.FLAG,
    "override": values.FLAG,
    "required": values.FLAG,
}
VARIABLES_LISTS = ("include", "exclude", "allow_reserved")
# What makes no sense where the whole value becomes one variable.
OF_KEYS = ("prefix", "include", "exclude", "rename", "upper")


class FromFile:
    """What a file says: settings by the names they have in `Config`, and the problems found on the way."""

    __slots__ = ("problems", "settings")

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.problems: list[Problem] = []


def from_document(root: Node | None, file: str) -> FromFile:
    """Return what the document under `root` says; `file` is its path, for the problems."""
    reader = _Reader(file)
    if isinstance(root, nodes.Sequence):
        reader.groups(root, "")
    elif root is not None and not document.is_null(root):
        reader.top(root)
    for name in ("secrets", "parameters"):
        listed = (item for item in reader.listed.values() if item.ref.is_parameter == (name == "parameters"))
        reader.found.settings[name] = tuple(listed)
    reader.found.problems.sort(key=lambda problem: problem.line or 0)
    return reader.found


class _Reader:
    """One pass over one document. Methods take a node and the key it stands under."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.found = FromFile()
        self.listed: dict[str, ListedSecret] = {}
        self._refs: set[Ref] = set()
        self._items_left = MAX_ITEMS

    def problem(self, node: Node, key: str, allowed: str, found: str = "") -> None:
        found = found or document.describe(node)
        self.found.problems.append(Problem(file=self._file, line=node.line, key=key, found=found, allowed=allowed))

    # The levels of the document, from the top down.

    def top(self, node: Node) -> None:
        parts = self.mapping(node, "", (*LISTS, *GENERAL, "metrics", "server", "CacheManager"))
        for key, kind in GENERAL.items():
            if key in parts:
                self.scalar(parts[key], key, kind, self.found.settings)
        self.lists(parts, "")
        if "CacheManager" in parts:
            self.groups(parts["CacheManager"], "CacheManager")
        if "metrics" in parts:
            self.metrics(parts["metrics"])
        if "server" in parts:
            self.server(parts["server"])

    def groups(self, node: Node, key: str) -> None:
        """Read the published older form: a list of mappings, each with its own list of secrets."""
        for item, at in self.items(node, key):
            self.lists(self.mapping(item, at, ("secrets", "parameters")), f"{at}.")

    def lists(self, parts: Mapping[str, Node], prefix: str) -> None:
        readers: dict[str, Callable[[Node, str], None]] = {
            "secrets": self.secret,
            "parameters": self.parameter,
            "allow": self.allow,
            "env": self.variables,
        }
        for name, read in readers.items():
            if name in parts:
                for item, at in self.items(parts[name], prefix + name):
                    read(item, at)

    def metrics(self, node: Node) -> None:
        """Read a format alone, or a mapping with it."""
        if isinstance(node, nodes.Scalar):
            self.scalar(node, "metrics", METRICS["format"], self.found.settings)
            return
        for name, part in self.mapping(node, "metrics", METRICS).items():
            self.scalar(part, f"metrics.{name}", METRICS[name], self.found.settings, store_as=METRICS_NAMES[name])

    def server(self, node: Node) -> None:
        before = len(self.found.problems)
        parts = self.mapping(node, "server", SERVER, hidden=True)
        if len(self.found.problems) > before:
            # `token:secret` without its blank is a key, or all there is: it must not show, nor leave the door open.
            self.found.settings["token"] = UNREADABLE_TOKEN
        for key, kind in SERVER.items():
            if key in parts and not (key == "token" and document.is_empty_text(parts[key])):
                self.scalar(parts[key], f"server.{key}", kind, self.found.settings, hidden=key == "token")
                if key == "token":
                    self.found.settings.setdefault("token", UNREADABLE_TOKEN)

    def secret(self, node: Node, key: str) -> None:
        parsed = self.long_form(node, key, SECRET)
        if parsed is not None and (access := self.access(node, key, parsed)) is not None:
            stage = parsed.get("version_stage")
            self.add(node, key, parsed, Ref(parsed["id"], None, None if stage == "AWSCURRENT" else stage, access))

    def parameter(self, node: Node, key: str) -> None:
        parsed = self.long_form(node, key, PARAMETER)
        if parsed is None or (access := self.access(node, key, parsed)) is None:
            return
        selectors = [name for name in ("version", "label") if name in parsed]
        ref = Ref(parsed["id"], parsed.get("version"), parsed.get("label"), access, is_parameter=True)
        if len(selectors) > 1 or (selectors and ref.is_path):
            allowed = "no version and no label of a path" if ref.is_path else "either version or label"
            self.problem(node, key, allowed, found=" and ".join(selectors))
        else:
            self.add(node, key, parsed, ref)

    def access(self, node: Node, key: str, parsed: Mapping[str, Any]) -> AwsContext | None:
        """Return where an item is asked for, and as whom; None if that cannot be meant."""
        lonely = [name for name in OF_ROLES if name in parsed and "role_arn" not in parsed]
        for name in lonely:
            self.problem(node, f"{key}.{name}", "it only beside role_arn", found=repr(parsed[name]))
        return None if lonely else AwsContext(**{name: parsed.get(name, "") for name in AwsContext._fields})

    def add(self, node: Node, key: str, parsed: Mapping[str, Any], ref: Ref) -> None:
        """List a secret or a parameter, unless its name is another's or it is listed already."""
        listed = ListedSecret(
            ref=ref,
            name=parsed.get("name", parsed["id"]),
            ttl_seconds=parsed.get("ttl"),
            required=parsed.get("required", False),
        )
        known = self.listed.setdefault(listed.name, listed)
        if known != listed:
            self.problem(node, key, "one secret for each name", found=f"a second secret named {listed.name!r}")
        elif known is listed and listed.ref in self._refs:
            del self.listed[listed.name]
            self.problem(node, key, "one entry for each secret and stage", found=f"a second entry for {parsed['id']!r}")
        self._refs.add(listed.ref)

    def allow(self, node: Node, key: str) -> None:
        parsed: dict[str, Any] = {}
        self.scalar(node, key, values.PATTERN, parsed, store_as="pattern")
        if parsed:
            self.found.settings["allow"] = (*self.found.settings.get("allow", ()), parsed["pattern"])

    def variables(self, node: Node, key: str) -> None:
        before = len(self.found.problems)
        parts = self.mapping(node, key, (*VARIABLES, *VARIABLES_LISTS, "rename"))
        parsed: dict[str, Any] = {}
        for name, kind in VARIABLES.items():
            if name in parts:
                self.scalar(parts[name], f"{key}.{name}", kind, parsed)
        for name in VARIABLES_LISTS:
            if name in parts:
                parsed[name] = tuple(self.names(self.items(parts[name], f"{key}.{name}")))
        if "rename" in parts:
            renamed = self.mapping(parts["rename"], f"{key}.rename", None)
            items = [(item, f"{key}.rename.{document.shown(name)}") for name, item in renamed.items()]
            parsed["rename"] = dict(zip(renamed, self.names(items), strict=False))
        if isinstance(node, nodes.Mapping) and ("secret" in parts) == ("parameter" in parts):
            self.problem(node, key, "either secret or parameter")
        if "as" in parts and (of_keys := [name for name in OF_KEYS if name in parts]):
            self.problem(node, key, f"either as, or any of {', '.join(OF_KEYS)}", found=f"as and {', '.join(of_keys)}")
        # Half of a rule might set what it should not.
        if before == len(self.found.problems):
            parsed["is_parameter"] = "parameter" in parsed
            parsed["id"] = parsed.pop("parameter", None) or parsed.pop("secret")
            parsed["as_name"] = parsed.pop("as", "")
            self.found.settings["env"] = (*self.found.settings.get("env", ()), VariablesFrom(**parsed))

    def names(self, items: list[tuple[Node, str]]) -> list[str]:
        """Return the names in a list of nodes and their keys."""
        parsed: list[str] = []
        for item, at in items:
            name: dict[str, Any] = {}
            self.scalar(item, at, VARIABLES["as"], name, store_as="name")
            parsed += name.values()
        return parsed

    # The forms that a node can have.

    def long_form(self, node: Node, key: str, kinds: Mapping[str, Kind[Any]]) -> dict[str, Any] | None:
        """Return the values of an item that is a bare id or a mapping; None if what to ask for is not known."""
        parsed: dict[str, Any] = {}
        if isinstance(node, nodes.Scalar):
            self.scalar(node, key, kinds["id"], parsed, store_as="id")
            return parsed or None
        parts = self.mapping(node, key, kinds)
        for name, kind in kinds.items():
            if name in parts:
                self.scalar(parts[name], f"{key}.{name}", kind, parsed)
        if "id" not in parts and isinstance(node, nodes.Mapping):
            self.problem(node, f"{key}.id", kinds["id"].allowed, found="nothing")
        # With half of it, something else would be asked for.
        is_known = "id" in parsed and not any(name in parts and name not in parsed for name in WHAT)
        return parsed if is_known else None

    def mapping(
        self, node: Node, key: str, known: "tuple[str, ...] | Mapping[str, Any] | None", *, hidden: bool = False
    ) -> dict[str, Node]:
        """Return a mapping's nodes by key; `known` None admits any key."""
        if not isinstance(node, nodes.Mapping):
            names = "any key" if known is None else ", ".join(known)
            self.problem(node, key, f"a mapping with the keys {names}", found="something else" if hidden else "")
            return {}
        parts: dict[str, Node] = {}
        for name_node, value in self.counted(node, key):
            name = name_node.value if isinstance(name_node, nodes.Scalar) else ""
            at = (f"{key}." if key else "") + document.shown(name)
            said = repr(document.shortened(name))
            if known is not None and name not in known and hidden:
                self.problem(name_node, key, f"the keys {', '.join(known)}", found="an unknown key")
            elif known is not None and name not in known:
                self.problem(name_node, at, f"the keys {', '.join(known)}", found=f"unknown key {said}")
            elif name in parts:
                self.problem(name_node, at, "each key once", found=f"a second key {said}")
            else:
                parts[name] = value
        return parts

    def items(self, node: Node, key: str) -> list[tuple[Node, str]]:
        """Return a list's items with their keys. Nothing at all counts as an empty list."""
        if document.is_null(node):
            return []
        if not isinstance(node, nodes.Sequence):
            self.problem(node, key, "a list")
            return []
        return [(item, f"{key}[{number}]") for number, item in enumerate(self.counted(node, key))]

    def counted(self, node: nodes.Sequence | nodes.Mapping, key: str) -> list[Any]:
        """Return what a list or a mapping holds, as much of it as may still be read."""
        taken: list[Any] = [*node.value[: self._items_left]]
        if len(taken) < len(node.value) and self._items_left:
            self.problem(node, key, f"at most {MAX_ITEMS} items and keys in all", found="more")
        self._items_left -= len(taken)
        return taken

    def scalar(
        self,
        node: Node,
        key: str,
        kind: Kind[Any],
        into: dict[str, Any],
        *,
        store_as: str = "",
        hidden: bool = False,
    ) -> None:
        # `token: null` is no token called "null".
        if isinstance(node, nodes.Scalar) and not (hidden and document.is_null(node)):
            try:
                into[store_as or key.rpartition(".")[2]] = kind.parse(node.value)
            except Unacceptable:
                pass
            else:
                return
        self.problem(node, key, kind.allowed, found="something else" if hidden else "")
