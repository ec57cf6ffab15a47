"""All of YAML, through PyYAML. Imported only for text that `plain_yaml` leaves to it."""

import re

import yaml

from secrets_cache.config.nodes import DocumentError, Mapping, Node, Scalar, Sequence

# Parts of the text that PyYAML quotes in its messages: anchors, aliases and tags, but not its own <tokens>.
_QUOTED = re.compile(r"""'(?!<)[^']{2,}'|"(?!<)[^"]{2,}\"""")
_NULL = "tag:yaml.org,2002:null"


def compose(text: str) -> Node | None:
    """Return the root node of the document in `text`, None if it is empty. Raises `DocumentError`."""
    try:
        # Composing runs no constructor: nothing in the text can create an object.
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if root is None else _translate(root, {})
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(line, f"character U+{ord(text[error.position]):04X}", "printable characters") from None
    except yaml.MarkedYAMLError as error:
        where = error.problem_mark.line + 1 if error.problem_mark else None
        what = _QUOTED.sub("'...'", error.problem or error.context or "")
        raise DocumentError(where, f"broken YAML ({what})", "one YAML document") from None
    except (ValueError, OverflowError):
        # PyYAML does not check the numbers in escapes and in %YAML: large ones fail in Python's own functions.
        raise DocumentError(None, "broken YAML (a number out of range)", "one YAML document") from None
    except RecursionError:
        raise DocumentError(None, "YAML nested too deeply", "one YAML document") from None


def _translate(node: yaml.Node, known: dict[int, Node]) -> Node:
    """Return PyYAML's node as one of `nodes`; a node with an alias stays one node, and may contain itself."""
    if id(node) in known:
        return known[id(node)]
    line = int(node.start_mark.line) + 1
    if isinstance(node, yaml.ScalarNode):
        known[id(node)] = scalar = Scalar(node.value, line, is_quoted=node.style is not None, is_null=node.tag == _NULL)
        return scalar
    if isinstance(node, yaml.SequenceNode):
        known[id(node)] = sequence = Sequence([], line)
        sequence.value.extend(_translate(item, known) for item in node.value)
        return sequence
    known[id(node)] = mapping = Mapping([], line)
    mapping.value.extend((_translate(key, known), _translate(value, known)) for key, value in node.value)
    return mapping
