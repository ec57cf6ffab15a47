"""Any bytes as config.yaml."""

import codecs
import re
from collections.abc import Callable, Iterator

import yaml

from secrets_cache.config import Batch, Config, Metrics, Problem, parse
from secrets_cache.config.node_reader import MAX_ITEMS
from tests.support.fakes import CANARY

FILE = "/var/task/config.yaml"
MAX_PROBLEM_LENGTH = 1000
MONTH_SECONDS = 30 * 86400
# Comments to YAML, the environment to us: `#env SECRETS_CACHE_PORT=80`.
_VARIABLE = re.compile(r"^#env ([A-Z_]+)=(.*)$", re.MULTILINE)
_LINE_ENDS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_DIGITS = str.maketrans("0123456789", "5678901234")
# Texts that mean something where a token may stand, or a key of `server`.
_WORDS = {"", "~", "null", "session", "port", "aws_port", "token", "#"}


def config(data: bytes, read: Callable[..., Config] = parse) -> None:
    """
    Any bytes give a configuration within bounds, and problems that can be read and tell nothing secret.

    Nothing is raised. Each problem is one printable line of bounded length that names the file, a line of it, what was
    found and what is allowed. What stands for a token, or might be one that was misspelled, changes no word of any.
    With the fast path for plain YAML or without it, the outcome is the same. There are at most `MAX_ITEMS` problems,
    whatever aliases make of a small file.
    """
    text = data.decode("utf-8", "surrogateescape")
    environ = dict(_VARIABLE.findall(text))
    found = read(data, file=FILE, environ=environ)
    _check_values(found)
    assert len(found.problems) <= MAX_ITEMS + 100
    for problem in found.problems:
        _check_problem(problem, lines=len(_LINE_ENDS.findall(text)) + 1)
    assert found == read(data, file=FILE, environ={**environ, "SECRETS_CACHE_LANES": "0"})
    if b"server" in data:
        for changed in _with_other_tokens(data):
            assert found.problems == read(changed, file=FILE, environ=environ).problems


def _check_values(found: Config) -> None:
    for seconds in (found.ttl, *(one.ttl_seconds for one in found.secrets if one.ttl_seconds is not None)):
        assert 0 < seconds <= MONTH_SECONDS
    assert 0 <= found.stale_while_revalidate <= MONTH_SECONDS
    assert 0 <= found.stale_if_error <= MONTH_SECONDS
    assert 0 <= found.refresh_ahead <= 0.9
    assert 0 < found.fetch_timeout <= 60
    assert 1 <= found.port <= 65535
    assert isinstance(found.batch, Batch)
    assert isinstance(found.metrics, Metrics)
    assert re.fullmatch(r"[!-~]{1,255}", found.metrics_namespace)
    assert found.log_level in {"DEBUG", "INFO", "WARNING", "ERROR"}
    assert len(found.secrets) == len({one.name for one in found.secrets}) == len({one.ref for one in found.secrets})
    assert all(re.fullmatch(r"[!-~]{1,2048}", text) for one in found.secrets for text in (one.name, one.ref.secret_id))
    assert all(re.fullmatch(r"[!-~]{1,2048}", pattern) for pattern in found.allow)
    for rule in found.env:
        assert re.fullmatch(r"[!-~]{1,2048}", rule.id)
        for name in (rule.as_name, rule.prefix, *rule.include, *rule.rename.values()):
            assert "=" not in name
            assert "\0" not in name
    assert CANARY not in repr(found._replace(secrets=(), env=(), allow=(), problems=()))


def _check_problem(problem: Problem, lines: int) -> None:
    text = str(problem)
    assert problem.file in {FILE, "environment"}
    assert problem.line is None or (problem.file == FILE and 1 <= problem.line <= lines)
    assert problem.found
    assert not problem.found.startswith("broken YAML") or CANARY not in text
    assert problem.allowed or problem.key == "AWS_SESSION_TOKEN"
    assert text.isprintable()
    assert problem.key.isprintable()
    assert len(text) <= MAX_PROBLEM_LENGTH


def _with_other_tokens(data: bytes) -> Iterator[bytes]:
    """Give the same bytes with each text that must not show in turn replaced by another of its kind."""
    try:
        text = data.decode()
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return
    secret, shown = _parted(root)
    for node in secret:
        start, end = node.start_mark.index, node.end_mark.index
        if node.style is not None:
            start, end = start + 1, end - 1
        other = codecs.encode(node.value.translate(_DIGITS), "rot13")
        if id(node) not in shown and text[start:end] == node.value and not {node.value.lower(), other.lower()} & _WORDS:
            yield (text[:start] + other + text[end:]).encode()


def _is_setting(name: yaml.Node, setting: yaml.Node) -> bool:
    """Return whether a key is one of the server's, or looks like one and has a value: it cannot be a token."""
    is_word = isinstance(name.value, str) and re.fullmatch(r"_*[a-z][a-z_]{0,11}", name.value) and len(name.value) <= 12
    return name.value in ("port", "aws_port", "token") or bool(is_word and not setting.tag.endswith(":null"))


def _parted(root: yaml.Node | None) -> tuple[list[yaml.ScalarNode], set[int]]:
    """Return the scalars that must not show, and the ids of those that may."""
    if not isinstance(root, yaml.MappingNode):
        return [], set()
    hidden: list[yaml.Node] = []
    plain: list[yaml.Node] = []
    for key, value in root.value:
        if key.value != "server" or not isinstance(value, yaml.MappingNode):
            (hidden if key.value == "server" else plain).append(value)
            plain.append(key)
            continue
        for name, setting in value.value:
            (plain if _is_setting(name, setting) else hidden).append(name)
            (plain if name.value in {"port", "aws_port"} else hidden).append(setting)
    return [node for node in _scalars(hidden) if node.style in {None, "'", '"'}], {id(n) for n in _scalars(plain)}


def _scalars(nodes: list[yaml.Node]) -> list[yaml.ScalarNode]:
    """Return all scalars below some nodes, each once."""
    left, seen = list(nodes), dict[int, yaml.Node]()
    while left:
        node = left.pop()
        if id(node) in seen:
            continue
        seen[id(node)] = node
        if isinstance(node, yaml.SequenceNode):
            left.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            left.extend(part for pair in node.value for part in pair)
    return [node for node in seen.values() if isinstance(node, yaml.ScalarNode)]
