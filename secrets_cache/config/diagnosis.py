"""
What is wrong with text that is not YAML: in plain words, and where the mistake is.

The parser notices most mistakes later than they are made. Imported for such text alone.

Rules
-----
1. No word of YAML's grammar, and nothing of the text, which might hold the token, except a single character.
2. What cannot be told apart is described by what is common to it.
"""

import re

from yaml import MarkedYAMLError

from secrets_cache.config.nodes import DocumentError

_DOCUMENT = "one YAML document"
_NO_KEY = "text without a colon and a space, where a key is expected"
_KEY = "a key, a colon, a space and a value, such as ttl: 5m"
_QUOTES = {"'": "a single quote", '"': "a double quote"}
# A quoted text that begins where a value or a key may begin, and ends in the same line.
_OPENING = r"(?:^|(?<=[\s\[{,]))"
_CLOSED = _OPENING + r"""(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*")"""
_BLOCK = re.compile(r"(?m)[|>][+-]?[1-9]?[ ]*$")
# By a part of the parser's message: what that means, and what would be right. The first that matches counts.
_MEANINGS = (
    ("undefined alias", "a text that begins with *, which YAML reads as a reference", "quotes around it"),
    ("scanning an alias", "a text that begins with *, which YAML reads as a reference", "quotes around it"),
    ("scanning an anchor", "a text that begins with &, which YAML reads as a mark", "quotes around it"),
    ("anchor", "the same mark with & twice", "quotes around text that begins with &"),
    ("a tag", "a text that begins with !, which YAML reads as a tag", "quotes around it"),
    ("tag handle", "a text that begins with !, which YAML reads as a tag", "quotes around it"),
    (
        "sequence entries are not allowed",
        "a dash that begins a list in the middle of a line",
        "each item on its own line",
    ),
    ("mapping keys are not allowed", "a question mark that begins a key in the middle of a line", "quotes around it"),
    ("directive", "a line that begins with %", "quotes around text that begins with %"),
    ("incompatible", "a line that begins with %", "quotes around text that begins with %"),
    ("block scalar", "other text after | or >", "nothing but the text's own lines after | or >"),
    ("escape", "an unknown escape with a backslash in double quotes", "single quotes, in which a backslash is itself"),
    ("flow sequence", "a list in [ ] that is not closed, or lacks a comma", "a comma between items, and ] at the end"),
    ("flow mapping", "keys in { } that are not closed, or lack a comma", "a comma between keys, and } at the end"),
    ("could not find expected ':'", _NO_KEY, _KEY),
    ("expected a single document", "a second document after ---", _DOCUMENT),
    ("but found '-'", "a dash where a key is expected", "either keys or a list with dashes, in one indentation"),
    (
        "but found '?'",
        "a key where a list's next dash is expected",
        "either keys or a list with dashes, in one indentation",
    ),
    (
        "<block ",
        "an indentation that differs from that of the lines above",
        "the same indentation for everything that belongs together",
    ),
    ("<document start>", "text after the end of the document", _DOCUMENT),
)
# Marks that begin in another line than the one where the parser gives up.
_IN_CONTEXT = ("flow sequence", "flow mapping", "could not find expected ':'")


def diagnose(text: str, error: MarkedYAMLError) -> DocumentError:
    """Return what `error`, from PyYAML, means for `text`."""
    mark = error.problem_mark or error.context_mark
    context = error.context_mark or mark
    if mark is None or context is None:
        return DocumentError(None, "text that is not YAML", _DOCUMENT)
    lines = text.splitlines() or [""]
    last = min(mark.line, len(lines) - 1)
    message = f"{error.context}: {error.problem}"
    if foreign := _find_foreign(lines[: last + 1], context.line):
        return foreign
    if "quoted scalar" in message and "escape" not in message:
        return _describe_quote(text[context.index], context.line + 1)
    # A block of text may hold any quotes.
    for number, line in enumerate([] if _BLOCK.search(text) else lines[: last + 1], 1):
        if opening := _find_open_quote(line):
            return _describe_quote(opening, number)
    is_indentation = lines[last][: mark.column].strip() == ""
    if "<block " in message and "but found '<" in message and "anchor" not in message and not is_indentation:
        return DocumentError(last + 1, "text after a closing quote or bracket", "quotes around the whole text")
    for part, found, allowed in _MEANINGS:
        if part in message:
            where = context.line if part in _IN_CONTEXT else last
            return DocumentError(where + 1, found, allowed)
    return _describe_rest(text[mark.index : mark.index + 1], last, lines)


def _find_foreign(lines: list[str], first: int) -> DocumentError | None:
    """Return what no YAML has: in any line a tab as indentation or a merge's mark; from `first` on what others have."""
    for number, line in enumerate(lines, 1):
        if line.strip() and "\t" in line[: len(line) - len(line.lstrip())]:
            return DocumentError(number, "a tab as indentation", "spaces")
        if line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
            return DocumentError(number, "a mark that a merge left", "the text of one side")
    for number, line in enumerate(lines[first:], first + 1):
        if "\\n" in line and len(lines) == 1 and "'" not in line and '"' not in line:
            # As some files of variables hold a text of several lines.
            return DocumentError(number, "\\n as two characters", "line ends, or keys in { } with commas between them")
        if "{{" in line:
            return DocumentError(number, "{{, as templates have it", "what the template would give, written out")
        if line.lstrip().startswith(("//", "/*")):
            return DocumentError(number, "a comment that begins with /", "# at the beginning of comments")
    return None


def _describe_quote(quote: str, number: int) -> DocumentError:
    return DocumentError(number, f"{_QUOTES[quote]} that is opened here and never closed", "the same quote at the end")


def _find_open_quote(line: str) -> str:
    """Return the quote that a line opens and does not close; empty if there is none."""
    rest = re.sub(r"(?:^|\s)#.*", "", re.sub(_CLOSED, "", line))
    opening = re.search(_OPENING + r"""['"]""", rest)
    return opening[0] if opening else ""


def _describe_rest(char: str, last: int, lines: list[str]) -> DocumentError:
    """Describe what no message tells apart; `char` is where the parser gave up."""
    if not char.strip("\0"):
        opened = [number for number, line in enumerate(lines, 1) if line.rstrip().endswith(("[", "{", ","))]
        return DocumentError(opened[-1] if opened else last + 1, "a bracket that is not closed", "] or } at the end")
    if char == "\t":
        return DocumentError(last + 1, "a tab after a dash or a colon", "a space")
    if char in "%@`":
        return DocumentError(last + 1, f"a text that begins with {char}", "quotes around it")
    if char in ",]}":
        return DocumentError(last + 1, f"a {char} to which nothing belongs", "quotes around text that begins with it")
    if lines[last].count(": ") + lines[last].rstrip().endswith(":") > 1:
        return DocumentError(
            last + 1, "a second colon in one line", "quotes around text that holds a colon and a space"
        )
    above = lines[last - 1] if last else ""
    if above.strip() and not re.search(r":(?:\s|$)", above):
        return DocumentError(last, _NO_KEY, _KEY)
    return DocumentError(
        last + 1,
        "a key that is indented more than the line above, which already has a value",
        "the same indentation for everything that belongs together",
    )
