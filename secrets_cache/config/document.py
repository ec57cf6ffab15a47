"""
YAML bytes to YAML nodes, which keep the text as written and its line.

Rules
-----
1. Published examples are accepted as meant: an en or em dash as a list's dash, a no-break space as indentation.
2. No message shows the text around an error: it might hold the token.
"""

import re

from secrets_cache.config import plain_yaml
from secrets_cache.config.nodes import DocumentError, Node

# One to one, so that columns stay: a run of dashes and blanks at the start of a line, each dash before a blank.
_INDENT = r"(?m)^[ \u00a0]*(?:[-\u2013\u2014](?:[ \u00a0]+|$))*"
_MEANT = {"\u2013": "-", "\u2014": "-", "\u00a0": " "}


def compose(data: bytes, *, is_fast: bool) -> Node | None:
    """
    Return the root node of the one YAML document in `data`, None if it is empty.

    Args:
        data: The bytes of the file.
        is_fast: Whether plain YAML may be read without PyYAML.

    Raises:
        DocumentError: The bytes are not UTF-8, or not one YAML document.
    """
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(line, f"byte 0x{data[error.start]:02x}, which is not UTF-8", "UTF-8") from None
    if not text.isascii():
        text = re.sub(_INDENT, lambda match: "".join(_MEANT.get(char, char) for char in match[0]), text)
    if is_fast:
        try:
            return plain_yaml.compose(text)
        except plain_yaml.NotPlain:
            pass
    from secrets_cache.config import pyyaml  # noqa: PLC0415 - slow to import

    return pyyaml.compose(text)
