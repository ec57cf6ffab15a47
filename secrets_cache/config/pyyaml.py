"""All of YAML, through PyYAML. Imported only for text that `plain_yaml` leaves to it."""

import yaml

from secrets_cache.config.nodes import DocumentError, Mapping, Node, Scalar, Sequence

_STANDARD = "tag:yaml.org,2002:"
_NULL = f"{_STANDARD}null"


def compose(text: str) -> Node | None:
    """Return the root node of the document in `text`, None if it is empty. Raises `DocumentError`."""
    try:
        # Composing runs no constructor: nothing in the text can create an object.
        loader = _Loader(text)
        root: yaml.Node | None = loader.get_single_node()
        return None if root is None else _translate(root, loader.tags, {})
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(line, f"character U+{ord(text[error.position]):04X}", "printable characters") from None
    except yaml.MarkedYAMLError as error:
        from secrets_cache.config.diagnosis import diagnose  # noqa: PLC0415 - for problems only

        raise diagnose(text, error) from None
    except (ValueError, OverflowError):
        # PyYAML does not check the numbers in escapes and in %YAML: large ones fail in Python's own functions.
        raise DocumentError(None, "broken YAML (a number out of range)", "one YAML document") from None
    except RecursionError:
        raise DocumentError(None, "YAML nested too deeply", "one YAML document") from None


class _Loader(yaml.SafeLoader):
    """
    A loader that remembers the tags that were written; PyYAML gives each node one, written or not.

    Attributes:
        tags: By the id of their nodes.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.tags: dict[int, str] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, and note its tag."""
        tag: str | None = getattr(self.peek_event(), "tag", None)  # type: ignore[no-untyped-call]
        node: yaml.Node | None = super().compose_node(parent, index)
        if tag and node is not None:
            self.tags[id(node)] = f"!!{tag.removeprefix(_STANDARD)}" if tag.startswith(_STANDARD) else tag
        return node


def _translate(node: yaml.Node, tags: dict[int, str], known: dict[int, Node]) -> Node:
    """Return PyYAML's node as one of `nodes`; a node with an alias stays one node, and may contain itself."""
    if id(node) in known:
        return known[id(node)]
    line, tag = int(node.start_mark.line) + 1, tags.get(id(node), "")
    if isinstance(node, yaml.ScalarNode):
        known[id(node)] = scalar = Scalar(
            node.value, line, is_quoted=node.style is not None, is_null=node.tag == _NULL, tag=tag
        )
        return scalar
    if isinstance(node, yaml.SequenceNode):
        known[id(node)] = sequence = Sequence([], line, tag)
        sequence.value.extend(_translate(item, tags, known) for item in node.value)
        return sequence
    known[id(node)] = mapping = Mapping([], line, tag)
    mapping.value.extend((_translate(key, tags, known), _translate(value, tags, known)) for key, value in node.value)
    return mapping
